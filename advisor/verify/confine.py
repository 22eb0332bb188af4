"""What a forked check does to itself before it runs: limits on what it may use and write, no network, no way to outlive its launcher."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import signal
import socket
import struct
import tempfile
from pathlib import Path

from advisor.errors import CheckError
from advisor.verify.evidence import Refusal
from advisor.verify.landlock import forbid_writing_but

MIB = 2**20
LARGEST_FILE_BYTES = 64 * MIB  # no check writes more than a small model's file
LARGEST_EXPORT_BYTES = 512 * MIB  # but for those that export: the graph and the weights of the largest model that they take
MOST_OPEN_FILES = 256
REASON_CHARACTERS = 500
OOM_SCORE_FIRST_TO_GO = "1000"  # proc(5), oom_score_adj: from -1000 to 1000

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1  # linux/sockios.h, linux/if.h
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
_DEVICES, _NVIDIA, _SHARED_MEMORY = Path("/dev"), Path("/dev/nvidiactl"), Path("/dev/shm")  # proc(5), shm_overview(7)
# What CUDA says of a device that failed, not of a program that did (cuda-runtime-api, cudaError_t).
_LOST_GPU = (
    "uncorrectable ECC error", "unspecified launch failure", "unknown error", "busy or unavailable", "hardware stack error",
    "no CUDA-capable device", "GPU is lost", "initialization error", "external device", "invalid device ordinal",
)  # fmt: skip
_EXTRAS = {
    "peft": "peft",
    "tabicl": "tabular",
    "diffusers": "diffusion",
    "segmentation_models_pytorch": "segmentation",
    "dynamic_network_architectures": "segmentation",
    "torch_geometric": "graph",
    "stable_baselines3": "rl",
    "sb3_contrib": "rl",
    "gymnasium": "rl",
    "rtdl_revisiting_models": "tabular",
    "tabm": "tabular",
    "chronos": "forecasting",
    "monai": "segmentation",
    "onnx": "export",
    "onnxscript": "export",
    "onnxruntime": "export",
    "torch_pruning": "export",
}


def confine(folder: Path, launcher: int, largest_file: int = LARGEST_FILE_BYTES) -> dict[str, bool]:
    """Limit this process for the rest of its life; it is the leader of its own session, and writes no file of more bytes.

    What evidence says of it: whether it has no network, and whether it can write in its folder alone.

    Memory is not limited here. CUDA reserves more address space than the machine has memory, so RLIMIT_AS would forbid every
    GPU check, and RLIMIT_DATA counts what is mapped and never touched; the launcher watches resident memory instead.
    """
    os.setsid()
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, largest_file)
    _limit(resource.RLIMIT_NOFILE, MOST_OPEN_FILES)
    os.chdir(folder)
    tempfile.tempdir = str(folder)  # it is worked out once, maybe before the fork
    os.environ.update(dict.fromkeys(("TMPDIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "CUDA_CACHE_PATH"), str(folder)))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE_FIRST_TO_GO, encoding="ascii")
    is_isolated = isolate_network()
    is_confined = keep_writing_in(folder)
    _die_with(launcher)  # after the namespaces: a change of credentials clears it
    return {"is_network_isolated": is_isolated, "is_writing_confined": is_confined}


def keep_writing_in(folder: Path) -> bool:
    """Let this process write there, and to devices and to what the kernel tells of it; False where the system cannot see to that."""
    shared = [_SHARED_MEMORY] if _NVIDIA.exists() else []  # where NCCL's processes meet
    return forbid_writing_but([folder, *shared], [_DEVICES, Path(f"/proc/{os.getpid()}")])


def _limit(what: int, most: int) -> None:
    """Lower a limit, or leave it where it is lower already."""
    hard = resource.getrlimit(what)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


def isolate_network() -> bool:
    """Move this process into a network with no interface but its own loopback; False where the system does not allow that.

    Needs a process with a single thread. Files keep their owner: the user is mapped to itself in the new user namespace.
    """
    user, group = os.getuid(), os.getgid()
    try:
        if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
            return False
    except AttributeError:  # not Linux
        return False
    with contextlib.suppress(OSError):
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            Path(f"/proc/self/{name}").write_text(text, encoding="ascii")
    with contextlib.suppress(OSError):
        _raise_loopback()
    return True


def _raise_loopback() -> None:
    """Let the processes of a check talk to each other, as those of data-parallel training do; nobody else is there to hear them."""
    import fcntl  # not on every system, and neither are namespaces

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _IFF_UP))


def become_subreaper() -> None:
    """Have processes whose parents die become this one's children, whatever session they are in, so that they can be found."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, however that happens."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def refuse(error: BaseException) -> Refusal:
    """An exception as the reason why there is no evidence: the machine's where it lacks something, else the design's."""
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").split(".")[0]
        extra = f"install advisor[{_EXTRAS[package]}]" if package in _EXTRAS else f"the package {package} is not installed"
        return Refusal(status="skipped", reason=extra)
    if "CUDA error" in str(error) and any(words in str(error) for words in _LOST_GPU):
        return Refusal(status="skipped", reason=f"the GPU was lost half-way: {_brief(error)}", cause="crashed")
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error):
        return Refusal(status="skipped", reason=f"there is too little memory here: {_brief(error)}", cause="memory")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Refusal(status="skipped", reason="the disk is full")
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return Refusal(
            status="skipped", reason=f"the check wrote a file larger than {resource.getrlimit(resource.RLIMIT_FSIZE)[0] // MIB} MiB"
        )
    if isinstance(error, PermissionError) and error.filename and os.access(Path(error.filename).parent, os.W_OK):  # Landlock's doing
        return Refusal(status="skipped", reason=f"a check may write in its own folder only: {_brief(error)}")
    if isinstance(error, CheckError | OSError | ImportError):
        return Refusal(status="skipped", reason=_brief(error))
    return Refusal(status="failed", reason=_brief(error))


def _brief(error: BaseException) -> str:
    """The kind of error and the beginning of what it says."""
    text = " ".join(str(error).split())
    if isinstance(error, CheckError):
        return text
    return f"{type(error).__name__}: {text}"[:REASON_CHARACTERS] if text else type(error).__name__

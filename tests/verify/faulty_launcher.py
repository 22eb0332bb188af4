"""The real launcher with checks that misbehave, each named by the job's `build.factory`. Run by test_launcher, never imported."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from advisor.errors import CheckError
from advisor.verify import launcher
from advisor.verify.evidence import Job, Refusal, StaticEvidence

MIB = 2**20
MOST_SERVED = 6  # so that the end of a process that has answered so many shows
EVIDENCE = StaticEvidence(parameters=1, trainable_parameters=1, buffers=0, flops_forward=2)


def misbehave(job: Job) -> StaticEvidence | Refusal:
    if job.check != "static":  # of a whole design: what is run breaks down, what is counted does not
        globals()[os.environ["FAULT"]]()
    if job.build.factory == "tell_memory_limit":
        return EVIDENCE.model_copy(update={"parameters": int((job.memory_limit_gib or 0) * 2**30)})
    if job.build.factory == "tell_threads":
        return EVIDENCE.model_copy(update={"parameters": int(os.environ["OMP_NUM_THREADS"])})
    if job.build.factory.startswith("tell_process"):
        return EVIDENCE.model_copy(update={"parameters": os.getpid()})
    fault = globals().get(job.build.factory)
    if fault is not None:
        fault()
    return EVIDENCE


def segfault() -> None:
    os.write(2, b"about to crash\n")
    ctypes.string_at(0)


def abort() -> None:
    os.abort()


def exit_silently() -> None:
    os._exit(3)


def exit_politely() -> None:
    sys.exit(4)


def raise_value_error() -> None:
    raise ValueError("mat1 and mat2 shapes\ncannot be multiplied")


def raise_check_error() -> None:
    raise CheckError("timm has no model 'resnet999'")


def lack_a_package() -> None:
    import peft_that_nobody_installed  # noqa: F401


def recurse() -> None:
    recurse()


def hang() -> None:
    Path(os.environ["TMPDIR"], "left.bin").write_bytes(b"0")
    subprocess.Popen(["sleep", f"1234.{os.getppid()}"])  # a grandchild in the same session, that names its launcher
    while True:
        signal.pause()


def leave_a_daemon() -> None:
    """A grandchild in a session of its own, whose parent is gone: no signal to the check's group reaches it."""
    command = f"import subprocess; subprocess.Popen(['sleep', '1234.{os.getppid()}'], start_new_session=True)"
    subprocess.run([sys.executable, "-c", command], start_new_session=True, check=True)


def leave_a_child() -> None:
    """In the check's own session, and not orphaned."""
    subprocess.Popen(["sleep", f"1234.{os.getppid()}"])


def leave_files() -> None:
    Path("left.bin").write_bytes(b"0")
    Path("left").mkdir()
    Path("left", "link").symlink_to("/")


def find_files() -> None:
    if list(Path().iterdir()):
        raise ValueError("there are files of another check")


def set_a_trap() -> None:
    os.environ["ADVISOR_TEST_TRAP"] = "set"


def fall_into_the_trap() -> None:
    if "ADVISOR_TEST_TRAP" in os.environ:
        os.abort()


def open_many_files() -> None:
    kept = []
    while True:
        kept.append(os.open("/dev/null", os.O_RDONLY))


def lose_the_gpu() -> None:
    raise RuntimeError("CUDA error: uncorrectable ECC error encountered\nCUDA kernel errors might be reported later")


def hang_deaf() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(1)


def eat_memory() -> None:
    eaten = []
    while True:
        eaten.append(bytearray(b"\1") * (32 * MIB))
        time.sleep(0.01)


def eat_memory_in_a_process_of_its_own() -> None:
    command = f"kept = bytearray(b'1') * (1536 * {MIB}); import time; time.sleep(100)  # 1234.{os.getppid()}"
    subprocess.run([sys.executable, "-c", command], check=False)


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run_out_of_memory() -> None:
    raise MemoryError


def fill_disk() -> None:
    with Path("/dev/full").open("wb", buffering=0) as file:
        file.write(b"0")


def fill_own_folder() -> None:
    with Path("filling.bin").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(MIB // 8))


def write_large_file() -> None:
    with Path("large.bin").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(MIB))


def write_elsewhere() -> None:
    Path("..", "left.bin").write_bytes(b"0")


def write_elsewhere_from_a_process_of_its_own() -> None:
    if subprocess.run(["sh", "-c", "echo 0 > ../left.bin"], check=False, stderr=subprocess.DEVNULL).returncode:
        raise PermissionError(13, "Permission denied", "../left.bin")


def remove_what_is_not_its_own() -> None:
    Path("..", "launcher.log").unlink()


def print_a_gigabyte() -> None:
    block = bytes(MIB)
    for _ in range(1024):
        os.write(1, block)


def close_output() -> None:
    os.close(1)
    os.close(2)
    time.sleep(0.3)


def answer_nonsense() -> None:
    _answer(b"{]")
    os._exit(0)


def answer_another_shape() -> None:
    _answer(b'{"evidence": {"parameters": "many"}}')
    os._exit(0)


def answer_without_end() -> None:
    while True:
        _answer(bytes(MIB))


def _answer(data: bytes) -> None:
    """Write to every pipe but stdout and stderr: the child's answer is among them."""
    for number in range(3, 64):
        try:
            if Path(f"/proc/self/fd/{number}").readlink().name.startswith("pipe:"):
                os.write(number, data)
        except OSError:
            continue


def open_connection() -> None:
    socket.create_connection(("1.1.1.1", 53), timeout=5)


def dump_core() -> None:
    import resource

    if resource.getrlimit(resource.RLIMIT_CORE)[0] != 0:
        raise ValueError("a core could be written")


def sleep_a_little() -> None:
    time.sleep(2.0)


if __name__ == "__main__":
    launcher.MOST_SERVED = MOST_SERVED
    launcher.main(misbehave)

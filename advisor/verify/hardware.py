"""What this machine has: processors, memory, and GPUs as NVML reports them. Never imports torch, never starts CUDA."""

from __future__ import annotations

import importlib
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

GIB = 2**30
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
CGROUP_USE = Path("/sys/fs/cgroup/memory.current")

# NVML's error names (nvml.h, `nvmlReturn_t`), and what each means to someone who wonders where the GPU is.
_NVML_SENTENCES = {
    "NVML_ERROR_LIBRARY_NOT_FOUND": "no NVIDIA driver is installed (its library libnvidia-ml was not found)",
    "NVML_ERROR_DRIVER_NOT_LOADED": "the NVIDIA driver is installed but not loaded",
    "NVML_ERROR_LIB_RM_VERSION_MISMATCH": "the NVIDIA driver was updated and its kernel module was not: restart the machine",
    "NVML_ERROR_NO_PERMISSION": "this user may not ask the NVIDIA driver",
    "NVML_ERROR_GPU_IS_LOST": "the GPU was lost: it fell off the bus or must be reset",
    "NVML_ERROR_NOT_SUPPORTED": "the GPU does not report its memory",
}


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU. Memory in GiB, free as of now; `used_by` names the processes that compute on it, `busy_percent` is of the last second."""

    uuid: str
    name: str
    memory_gib: float
    free_gib: float
    compute_capability: str
    used_by: tuple[str, ...] = ()
    busy_percent: float = 0.0

    @property
    def summary(self) -> str:
        users = f", used by {', '.join(self.used_by)}" if self.used_by else ""
        return f"{self.name} ({self.free_gib:.1f} of {self.memory_gib:.1f} GiB free, compute capability {self.compute_capability}{users})"


@dataclass(frozen=True, slots=True)
class Hardware:
    """This machine. `gpu_reason` is a sentence where a GPU that one might expect is not there or cannot be used."""

    cpu: str
    cpus: int
    memory_gib: float
    available_gib: float
    gpus: tuple[Gpu, ...] = ()
    driver: str | None = None
    gpu_reason: str | None = None

    @property
    def summary(self) -> str:
        """One line for a report's provenance."""
        gpus = ", ".join(gpu.summary for gpu in self.gpus) or "no GPU"
        driver = f"; driver {self.driver}" if self.driver else ""
        reason = f" ({self.gpu_reason})" if self.gpu_reason else ""
        return f"{self.cpu}, {self.cpus} CPUs, {self.memory_gib:.0f} GiB; {gpus}{reason}{driver}"


def detect(nvml: Any | None = None, environment: Mapping[str, str] = os.environ) -> Hardware:
    """Look at this machine; takes milliseconds. `nvml` is the module `pynvml` or one with its functions.

    GPUs that CUDA_VISIBLE_DEVICES hides are left out, as torch would.
    """
    total, available = _memory()
    gpus, driver, reason = _gpus(nvml, environment.get("CUDA_VISIBLE_DEVICES"))
    return Hardware(_cpu_name(), _cpus(), total / GIB, available / GIB, gpus, driver, reason)


def _cpus() -> int:
    """Processors this process may use, which a container or `taskset` may have narrowed."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _memory() -> tuple[int, int]:
    """Total and available bytes; a container's limit counts where it is below what the kernel reports of the host."""
    memory = psutil.virtual_memory()
    try:
        limit, used = (int(path.read_text(encoding="ascii")) for path in (CGROUP_LIMIT, CGROUP_USE))
    except (OSError, ValueError):
        return memory.total, memory.available
    return min(memory.total, limit), max(0, min(memory.available, limit - used))


def _gpus(nvml: Any | None, visible: str | None) -> tuple[tuple[Gpu, ...], str | None, str | None]:
    try:
        nvml = nvml or importlib.import_module("pynvml")
        nvml.nvmlInit()
    except ImportError:
        return (), None, "GPUs cannot be looked for: install nvidia-ml-py"
    except Exception as error:  # NVMLError, whose class exists only inside the module
        return (), None, _sentence(nvml, error)
    try:
        return _ask(nvml, visible)
    except Exception as error:
        return (), None, _sentence(nvml, error)
    finally:
        nvml.nvmlShutdown()


def _ask(nvml: Any, visible: str | None) -> tuple[tuple[Gpu, ...], str | None, str | None]:
    driver = str(nvml.nvmlSystemGetDriverVersion())
    count = int(nvml.nvmlDeviceGetCount())
    found, reasons = [], []
    for index in range(count):
        try:
            found.append((index, _describe(nvml, nvml.nvmlDeviceGetHandleByIndex(index))))
        except Exception as error:
            reasons.append(f"GPU {index}: {_sentence(nvml, error)}")
    gpus = tuple(gpu for index, gpu in found if _is_visible(index, gpu.uuid, visible))
    if not count:
        reasons.append("the NVIDIA driver is there but finds no GPU")
    elif found and not gpus:
        reasons.append(f"CUDA_VISIBLE_DEVICES={visible} hides every GPU")
    return gpus, driver, "; ".join(reasons) or None


def _describe(nvml: Any, handle: Any) -> Gpu:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    return Gpu(
        str(nvml.nvmlDeviceGetUUID(handle)),
        str(nvml.nvmlDeviceGetName(handle)),
        memory.total / GIB,
        memory.free / GIB,
        f"{major}.{minor}",
        _users(nvml, handle),
        _busy_percent(nvml, handle),
    )


def _users(nvml: Any, handle: Any) -> tuple[str, ...]:
    """Processes computing on the GPU. In a container the driver may hide them, or give numbers of another namespace."""
    try:
        processes = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except Exception:
        return ()
    return tuple(f"{_process_name(process.pid)} ({process.pid})" for process in processes)


def _busy_percent(nvml: Any, handle: Any) -> float:
    """Of the last sample period; 0 where the driver does not tell, as with a partitioned card."""
    try:
        return float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    except Exception:
        return 0.0


def _process_name(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return "process"


def _is_visible(index: int, uuid: str, visible: str | None) -> bool:
    """Whether CUDA would show this GPU; numbers are taken in the driver's order, names by their beginning."""
    if visible is None:
        return True
    return any(entry == str(index) or (entry.startswith("GPU-") and uuid.startswith(entry)) for entry in visible.split(","))


def _sentence(nvml: Any, error: Exception) -> str:
    code = getattr(error, "value", None)
    for name, sentence in _NVML_SENTENCES.items():
        if code is not None and getattr(nvml, name, None) == code:
            return sentence
    return f"the NVIDIA driver answered: {error}"

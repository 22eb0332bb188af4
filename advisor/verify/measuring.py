"""What this process takes, and how fast this machine is."""

from __future__ import annotations

import contextlib
import platform
import resource
import statistics
import time
from pathlib import Path

import psutil
import torch

SPEED_SIZE = {"cpu": 512, "cuda": 4096}  # of the square matrices whose product tells how fast a device is; a GPU idles over small ones
SPEED_RUNS = 7
_RESET_PEAK = "5"  # proc(5), clear_refs: the peak of resident memory begins anew


def speed(device: torch.device) -> float:
    """Floating-point operations a second of a matrix product in fp32: of the fastest, which nothing else held up."""
    return 2 * SPEED_SIZE[device.type] ** 3 / min(_products(device))


def settle_threads() -> None:
    """Go on with one thread where that is faster: two of them on a processor that others use wait for each other all the time."""
    cpu, many = torch.device("cpu"), torch.get_num_threads()
    together = statistics.median(_products(cpu))
    torch.set_num_threads(1)
    if statistics.median(_products(cpu)) > together:
        torch.set_num_threads(many)


def _products(device: torch.device) -> list[float]:
    """Seconds of a few matrix products."""
    size = SPEED_SIZE[device.type]
    left = torch.rand(size, size, device=device)
    times = []
    for _ in range(SPEED_RUNS):
        start = time.perf_counter()
        float((left @ left)[0, 0])  # reading a value waits for a GPU
        times.append(time.perf_counter() - start)
    return times


class PeakMemory:
    """The most bytes held since it was made: of CUDA's allocator, or on a CPU of resident memory above what was held then."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._before = 0 if device.type == "cuda" else psutil.Process().memory_info().rss
        self.restart()

    def restart(self) -> None:
        """Forget the peak, and not what was held before: a model that is built in fp32 and cast takes more then than ever after."""
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self._device)
            return
        with contextlib.suppress(OSError):  # else the peak is that of the whole process, as everywhere but on Linux
            Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")

    def bytes(self) -> int:
        if self._device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self._device))
        # `ru_maxrss` is in KiB on Linux, in bytes on macOS
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if platform.system() == "Darwin" else 1024)
        return max(0, peak - self._before)

    def device_bytes(self, free_before: float) -> int | None:
        """What all of that takes of the GPU, on which so many bytes were free before CUDA started; None on a CPU.

        The allocator's segments at their peak, and the context, which is whatever else is gone.
        """
        if self._device.type != "cuda":
            return None
        context = free_before - torch.cuda.mem_get_info(self._device)[0] - torch.cuda.memory_reserved(self._device)
        return int(torch.cuda.max_memory_reserved(self._device) + max(0.0, context))

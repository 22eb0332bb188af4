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

SPEED_SIZE = 512  # of the square matrices whose product tells how fast this machine is
SPEED_RUNS = 7
_RESET_PEAK = "5"  # proc(5), clear_refs: the peak of resident memory begins anew


def speed(device: torch.device) -> float:
    """Floating-point operations a second of a matrix product in fp32."""
    left = torch.rand(SPEED_SIZE, SPEED_SIZE, device=device)
    times = []
    for _ in range(SPEED_RUNS):
        start = time.perf_counter()
        float((left @ left)[0, 0])  # reading a value waits for a GPU
        times.append(time.perf_counter() - start)
    return 2 * SPEED_SIZE**3 / statistics.median(times)


def settle_threads() -> None:
    """Go on with one thread where that is faster: two of them on a processor that others use wait for each other all the time."""
    together = speed(torch.device("cpu"))
    many = torch.get_num_threads()
    torch.set_num_threads(1)
    if speed(torch.device("cpu")) < together:
        torch.set_num_threads(many)


class PeakMemory:
    """The most bytes held since it was made: of CUDA's allocator, or on a CPU of resident memory above what was held then."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self._before = 0
            return
        with contextlib.suppress(OSError):  # else the peak is that of the whole process, as everywhere but on Linux
            Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
        self._before = psutil.Process().memory_info().rss

    def bytes(self) -> int:
        if self._device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self._device))
        # `ru_maxrss` is in KiB on Linux, in bytes on macOS
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if platform.system() == "Darwin" else 1024)
        return max(0, peak - self._before)

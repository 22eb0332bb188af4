"""Resident memory of `advisor batch` by the number of lines, rules only: it should not grow.

    python benchmarks/batch_memory.py [--lines 1000 10000 100000] [--jobs 1] [--examples DIR]

Prints one row a size: the peak and the last resident memory of the command's own process, and of all its workers together.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from batch_requests import EXAMPLES, machine, write_requests

MIB = 2**20
LOOK_S = 0.1
MOST_GROWTH = 1.05  # from the smallest to the largest batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--examples", type=Path, default=EXAMPLES)
    arguments = parser.parse_args()
    print(machine())
    print(f"{'lines':>8} {'peak MiB':>9} {'with workers':>13} {'seconds':>8}")
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for lines in arguments.lines:
            source = write_requests(Path(folder) / "in.ndjson", lines, arguments.examples)
            started = time.perf_counter()
            own, together = watch(source, arguments.jobs)
            peaks.append(own)
            print(f"{lines:8} {own / MIB:9.1f} {together / MIB:13.1f} {time.perf_counter() - started:8.1f}", flush=True)
    growth = max(peaks) / peaks[0]
    print(f"growth {growth:.3f}, at most {MOST_GROWTH}: {'kept' if growth <= MOST_GROWTH else 'missed'}")


def watch(source: Path, jobs: int) -> tuple[int, int]:
    """Peak resident bytes of the command, and of it and its children at one time."""
    command = [sys.executable, "-m", "advisor", "batch", str(source), "-o", "/dev/null", "--verify", "none", "--jobs", str(jobs)]
    own = together = 0
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                rss = watched.memory_info().rss
                children = sum(child.memory_info().rss for child in watched.children(recursive=True))
            except psutil.NoSuchProcess:
                continue
            own, together = max(own, rss), max(together, rss + children)
            time.sleep(LOOK_S)
    return own, together


if __name__ == "__main__":
    main()

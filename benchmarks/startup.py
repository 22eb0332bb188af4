"""How long the command line takes as a process: help, a design by rules alone, and one with static verification.

    python benchmarks/startup.py [REQUEST] [--runs N]

Prints one row a command: minimum, median and maximum wall seconds over the runs after a warm-up, and the target.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "defects.yaml"
COMMANDS = (
    ("advisor --help", ["--help"], 0.3),
    ("advisor design --verify none", ["design", "REQUEST", "--verify", "none"], 0.6),
    ("advisor design --verify static", ["design", "REQUEST", "--verify", "static", "--no-cache"], 6.0),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("request", nargs="?", default=str(EXAMPLE))
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    print(
        f"{datetime.date.today()}, {platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    )
    print(f"{'command':34} {'min':>6} {'median':>7} {'max':>6} {'target':>7}")
    for name, words, target in COMMANDS:
        command = [sys.executable, "-m", "advisor", *(arguments.request if word == "REQUEST" else word for word in words)]
        seconds = [measure(command) for _ in range(arguments.runs + 1)][1:]
        print(f"{name:34} {min(seconds):6.2f} {statistics.median(seconds):7.2f} {max(seconds):6.2f} {target:7.1f}")


def measure(command: list[str]) -> float:
    """Wall seconds of one run; the first failing run ends the benchmark."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()

"""Throughput of `advisor batch`: by rules alone with one job and with two, and with static verification, cold and warm.

    python benchmarks/batch_speed.py [--rules-lines 2000] [--static-lines 1000] [--jobs 2] [--runs 3] [--examples DIR]

One job and several take turns, so that a busy machine slows both alike. Prints wall seconds and processor seconds of the command
with its workers; the rate is that of the fastest run, without the start-up. On a machine that is not idle, wall figures are too low.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from batch_requests import EXAMPLES, machine, write_requests

TARGETS = {"rate": 350.0, "ratio": 1.7, "cold": 60.0, "warm": 5.0, "first": 1.0}


@dataclass(frozen=True)
class Run:
    """Seconds until the first row and until the end, and processor seconds."""

    first: float
    wall: float
    processor: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules-lines", type=int, default=2000)
    parser.add_argument("--static-lines", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--examples", type=Path, default=EXAMPLES)
    arguments = parser.parse_args()
    print(f"{machine()}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.rules_lines:
            by_rules(write_requests(folder / "rules", arguments.rules_lines, arguments.examples), arguments)
        if arguments.static_lines:
            by_checks(write_requests(folder / "static", arguments.static_lines, arguments.examples), arguments.jobs, folder / "cache")


def by_rules(source: Path, arguments: argparse.Namespace) -> None:
    jobs = (1, arguments.jobs)
    runs: dict[int, list[Run]] = {count: [] for count in jobs}
    for _ in range(arguments.runs):
        for count in jobs:
            runs[count].append(measure(source, "none", count))
    rates = {}
    for count in jobs:
        best = min(runs[count], key=lambda run: run.wall - run.first)
        rates[count] = (arguments.rules_lines - 1) / (best.wall - best.first)
        cost = 1000 * best.processor / arguments.rules_lines
        print(f"rules, --jobs {count}: {rates[count]:.0f} a second; {best.wall:.2f} s wall, {cost:.2f} ms of processor a row")
    verdict("rules, reports a second", rates[arguments.jobs], TARGETS["rate"], at_least=True)
    verdict(f"rules, --jobs {arguments.jobs} against 1", rates[arguments.jobs] / rates[1], TARGETS["ratio"], at_least=True)
    verdict("rules, seconds to the first row", min(run.first for run in runs[1]), TARGETS["first"])
    verdict(f"rules, the same with --jobs {arguments.jobs}", min(run.first for run in runs[arguments.jobs]), TARGETS["first"])


def by_checks(source: Path, jobs: int, cache: Path) -> None:
    for temperature in ("cold", "warm"):
        run = measure(source, "static", jobs, ADVISOR_CACHE_DIR=str(cache))
        verdict(
            f"static, {temperature}, seconds (first row {run.first:.1f}, processor {run.processor:.1f})", run.wall, TARGETS[temperature]
        )


def measure(source: Path, depth: str, jobs: int, **environment: str) -> Run:
    """One run of the command; a failing run ends the benchmark."""
    command = [sys.executable, "-m", "advisor", "batch", str(source), "--verify", depth, "--jobs", str(jobs)]
    before, started = _processor(), time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **environment}) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        first = time.perf_counter() - started
        while process.stdout.read(2**20):
            pass
        said = process.stderr.read().decode()
    if process.returncode != 0:
        raise SystemExit(said)
    return Run(first, time.perf_counter() - started, _processor() - before)


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def verdict(what: str, value: float, target: float, *, at_least: bool = False) -> None:
    is_met = value >= target if at_least else value <= target
    print(f"{what}: {value:.2f}, at {'least' if at_least else 'most'} {target:g}: {'met' if is_met else 'missed'}", flush=True)


if __name__ == "__main__":
    main()

"""What a report with a smoke-train takes: one example as a process, again from the cache, the sandbox's part of it, all examples.

    python benchmarks/smoke.py [REQUEST…] [--one examples/defects.yaml] [--json OUT.json]

Without REQUEST, every example. Each runs as a process of its own, with nothing in the cache. Prints wall seconds, and processor
seconds, which say more on a machine that others use; the load average stands beside. Last, one line for each target.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from batch_requests import EXAMPLES, machine

from advisor import design
from advisor.verify.evidence import DeployEvidence, Job, Refusal, SmokeEvidence, StaticEvidence
from advisor.verify.verifier import Verifier

TARGETS = {"one": 45.0, "cached": 3.0, "sandbox": 4.0, "all": 720.0}


class Timed:
    """A checker that adds up what the checks themselves took."""

    def __init__(self, checker: Verifier) -> None:
        self._checker, self.seconds = checker, 0.0

    def static(self, job: Job) -> StaticEvidence | Refusal:
        return self._counted(self._checker.static(job))

    def smoke(self, job: Job) -> SmokeEvidence | Refusal:
        return self._counted(self._checker.smoke(job))

    def deploy(self, job: Job) -> DeployEvidence | Refusal:
        return self._counted(self._checker.deploy(job))

    def _counted(self, answer: Any) -> Any:
        self.seconds += getattr(answer, "seconds", 0.0)
        return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("requests", nargs="*", type=Path, metavar="REQUEST")
    parser.add_argument("--one", type=Path, default=EXAMPLES / "defects.yaml")
    parser.add_argument("--json", type=Path, help="write each example's checks there")
    arguments = parser.parse_args()
    print(f"{machine()}, load {os.getloadavg()[0]:.1f}")
    found = {"one": run(arguments.one)[:2], "sandbox": sandbox(arguments.one)}
    with tempfile.TemporaryDirectory() as cache:
        run(arguments.one, cache)
        found["cached"] = run(arguments.one, cache)[:2]
    reports: dict[str, Any] = {}
    total = processor = 0.0
    for request in arguments.requests or sorted(EXAMPLES.glob("*.yaml")):
        wall, used, report = run(request)
        total, processor = total + wall, processor + used
        reports[request.stem] = report["verification"]
        print(f"{request.stem:28} {report['status']:12} {wall:6.1f} s ({used:.1f} s of processor), {counts(report)}")
    print(f"all of them: {total:.0f} s, {processor:.0f} s of processor; load {os.getloadavg()[0]:.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(reports, indent=1), encoding="utf-8")
    for name, (wall, used) in {**found, **({} if arguments.requests else {"all": (total, processor)})}.items():
        verdict = "met" if wall <= TARGETS[name] else "missed"
        print(f"{name:8} {wall:7.1f} s ({used:.1f} s of processor), target {TARGETS[name]:g} s: {verdict}")


def run(request: Path, cache: str | None = None) -> tuple[float, float, dict[str, Any]]:
    """Wall and processor seconds of one design as a process, and its report."""
    command = [sys.executable, "-m", "advisor", "design", str(request), "--format", "json", *([] if cache else ["--no-cache"])]
    environment = {**os.environ, **({"ADVISOR_CACHE_DIR": cache} if cache else {})}
    before, start = processor_seconds(), time.perf_counter()
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    wall, used = time.perf_counter() - start, processor_seconds() - before
    return wall, used, json.loads(done.stdout)


def sandbox(request: Path) -> tuple[float, float]:
    """Wall seconds of one report in which no check was at work, and processor seconds of the process that imports and forks."""
    with Verifier() as verifier:
        timed, start = Timed(verifier), time.perf_counter()
        design(request, "smoke", checker=timed)
        wall = time.perf_counter() - start - timed.seconds
        own = [child.cpu_times() for child in psutil.Process().children()]
        return wall, sum(times.user + times.system for times in own)


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def counts(report: dict[str, Any]) -> str:
    """`9 passed, 2 skipped` of the smoke-train's checks; of those that failed the names."""
    statuses = [check["status"] for check in report["verification"]]
    failed = [check["name"] for check in report["verification"] if check["status"] == "failed"]
    said = ", ".join(f"{statuses.count(status)} {status}" for status in ("passed", "repaired", "skipped", "failed") if status in statuses)
    return said + (f": {', '.join(failed)}" if failed else "")


if __name__ == "__main__":
    main()

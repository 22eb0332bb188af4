"""The smoke-train of every example on this machine's GPU: checks, step time, memory against the prediction, as a Markdown table.

    python benchmarks/gpu_smoke.py [REQUEST…] [--out benchmarks/results/gpu_smoke.md] [--minutes 9]

Each example is asked for with `computeResources: this machine`. Needs an NVIDIA GPU with its driver, torch 2.11 or later and
Python 3.12 or later; nothing is downloaded. Below the table stand the reasons of what failed and of what was skipped for want
of a library; last, whether the GPUs' memory was given back.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from math import inf
from pathlib import Path

from batch_requests import EXAMPLES
from gpu_here import Clock, Table, heading, what_is_lacking

from advisor import Report, design
from advisor.reading import read_request
from advisor.report import Check
from advisor.verify.hardware import Hardware, detect
from advisor.verify.verifier import Verifier

HERE = "constraints.computeResources=this machine"
LEFT_BEHIND_GIB = 0.1  # that the driver itself may have taken meanwhile
COLUMNS = (
    "| example | model | checks | reduced | step (ms) | samples/s | allocated (GiB) | in all (GiB) | predicted (GiB) | inside |",
    "| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- |",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("requests", nargs="*", type=Path, metavar="REQUEST")
    parser.add_argument("--out", type=Path, help="write the table there as well")
    parser.add_argument("--minutes", type=float, default=inf, help="after which no further example is begun")
    arguments = parser.parse_args()
    hardware = detect()
    if lacking := what_is_lacking(hardware):
        print(f"gpu_smoke: {lacking}; nothing was measured", file=sys.stderr)
        return 2
    table, clock = Table((heading(hardware), "", *COLUMNS), arguments.out), Clock(arguments.minutes)
    print(*table.head, sep="\n")
    with Verifier() as verifier:
        for path in arguments.requests or sorted(EXAMPLES.glob("*.yaml")):
            if clock.is_up():
                table.add(None, f"{path.stem}: not reached in {arguments.minutes:g} minutes")
                continue
            try:
                report = design(read_request(path, settings=[HERE]), "smoke", checker=verifier)
            except Exception as error:  # one example must not cost the others
                table.add(None, f"{path.stem}: {type(error).__name__}: {error}")
                continue
            table.add(row(path.stem, report), *notes(path.stem, report))
    left = left_behind(hardware, detect())
    table.end(f"GPU memory not given back: {left:.2f} GiB")
    return int(left > LEFT_BEHIND_GIB)


def left_behind(before: Hardware, after: Hardware) -> float:
    """GiB that are taken now and were free before, over all GPUs; what one that is gone had free counts as taken."""
    free = {gpu.uuid: gpu.free_gib for gpu in after.gpus}
    return sum(max(0.0, gpu.free_gib - free.get(gpu.uuid, 0.0)) for gpu in before.gpus)


def row(name: str, report: Report) -> str:
    """One line of the table; dashes where there is no design, or nothing was trained."""
    checks = {check.name: check for check in report.verification}
    smoke, memory = checks.get("smoke_train"), checks.get("prediction.training_memory")
    if report.recipe is None or smoke is None:
        return f"| {name} | {report.status.value} | - | - | - | - | - | - | - | - |"
    cells = (
        name,
        report.recipe.model.id,
        statuses(report.verification),
        "yes" if "reduced: " in (smoke.detail or "") else "no",
        figure(smoke, "here: step_time", 1000),
        figure(smoke, "here: training_rate"),
        figure(smoke, "here: peak_memory"),
        figure(smoke, "here: device_memory"),
        figure(memory, "predicted"),
        "-" if memory is None else "yes" if memory.status == "passed" else "NO",
    )
    return f"| {' | '.join(cells)} |"


def notes(name: str, report: Report) -> list[str]:
    """What failed, what could not run for want of a library, and a smoke-train that did not take place, each with its reason."""
    return [
        f"{name}: {check.name} {check.status}: {check.detail}"
        for check in report.verification
        if check.status == "failed"
        or (check.status == "skipped" and (check.name == "smoke_train" or "install" in (check.detail or "")))
        or (check.name == "smoke_train" and "it ran on this machine's CPU" in (check.detail or ""))
    ]


def statuses(checks: list[Check]) -> str:
    """`14 passed, 2 skipped` of the smoke-train's checks and the predictions."""
    found = Counter(check.status for check in checks if check.name.startswith(("smoke", "prediction.", "compress.", "export.")))
    return ", ".join(f"{count} {status}" for status, count in found.items())


def figure(check: Check | None, name: str, factor: float = 1.0) -> str:
    return f"{check.figures[name].value * factor:.4g}" if check and name in check.figures else "-"


if __name__ == "__main__":
    sys.exit(main())

"""The smoke-train of every example on this machine's GPU: checks, step time, memory against the prediction, as a Markdown table.

    python benchmarks/gpu_smoke.py [REQUEST…] [--out benchmarks/results/gpu_smoke.md]

Each example is asked for with `computeResources: this machine`. Needs an NVIDIA GPU with its driver, torch 2.11 or later and
Python 3.12 or later. Where a check fails the reason stands below the table; the last line says whether the GPU's memory was
given back.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from batch_requests import EXAMPLES

from advisor import Report, design
from advisor.reading import read_request
from advisor.report import Check
from advisor.verify.hardware import Hardware, detect
from advisor.verify.verifier import Verifier

HERE = "constraints.computeResources=this machine"
LEFT_BEHIND_GIB = 0.1  # that the driver itself may have taken meanwhile
PACKAGES = ("torch", "timm", "transformers", "diffusers", "peft")
OLDEST_PYTHON, OLDEST_TORCH = (3, 12), (2, 11)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("requests", nargs="*", type=Path, metavar="REQUEST")
    parser.add_argument("--out", type=Path, help="write the table there as well")
    arguments = parser.parse_args()
    hardware = detect()
    if lacking := what_is_lacking(hardware):
        print(f"gpu_smoke: {lacking}; nothing was measured", file=sys.stderr)
        return 2
    rows, failures = [], []
    with Verifier() as verifier:
        for path in arguments.requests or sorted(EXAMPLES.glob("*.yaml")):
            report = design(read_request(path, settings=[HERE]), "smoke", checker=verifier)
            rows.append(row(path.stem, report))
            failures += [f"- {path.stem}: {check.name}: {check.detail}" for check in report.verification if check.status == "failed"]
            print(rows[-1], flush=True)
    left = hardware.gpus[0].free_gib - detect().gpus[0].free_gib
    text = "\n".join([heading(hardware), "", *TABLE, *rows, "", *failures, "", f"GPU memory not given back: {max(0.0, left):.2f} GiB", ""])
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text, encoding="utf-8")
    print(text)
    return int(left > LEFT_BEHIND_GIB)


def what_is_lacking(hardware: Hardware) -> str | None:
    """Why this cannot run here, in words."""
    if not hardware.gpus:
        return f"this needs an NVIDIA GPU: {hardware.gpu_reason or 'there is none'}"
    if sys.version_info[:2] < OLDEST_PYTHON:
        return f"this needs Python {'.'.join(map(str, OLDEST_PYTHON))} or later, and this is {platform.python_version()}"
    if tuple(int(part) for part in version("torch").split(".")[:2]) < OLDEST_TORCH:
        return f"this needs torch {'.'.join(map(str, OLDEST_TORCH))} or later, and {version('torch')} is installed"
    return None


def heading(hardware: Hardware) -> str:
    gpu = hardware.gpus[0]
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    device = f"{len(hardware.gpus)} x {gpu.name}, {gpu.memory_gib:.1f} GiB, compute capability {gpu.compute_capability}"
    return f"{datetime.date.today()}, {device}, driver {hardware.driver}, Python {platform.python_version()}, {versions}"


TABLE = (
    "| example | model | checks | reduced | step (ms) | samples/s | memory (GiB) | predicted | inside |",
    "| --- | --- | --- | --- | ---: | ---: | ---: | ---: | --- |",
)


def row(name: str, report: Report) -> str:
    """One line of the table; dashes where there is no design, or nothing was trained."""
    checks = {check.name: check for check in report.verification}
    smoke, memory = checks.get("smoke_train"), checks.get("prediction.training_memory")
    if report.recipe is None or smoke is None:
        return f"| {name} | {report.status.value} | - | - | - | - | - | - | - |"
    cells = (
        name,
        report.recipe.model.id,
        ", ".join(f"{count} {status}" for status, count in statuses(report.verification).items() if count),
        "yes" if "reduced: " in (smoke.detail or "") else "no",
        figure(smoke, "here: step_time", 1000),
        figure(smoke, "here: training_rate"),
        figure(smoke, "here: peak_memory"),
        f"{memory.figures['predicted'].value:.3g}" if memory else "-",
        "-" if memory is None else "yes" if memory.status == "passed" else "NO",
    )
    return f"| {' | '.join(cells)} |"


def statuses(checks: list[Check]) -> dict[str, int]:
    smoke = [check.status for check in checks if check.name.startswith(("smoke.", "prediction."))]
    return {status: smoke.count(status) for status in ("passed", "skipped", "failed")}


def figure(check: Check, name: str, factor: float = 1.0) -> str:
    return f"{check.figures[name].value * factor:.4g}" if name in check.figures else "-"


if __name__ == "__main__":
    sys.exit(main())

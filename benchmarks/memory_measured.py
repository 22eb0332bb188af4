"""How far predicted peaks of training memory are from measured ones.

    python benchmarks/memory_measured.py CSV [--rows]

CSV has a row a measured run: run_id, gpu, gpu_memory_MiB, model, library (timm, torchvision or transformers), optimizer,
batch_size, input ("86x86 …" or "seq <=128 …"), classes, dtype, zero_grad (POS0 before the forward pass, POS1 before the
backward pass, POS2 after the step), measured_peak_MiB (reserved memory without the context), near_capacity. Rows with
near_capacity 1 are left out.

Models of transformers are traced with the version that the runs were made with, in a side environment that is made on first
use (in .cache/, 45 MB); all others with what is installed. The rows' measurements are compared with, never read by the predictor.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from side import ROOT, side_python

WORKER = Path(__file__).with_name("memory_worker.py")
SIDE = "transformers-4.51.3"
SIDE_PACKAGES = ("transformers==4.51.3", "huggingface_hub<1", "tokenizers<0.22")  # the runs' version; the others as it demands
MIB = 2**20


@dataclass(frozen=True)
class Result:
    row: dict[str, str]
    predicted: float
    bound: float
    seconds: float

    @property
    def measured(self) -> float:
        return float(self.row["measured_peak_MiB"])

    @property
    def error(self) -> float:
        return self.predicted / self.measured - 1

    @property
    def slack(self) -> float:
        return self.bound / self.measured - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--rows", action="store_true", help="print every row too")
    arguments = parser.parse_args()
    with arguments.csv.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["near_capacity"] not in ("1", "1.0", "true", "True")]
    results = predict_all(rows)
    if not results:
        sys.exit("no row could be predicted")
    if arguments.rows:
        for result in sorted(results, key=lambda r: r.error):
            sizes = f"{result.predicted:9.0f} of {result.measured:7.0f} MiB"
            print(f"{result.error:+7.1%} {result.slack:+7.1%} {result.seconds:5.2f} s  {sizes}  {result.row['run_id']}")
    print_table("model", results, lambda r: r.row["model"])
    print_table("optimizer", results, lambda r: r.row["optimizer"])
    print(f"upper bound: exceeded in {exceeded(results):.1%} of the runs, median slack {statistics.median(r.slack for r in results):.1%}")
    print(last_line(results))


def predict_all(rows: list[dict[str, str]]) -> list[Result]:
    """Every row that can be predicted; the others are named on standard error."""
    results = []
    for is_side in (False, True):
        chosen = [row for row in rows if (row["library"] == "transformers") == is_side]
        if not chosen:
            continue
        python = side_python(SIDE, SIDE_PACKAGES) if is_side else sys.executable
        traced = SIDE_PACKAGES[0] if is_side else ", ".join(f"{name} {version(name)}" for name in ("torchvision", "timm"))
        print(f"{len(chosen)} rows traced with {traced.replace('==', ' ')}, torch {version('torch')}")
        results += list(ask(python, chosen))
    return results


def ask(python: str, rows: list[dict[str, str]]) -> Iterable[Result]:
    asked = "".join(json.dumps({name: value for name, value in row.items() if name != "measured_peak_MiB"}) + "\n" for row in rows)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([python, str(WORKER)], input=asked, capture_output=True, text=True, env=environment, check=False)
    by_id = {row["run_id"]: row for row in rows}
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
    for answer in answers:
        if "error" in answer:
            print(f"not predicted: {answer['id']}: {answer['error']}", file=sys.stderr)
            continue
        yield Result(by_id[answer["id"]], answer["bytes"] / MIB, answer["bound"] / MIB, answer["seconds"])


def print_table(name: str, results: list[Result], key: Callable[[Result], str]) -> None:
    groups = defaultdict(list)
    for result in results:
        groups[key(result)].append(result)
    print(f"\n{name:34} {'n':>3} {'median':>8} {'p90':>8} {'signed':>8} {'exceeded':>9} {'slack':>8}")
    for group, found in sorted(groups.items()):
        errors = [abs(r.error) for r in found]
        signed, slack = (statistics.median(getattr(r, name) for r in found) for name in ("error", "slack"))
        absolute = f"{statistics.median(errors):8.2%} {quantile(errors, 0.9):8.2%}"
        print(f"{group:34} {len(found):3} {absolute} {signed:+8.2%} {exceeded(found):9.1%} {slack:8.1%}")
    print()


def exceeded(results: list[Result]) -> float:
    return sum(r.slack < 0 for r in results) / len(results)


def quantile(values: list[float], share: float) -> float:
    """With linear interpolation between the ordered values."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def last_line(results: list[Result]) -> str:
    errors = [abs(r.error) for r in results]
    return (
        f"median {100 * statistics.median(errors):.2f}% p90 {100 * quantile(errors, 0.9):.2f}%"
        f" cap-exceeded {100 * exceeded(results):.2f}%"
        f" seconds-per-estimate {statistics.mean(r.seconds for r in results):.2f} n={len(results)}"
    )


if __name__ == "__main__":
    main()

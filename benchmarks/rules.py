"""How long the rules take: loading, deciding a request, a whole report by rules alone, lint, and a large pack.

    python benchmarks/rules.py [REQUEST] [--rules DIR]... [--runs N]

Prints one row a measurement: minimum, median and maximum over the runs after a warm-up, and the target.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

from advisor import catalogue
from advisor.__main__ import ALLOCATIONS_BETWEEN_COLLECTIONS
from advisor.engine.deciding import MOST_REMEMBERED, decide
from advisor.engine.documents import Documents
from advisor.engine.facts import Fact, Origin
from advisor.engine.indexing import Index
from advisor.engine.loading import Knowledge, load_knowledge, read_knowledge, rule_paths
from advisor.intake import read_facts
from advisor.lint import Context, lint
from advisor.parsed import remembered
from advisor.pipeline import design
from advisor.planning.candidates import propose
from advisor.planning.plan import brief, model_facts
from advisor.reading import read_request
from advisor.request import Request
from advisor.resources import data_folder

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "defects.yaml"
SYNTHETIC = 2_000
MILLISECONDS = 1000.0
SMALLEST, GROWTH = 300, 1.25  # samples; a quarter more each time


def main() -> None:
    gc.set_threshold(ALLOCATIONS_BETWEEN_COLLECTIONS)  # as the command does
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("request", nargs="?", default=str(EXAMPLE))
    parser.add_argument("--rules", action="append", default=[], metavar="DIR", help="a folder of further rules; may be given again")
    parser.add_argument("--runs", type=int, default=20)
    arguments = parser.parse_args()
    packs = rule_paths(arguments.rules)
    knowledge = load_knowledge(packs)
    count = sum(map(len, knowledge.rules.rules.values()))
    print(
        f"{datetime.date.today()}, {platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    )
    print(f"{count} rules in {len(knowledge.rules.slots)} slots; {Path(arguments.request).name}\n")
    print(f"{'milliseconds':44} {'min':>8} {'median':>8} {'max':>8} {'target':>8}")
    few = max(1, arguments.runs // 5)
    row("load all rules, parsed before", loading(packs), few, 250)
    row("load all rules, each file parsed", lambda: read_knowledge(data_folder("rules"), packs), few, None)
    row("decide every slot, with justification", deciding(knowledge, arguments.request), arguments.runs, 1)
    requests = cycle(varied(arguments.request))
    row("report by rules alone, sensitivity included", lambda: design(next(requests), verify="none", rules=packs), arguments.runs, 5)
    context = Context(knowledge, catalogue.models(), devices=catalogue.devices(), datasets=catalogue.datasets())
    row("lint", lambda: lint(context), few, 10_000)
    with tempfile.TemporaryDirectory() as folder:
        large = read_knowledge(data_folder("rules"), [write_synthetic(Path(folder))])
        row(f"decide every slot, {SYNTHETIC:,} more rules", deciding(large, arguments.request), arguments.runs, 5)


def varied(request: str) -> list[Request]:
    """The request with data of more sizes than outcomes are remembered: what a batch of like requests asks, and no answer twice."""
    read = read_request(request)
    unsized = read.model_copy(update={"data": read.data.model_copy(update={"size": None})})
    sizes = [int(SMALLEST * GROWTH**number) for number in range(MOST_REMEMBERED + 1)]
    return [unsized.model_copy(update={"facts": {**read.facts, "data.samples": size}}) for size in sizes]


def row(name: str, measured: Callable[[], object], runs: int, target: float | None) -> None:
    """Time one thing, after one run that is not counted."""
    measured()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        measured()
        times.append((time.perf_counter() - start) * MILLISECONDS)
    print(f"{name:44} {min(times):8.2f} {statistics.median(times):8.2f} {max(times):8.2f} {'' if target is None else f'{target:8.0f}'}")


def loading(packs: tuple[Path, ...]) -> Callable[[], object]:
    """As a new process does it: what the files parsed to lies in the user's cache, the rules are checked and compiled again."""

    def load() -> Knowledge:
        with remembered("rules") as parse:
            return read_knowledge(data_folder("rules"), packs, Documents(parse=parse))

    return load


def deciding(knowledge: Knowledge, request: str) -> Callable[[], object]:
    """Every slot of the first candidate, with nothing remembered; each value keeps the rule, the facts and what it overrode."""
    facts = read_facts(read_request(request), knowledge.vocabulary).facts
    compared = propose(catalogue.serving(str(facts["task.kind"].value)), brief(knowledge, facts)).compared
    known = {**facts, **(model_facts(compared[0]) if compared else {}), "data.series": Fact(1, Origin.STATED)}

    def afresh() -> object:
        for part in parts:
            part.outcomes.clear()
        return decide(knowledge.rules, knowledge.rules.slots, known)

    decide(knowledge.rules, knowledge.rules.slots, known)
    parts = [part for index in knowledge.rules.index.values() for part in visited(index)]
    return afresh


def visited(index: Index) -> Iterator[Index]:
    """The index and every part of it that was made."""
    yield index
    for part in index.parts.values():
        yield from visited(part)


def write_synthetic(folder: Path) -> Path:
    """A pack of rules of two constraints each; a twentieth of them hold for one series, and none is settled by hand."""
    kinds = ["image_classification", "text_classification", "forecasting", "translation", "ranking"]
    rules: list[dict[str, Any]] = [
        {
            "id": f"SYN{chr(65 + number // 1000)}{number % 1000:03}",
            "title": "synthetic",
            "when": {"task.kind": {"eq": kinds[number % len(kinds)]}, "data.series": {"ge": 1 + number % 20}},
            "then": {"name": f"synthetic-{number}", "text": "synthetic"},
            "why": "a benchmark",
            "confidence": "low",
            "basis": "judgement",
        }
        for number in range(SYNTHETIC)
    ]
    (folder / "synthetic.yaml").write_text(json.dumps({"slot": "regularization", "rules": rules}), encoding="utf-8")
    return folder


if __name__ == "__main__":
    main()

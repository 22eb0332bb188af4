"""What the examples' reports say: no documented section is empty or stands for any request, and other problems get other words."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from advisor.engine.loading import load_knowledge
from advisor.intake import read_facts
from advisor.pipeline import design
from advisor.reading import read_request

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

# Documented sections that every design has; those that a design may do without (pruning, distribution …) are absent, not empty.
ALWAYS = (
    "modelDesign.architecture",
    "modelDesign.rationale",
    "modelDesign.tradeoff",
    "trainingStrategy.dataProcessing.normalization",
    "trainingStrategy.dataProcessing.batchSize",
    "trainingStrategy.optimizer.type",
    "debuggingGuidance.visualization",
    "debuggingGuidance.checkpoints",
    "debuggingGuidance.commonIssues",
    "engineeringPractice.modelCompression.quantization",
    "engineeringPractice.inferenceOptimization.format",
    "engineeringPractice.inferenceOptimization.batching",
    "expectedPerformance.accuracy",
    "expectedPerformance.trainingTime",
    "expectedPerformance.inferenceLatency",
)
# Where the task differs, these differ: something in them is said of no other task.
OF_THE_TASK = (
    "modelDesign.rationale",
    "modelDesign.tradeoff",
    "debuggingGuidance.commonIssues",
    "expectedPerformance.accuracy",
)
# Where the kind of data differs (images, texts, series …), these differ.
OF_THE_DATA = (
    "trainingStrategy.dataProcessing.normalization",
    "trainingStrategy.dataProcessing.augmentation",
    "trainingStrategy.dataProcessing.samplingStrategy",
    "trainingStrategy.optimizer",
    "debuggingGuidance.visualization",
    "debuggingGuidance.checkpoints",
    "engineeringPractice.modelCompression.quantization",
    "engineeringPractice.inferenceOptimization.batching",
    "engineeringPractice.inferenceOptimization.caching",
)
# What is said to a request of which nothing is known.
GENERIC = ("unknown before a pilot run", "no quantization is needed to meet the stated limits")


@functools.cache
def designed() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Example → its task, its domain and its report, for those that are designed by rules alone."""
    found = {}
    vocabulary = load_knowledge(()).vocabulary
    for path in sorted(EXAMPLES.glob("*.yaml")):
        request = read_request(path)
        wire = design(path, verify="none").to_wire()
        if wire["status"] == "designed":
            found[path.stem] = (str(read_facts(request, vocabulary).facts["task.kind"].value), str(request.task.domain), wire)
    return found


def section(wire: dict[str, Any], path: str) -> Any:
    value: Any = wire
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def statements(value: Any) -> set[str]:
    """The single statements of a section: the entries of a list, or the whole."""
    if value is None:
        return set()
    return {json.dumps(entry, sort_keys=True) for entry in (value if isinstance(value, list) else [value])}


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from texts(entry)
        if not value:
            yield ""
    elif isinstance(value, str):
        yield value


def shared(path: str, by: int) -> dict[str, str]:
    """Example → an example of another task (by=0) or domain (by=1), where the section says nothing of its own."""
    faults = {}
    for name, mine in designed().items():
        if path == "trainingStrategy.optimizer" and mine[2]["recipe"]["optimizer"]["name"] == "none":
            continue  # where nothing is trained, that is all there is to say
        said = statements(section(mine[2], path))
        others = {other: statements(section(its[2], path)) for other, its in designed().items() if its[by] != mine[by]}
        if said and said <= set().union(*others.values()):
            faults[name] = ", ".join(other for other, its in others.items() if said & its)
    return faults


def test_most_examples_are_designed_and_cover_the_domains() -> None:
    assert len(designed()) >= 30
    assert {domain for _, domain, _ in designed().values()} >= {"CV", "NLP", "audio", "time-series", "tabular", "graph", "RL", "multimodal"}


@pytest.mark.parametrize("path", ALWAYS)
def test_a_documented_section_is_never_missing(path: str) -> None:
    assert [name for name, (_, _, wire) in designed().items() if not section(wire, path)] == []


@pytest.mark.parametrize("part", ["modelDesign", "trainingStrategy", "debuggingGuidance", "engineeringPractice", "expectedPerformance"])
def test_no_text_is_empty_or_generic(part: str) -> None:
    faults = [
        (name, text)
        for name, (_, _, wire) in designed().items()
        for text in texts(wire[part])
        if not text.strip() or any(words in text.lower() for words in GENERIC)
    ]
    assert faults == []


@pytest.mark.parametrize("path", OF_THE_TASK)
def test_each_task_is_told_something_of_its_own(path: str) -> None:
    assert shared(path, by=0) == {}


@pytest.mark.parametrize("path", OF_THE_DATA)
def test_each_kind_of_data_is_told_something_of_its_own(path: str) -> None:
    assert shared(path, by=1) == {}

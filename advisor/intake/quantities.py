"""The quantity fields: each parsed wholly by its own module, and noted as facts."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import TypeVar

from advisor.catalogue.entries import DatasetEntry
from advisor.engine.facts import Origin, Value
from advisor.errors import RequestError
from advisor.intake.accuracy import read_accuracy
from advisor.intake.catalogue import Catalogue
from advisor.intake.compute import Compute, read_compute
from advisor.intake.counted import Counts
from advisor.intake.counts import FORMS, read_counts
from advisor.intake.describe import absences, note_labels_in_size, note_parts
from advisor.intake.here import means_here, read_here
from advisor.intake.limits import read_budget, read_latency, read_model_size
from advisor.intake.notes import Notes
from advisor.intake.text import Text, quoted
from advisor.request import Request

Read = TypeVar("Read")

SIZE, LATENCY, ACCURACY = "data.size", "constraints.latencyRequirement", "constraints.accuracyTarget"
MODEL_SIZE, COMPUTE, BUDGET = "constraints.modelSizeLimit", "constraints.computeResources", "constraints.budget"


def note_limits(request: Request, notes: Notes) -> None:
    """Latency, accuracy, file size and budget."""
    said = request.constraints
    latency = _read(notes, lambda text: read_latency(LATENCY, text), said.latency_requirement)
    if latency and said.latency_requirement:
        _state(
            notes,
            LATENCY,
            said.latency_requirement,
            {"limit.latency_ms": latency.ms, "challenge.real_time": latency.real_time or None},
            latency.remark,
        )
    target = _read(notes, lambda text: read_accuracy(ACCURACY, text, notes.words.metrics), said.accuracy_target)
    if target and said.accuracy_target:
        _state(
            notes, ACCURACY, said.accuracy_target, {"limit.accuracy": target.value, "limit.accuracy_metric": target.metric}, target.remark
        )
    size = _read(notes, lambda text: read_model_size(MODEL_SIZE, text), said.model_size_limit)
    if size and said.model_size_limit:
        _state(notes, MODEL_SIZE, said.model_size_limit, {"limit.model_mb": size}, "")
    budget = _read(notes, lambda text: read_budget(BUDGET, text), said.budget)
    if budget and said.budget:
        _state(
            notes,
            BUDGET,
            said.budget,
            {"limit.cost_usd": budget.usd, "limit.gpu_hours": budget.gpu_hours, "limit.days": budget.days},
            budget.remark,
        )


def note_compute(request: Request, notes: Notes, catalogue: Catalogue) -> None:
    """What the request says of the target's hardware; what the catalogue knows of it follows later."""
    said = request.constraints.compute_resources
    is_here = said is not None and means_here(said)
    names, devices = catalogue.device_names, catalogue.devices

    def read(text: str) -> Compute:
        return catalogue.computes.get(text, read=lambda: read_compute(COMPUTE, text, names, devices))

    compute = _read(notes, lambda text: read_here(names, devices) if is_here else read(text), said)
    if compute and said:
        facts: dict[str, Value | None] = {
            "compute.kind": compute.kind,
            "compute.device": compute.device,
            "compute.devices": compute.devices,
            "compute.memory_gib": compute.memory_gib,
            "compute.nodes": compute.nodes,
            "compute.host_memory_gib": compute.host_memory_gib,
        }
        _state(notes, COMPUTE, said, facts, "", origin=Origin.DETECTED if is_here else Origin.STATED)
        for remark in compute.remarks:
            notes.notice(
                "read as",
                f"{quoted(COMPUTE, said)} {remark}"
                if remark.startswith(("comes", "is read", "names"))
                else f"{quoted(COMPUTE, said)}: {remark}",
            )


def note_size(request: Request, notes: Notes, catalogue: Catalogue) -> tuple[Counts, list[DatasetEntry]]:
    """How much data there is; what it says in hours or tokens, and the datasets it names, are left to be weighed with the task."""
    said = request.data.size
    if said is None:
        return Counts(), []
    named: list[DatasetEntry] = []
    labels = notes.words.lexicon.hits(request.data.label_availability or "", ("data.labels",))
    all_labelled = any(hit.value == "full" for hit in labels)

    def read(text: str) -> Counts:
        reading = Text(SIZE, text, FORMS)
        for entry, (start, end) in catalogue.named_datasets(reading.left):
            named.append(entry)
            reading.blank(start, end)
        for start, end in (*note_parts(notes, SIZE, text), *absences(notes, text)):
            reading.blank(start, end)
        named_only = bool(named) and not any(char.isdigit() for char in reading.left)
        nouns = notes.words.nouns
        if named_only:
            return Counts()
        found: Counts = nouns.read.get(
            text, reading.left, all_labelled, read=lambda: read_counts(reading, nouns, all_labelled=all_labelled)
        )
        return found

    counts = _read(notes, read, str(said))
    if counts is None:
        return Counts(), named
    facts: dict[str, Value | None] = {
        "data.samples": counts.samples,
        "data.classes": counts.classes,
        "data.series": counts.series,
        "data.frequency": counts.frequency,
        "data.features": counts.features,
        "data.image_size": counts.image_size,
        "data.tokens": counts.sample_tokens,
        "data.labels": counts.labels,
    }
    _state(notes, SIZE, str(said), facts, "", derived=counts.derived)
    for remark in counts.remarks:
        notes.notice("read as", f"{quoted(SIZE, said)} {remark}" if remark.startswith("is ") else f"{quoted(SIZE, said)}: {remark}")
    for name in counts.datasets:
        notes.notice("not understood", f"{quoted(SIZE, said)}: {name!r} is taken for a dataset, and is none of the catalogue's")
    note_labels_in_size(notes, SIZE, str(said))
    return counts, named


def _read(notes: Notes, read: Callable[[str], Read], said: str | None) -> Read | None:
    """What the parser says, or None with its fault kept."""
    if said is None:
        return None
    try:
        return read(said)
    except RequestError as error:
        notes.faults.extend(error.faults)
        return None


def _state(
    notes: Notes,
    path: str,
    said: str,
    facts: dict[str, Value | None],
    remark: str,
    derived: Collection[str] = (),
    origin: Origin = Origin.STATED,
) -> None:
    for fact, value in facts.items():
        if value is None or (value == math.inf and fact in notes.given):
            continue
        notes.state(fact, value, quoted(path, said), path, origin=Origin.DERIVED if fact.rpartition(".")[2] in derived else origin)
    if remark:
        notes.notice("read as", f"{quoted(path, said)}: {remark}")

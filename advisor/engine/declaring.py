"""What rules may speak of: the fact vocabulary (`facts.yaml`), and the slots in the order of their stages (`slots.yaml`)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args, get_type_hints

from advisor import choices
from advisor.engine.conditions import check_value, find_fact, read_box
from advisor.engine.documents import Documents
from advisor.engine.rules import Slot, SlotFile, SlotText, StageText
from advisor.engine.vocabulary import Assume, FactSpec
from advisor.errors import Place, did_you_mean
from advisor.located import Document

FACT_NAME = re.compile(r"[a-z_]+\.[a-z_0-9]+")
RESERVED = ("decision", "candidate")


def read_vocabulary(documents: Documents, path: Path) -> tuple[dict[str, FactSpec], dict[str, Place]]:
    """Every declared fact, and where its declaration stands."""
    document, entries = documents.read_mapping(path)
    vocabulary: dict[str, FactSpec] = {}
    for name, entry in entries.items():
        if not FACT_NAME.fullmatch(name) or name.partition(".")[0] in RESERVED:
            documents.fault(document.place((name,), key=True), f"{name!r} is no name for a fact; it must read group.name")
            continue
        spec = documents.validated(FactSpec, document, (name,), {**entry, "name": name} if isinstance(entry, dict) else entry)
        if spec is not None:
            vocabulary[name] = spec
    for spec in vocabulary.values():
        _check_fact(documents, document, vocabulary, spec)
    return vocabulary, {name: document.place((name,), key=True) for name in vocabulary}


def _check_fact(documents: Documents, document: Document, vocabulary: dict[str, FactSpec], spec: FactSpec) -> None:
    if (spec.type == "enum") is not bool(spec.values):
        documents.fault(document.place((spec.name,)), "an enum lists its `values`, and nothing else does")
    if isinstance(spec.when_missing, Assume):
        check_value(documents, spec, spec.when_missing.assume, document.place((spec.name, "when_missing", "assume")))
    read_box(documents, vocabulary, document, (spec.name, "needed_if"), spec.needed_if)


def read_slots(documents: Documents, path: Path, vocabulary: dict[str, FactSpec]) -> dict[str, Slot]:
    """The slots in the order in which they are decided. Adds the facts `decision.<slot>` to the vocabulary."""
    document = documents.read(path)
    file = documents.validated(SlotFile, document, (), document.data) if document.data is not None else None
    if file is None:
        return {}
    stages = {stage.name: stage for stage in file.stages}
    order = {name: index for index, name in enumerate(stages)}
    made = {}
    for name, text in sorted(file.slots.items(), key=lambda item: order.get(item[1].stage, -1)):
        slot = _read_slot(documents, document, name, text, stages)
        if slot is not None:
            made[name] = slot
            spec = decision_fact(slot)
            if spec is not None:
                vocabulary[spec.name] = spec
    for name, text in file.slots.items():
        for index, fact in enumerate(text.specificity):
            find_fact(documents, vocabulary, fact, document, ("slots", name, "specificity", index))
    return made


def _read_slot(documents: Documents, document: Document, name: str, text: SlotText, stages: dict[str, StageText]) -> Slot | None:
    stage = stages.get(text.stage)
    choice = getattr(choices, text.type, None)
    if stage is None:
        documents.fault(document.place(("slots", name, "stage")), f"unknown stage {text.stage!r}{did_you_mean(text.stage, stages)}")
        return None
    if not (isinstance(choice, type) and issubclass(choice, choices.Choice)):
        known = [each.__name__ for each in choices.Choice.__subclasses__()]
        documents.fault(document.place(("slots", name, "type")), f"unknown type {text.type!r}{did_you_mean(text.type, known)}")
        return None
    default = None if text.default is None else documents.validated(choice, document, ("slots", name, "default"), text.default)
    place = document.place(("slots", name), key=True)
    return Slot(name, text.stage, stage.per, choice, text.hit, text.presence, default, text.path, tuple(text.specificity), place)


def decision_fact(slot: Slot) -> FactSpec | None:
    """The fact `decision.<slot>`, typed by the choice's `name`, or its `enabled`."""
    if slot.fact is None:
        return None
    hints = get_type_hints(slot.choice)
    about = f"What was decided for the slot {slot.name}."
    if "enabled" in hints:
        return FactSpec(name=slot.fact, type="bool", derived=True, about=about)
    if "name" not in hints:
        return None
    values = get_args(hints["name"])
    return FactSpec(name=slot.fact, type="enum" if values else "name", values=values, derived=True, about=about)

"""The request's `facts` block: each value checked against the vocabulary, names against the catalogue."""

from __future__ import annotations

import math

from advisor.engine.facts import Value
from advisor.engine.vocabulary import FactSpec
from advisor.errors import did_you_mean
from advisor.intake.catalogue import Catalogue
from advisor.intake.names import NameIndex
from advisor.intake.notes import Notes
from advisor.request import Request

# What the design finds out, and nobody can state.
DECIDED = {
    "model": "comes from the candidate model; name one as existingSetup.baseModel",
    "decision": "is decided by the rules; state the facts that it follows from",
}
UNKNOWN = "unknown"


def note_stated(request: Request, notes: Notes, catalogue: Catalogue) -> None:
    """Every valid fact becomes known; every other one is a fault at its place."""
    indexes = {
        "compute.device": catalogue.device_names,
        "setup.base_model": catalogue.model_names,
        "task.benchmark": catalogue.dataset_names,
    }
    for name, value in request.facts.items():
        path = f"facts.{name}"
        section = name.partition(".")[0]
        spec = notes.vocabulary.get(name)
        if section in DECIDED:
            notes.fault(path, f"cannot be stated: it {DECIDED[section]}")
        elif spec is None:
            statable = [known for known in notes.vocabulary if known.partition(".")[0] not in DECIDED]
            notes.fault(path, f"unknown fact {name!r}{did_you_mean(name, statable)}")
        elif problem := _problem(spec, value):
            notes.fault(path, problem)
        elif name in indexes and value != UNKNOWN:
            _note_name(notes, name, str(value), indexes[name])
        else:
            notes.give(name, int(value) if spec.type == "integer" else value)


def _problem(spec: FactSpec, value: Value) -> str | None:
    if isinstance(value, float) and math.isinf(value) and not spec.name.startswith("limit."):
        return "must be a finite number"
    if spec.type == "integer" and isinstance(value, float) and math.isinf(value):
        return "must be a whole number"
    problem = spec.problem_with(value)
    near = did_you_mean(value, spec.values) if problem and isinstance(value, str) and spec.type == "enum" else ""
    return f"{problem}{near}" if problem else None


def _note_name(notes: Notes, fact: str, value: str, index: NameIndex) -> None:
    ids = index.exact(value)
    if ids:
        notes.give(fact, ids[0])
        return
    near = index.nearest(value)
    notes.fault(f"facts.{fact}", f"{value!r} is not in the catalogue{f'; did you mean {near!r}?' if near else ''}")

"""From a request to typed facts, each with where it came from. Nothing is guessed, and nothing that was said is dropped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from advisor.engine.facts import Fact
from advisor.engine.vocabulary import FactSpec
from advisor.errors import RequestError
from advisor.intake.catalogue import Catalogue, load_catalogue
from advisor.intake.derive import derive_facts
from advisor.intake.describe import note_descriptions
from advisor.intake.notes import Notes
from advisor.intake.quantities import note_compute, note_limits, note_size
from advisor.intake.stated import note_stated
from advisor.intake.task import note_task
from advisor.intake.words import load_words
from advisor.report import Notice
from advisor.request import Request

__all__ = ["Catalogue", "Intake", "load_catalogue", "read_facts"]


@dataclass(frozen=True)
class Intake:
    """What is known about a request, and what its reader has to be told about the reading."""

    facts: dict[str, Fact]
    notices: list[Notice] = field(default_factory=list)
    plausible: dict[str, list[str]] = field(default_factory=dict)
    """Of facts that are not known, the values that the request may mean."""


def read_facts(request: Request, vocabulary: Mapping[str, FactSpec], catalogue: Catalogue | None = None) -> Intake:
    """The facts of a request; without a catalogue, names are looked up in the installed one.

    Raises:
        RequestError: with every quantity that is not understood wholly, every fact that cannot be, and every contradiction.
    """
    catalogue = catalogue or load_catalogue()
    notes = Notes(vocabulary, load_words())
    note_stated(request, notes, catalogue)
    counts, datasets = note_size(request, notes, catalogue)
    note_limits(request, notes)
    note_compute(request, notes, catalogue)
    datasets += note_task(request, notes, catalogue)
    note_descriptions(request, notes)
    derive_facts(request, notes, catalogue, counts, datasets)
    if notes.faults:
        raise RequestError(dict.fromkeys(notes.faults))
    return Intake(notes.facts, notes.notices, notes.plausible)

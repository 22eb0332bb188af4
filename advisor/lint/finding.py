"""What a check is given, what it finds, and what it is."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from advisor.catalogue.entries import DatasetEntry, DeviceEntry, ModelEntry, StandIn
from advisor.engine.facts import Value
from advisor.engine.loading import Knowledge
from advisor.engine.rules import Rule
from advisor.errors import Place

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Context:
    """The rule set under inspection, and the catalogue that its rules will meet."""

    knowledge: Knowledge
    models: Mapping[str, ModelEntry]
    as_of: datetime.date | None = None
    devices: Mapping[str, DeviceEntry] = field(default_factory=dict)
    datasets: Mapping[str, DatasetEntry] = field(default_factory=dict)
    stand_ins: Mapping[str, StandIn] = field(default_factory=dict)

    @property
    def rules(self) -> Iterator[Rule]:
        for rules in self.knowledge.rules.rules.values():
            yield from rules


@dataclass(frozen=True, order=True)
class Finding:
    """One thing wrong. `witness` is a concrete set of facts that shows it."""

    place: Place
    check: str
    message: str
    severity: Severity = "error"
    witness: tuple[tuple[str, Value], ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        shown = ", ".join(f"{fact}={str(value).lower() if isinstance(value, bool) else value}" for fact, value in self.witness)
        return f"{self.place}: {self.severity}: {self.message} [{self.check}]" + (f"\n    for example: {shown}" if shown else "")

    def to_wire(self) -> dict[str, Any]:
        """The finding as strict JSON: an infinite number is the word for it, as YAML writes it."""
        place = {"file": self.place.file, "line": self.place.line or None, "column": self.place.column or None}
        facts = {fact: ".inf" if isinstance(value, float) and math.isinf(value) else value for fact, value in self.witness}
        return {"check": self.check, "severity": self.severity, **place, "message": self.message, "witness": facts}


class LintCheck:
    """One question asked of the rule set."""

    name: ClassVar[str]

    def findings(self, context: Context) -> Iterator[Finding]:
        raise NotImplementedError

    def found(self, place: Place, message: str, *, severity: Severity = "error", witness: Mapping[str, Value] | None = None) -> Finding:
        return Finding(place, self.name, message, severity, tuple(sorted((witness or {}).items())))

    def undecided(self, place: Place, message: str) -> Finding:
        """Said where the question takes too many cases: no answer is not a good answer."""
        return self.found(place, f"{message}: too many cases; write fewer alternatives and exceptions", severity="warning")

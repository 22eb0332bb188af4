"""What a check is given, what it finds, and what it is."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from advisor.catalogue.entries import ModelEntry
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
        shown = ", ".join(f"{fact}={value}" for fact, value in self.witness)
        return f"{self.place}: {self.severity}: {self.message} [{self.check}]" + (f"\n    for example: {shown}" if shown else "")


class LintCheck:
    """One question asked of the rule set."""

    name: ClassVar[str]

    def findings(self, context: Context) -> Iterator[Finding]:
        raise NotImplementedError

    def found(self, place: Place, message: str, *, severity: Severity = "error", witness: Mapping[str, Value] | None = None) -> Finding:
        return Finding(place, self.name, message, severity, tuple(sorted((witness or {}).items())))

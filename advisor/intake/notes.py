"""What intake has found out so far: facts, notices and faults. A fact that is noted twice has to be the same both times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from advisor.engine.facts import Fact, Origin, Value
from advisor.engine.vocabulary import FactSpec
from advisor.errors import Fault, Place
from advisor.intake.text import printable
from advisor.intake.words import Words
from advisor.report import Notice

# A text rounds ("~1k images" for 1,034): a stated number within this fraction of it says the same, only better.
ROUNDING = 0.1
SHOWN = 200


@dataclass
class Notes:
    """Facts as they are found, with every fault kept for the end."""

    vocabulary: Mapping[str, FactSpec]
    words: Words
    facts: dict[str, Fact] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    plausible: dict[str, list[str]] = field(default_factory=dict)
    """What an undecided fact may be, by what was said."""
    given: set[str] = field(default_factory=set)
    """The facts of the request's own `facts` block: what a text says beside them must agree."""

    def give(self, fact: str, value: Value) -> None:
        """A fact of the `facts` block, checked already."""
        self.given.add(fact)
        self.facts[fact] = Fact(value, Origin.STATED, f"facts.{fact}")

    def state(self, fact: str, value: Value, detail: str, path: str, *, origin: Origin = Origin.STATED) -> None:
        """A fact that the request's text says; a fault at `path` where something stated says otherwise."""
        problem = self.vocabulary[fact].problem_with(value) if fact in self.vocabulary else None
        if problem:
            self.fault(path, f"{fact} {problem}: {detail}")
            return
        before = self.facts.get(fact)
        if before is None or (fact not in self.given and self.words.is_stronger(fact, value, before.value)):
            self.facts[fact] = Fact(value, origin, detail)
        elif not (_agree(before.value, value) or (fact not in self.given and self.words.is_stronger(fact, before.value, value))):
            said = f"{before.detail} says {_shown(before.value)}, {detail} says {_shown(value)}"
            self.fault(path, f"contradiction about {fact}: {said}; correct one of them")

    def derive(self, fact: str, value: Value, detail: str) -> None:
        """A fact that follows from others, where nothing was stated."""
        if fact in self.vocabulary:
            self.facts.setdefault(fact, Fact(value, Origin.DERIVED, detail))

    def assume(self, fact: str, value: Value, detail: str) -> None:
        self.facts.setdefault(fact, Fact(value, Origin.ASSUMED, detail))

    def value(self, fact: str) -> Value | None:
        known = self.facts.get(fact)
        return None if known is None else known.value

    def number(self, fact: str) -> float | None:
        value = self.value(fact)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def notice(self, kind: str, text: str) -> None:
        found = Notice(kind=kind, text=text)
        if found not in self.notices:
            self.notices.append(found)

    def undecided(self, fact: str, said: str, meant: list[str]) -> None:
        """What was said may mean several values of a fact, and does not tell which."""
        self.plausible[fact] = meant
        self.notice("ambiguous", f"{said} may mean {' or '.join(meant)}; say which as facts.{fact}")

    def not_understood(self, path: str, said: str) -> None:
        self.notice("not understood", f'{path}: "{printable(said[:SHOWN])}" matches nothing that is known, and decided nothing')

    def fault(self, path: str, message: str) -> None:
        self.faults.append(Fault(Place(path=path), message))


def _agree(one: Value, other: Value) -> bool:
    if isinstance(one, bool) or isinstance(other, bool) or isinstance(one, str) or isinstance(other, str):
        return one == other
    return abs(one - other) <= ROUNDING * max(abs(one), abs(other)) or one == other


def _shown(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:,}" if isinstance(value, int) else str(value)

"""An index over a slot's rules: by the facts that most of them test for equality, so that most are never looked at.

A rule whose `when` asks for other values of such a fact is false whatever else is known, and may be passed over unseen.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from advisor.engine.facts import Facts, Value
from advisor.engine.region import Among, Span

if TYPE_CHECKING:
    from advisor.engine.deciding import Outcome
    from advisor.engine.rules import Rule


FEWEST = 3  # rules that an index is worth its look-up for
DEEPEST = 3  # facts in a row; a rule that does not test a fact stands in every part by it


@dataclass(eq=False)
class Index:
    """Rules by the values of one fact, the one that the most rules' `when` holds to a set of values; each part by the next.

    Parts are made when they are first asked for: all of them together would be many times the rules, and few are visited.
    """

    rules: tuple[Rule, ...]
    done: tuple[str, ...] = ()
    parts: dict[Value | None, Index] = field(default_factory=dict)
    outcomes: dict[tuple[Value | None, ...], Outcome] = field(default_factory=dict)  # by the values of what is tested

    def reach(self, facts: Facts) -> Index:
        """The part whose rules may be true or unknown, in the order of their ids; the rest are certainly false."""
        part = self
        while part.fact is not None and (fact := facts.get(part.fact)) is not None:
            part = part.parts.get(fact.value) or part.part(fact.value)
        return part

    @cached_property
    def facts(self) -> frozenset[str]:
        """All on which it rests that this part is the one reached, and which of its rules hold."""
        return frozenset((*self.done, self.fact or "", *self.tested))

    @cached_property
    def tested(self) -> tuple[str, ...]:
        """All facts that the part's rules name: together their values settle which of them hold."""
        return tuple(sorted(frozenset[str]().union(*(rule.facts for rule in self.rules))))

    @cached_property
    def ends(self) -> dict[str, frozenset[float]]:
        """The finite ends of the rules' constraints on numbers, by fact; not the bounds that the fact has by itself."""
        found: dict[str, set[float]] = {}
        for name, span in ((name, domain) for rule in self.rules for name, domain in rule.leaves if isinstance(domain, Span)):
            ends = {end for interval in span.intervals for end in (interval.low, interval.high)}
            found.setdefault(name, set()).update(filter(math.isfinite, ends - {span.bounds.low, span.bounds.high}))
        return {name: frozenset(ends) for name, ends in found.items()}

    def part(self, value: Value) -> Index:
        """The rules that may hold of one value of the fact."""
        key = value if value in self.values else None
        found = self.parts.get(key)
        if found is None:
            assert self.fact is not None
            kept = tuple(rule for rule in self.rules if _may_hold(rule, self.fact, key))
            self.parts[key] = found = Index(kept, (*self.done, self.fact))
        return found

    @cached_property
    def fact(self) -> str | None:
        """What the rules are divided by; None where they are not divided further."""
        if len(self.rules) < FEWEST or len(self.done) == DEEPEST:
            return None
        tested = Counter(fact for rule in self.rules for fact in rule.when if fact not in self.done and _values(rule, fact) is not None)
        return max(sorted(tested), key=tested.__getitem__) if tested else None

    @cached_property
    def values(self) -> frozenset[Value]:
        """The values of the fact that a rule names; the others share one part."""
        assert self.fact is not None
        return frozenset[Value]().union(*(found for rule in self.rules if (found := _values(rule, self.fact)) is not None))


def _may_hold(rule: Rule, fact: str, value: Value | None) -> bool:
    """Whether the rule can be true of the value; None: of any that no rule names."""
    if value is None:
        return _values(rule, fact) is None
    return fact not in rule.when or rule.when[fact].holds(value)


def _values(rule: Rule, fact: str) -> frozenset[Value] | None:
    """The values of a fact that the rule's `when` asks for, where that is a plain set."""
    domain = rule.when.get(fact)
    return domain.values if isinstance(domain, Among) and not domain.negated else None

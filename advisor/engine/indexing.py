"""An index over a slot's rules: by the fact that most of them test for equality, so that most are never looked at.

A rule whose `when` asks for other values of that fact is false whatever else is known, and may be passed over unseen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.engine.facts import Facts, Value
from advisor.engine.region import Among

if TYPE_CHECKING:
    from advisor.engine.rules import Rule


@dataclass(frozen=True)
class Index:
    """A slot's rules by the value of one fact; `others` holds for every value that no rule names."""

    rules: tuple[Rule, ...]
    fact: str | None
    by_value: dict[Value, tuple[Rule, ...]]
    others: tuple[Rule, ...]

    def eligible(self, facts: Facts) -> tuple[Rule, ...]:
        """The rules that may be true or unknown, in the order of their ids; the rest are certainly false."""
        fact = facts.get(self.fact) if self.fact is not None else None
        return self.rules if fact is None else self.by_value.get(fact.value, self.others)


def index_rules(rules: Sequence[Rule]) -> Index:
    """Index by the fact that the most rules' `when` holds to a set of values."""
    tested = Counter(fact for rule in rules for fact in rule.when if _values(rule, fact) is not None)
    if not tested:
        return Index(tuple(rules), None, {}, tuple(rules))
    fact = max(sorted(tested), key=tested.__getitem__)
    values = frozenset[Value]().union(*(found for rule in rules if (found := _values(rule, fact)) is not None))
    by_value: dict[Value, list[Rule]] = {value: [] for value in values}
    for rule in rules:
        for value in _values(rule, fact) or (values if fact not in rule.when else filter(rule.when[fact].holds, values)):
            by_value[value].append(rule)
    others = tuple(rule for rule in rules if _values(rule, fact) is None)
    return Index(tuple(rules), fact, {value: tuple(found) for value, found in by_value.items()}, others)


def _values(rule: Rule, fact: str) -> frozenset[Value] | None:
    """The values of a fact that the rule's `when` asks for, where that is a plain set."""
    domain = rule.when.get(fact)
    return domain.values if isinstance(domain, Among) and not domain.negated else None

"""Checks of rules against each other: overlaps that nothing settles, and rules that can never win."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from advisor.engine.deciding import beats
from advisor.engine.region import Box, meet, subtract_all, witness
from advisor.engine.rules import Rule
from advisor.lint.finding import Context, Finding, LintCheck


class Overlap(LintCheck):
    """Two rules of a slot that can hold together, with different values, and nothing says which wins."""

    name = "overlap"

    def findings(self, context: Context) -> Iterator[Finding]:
        for slot in context.knowledge.rules.slots:
            if slot.hit not in ("unique", "any"):
                continue
            for first, second in combinations(context.knowledge.rules.rules[slot.name], 2):
                shared = _shared(first, second)
                if shared is None or first.choice == second.choice or beats(first, second) or beats(second, first):
                    continue
                message = f"{second.id} and {first.id} (at {first.place}) can both hold, and neither beats the other; add `overrides` or tell them apart"
                yield self.found(second.place, message, witness=witness(shared, context.knowledge.vocabulary))


class Shadowed(LintCheck):
    """A rule that loses wherever it holds."""

    name = "shadowed"

    def findings(self, context: Context) -> Iterator[Finding]:
        for slot in context.knowledge.rules.slots:
            if slot.hit != "unique":
                continue
            rules = context.knowledge.rules.rules[slot.name]
            for rule in rules:
                winners = [other for other in rules if other is not rule and _shared(rule, other) is not None and beats(other, rule)]
                holes: list[Box] = [box for other in winners for box in other.region or ()]
                left = subtract_all(rule.region or (), holes) if winners else None
                if left == []:
                    yield self.found(rule.place, f"{rule.id} never wins: {', '.join(other.id for other in winners)} beat it wherever it holds")


def _shared(first: Rule, second: Rule) -> Box | None:
    """A box in which both rules hold, or None."""
    for left in first.region or ():
        for right in second.region or ():
            both = meet(left, right)
            if both is not None:
                return both
    return None

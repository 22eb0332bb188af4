"""Checks of single conditions: those that can never hold, those that always do, and those that stand twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from advisor.engine.region import contains
from advisor.lint.finding import Context, Finding, LintCheck


class Contradiction(LintCheck):
    """A condition that no facts meet."""

    name = "contradiction"

    def findings(self, context: Context) -> Iterator[Finding]:
        for rule in context.rules:
            empty = [fact for fact, domain in rule.leaves if domain.is_empty]
            if empty:
                yield self.found(rule.place, f"{rule.id} can never hold: no value of {empty[0]} is allowed")
            elif rule.region == ():
                yield self.found(rule.place, f"{rule.id} can never hold: `unless` takes away all that `when` and `any` allow")
            elif rule.region is None:
                yield self.found(rule.place, f"{rule.id} was not analysed: its condition splits into too many boxes", severity="warning")


class AlwaysTrue(LintCheck):
    """A constraint that every value meets, which only makes the rule unknown when the fact is."""

    name = "always-true"

    def findings(self, context: Context) -> Iterator[Finding]:
        for rule in context.rules:
            for fact in sorted({fact for fact, domain in rule.leaves if domain.is_full}):
                yield self.found(rule.place, f"{rule.id}: the constraint on {fact} allows every value; leave it out")


class Duplicate(LintCheck):
    """Two rules of a slot with the same condition, or with the same value where one condition would do."""

    name = "duplicate"

    def findings(self, context: Context) -> Iterator[Finding]:
        for rules in context.knowledge.rules.rules.values():
            alike = defaultdict(list)
            for rule in rules:
                alike[rule.facts].append(rule)
            for group in alike.values():
                for index, rule in enumerate(group):
                    for earlier in group[:index]:
                        same = rule.region and earlier.region and contains(rule.region, earlier.region) and contains(earlier.region, rule.region)
                        slot = context.knowledge.rules.slot[rule.slot]
                        if same and (slot.hit != "collect" or rule.choice == earlier.choice):
                            yield self.found(rule.place, f"{rule.id} has the same condition as {earlier.id} at {earlier.place}")

"""Checks of single conditions: those that can never hold, those that always do, and those that wait for what is not known yet."""

from __future__ import annotations

from collections.abc import Iterator

from advisor.engine.region import Box, Domain, contains, meet
from advisor.engine.rules import Rule
from advisor.lint.finding import Context, Finding, LintCheck

EVERYTHING: dict[str, Domain] = {}


class Contradiction(LintCheck):
    """A condition, or an alternative of one, that no facts meet; an exception from nothing."""

    name = "contradiction"

    def findings(self, context: Context) -> Iterator[Finding]:
        for rule in context.rules:
            if rule.region is None:
                yield self.undecided(rule.place, f"{rule.id} was not analysed")
            elif not rule.region:
                yield self.found(rule.place, f"{rule.id} can never hold: {_why_never(rule)}")
            else:
                yield from self._dead_parts(rule)

    def _dead_parts(self, rule: Rule) -> Iterator[Finding]:
        alternatives = [_narrowed(rule.when, box) for box in rule.any] if rule.any else [rule.when]
        for number, alternative in enumerate(alternatives, 1):
            if alternative is None:
                yield self.found(rule.place, f"{rule.id}: alternative {number} under `any` can never hold")
        for number, exception in enumerate(rule.unless, 1):
            if not any(alternative is not None and _narrowed(alternative, exception) is not None for alternative in alternatives):
                yield self.found(rule.place, f"{rule.id}: exception {number} under `unless` takes nothing away")


def _narrowed(box: Box, further: Box) -> Box | None:
    both = meet(box, further)
    return None if both is None or any(domain.is_empty for domain in both.values()) else both


def _why_never(rule: Rule) -> str:
    empty = [fact for fact, domain in rule.when.items() if domain.is_empty]
    if empty:
        return f"no value of {empty[0]} is allowed"
    parts = " and ".join(part for part, given in (("`when`", rule.when), ("`any`", rule.any)) if given)
    return f"`unless` takes away all that {parts or 'there is'} allows" if rule.unless else f"{parts} exclude each other"


class AlwaysTrue(LintCheck):
    """A constraint that every value meets, or a condition that all facts do: they only make a rule unknown."""

    name = "always-true"

    def findings(self, context: Context) -> Iterator[Finding]:
        for rule in context.rules:
            full = sorted({fact for fact, domain in rule.leaves if domain.is_full})
            for fact in full:
                yield self.found(rule.place, f"{rule.id}: the constraint on {fact} allows every value; leave it out")
            if rule.leaves and not full and rule.region is not None:
                answer = contains(rule.region, [EVERYTHING])
                if answer is None:
                    yield self.undecided(rule.place, f"{rule.id} was not compared with a rule without a condition")
                elif answer:
                    yield self.found(rule.place, f"{rule.id} holds whatever its facts are; leave the condition out")


class Unreachable(LintCheck):
    """A constraint on a fact that is never known when the slot is decided: the candidate's too early, or a later decision."""

    name = "unreachable"

    def findings(self, context: Context) -> Iterator[Finding]:
        decided: set[str] = set()
        later = {slot.fact for slot in context.knowledge.rules.slots if slot.fact}
        for slot in context.knowledge.rules.slots:
            for rule in context.knowledge.rules.rules[slot.name]:
                for fact in sorted(rule.facts):
                    if fact in later - decided:
                        yield self.found(rule.place, f"{rule.id} waits for {fact}, which is not decided before the slot {slot.name}")
                    elif fact.startswith("model.") and slot.per == "request":
                        yield self.found(
                            rule.place, f"{rule.id} waits for {fact}, and the slot {slot.name} is decided before any candidate"
                        )
            if slot.fact is not None:
                decided.add(slot.fact)

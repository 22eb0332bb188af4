"""Why this value, and why not that one: every rule of a slot with what became of it, down to the constraint that failed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from advisor.engine.deciding import Outcome, beats
from advisor.engine.facts import Fact, Facts
from advisor.engine.region import Among, Box, Domain, Interval, Span
from advisor.engine.rules import Rule, RuleSet, box_truth

Standing = Literal["won", "beaten", "false", "unknown"]
MOST_NAMED = 6


@dataclass(frozen=True)
class Standpoint:
    """What became of one rule: it won, another beat it, a constraint failed, or a fact that it needs is unknown."""

    rule: Rule
    standing: Standing
    because: str


def standpoints(rules: RuleSet, outcome: Outcome, facts: Facts) -> list[Standpoint]:
    """Every rule of the slot, the winners first."""
    winners = [decided.rule for decided in outcome.decided if decided.rule is not None]
    found = [_standpoint(rule, winners, facts) for rule in rules.rules[outcome.slot.name]]
    order = ("won", "beaten", "unknown", "false")
    return sorted(found, key=lambda point: (order.index(point.standing), point.rule.id))


def why_not(rules: RuleSet, outcome: Outcome, facts: Facts, value: str) -> list[Standpoint]:
    """The rules that would have given `value`, and what kept each from it. Empty where no rule gives it."""
    return [point for point in standpoints(rules, outcome, facts) if gives(point.rule, value)]


def gives(rule: Rule, value: str) -> bool:
    """Whether a rule's choice is the value asked about: its key, or any word in it."""
    if str(rule.choice.key).lower() == value.lower():
        return True
    return any(str(part).lower() == value.lower() for part in _leaves(rule.choice.model_dump(mode="json")))


def _leaves(data: object) -> Iterator[object]:
    if isinstance(data, dict):
        for part in data.values():
            yield from _leaves(part)
    elif isinstance(data, list):
        for part in data:
            yield from _leaves(part)
    else:
        yield data


def _standpoint(rule: Rule, winners: list[Rule], facts: Facts) -> Standpoint:
    if rule in winners:
        return Standpoint(rule, "won", ", ".join(f"{fact} is {_value(facts[fact])}" for fact in sorted(rule.facts) if fact in facts))
    truth = rule.truth(facts)
    if truth:
        return Standpoint(rule, "beaten", _beaten(rule, winners))
    if truth is None:
        return Standpoint(rule, "unknown", f"it needs {', '.join(sorted(rule.unknown(facts)))}, which nobody stated")
    return Standpoint(rule, "false", first_failure(rule, facts))


def _beaten(rule: Rule, winners: list[Rule]) -> str:
    for winner in winners:
        if rule.id in winner.overrides:
            return f"{winner.id} overrides it"
        if beats(winner, rule):
            return f"{winner.id} is the more specific rule"
    return "another rule gives the same name" if winners else "a value was assigned"


def first_failure(rule: Rule, facts: Facts) -> str:
    """The first constraint that does not hold, and by how much."""
    failed = _failed(rule.when, facts)
    if failed is None and rule.any:
        failed = next(filter(None, (_failed(box, facts) for box in rule.any)), None)
    if failed is not None:
        return failed
    barring = next((box for box in rule.unless if box_truth(box, facts)), None)
    if barring is None:
        return "its condition does not hold"
    return "it makes an exception where " + " and ".join(f"{fact} is {describe(domain)}" for fact, domain in barring.items())


def _failed(box: Box, facts: Facts) -> str | None:
    for name, domain in box.items():
        fact = facts.get(name)
        if fact is not None and not domain.holds(fact.value):
            return f"{name} is {_value(fact)}, and it asks for {describe(domain)}{_distance(domain, fact)}"
    return None


def _distance(domain: Domain, fact: Fact) -> str:
    if not isinstance(domain, Span) or isinstance(fact.value, bool | str):
        return ""
    value = fact.value
    nearest = min((end for part in domain.intervals for end in (part.low, part.high)), key=lambda end: abs(end - value), default=None)
    return f" ({abs(nearest - value):,.4g} away)" if nearest is not None and abs(nearest - value) not in (0, float("inf")) else ""


def describe(domain: Domain, most: int | None = MOST_NAMED) -> str:
    """A constraint in words: `at least 1,000 and below 10,000`, `cnn or hybrid`; at most so many names, or all of them."""
    if isinstance(domain, Among):
        names = sorted(str(value).lower() if isinstance(value, bool) else str(value) for value in domain.values)
        shown = " or ".join([*names[:most], *(["…"] if most is not None and len(names) > most else [])])
        return f"anything but {shown}" if domain.negated else shown
    return " or ".join(_interval(part, domain.bounds) for part in domain.intervals) or "nothing"


def _interval(part: Interval, bounds: Interval) -> str:
    if part.low == part.high:
        return f"{part.low:,g}"
    ends = []
    if part.low > bounds.low:
        ends.append(f"{'at least' if part.low_in else 'above'} {part.low:,g}")
    if part.high < bounds.high:
        ends.append(f"{'at most' if part.high_in else 'below'} {part.high:,g}")
    return " and ".join(ends) or "anything"


def _value(fact: Fact) -> str:
    if isinstance(fact.value, bool):
        return str(fact.value).lower()
    return f"{fact.value:,g}" if isinstance(fact.value, int | float) else fact.value

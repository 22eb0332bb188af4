"""Which rules can hold together: found once for all the checks that compare rules with each other."""

from __future__ import annotations

from functools import lru_cache

from advisor.engine.indexing import Index
from advisor.engine.region import Box, Domain, Span
from advisor.engine.rules import Rule


@lru_cache(maxsize=256)  # a slot's rules, and in a `collect` slot those of each name
def overlapping(rules: tuple[Rule, ...]) -> dict[Rule, tuple[Rule, ...]]:
    """For each rule the others that some facts make true beside it, in the order of their ids."""
    index = Index(rules)
    found: dict[Rule, list[Rule]] = {rule: [] for rule in rules}
    order = {rule: number for number, rule in enumerate(rules)}
    for rule in rules:
        domain = rule.when.get(index.fact) if index.fact is not None else None
        values = [value for value in index.values if domain.holds(value)] if domain is not None else []
        near = {other for value in values for other in index.part(value).rules}
        for other in near or rules:
            if order[other] > order[rule] and can_both_hold(rule, other):
                found[rule].append(other)
                found[other].append(rule)
    return {rule: tuple(sorted(others, key=order.__getitem__)) for rule, others in found.items()}


def can_both_hold(first: Rule, second: Rule) -> bool:
    return any(not _are_apart(one, other) for one in first.region or () for other in second.region or ())


def _are_apart(one: Box, other: Box) -> bool:
    for fact, domain in one.items():
        theirs = other.get(fact)
        if theirs is not None and (_lie_apart(domain, theirs) or domain.meet(theirs).is_empty):
            return True
    return False


def _lie_apart(left: Domain, right: Domain) -> bool:
    """Whether one span ends before the other begins: most that are apart are so, and it is told without making a third."""
    if not (isinstance(left, Span) and isinstance(right, Span)):
        return False
    return left.intervals[-1].high < right.intervals[0].low or right.intervals[-1].high < left.intervals[0].low

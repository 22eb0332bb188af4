"""Gaps: a slot that must be filled, and facts under which no rule fills it.

Only what can happen is searched: each task that the rules design for, with each model of the catalogue that serves it, as
fixed points; the other facts range freely, and those that a request may leave open are taken as unknown: the hardest case,
because a rule that holds for less knowledge holds for more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from advisor.engine.facts import Value
from advisor.engine.region import Among, Box, Domain, Interval, Span, meet, subtract_all, whole_domain, witness
from advisor.engine.rules import Rule, Slot
from advisor.engine.vocabulary import FactSpec
from advisor.lint.finding import Context, Finding, LintCheck
from advisor.lint.knowing import always_known, asked_for, decided_values, earlier_slots
from advisor.planning.plan import model_facts

Point = Mapping[str, Value]


class Gap(LintCheck):
    """Facts under which a required slot stays empty."""

    name = "gap"

    def findings(self, context: Context) -> Iterator[Finding]:
        points = {slot.name: points for slot, points in _points_of(context)}
        for slot in context.knowledge.rules.slots:
            rules = context.knowledge.rules.rules[slot.name]
            if slot.presence != "required" or slot.default is not None or slot.hit == "collect" or not rules:
                continue
            if any(rule.region is None for rule in rules):
                yield self.undecided(slot.place, f"the slot {slot.name} was not analysed")
                continue
            known = always_known(context, slot)
            for point in _told_apart(context, slot, points[slot.name]):
                yield from self._at(context, slot, rules, point, known | asked_for(context, point))

    def _at(self, context: Context, slot: Slot, rules: Sequence[Rule], point: Point, known: frozenset[str]) -> Iterator[Finding]:
        vocabulary, named = context.knowledge.vocabulary, _named(rules)
        reachable = decided_values(context, slot, point, named)
        if not all(reachable.values()):
            return  # an earlier slot has the gap, and says so itself
        relevant = {fact: value for fact, value in point.items() if fact in named}
        start: Box = {
            **{fact: _only(vocabulary[fact], value) for fact, value in relevant.items()},
            **{fact: Among(keys, universe=vocabulary[fact].universe) for fact, keys in reachable.items()},
        }
        told = (box for rule in rules for box in rule.region or () if box.keys() <= known | point.keys())
        left = subtract_all([start], [box for box in told if meet(start, box) is not None])
        where = ", ".join(f"{fact}={value}" for fact, value in relevant.items()) or "every request"
        if left is None:
            yield self.undecided(slot.place, f"the slot {slot.name} was not analysed for {where}")
        elif left:
            yield self.found(slot.place, f"no rule fills the slot {slot.name} for {where}", witness=witness(left[0]))


def _named(rules: Iterable[Rule]) -> frozenset[str]:
    return frozenset(fact for rule in rules for fact in rule.facts)


def _told_apart(context: Context, slot: Slot, points: Sequence[Point]) -> Iterator[Point]:
    """One point of those that no constraint tells apart, in the slot's rules or in those whose decisions they test."""
    rule_set = context.knowledge.rules
    named = _named(rule_set.rules[slot.name])
    consulted = [slot.name, *(earlier.name for earlier in earlier_slots(context, slot) if earlier.fact in named)]
    tests: dict[str, set[Domain]] = {"task.kind": set(), "model.pretrained": set()}
    for fact, domain in (leaf for name in consulted for rule in rule_set.rules[name] for leaf in rule.leaves):
        tests.setdefault(fact, set()).add(domain)
    seen: set[object] = set()
    for point in points:
        told = tuple((fact, tuple(domain.holds(point[fact]) for domain in domains)) for fact, domains in tests.items() if fact in point)
        case = (told, asked_for(context, point), point.get("model.pretrained"))
        if case not in seen:
            seen.add(case)
            yield point


def _points_of(context: Context) -> Iterator[tuple[Slot, list[Point]]]:
    """Each slot with its points; those of the candidates' slots are the same."""
    candidates: list[Point] = []
    for slot in context.knowledge.rules.slots:
        if slot.per != "request":
            candidates = candidates or list(_points(context, slot))
        yield slot, candidates if slot.per != "request" else list(_points(context, slot))


def _points(context: Context, slot: Slot) -> Iterator[Point]:
    """The tasks that the rules design for, alone or with each model that serves them."""
    for task in designed_tasks(context):
        if slot.stage == "applicability":
            yield {"task.kind": task}
            continue
        asked: Point = {"task.kind": task, "task.wants": "deep_learning"}
        if slot.per == "request":
            yield asked
            continue
        for entry in context.models.values():
            if task in entry.tasks:
                yield {**asked, **{name: fact.value for name, fact in model_facts(entry).items()}}


def designed_tasks(context: Context) -> list[str]:
    """The tasks for which some rule says `design`."""
    spec = context.knowledge.vocabulary["task.kind"]
    deciding = [rule for rule in context.knowledge.rules.rules["applicability"] if rule.choice.key == "design"]
    return [
        task
        for task in spec.values
        if any("task.kind" not in box or box["task.kind"].holds(task) for rule in deciding for box in rule.region or ())
    ]


def _only(spec: FactSpec, value: Value) -> Domain:
    """The domain of one value."""
    whole = whole_domain(spec)
    if isinstance(whole, Among):
        return Among(frozenset({value}), universe=spec.universe)
    assert isinstance(value, int | float)
    return Span((Interval(value, True, value, True),), whole.bounds, whole.whole)

"""Gaps: a slot that must be filled, and facts under which no rule fills it.

Only what can happen is searched: each task that the rules design for, with each model of the catalogue that serves it, as
fixed points; the other facts range freely.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from advisor.engine.facts import Value
from advisor.engine.region import Among, Box, Domain, Span, subtract_all, whole_domain, witness
from advisor.engine.rules import Rule, Slot
from advisor.engine.vocabulary import Vocabulary
from advisor.lint.finding import Context, Finding, LintCheck
from advisor.planning.plan import model_facts


class Gap(LintCheck):
    """Facts under which a required slot stays empty."""

    name = "gap"

    def findings(self, context: Context) -> Iterator[Finding]:
        for slot in context.knowledge.rules.slots:
            if slot.presence != "required" or slot.default is not None or slot.hit == "collect":
                continue
            rules = context.knowledge.rules.rules[slot.name]
            seen: set[tuple[tuple[str, Value], ...]] = set()
            for point in _points(context, slot):
                relevant = {fact: value for fact, value in point.items() if any(fact in rule.facts for rule in rules)}
                key = tuple(sorted(relevant.items()))
                if key not in seen:
                    seen.add(key)
                    yield from self._at(context, slot, rules, point, relevant)

    def _at(self, context: Context, slot: Slot, rules: Iterable[Rule], point: Mapping[str, Value], relevant: Mapping[str, Value]) -> Iterator[Finding]:
        vocabulary = context.knowledge.vocabulary
        start = {fact: _point_domain(vocabulary, fact, value) for fact, value in relevant.items()}
        start |= {fact: domain for fact, domain in _reachable(context, slot, point).items() if any(fact in rule.facts for rule in rules)}
        holes = [box for rule in rules for box in rule.region or () if all(fact not in relevant or domain.holds(relevant[fact]) for fact, domain in box.items())]
        left = subtract_all([start], [{fact: domain for fact, domain in box.items() if fact not in relevant} for box in holes])
        where = ", ".join(f"{fact}={value}" for fact, value in relevant.items()) or "every request"
        if left is None:
            yield self.found(slot.place, f"the slot {slot.name} was not analysed for {where}: too many cases", severity="warning")
        elif left:
            yield self.found(slot.place, f"no rule fills the slot {slot.name} for {where}", witness=witness(left[0], vocabulary))


def _points(context: Context, slot: Slot) -> Iterator[dict[str, Value]]:
    """The tasks that the rules design for, alone or with each model that serves them."""
    for task in designed_tasks(context):
        if slot.name == "applicability":
            yield {"task.kind": task}
        elif slot.per == "request":
            yield {"task.kind": task, "task.wants": "deep_learning"}
        else:
            for entry in context.models.values():
                if task in entry.tasks:
                    yield {"task.kind": task, "task.wants": "deep_learning", **{name: fact.value for name, fact in model_facts(entry).items()}}


def designed_tasks(context: Context) -> list[str]:
    """The tasks for which some rule says `design`."""
    spec = context.knowledge.vocabulary["task.kind"]
    deciding = [rule for rule in context.knowledge.rules.rules["applicability"] if rule.choice.key == "design"]
    return [task for task in spec.values if any(_allows(box, "task.kind", task) for rule in deciding for box in rule.region or ())]


def _allows(box: Box, fact: str, value: Value) -> bool:
    return fact not in box or box[fact].holds(value)


def _reachable(context: Context, slot: Slot, point: Mapping[str, Value]) -> dict[str, Domain]:
    """The values that earlier decisions can have at this task, by the rules that make them."""
    reachable: dict[str, Domain] = {}
    for earlier in context.knowledge.rules.slots:
        if earlier.name == slot.name:
            break
        if earlier.fact is None or earlier.fact not in context.knowledge.vocabulary:
            continue
        keys = {rule.choice.key for rule in context.knowledge.rules.rules[earlier.name]
                if any(all(_allows(box, fact, value) for fact, value in point.items()) for box in rule.region or ())}  # fmt: skip
        if earlier.default is not None:
            keys.add(earlier.default.key)
        if earlier.name == "adaptation" and point.get("model.pretrained") is False:
            keys = {"scratch"}
        known = frozenset(key for key in keys if key is not None)
        reachable[earlier.fact] = Among(known, universe=context.knowledge.vocabulary[earlier.fact].universe)
    return reachable


def _point_domain(vocabulary: Vocabulary, fact: str, value: Value) -> Domain:
    spec = vocabulary[fact]
    if spec.is_numeric:
        whole = whole_domain(spec)
        assert isinstance(whole, Span) and isinstance(value, int | float)
        from advisor.engine.region import Interval

        return Span((Interval(value, True, value, True),), whole.bounds, whole.whole)
    return Among(frozenset({value}), universe=spec.universe)

"""Which facts are known whenever a slot is decided: those asked for or assumed, those that intake closes, and what came before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

from advisor.engine.facts import Value
from advisor.engine.region import domain_of
from advisor.engine.rules import Slot
from advisor.engine.vocabulary import Assume, FactSpec
from advisor.intake.derive import CLOSED, LISTED_WHOLE
from advisor.lint.finding import Context
from advisor.planning.plan import model_facts


def always_known(context: Context, slot: Slot) -> frozenset[str]:
    """The facts of every design. One that is known for some tasks or some models only is not among them."""
    known = {name for name, spec in context.knowledge.vocabulary.items() if is_always_given(spec)}
    known |= {earlier.fact for earlier in earlier_slots(context, slot) if earlier.fact and _is_always_filled(earlier)}
    if slot.per != "request":
        facts = [model_facts(entry).keys() for entry in context.models.values()]
        known |= set.intersection(*map(set, facts)) if facts else set()
    return frozenset(known)


def asked_for(context: Context, point: Mapping[str, Value]) -> frozenset[str]:
    """The critical facts that are needed under these facts, though not always."""
    vocabulary = context.knowledge.vocabulary
    needed = {spec.name: spec.needed_if for spec in vocabulary.values() if spec.when_missing == "ask" and spec.needed_if}
    return frozenset(
        name
        for name, box in needed.items()
        if all(fact in point and domain_of(vocabulary[fact], operators).holds(point[fact]) for fact, operators in box.items())
    )


def is_always_given(spec: FactSpec) -> bool:
    """Whether every request that is designed has the fact: there is no design without it, or a value is assumed."""
    asked = spec.when_missing == "ask" and spec.needed_if is None
    listed_whole = spec.type == "bool" and spec.name.startswith(LISTED_WHOLE)
    return asked or listed_whole or isinstance(spec.when_missing, Assume) or spec.name in CLOSED


def earlier_slots(context: Context, slot: Slot) -> Iterable[Slot]:
    slots = context.knowledge.rules.slots
    return slots[: slots.index(slot)]


def decided_values(context: Context, slot: Slot, holds: Mapping[str, Value], named: Set[str]) -> dict[str, frozenset[Value]]:
    """What can have been decided where some facts are fixed: for each of the named facts that come of an earlier, always filled slot."""
    values: dict[str, frozenset[Value]] = {}
    for earlier in earlier_slots(context, slot):
        if earlier.fact is None or earlier.fact not in named or not _is_always_filled(earlier):
            continue
        keys = {
            rule.choice.key
            for rule in context.knowledge.rules.rules[earlier.name]
            if any(all(fact not in box or box[fact].holds(value) for fact, value in holds.items()) for box in rule.region or ())
        }
        if earlier.default is not None:
            keys.add(earlier.default.key)
        if earlier.name == "adaptation" and holds.get("model.pretrained") is False:
            keys = {"scratch"}
        values[earlier.fact] = frozenset(key for key in keys if key is not None)
    return values


def _is_always_filled(slot: Slot) -> bool:
    return slot.hit != "collect" and (slot.presence == "required" or slot.default is not None)

"""Edits as rules make them: what the slot `repair` allows of a design, and the design with one more edit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

from advisor import choices as c
from advisor.engine.deciding import Decided, decide
from advisor.engine.facts import Fact, Facts, Origin
from advisor.engine.loading import Knowledge
from advisor.engine.rules import Rule
from advisor.planning.plan import Brief, Design, plan

SLOT = "repair"
Cost = tuple[float, float]
"""Points of quality lost, then the logarithm of the factor on the time: compared in this order, added up over edits."""
FREE: Cost = (0.0, 0.0)


def repair_of(rule: Rule) -> c.Repair:
    """What the rule does and costs."""
    return cast("c.Repair", rule.choice)


def cost_of(*rules: Rule) -> Cost:
    """What the edits cost together."""
    return sum(repair_of(rule).quality for rule in rules), sum(math.log(repair_of(rule).time) for rule in rules)


def allowed(knowledge: Knowledge, design: Design) -> list[Rule]:
    """The rules of edits that hold of the design, one for each name."""
    outcomes, _ = decide(knowledge.rules, [knowledge.rules.slot[SLOT]], facts_under_repair(design))
    return [decided.rule for decided in outcomes[SLOT].decided if decided.rule is not None]


def cost_of_replacing(knowledge: Knowledge, design: Design) -> Cost:
    """What it costs to take this design's candidate in the place of the first."""
    return cost_of(*(rule for rule in allowed(knowledge, design) if repair_of(rule).slot is None))


def facts_under_repair(design: Design) -> Facts:
    """The design's facts and, as `design.*`, the numbers of its recipe that edits make smaller."""
    recipe = design.recipe
    numbers = {
        "design.per_device": recipe.batch.per_device,
        "design.image_size": recipe.input.image_size,
        "design.sequence_length": recipe.input.sequence_length,
        "design.epochs": recipe.epochs,
        "design.steps": recipe.steps,
    }
    return {**design.facts, **{name: Fact(number, Origin.DECIDED) for name, number in numbers.items() if number is not None}}


def edited(knowledge: Knowledge, request: Brief, design: Design, rule: Rule) -> Design | None:
    """The design with the rule's edit made on top of its others; None where the rule does not hold of it, or would change nothing."""
    edit = repair_of(rule)
    if edit.slot is None or not rule.truth(facts_under_repair(design)):
        return None
    slot, now = knowledge.rules.slot[edit.slot], current(design, edit.slot)
    then = {**now, **edit.set, **{field: scaled(now[field], scaling) for field, scaling in edit.scale.items() if now.get(field)}}
    if then == now:
        return None
    decided = Decided(slot, slot.choice.model_validate(then), None, reason=f"{rule.why} ({rule.id})")
    return plan(knowledge, request, design.candidate, {**design.edits, slot.name: decided})


def current(design: Design, slot: str) -> dict[str, Any]:
    """What is decided for a slot, with the recipe's numbers where these are what came of it."""
    choice, recipe = design.choice(slot), design.recipe
    values = choice.model_dump() if choice else {}
    sized: Mapping[str, Mapping[str, int | None]] = {
        "batch": {"per_device": recipe.batch.per_device, "effective": recipe.batch.effective},
        "input": {"image_size": recipe.input.image_size, "sequence_length": recipe.input.sequence_length},
    }
    known = {name: number for name, number in sized.get(slot, {}).items() if number is not None}
    return {**values, **{name: number for name, number in known.items() if slot == "batch" or values.get(name) is not None}}


def scaled(number: float, scaling: c.Scaling) -> int:
    """Never larger than before, also where the least that a rule wants is above it."""
    multiple = scaling.multiple_of
    return min(math.ceil(number), max(scaling.least, math.floor(number * scaling.by / multiple) * multiple))

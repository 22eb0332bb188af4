"""The nearest thresholds: which fact, at what value, would change which decision to what. Every entry is proved by evaluating it.

Stated and assumed facts are varied, and derived ones follow. The thresholds come straight from the rules' boxes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from advisor.engine.deciding import Outcome, Outcomes, redecide
from advisor.engine.facts import Fact, Facts, Origin, Value
from advisor.engine.loading import Knowledge
from advisor.engine.rules import RuleSet
from advisor.engine.vocabulary import FactSpec
from advisor.planning.plan import Design, forced
from advisor.report import Sensitivity

VARIED = (Origin.STATED, Origin.ASSUMED)
STEP = 1e-6  # just past a threshold, relative to it
ROUNDED = 6  # digits after the point: 10 samples for each of 556 classes are 5,560 samples, not 5,561 by an error of the last bit
MOST_TRIED = 8  # values on each side of a fact; farther thresholds are not near

Derive = Callable[[Facts], Facts]
MOST_SHOWN = 12  # the nearest; the rest is a search away with what-if


@dataclass(frozen=True)
class Flip:
    """At `threshold` or just past it, and not between it and `value`, the slot's decision is another."""

    fact: str
    value: Value
    threshold: Value
    slot: str
    before: Outcome
    after: Outcome


def flips(knowledge: Knowledge, design: Design, derive: Derive) -> list[Flip]:
    """For each varied fact, the nearest change on each side (numbers) or under each other value (assumed words)."""
    found: list[Flip] = []
    for name, fact in design.facts.items():
        if fact.origin not in VARIED or name.startswith(("model.", "decision.", "task.")):
            continue
        spec = knowledge.vocabulary.get(name)
        if spec is None:
            continue
        for side in _sides(knowledge.rules, spec, design.facts, derive):
            found += _first_change(knowledge, design, name, side, derive)
    return found


def sensitivity(knowledge: Knowledge, design: Design, derive: Derive) -> list[Sensitivity]:
    """The flips in the report's form, the relatively nearest first."""
    return [
        Sensitivity(
            fact=flip.fact,
            value=flip.value,
            threshold=flip.threshold,
            slot=flip.slot,
            before=_shown(flip.before, flip.after),
            after=_shown(flip.after, flip.before),
            rule_id=_rule_id(flip.after),
        )
        for flip in sorted(flips(knowledge, design, derive), key=_distance)[:MOST_SHOWN]
    ]


def _first_change(knowledge: Knowledge, design: Design, name: str, side: Iterable[Value], derive: Derive) -> list[Flip]:
    for threshold in side:
        after = outcomes_at(knowledge, design, name, threshold, derive)
        before = design.outcomes
        changed = [slot for slot, now in after.items() if now is not before[slot] and _values(now) != _values(before[slot])]
        if changed:
            mark = _mark(knowledge.vocabulary[name], threshold)
            return [Flip(name, design.facts[name].value, mark, slot, design.outcomes[slot], after[slot]) for slot in changed]
    return []


def outcomes_at(knowledge: Knowledge, design: Design, name: str, value: Value, derive: Derive) -> Outcomes:
    """What would be decided for the same candidate if one fact had another value."""
    facts, changed = _varied(design.facts, name, value, derive)
    assigned = {**forced(knowledge, design.candidate), **design.edits}
    return redecide(knowledge.rules, knowledge.rules.shaping, facts, design.outcomes, changed, assigned)


def _varied(before: Facts, name: str, value: Value, derive: Derive) -> tuple[Facts, set[str]]:
    """The facts with one that has another value, and the names of all that are others then."""
    varied = {**before, name: Fact(value, Origin.STATED)}
    facts = derive(varied)
    return facts, {name} if facts is varied else {fact for fact in facts if facts[fact] is not before.get(fact)}


# --- where to look ---------------------------------------------------------------------------------------------------


def _sides(rules: RuleSet, spec: FactSpec, facts: Facts, derive: Derive) -> Iterator[Sequence[Value]]:
    """Values to try in the order of their distance; one list a direction, or one for each other word."""
    current = facts[spec.name].value
    if not spec.is_numeric:
        others = sorted((spec.universe or frozenset()) - {current}, key=str)
        yield from ([other] for other in others if facts[spec.name].origin is Origin.ASSUMED)
        return
    assert isinstance(current, int | float)
    marks = sorted(_thresholds(rules, spec, facts, derive))
    yield [value for mark in reversed(marks) for value in (mark, _past(spec, mark, -1)) if value < current][:MOST_TRIED]
    yield [value for mark in marks for value in (mark, _past(spec, mark, 1)) if value > current][:MOST_TRIED]


def _mark(spec: FactSpec, value: Value) -> Value:
    """The threshold that a value just past it was made from: people are told 10, not 9.99999."""
    return float(f"{value:.4g}") if spec.type == "number" and isinstance(value, int | float) else value


def _past(spec: FactSpec, mark: float, direction: int) -> float:
    """Just beyond a threshold, inside the fact's bounds."""
    beyond = mark + direction * (1 if spec.type == "integer" else max(abs(mark) * STEP, STEP))
    return max(beyond, spec.min) if spec.min is not None else beyond


def _thresholds(rules: RuleSet, spec: FactSpec, facts: Facts, derive: Derive) -> set[float]:
    """The fact's thresholds, and those of facts derived from it, carried back in proportion, or in inverse proportion."""
    found = _ends(rules, spec.name, facts)
    current = facts[spec.name].value
    if not isinstance(current, int | float) or not current:
        return found
    doubled, changed = _varied(facts, spec.name, current * 2, derive)
    for name in changed:
        fact, before = doubled[name], facts.get(name)
        if (
            name != spec.name
            and before is not None
            and before.value != fact.value
            and isinstance(before.value, int | float)
            and before.value
        ):
            grows, was = float(fact.value) > float(before.value), float(before.value)
            found |= {current * end / was if grows else current * was / end for end in _ends(rules, name, facts) if end}
    return {math.ceil(round(end, ROUNDED)) if spec.type == "integer" else end for end in found}


def _ends(rules: RuleSet, fact: str, facts: Facts) -> set[float]:
    """The finite ends of a fact's constraints, in the rules that may still hold of such a request."""
    reached = (rules.index[slot.name].reach(facts) for slot in rules.shaping if fact in rules.facts_of[slot.name])
    return set().union(*(part.ends.get(fact, ()) for part in reached))


def _distance(flip: Flip) -> tuple[float, str, str]:
    if isinstance(flip.value, bool | str) or isinstance(flip.threshold, bool | str) or not flip.value or not flip.threshold:
        return (math.inf, flip.fact, flip.slot)
    if math.isinf(float(flip.value)):  # a limit that is stated to be none is infinitely far from every threshold
        return (math.inf, flip.fact, flip.slot)
    return (abs(math.log(float(flip.threshold) / float(flip.value))), flip.fact, flip.slot)


def _values(outcome: Outcome) -> list[object]:
    return [decided.choice for decided in outcome.decided]


def _shown(outcome: Outcome, other: Outcome) -> object:
    """What tells one outcome from another: the names, or where there are none or the same, the whole values."""
    keys = [decided.key for decided in outcome.decided]
    if keys == [decided.key for decided in other.decided] or None in keys:
        values: list[object] = [decided.plain_choice for decided in outcome.decided]
    else:
        values = list(keys)
    return values if outcome.slot.hit == "collect" else values[0] if values else "nothing"


def _rule_id(outcome: Outcome) -> str:
    return outcome.decided[0].rule_id if outcome.decided else "none"

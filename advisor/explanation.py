"""Questions to a decision: why this value, why not that one, and what would change under another request. Rules only, nothing is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from advisor import catalogue
from advisor.engine.asking import critical_questions, open_questions
from advisor.engine.deciding import Outcome, Outcomes
from advisor.engine.explaining import Standpoint, standpoints, why_not
from advisor.engine.facts import Facts, Origin
from advisor.engine.loading import Knowledge, load_knowledge, rule_paths
from advisor.intake import read_facts
from advisor.planning.candidates import propose
from advisor.planning.plan import brief, plan
from advisor.projection import fill, shown
from advisor.reading import read_request
from advisor.request import Request
from advisor.wire import Wire

RequestLike = Request | Mapping[str, Any] | str | Path


class RuleStanding(Wire):
    """What became of one rule of the slot: it won, was beaten, does not hold, or hangs on an unknown fact; and why."""

    rule_id: str
    title: str
    value: Any
    standing: str
    because: str


class SlotExplanation(Wire):
    """One decision with every rule that could have made it."""

    slot: str
    value: Any
    why: str
    standpoints: list[RuleStanding]


class Explanation(Wire):
    """Every decision about a request, for the candidate that comes first."""

    candidate: str | None
    slots: dict[str, SlotExplanation]
    assumed: list[str] = Field(default_factory=list)
    unknown: list[str] = Field(default_factory=list)


class Change(Wire):
    """A decision that differs between two requests."""

    slot: str
    before: Any
    after: Any
    why: str


class Comparison(Wire):
    """What changes when a request does."""

    candidate_before: str | None
    candidate_after: str | None
    facts: dict[str, list[Any]] = Field(description="each fact that differs: its value before and after")
    changes: list[Change]


@dataclass(frozen=True)
class _Decided:
    knowledge: Knowledge
    candidate: str | None
    facts: Facts
    known: Facts
    outcomes: Outcomes


def explain(
    request: RequestLike, slot: str | None = None, *, not_value: str | None = None, rules: Sequence[str | Path] = ()
) -> Explanation:
    """Why each slot has its value; with `slot`, that one alone; with `not_value`, only the rules that would have given it.

    Raises:
        RequestError: the request cannot be read.
        KeyError: `slot` is no decision of this request.
    """
    made = _decide(request, rules)
    wanted = made.outcomes if slot is None else {slot: made.outcomes[slot]}
    slots = {name: _explained(made, outcome, not_value) for name, outcome in wanted.items()}
    if not_value is not None:
        slots = {name: explained for name, explained in slots.items() if explained.standpoints}
    assumed = [
        f"{name} = {str(fact.value).lower() if isinstance(fact.value, bool) else shown(fact.value)}"
        for name, fact in sorted(made.facts.items())
        if fact.origin is Origin.ASSUMED
    ]
    questions = [*critical_questions(made.knowledge, made.facts, {}), *open_questions(made.knowledge, made.outcomes, made.known)]
    return Explanation(
        candidate=made.candidate, slots=slots, assumed=assumed, unknown=[f"{one.fact}: {one.question} {one.why}" for one in questions]
    )


def what_if(before: RequestLike, after: RequestLike, *, rules: Sequence[str | Path] = ()) -> Comparison:
    """Which decisions change from one request to the other, and by which rule."""
    old, new = _decide(before, rules), _decide(after, rules)
    names = sorted(old.facts.keys() | new.facts.keys())
    differing = {
        name: [_fact(old.facts, name), _fact(new.facts, name)] for name in names if _fact(old.facts, name) != _fact(new.facts, name)
    }
    changes = [
        Change(slot=name, before=_value(old.outcomes.get(name)), after=_value(outcome), why=_why(outcome, new.known))
        for name, outcome in new.outcomes.items()
        if _value(old.outcomes.get(name)) != _value(outcome)
    ]
    return Comparison(candidate_before=old.candidate, candidate_after=new.candidate, facts=differing, changes=changes)


def _decide(request: RequestLike, rules: Sequence[str | Path]) -> _Decided:
    knowledge = load_knowledge(rule_paths(rules))
    facts = read_facts(read_request(request), knowledge.vocabulary).facts
    decided = brief(knowledge, facts)
    if "task.kind" not in facts or decided.choice("capacity") is None or decided.choice("adaptation") is None:
        return _Decided(knowledge, None, facts, decided.facts, decided.outcomes)
    first = next(iter(propose(catalogue.serving(str(decided.facts["task.kind"].value)), decided, knowledge.rules.forbids).compared), None)
    if first is None:
        return _Decided(knowledge, None, facts, decided.facts, decided.outcomes)
    design = plan(knowledge, decided, first)
    return _Decided(knowledge, first.id, facts, design.facts, design.outcomes)


def _explained(made: _Decided, outcome: Outcome, not_value: str | None) -> SlotExplanation:
    rules = made.knowledge.rules
    points = standpoints(rules, outcome, made.known) if not_value is None else why_not(rules, outcome, made.known, not_value)
    return SlotExplanation(
        slot=outcome.slot.name,
        value=_value(outcome),
        why=_why(outcome, made.known),
        standpoints=[_standing(point, made.known) for point in points],
    )


def _standing(point: Standpoint, facts: Facts) -> RuleStanding:
    rule = point.rule
    return RuleStanding(
        rule_id=rule.id, title=fill(rule.title, facts), value=rule.plain_choice, standing=point.standing, because=point.because
    )


def _value(outcome: Outcome | None) -> Any:
    values = [decided.plain_choice for decided in outcome.decided] if outcome else []
    return values if outcome is not None and outcome.slot.hit == "collect" else values[0] if values else None


def _why(outcome: Outcome, facts: Facts) -> str:
    if not outcome.decided:
        return "no rule fills it"
    first = outcome.decided[0]
    return f"{first.rule_id}: {fill(first.rule.why, facts)}" if first.rule else first.reason or "the slot's default"


def _fact(facts: Facts, name: str) -> Any:
    return shown(facts[name].value) if name in facts else None

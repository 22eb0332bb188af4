"""Conditions under three values, and the facts on which an undecided one hangs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from advisor.engine.facts import Value
from advisor.engine.rules import Rule
from tests.rule_sets import knowledge_of, rule, stated

FACTS: dict[str, list[Value]] = {
    "data.balance": ["balanced", "imbalanced", "long_tail"],
    "challenge.real_time": [True, False],
    "data.classes": [1, 2, 3, 4],
}
CONSTRAINTS: dict[str, list[dict[str, Any]]] = {
    "data.balance": [{"eq": "balanced"}, {"in": ["imbalanced", "long_tail"]}],
    "challenge.real_time": [{"eq": True}, {"eq": False}],
    "data.classes": [{"ge": 3}, {"lt": 2}, {"eq": 2}],
}
boxes = st.dictionaries(st.sampled_from(sorted(FACTS)), st.integers(0, 1), max_size=2).map(
    lambda picked: {fact: CONSTRAINTS[fact][index] for fact, index in sorted(picked.items())}
)
conditions = st.fixed_dictionaries({"when": boxes, "any": st.lists(boxes, max_size=2), "unless": st.lists(boxes, max_size=2)})
worlds = st.fixed_dictionaries({fact: st.sampled_from(values) for fact, values in FACTS.items()})
hidden = st.sets(st.sampled_from(sorted(FACTS)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rules")


def made(folder: Path, condition: dict[str, Any]) -> Rule:
    return knowledge_of(folder, "optimizer", rule("ZZ001", **condition)).rules.by_id["ZZ001"]


few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@few
@given(conditions, worlds, hidden)
def test_what_is_certain_stays_so_when_more_is_known(
    folder: Path, condition: dict[str, Any], world: dict[str, Value], hidden: set[str]
) -> None:
    made_rule = made(folder, condition)
    partly = made_rule.truth(stated({fact: value for fact, value in world.items() if fact not in hidden}))
    wholly = made_rule.truth(stated(world))
    assert wholly is not None
    assert partly in (None, wholly)


@few
@given(conditions, worlds, hidden)
def test_an_unknown_condition_names_unknown_facts_that_settle_it(
    folder: Path, condition: dict[str, Any], world: dict[str, Value], hidden: set[str]
) -> None:
    made_rule = made(folder, condition)
    known = {fact: value for fact, value in world.items() if fact not in hidden}
    truth, missing = made_rule.truth(stated(known)), made_rule.unknown(stated(known))
    assert (truth is None) <= bool(missing)
    assert missing <= hidden
    if truth is None:
        assert made_rule.truth(stated({**known, **{fact: world[fact] for fact in missing}})) is not None


@few
@given(conditions, worlds, hidden)
def test_the_region_is_true_exactly_where_the_condition_is(
    folder: Path, condition: dict[str, Any], world: dict[str, Value], hidden: set[str]
) -> None:
    made_rule = made(folder, condition)
    known = {fact: value for fact, value in world.items() if fact not in hidden}
    assert made_rule.region is not None
    held = any(all(fact in known and domain.holds(known[fact]) for fact, domain in box.items()) for box in made_rule.region)
    assert held is (made_rule.truth(stated(known)) is True)


def test_an_alternative_that_holds_asks_nothing_of_the_others(tmp_path: Path) -> None:
    either = [{"challenge.real_time": {"eq": True}}, {"data.classes": {"ge": 3}}]
    made_rule = made(tmp_path, {"when": {"data.balance": {"eq": "balanced"}}, "any": either})
    assert made_rule.unknown(stated({"challenge.real_time": True})) == {"data.balance"}

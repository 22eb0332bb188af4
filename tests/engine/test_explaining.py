"""Why this value and why not that one, down to the constraint that failed and by how much."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.engine.deciding import decide
from advisor.engine.explaining import Standpoint, describe, first_failure, gives, standpoints, why_not
from advisor.engine.facts import Value
from advisor.engine.loading import Knowledge
from advisor.engine.region import domain_of
from advisor.engine.vocabulary import FactSpec
from tests.rule_sets import knowledge_of, rule, stated

CLASSES, BALANCE = "data.classes", "data.balance"


@pytest.fixture
def knowledge(tmp_path: Path) -> Knowledge:
    return knowledge_of(
        tmp_path,
        "optimizer",
        rule("ZZ001", {CLASSES: {"ge": 3}}),
        rule("ZZ002", {CLASSES: {"ge": 10}}, then={"name": "sgd"}),
        rule("ZZ003", {CLASSES: {"ge": 3}, BALANCE: {"eq": "balanced"}}, then={"name": "lion"}),
        rule("ZZ004", overrides=["ZZ003"], unless=[{"data.noise": {"eq": "clean"}}], then={"name": "lamb"}),
    )


def explained(knowledge: Knowledge, values: dict[str, Value], value: str | None = None) -> dict[str, Standpoint]:
    outcomes, facts = decide(knowledge.rules, [knowledge.rules.slot["optimizer"]], stated(values))
    outcome = outcomes["optimizer"]
    points = standpoints(knowledge.rules, outcome, facts) if value is None else why_not(knowledge.rules, outcome, facts, value)
    return {point.rule.id: point for point in points}


def test_every_rule_has_one_standing_and_the_winner_comes_first(knowledge: Knowledge) -> None:
    points = explained(knowledge, {CLASSES: 12, "data.noise": "clean"})
    assert {id_: point.standing for id_, point in points.items()} == {
        "ZZ002": "won",
        "ZZ001": "beaten",
        "ZZ003": "unknown",
        "ZZ004": "false",
    }
    assert points["ZZ002"].because == "data.classes is 12"
    assert points["ZZ001"].because == "ZZ002 is the more specific rule"
    assert points["ZZ003"].because == "it needs data.balance, which nobody stated"
    assert points["ZZ004"].because == "it makes an exception where data.noise is clean"


def test_why_not_names_the_failing_constraint_and_the_distance(knowledge: Knowledge) -> None:
    (point,) = explained(knowledge, {CLASSES: 7}, "sgd").values()
    assert point.because == "data.classes is 7, and it asks for at least 10 (3 away)"


def test_why_not_names_who_overrode(knowledge: Knowledge) -> None:
    (point,) = explained(knowledge, {CLASSES: 5, BALANCE: "balanced", "data.noise": "some"}, "lion").values()
    assert (point.standing, point.because) == ("beaten", "ZZ004 overrides it")


def test_a_value_that_no_rule_gives_has_no_standpoint(knowledge: Knowledge) -> None:
    assert explained(knowledge, {CLASSES: 5}, "adagrad") == {}
    assert gives(knowledge.rules.by_id["ZZ002"], "SGD")


def test_a_failing_alternative_is_named(tmp_path: Path) -> None:
    either = rule("ZZ001", any=[{CLASSES: {"ge": 10}}, {BALANCE: {"eq": "balanced"}}])
    made = knowledge_of(tmp_path, "optimizer", either).rules.by_id["ZZ001"]
    assert "asks for at least 10" in first_failure(made, stated({CLASSES: 4, BALANCE: "long_tail"}))


@pytest.mark.parametrize(
    ("operators", "said"),
    [
        ({"ge": 1000, "lt": 10_000}, "at least 1,000 and below 10,000"),
        ({"gt": 5}, "above 5"),
        ({"in": [2, 4]}, "2 or 4"),
        ({"eq": 3}, "3"),
        ({"lt": 0}, "nothing"),
    ],
)
def test_numbers_are_described_in_words(operators: dict[str, object], said: str) -> None:
    spec = FactSpec(name="a.b", type="number", min=0)
    assert describe(domain_of(spec, operators)) == said


@given(st.sets(st.sampled_from([f"v{n}" for n in range(12)]), min_size=1))
def test_long_lists_are_cut_unless_all_is_wanted(values: set[str]) -> None:
    domain = domain_of(FactSpec(name="a.b", type="name"), {"in": sorted(values)})
    assert describe(domain).count(" or ") <= 6
    assert set(describe(domain, None).split(" or ")) == values
    assert describe(domain.complement()).startswith("anything but ")

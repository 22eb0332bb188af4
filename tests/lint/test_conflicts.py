"""Rules against each other: every finding has a witness that shows it, and random rule sets are judged as trying every case does."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from advisor.engine.deciding import beats, decide
from advisor.engine.facts import Facts, Value
from advisor.engine.loading import Knowledge, read_knowledge
from advisor.errors import KnowledgeError
from advisor.lint import Finding
from advisor.lint.conflicts import Circle, Duplicate, Overlap, Shadowed
from tests.lint.conftest import Linting, context_of
from tests.rule_sets import declare, knowledge_of, rule, stated, write_rules

CLASSES, BALANCE, NOISE = "data.classes", "data.balance", "data.noise"
SGD = {"name": "sgd"}


def conflicts(knowledge: Knowledge, facts: Facts) -> bool:
    try:
        decide(knowledge.rules, [knowledge.rules.slot["optimizer"]], facts)
    except KnowledgeError:
        return True
    return False


# --- overlap ---------------------------------------------------------------------------------------------------------


def test_an_overlap_that_nothing_settles_is_found_with_a_witness(tmp_path: Path) -> None:
    knowledge = knowledge_of(
        tmp_path, "optimizer", rule("ZZ001", {CLASSES: {"ge": 3}}), rule("ZZ002", {BALANCE: {"eq": "balanced"}}, then=SGD)
    )
    (finding,) = Overlap().findings(context_of(knowledge))
    assert finding.place == knowledge.rules.by_id["ZZ002"].place
    assert conflicts(knowledge, stated(dict(finding.witness)))


def test_even_the_same_value_is_an_overlap_where_one_rule_must_win(linted: Linting) -> None:
    assert len(linted(Overlap, "optimizer", rule("ZZ001", {CLASSES: {"ge": 3}}), rule("ZZ002", {BALANCE: {"eq": "balanced"}}))) == 1


@pytest.mark.parametrize(
    "second",
    [
        rule("ZZ002", {BALANCE: {"eq": "balanced"}}, then=SGD, overrides=["ZZ001"]),
        rule("ZZ002", {CLASSES: {"ge": 9}}, then=SGD),
        rule("ZZ002", {CLASSES: {"lt": 3}, BALANCE: {"eq": "balanced"}}, then=SGD),
        rule("ZZ002", {"model.line": {"eq": "resnet"}}, then=SGD),
    ],
)
def test_settled_and_separate_rules_are_passed(linted: Linting, second: dict[str, Any]) -> None:
    assert linted(Overlap, "optimizer", rule("ZZ001", {CLASSES: {"ge": 3}}), second) == []


def test_a_third_rule_settles_an_overlap_only_if_it_is_known_to_hold_there(linted: Linting) -> None:
    first, second = rule("ZZ001", {CLASSES: {"ge": 3}}), rule("ZZ002", {BALANCE: {"eq": "balanced"}}, then=SGD)
    both = {CLASSES: {"ge": 3}, BALANCE: {"eq": "balanced"}}
    assert linted(Overlap, "optimizer", first, second, rule("ZZ003", both, then={"name": "lion"})) == []
    narrower = rule(
        "ZZ003", {**both, NOISE: {"in": ["clean", "some"]}}, any=[{NOISE: {"eq": "some"}}, {NOISE: {"eq": "clean"}}], then={"name": "lion"}
    )
    (finding,) = linted(Overlap, "optimizer", first, second, narrower)
    assert NOISE not in dict(finding.witness)


def test_rules_of_one_name_in_a_collecting_slot_overlap_too(linted: Linting) -> None:
    one = rule("ZZ001", {CLASSES: {"ge": 3}}, then={"name": "dropout", "text": "a", "value": 0.1})
    other = rule("ZZ002", {BALANCE: {"eq": "balanced"}}, then={"name": "dropout", "text": "a", "value": 0.2})
    assert len(linted(Overlap, "regularization", one, other)) == 1
    assert linted(Overlap, "regularization", one, {**other, "then": {"name": "mixup", "text": "b"}}) == []
    assert linted(Overlap, "regularization", one, {**other, "then": one["then"]}) == []


# --- circle ----------------------------------------------------------------------------------------------------------


def circle(tmp_path: Path) -> Knowledge:
    """ZZ001 overrides ZZ002, which is inside ZZ003, which names an earlier fact than ZZ001 does."""
    return knowledge_of(
        tmp_path,
        "optimizer",
        rule("ZZ001", {CLASSES: {"ge": 3}}, overrides=["ZZ002"]),
        rule("ZZ002", {"model.line": {"eq": "resnet"}, BALANCE: {"eq": "balanced"}}, then=SGD),
        rule("ZZ003", {"model.line": {"eq": "resnet"}}, then={"name": "lion"}),
    )


def test_a_circle_is_found_with_a_witness_under_which_none_wins(tmp_path: Path) -> None:
    knowledge = circle(tmp_path)
    (finding,) = Circle().findings(context_of(knowledge))
    assert "where ZZ001, ZZ002, ZZ003 hold together, each is beaten by another" in finding.message
    assert conflicts(knowledge, stated(dict(finding.witness)))


def test_a_circle_whose_rules_never_hold_together_is_passed(linted: Linting) -> None:
    apart = [
        rule("ZZ001", {CLASSES: {"ge": 3}}, overrides=["ZZ002"]),
        rule("ZZ002", {"model.line": {"eq": "resnet"}, BALANCE: {"eq": "balanced"}}, then=SGD),
        rule("ZZ003", {"model.line": {"eq": "resnet"}, CLASSES: {"lt": 3}}, then={"name": "lion"}),
    ]
    assert linted(Circle, "optimizer", *apart) == []


# --- duplicates and shadows ------------------------------------------------------------------------------------------


def test_the_same_condition_written_otherwise_is_a_duplicate(linted: Linting) -> None:
    one = rule("ZZ001", {CLASSES: {"ge": 3}})
    for other in (
        rule("ZZ002", unless=[{CLASSES: {"lt": 3}}]),
        rule("ZZ002", {CLASSES: {"gt": 2}}),
        rule("ZZ002", any=[{CLASSES: {"ge": 3}}]),
    ):
        (finding,) = linted(Duplicate, "optimizer", one, other)
        assert "ZZ002 has the same condition as ZZ001" in finding.message
    assert linted(Duplicate, "optimizer", one, rule("ZZ002", {CLASSES: {"gt": 3}})) == []


def test_a_collecting_slot_may_add_two_values_under_one_condition(linted: Linting) -> None:
    one, other = rule("ZZ001", then={"name": "a", "text": "a"}), rule("ZZ002", then={"name": "b", "text": "b"})
    assert linted(Duplicate, "regularization", one, other) == []
    assert len(linted(Duplicate, "regularization", one, {**other, "then": one["then"]})) == 1


def test_a_rule_that_others_together_beat_everywhere_is_shadowed(linted: Linting) -> None:
    noises = [rule(f"ZZ00{n}", {CLASSES: {"ge": 3}, NOISE: {"eq": noise}}) for n, noise in enumerate(("clean", "some", "heavy"), 2)]
    (finding,) = linted(Shadowed, "optimizer", rule("ZZ001", {CLASSES: {"ge": 3}}), *noises)
    assert "ZZ001 never wins: ZZ002, ZZ003, ZZ004 beat it" in finding.message
    assert linted(Shadowed, "optimizer", rule("ZZ001", {CLASSES: {"ge": 3}}), *noises[:2]) == []


def test_a_rule_for_what_is_unknown_is_not_shadowed(linted: Linting) -> None:
    cases = [
        rule(f"ZZ00{n}", {CLASSES: {"ge": 3}, BALANCE: {"eq": balance}})
        for n, balance in enumerate(("balanced", "imbalanced", "long_tail"), 2)
    ]
    assert linted(Shadowed, "optimizer", rule("ZZ001", {CLASSES: {"ge": 3}}), *cases) == []


def test_a_pack_may_shadow_a_shipped_rule_but_not_be_shadowed(tmp_path: Path) -> None:
    write_rules(declare(tmp_path / "rules"), "optimizer", rule("ZZ001", {CLASSES: {"ge": 3}}))
    write_rules(tmp_path / "pack", "optimizer", rule("ZZ002", overrides=["ZZ001"]))
    assert list(Shadowed().findings(context_of(read_knowledge(tmp_path / "rules", [tmp_path / "pack"])))) == []
    write_rules(tmp_path / "rules", "optimizer", rule("ZZ001", overrides=["ZZ002"]))
    write_rules(tmp_path / "pack", "optimizer", rule("ZZ002", {CLASSES: {"ge": 3}}))
    (finding,) = Shadowed().findings(context_of(read_knowledge(tmp_path / "rules", [tmp_path / "pack"])))
    assert finding.message.startswith("ZZ002 never wins")


# --- every case tried ------------------------------------------------------------------------------------------------

# `data.noise` is assumed where nobody states it, so it is always known; the others may be unknown.
UNIVERSE: dict[str, list[Value | None]] = {
    CLASSES: [None, 1, 2, 3, 4],
    "challenge.real_time": [True, False],
    BALANCE: [None, "balanced", "imbalanced", "long_tail"],
    NOISE: ["clean", "some", "heavy"],
}
CONSTRAINTS: dict[str, list[dict[str, Any]]] = {
    CLASSES: [{"ge": 2}, {"ge": 4}, {"lt": 3}, {"eq": 2}],
    BALANCE: [{"eq": "balanced"}, {"in": ["imbalanced", "long_tail"]}],
    NOISE: [{"eq": "clean"}, {"in": ["some", "heavy"]}],
    "challenge.real_time": [{"eq": True}],
}
leaves = st.sampled_from([(fact, constraint) for fact, found in CONSTRAINTS.items() for constraint in found])
boxes = st.lists(leaves, max_size=2).map(dict)
conditions = st.fixed_dictionaries(
    {"when": boxes, "any": st.lists(boxes, max_size=2), "unless": st.lists(st.lists(leaves, min_size=1, max_size=2).map(dict), max_size=1)}
)
rule_sets = st.lists(st.tuples(conditions, st.integers(0, 5)), min_size=2, max_size=4)


def every_case() -> Iterator[dict[str, Value]]:
    for values in product(*UNIVERSE.values()):
        yield {fact: value for fact, value in zip(UNIVERSE, values, strict=True) if value is not None}


def built(folder: Path, drawn: list[tuple[dict[str, Any], int]]) -> Knowledge:
    """Each rule may override one after it, so that no circle of overrides keeps them from loading."""
    rules = [
        rule(f"ZZ00{n}", **condition, overrides=[f"ZZ00{beaten}"] if n < beaten < len(drawn) else [])
        for n, (condition, beaten) in enumerate(drawn)
    ]
    return knowledge_of(folder, "optimizer", *rules)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rule_sets)
def test_random_rule_sets_are_judged_as_trying_every_case_does(tmp_path: Path, drawn: list[tuple[dict[str, Any], int]]) -> None:
    knowledge = built(tmp_path, drawn)
    context = context_of(knowledge)
    unsettled = [finding for check in (Overlap, Circle) for finding in check().findings(context)]
    cases = [stated(case) for case in every_case()]
    assert bool(unsettled) is any(conflicts(knowledge, case) for case in cases)
    assert all(conflicts(knowledge, stated(dict(finding.witness))) for finding in unsettled)
    rules = knowledge.rules.rules["optimizer"]
    lost = {
        each.id
        for each in rules
        if each.region
        and not any(each.truth(case) and not any(other.truth(case) and beats(other, each) for other in rules) for case in cases)
    }
    assert {named(finding) for finding in Shadowed().findings(context)} == lost


def named(finding: Finding) -> str:
    return finding.message.split()[0]

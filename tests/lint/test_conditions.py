"""Conditions that can never hold, that always do, or that wait for what is not known yet."""

from __future__ import annotations

from typing import Any

import pytest

from advisor.lint.conditions import AlwaysTrue, Contradiction, Unreachable
from tests.lint.conftest import Linting
from tests.rule_sets import rule

CLASSES = "data.classes"


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ({"when": {CLASSES: {"ge": 5, "lt": 5}}}, "no value of data.classes is allowed"),
        ({"when": {CLASSES: {"gt": 4, "lt": 5}}}, "no value of data.classes is allowed"),
        ({"when": {CLASSES: {"lt": 1}}}, "no value of data.classes is allowed"),
        ({"when": {CLASSES: {"ge": 5}}, "unless": [{CLASSES: {"ge": 3}}]}, "`unless` takes away all that `when` allows"),
        ({"unless": [{}]}, "`unless` takes away all that there is allows"),
        ({"when": {CLASSES: {"ge": 5}}, "any": [{CLASSES: {"lt": 5}}]}, "`when` and `any` exclude each other"),
        ({"any": [{CLASSES: {"ge": 5}}, {CLASSES: {"ge": 5, "lt": 2}}]}, "alternative 2 under `any` can never hold"),
        ({"when": {CLASSES: {"ge": 5}}, "unless": [{CLASSES: {"lt": 5}}]}, "exception 1 under `unless` takes nothing away"),
    ],
)
def test_what_can_never_hold_is_found_at_the_rule(linted: Linting, condition: dict[str, Any], said: str) -> None:
    (finding,) = linted(Contradiction, "optimizer", rule("ZZ001", **condition))
    assert said in finding.message
    assert finding.place.line == 5  # the id of the first rule in the file that the test writes
    assert finding.severity == "error"


def test_conditions_that_can_hold_are_passed(linted: Linting) -> None:
    sound = rule("ZZ001", {CLASSES: {"ge": 5}}, any=[{"task.scratch": {"eq": True}}, {CLASSES: {"lt": 9}}], unless=[{CLASSES: {"eq": 7}}])
    assert linted(Contradiction, "optimizer", sound, rule("ZZ002")) == []


def test_a_condition_of_too_many_boxes_is_said_to_be_undecided(linted: Linting) -> None:
    bools = ["challenge.few_shot", "challenge.domain_shift", "challenge.real_time", "challenge.long_tail", "challenge.imbalance"]
    exceptions = [{**{name: {"eq": True} for name in bools}, CLASSES: {"eq": number}} for number in range(2, 40)]
    (finding,) = linted(Contradiction, "optimizer", rule("ZZ001", unless=exceptions))
    assert finding.severity == "warning"
    assert "was not analysed: too many cases" in finding.message


@pytest.mark.parametrize(
    "condition",
    [
        {"when": {CLASSES: {"ge": 1}}},
        {"when": {"data.noise": {"in": ["clean", "some", "heavy"]}}},
        {"when": {"task.scratch": {"in": [True, False]}}},
        {"any": [{CLASSES: {"ge": 5}}, {CLASSES: {"lt": 5}}]},
        {"any": [{CLASSES: {"ge": 5}}, {}]},
    ],
)
def test_what_always_holds_is_found(linted: Linting, condition: dict[str, Any]) -> None:
    assert len(linted(AlwaysTrue, "optimizer", rule("ZZ001", **condition))) == 1


def test_a_rule_without_a_condition_and_a_real_one_are_passed(linted: Linting) -> None:
    assert linted(AlwaysTrue, "optimizer", rule("ZZ001"), rule("ZZ002", any=[{CLASSES: {"ge": 5}}, {CLASSES: {"lt": 4}}])) == []


@pytest.mark.parametrize(
    ("slot", "fact", "operand"),
    [
        ("optimizer", "decision.schedule", "cosine"),
        ("optimizer", "decision.optimizer", "sgd"),
        ("applicability", "model.family", "cnn"),
    ],
)
def test_a_rule_that_waits_for_what_comes_later_is_found(linted: Linting, slot: str, fact: str, operand: str) -> None:
    (finding,) = linted(Unreachable, slot, rule("ZZ001", {fact: {"eq": operand}}))
    assert fact in finding.message


def test_a_rule_that_uses_what_came_before_is_passed(linted: Linting) -> None:
    assert linted(Unreachable, "optimizer", rule("ZZ001", {"decision.adaptation": {"eq": "full"}, "model.family": {"eq": "cnn"}})) == []

"""The examples beside a rule: tried, and what they leave untried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from advisor.lint.examples import Coverage, failing_examples, measure_coverage
from tests.rule_sets import knowledge_of, rule

CLASSES = "data.classes"


def example(expect: str, **facts: Any) -> dict[str, Any]:
    return {"expect": expect, "facts": {name.replace("_", ".", 1): value for name, value in facts.items()}}


def covered(folder: Path, *examples: dict[str, Any], when: dict[str, Any] | None = None) -> Coverage:
    return measure_coverage(knowledge_of(folder, "optimizer", rule("ZZ001", when or {CLASSES: {"ge": 3}}, examples=list(examples))))


WHOLE = [example("no-match", data_classes=2), example("match", data_classes=3), example("match", data_classes=4)]


def test_an_example_that_says_otherwise_is_named_with_its_number(tmp_path: Path) -> None:
    wrong = [example("match", data_classes=3), example("match", data_classes=2), example("no-match")]
    said = [
        fault.message
        for fault in failing_examples(knowledge_of(tmp_path, "optimizer", rule("ZZ001", {CLASSES: {"ge": 3}}, examples=wrong)))
    ]
    assert said == [
        "ZZ001: example 2 expects match and gets no-match for data.classes=2",
        "ZZ001: example 3 expects no-match and gets unknown for ",
    ]


def test_a_threshold_tried_on_both_sides_and_at_is_covered(tmp_path: Path) -> None:
    whole = covered(tmp_path, *WHOLE)
    assert (whole.leaves_tried, whole.thresholds_tried, whole.is_complete, whole.never_winning) == (1, 1, True, ())


@pytest.mark.parametrize(("left_out", "said"), [(0, "below"), (1, "at"), (2, "above")])
def test_a_side_that_is_not_tried_is_named(tmp_path: Path, left_out: int, said: str) -> None:
    part = covered(tmp_path, *(each for number, each in enumerate(WHOLE) if number != left_out))
    assert not part.is_complete
    assert f"ZZ001: data.classes is never tried {said} 3" in [fault.message for fault in part.untried]


def test_a_constraint_only_seen_true_is_named(tmp_path: Path) -> None:
    part = covered(tmp_path, example("match", data_noise="clean"), when={"data.noise": {"eq": "clean"}})
    assert [fault.message for fault in part.untried] == ["ZZ001: the constraint on data.noise is never seen false"]
    assert (part.leaves_tried, part.leaves) == (0, 1)


def test_no_value_below_the_least_one_is_asked_for(tmp_path: Path) -> None:
    at_the_end = [example("match", data_classes=1), example("no-match", data_classes=2)]
    assert covered(tmp_path, *at_the_end, when={CLASSES: {"le": 1}}).is_complete


def test_a_rule_that_wins_in_none_of_its_examples_is_named(tmp_path: Path) -> None:
    general = rule("ZZ001", {CLASSES: {"ge": 3}}, examples=[example("match", data_classes=9)])
    special = rule("ZZ002", {CLASSES: {"ge": 9}}, examples=[example("match", data_classes=9)])
    measured = measure_coverage(knowledge_of(tmp_path, "optimizer", general, special))
    assert [fault.message for fault in measured.never_winning] == ["ZZ001: it wins in none of its examples"]
    assert measured.rules == 2

"""What the shipped rules are held to before a change lands."""

from __future__ import annotations

from pathlib import Path

import pytest

from advisor import catalogue
from advisor.authoring.docs import make_pages, stale_pages
from advisor.engine.loading import Knowledge, load_knowledge
from advisor.lint import Context, lint
from advisor.lint.examples import failing_examples, measure_coverage

PAGES = Path(__file__).resolve().parents[2] / "docs" / "rules"


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load_knowledge()


def test_lint_finds_no_error(knowledge: Knowledge) -> None:
    context = Context(
        knowledge, catalogue.models(), devices=catalogue.devices(), datasets=catalogue.datasets(), stand_ins=catalogue.stand_ins()
    )
    assert [str(finding) for finding in lint(context) if finding.severity == "error"] == []


def test_every_example_holds(knowledge: Knowledge) -> None:
    assert [str(fault) for fault in failing_examples(knowledge)] == []


def test_examples_try_every_leaf_and_every_threshold_and_every_rule_wins_somewhere(knowledge: Knowledge) -> None:
    measured = measure_coverage(knowledge)
    assert [str(fault) for fault in (*measured.untried, *measured.never_winning)] == []


def test_the_pages_are_up_to_date(knowledge: Knowledge) -> None:
    assert stale_pages(PAGES, make_pages(knowledge.rules)) == [], "run `advisor rules docs`"

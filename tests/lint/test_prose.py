"""What surrounds a condition: sources, examples, placeholders, age, successors."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from advisor.lint.finding import LintCheck
from advisor.lint.prose import Deprecated, MissingExample, MissingSource, Staleness, Unfinished, UnknownPlaceholder
from tests.lint.conftest import Linting
from tests.rule_sets import rule

CLASSES = {"data.classes": {"ge": 3}}
MATCH, NO_MATCH = {"expect": "match", "facts": {"data.classes": 3}}, {"expect": "no-match", "facts": {"data.classes": 2}}
SOURCE = {"ref": "arXiv:1512.03385", "claim": "a test", "checked": "2026-01-01"}


@pytest.mark.parametrize(
    ("check", "parts", "said"),
    [
        (MissingSource, {"basis": "published"}, "names no source"),
        (MissingSource, {"confidence": "high"}, "a judgement of high confidence"),
        (MissingExample, {}, "no example of match and of no-match"),
        (MissingExample, {"examples": [MATCH]}, "no example of no-match"),
        (UnknownPlaceholder, {"why": "There are {data.clases} classes."}, "unknown fact {data.clases}; did you mean 'data.classes'?"),
        (Unfinished, {"title": "TODO say it"}, "replace each TODO"),
        (Deprecated, {"status": "deprecated"}, "names no rule in `superseded_by`"),
        (Deprecated, {"status": "deprecated", "superseded_by": "ZZ009"}, "superseded by ZZ009, which does not decide"),
        (Deprecated, {"superseded_by": "ZZ002"}, "and not deprecated"),
    ],
)
def test_what_is_missing_or_wrong_is_found(linted: Linting, check: type[LintCheck], parts: dict[str, Any], said: str) -> None:
    (finding,) = linted(check, "optimizer", rule("ZZ001", CLASSES, **parts), sound("ZZ002"))
    assert said in finding.message
    assert finding.place.line == 5


@pytest.mark.parametrize("check", [MissingSource, MissingExample, UnknownPlaceholder, Unfinished, Deprecated])
def test_a_sound_rule_is_passed(linted: Linting, check: type[LintCheck]) -> None:
    old = {**sound("ZZ001"), "status": "deprecated", "superseded_by": "ZZ002"}
    assert linted(check, "optimizer", old, sound("ZZ002")) == []


def sound(id_: str) -> dict[str, Any]:
    return rule(
        id_,
        CLASSES,
        why="There are {data.classes} classes.",
        basis="published",
        confidence="high",
        sources=[SOURCE],
        examples=[MATCH, NO_MATCH],
    )


def test_age_is_a_warning_and_only_asked_with_a_date(linted: Linting) -> None:
    undated = {**sound("ZZ002"), "sources": [{"ref": "somewhere"}]}
    rules = sound("ZZ001"), undated
    assert linted(Staleness, "optimizer", *rules) == []
    later = linted(Staleness, "optimizer", *rules, as_of=datetime.date(2027, 6, 1))
    said = [finding.message for finding in later]
    assert "ZZ001: the source arXiv:1512.03385 was last checked on 2026-01-01" in said
    assert "ZZ002: the source somewhere does not say when it was checked" in said
    assert {finding.severity for finding in later} == {"warning"}
    early = linted(Staleness, "optimizer", sound("ZZ001"), as_of=datetime.date(2026, 12, 1))
    assert not any(finding.message.startswith("ZZ001") for finding in early)


def test_old_figures_of_the_catalogue_are_stale_too(linted: Linting) -> None:
    found = linted(Staleness, "optimizer", sound("ZZ001"), as_of=datetime.date(2099, 1, 1))
    assert any("a figure was last checked on" in finding.message for finding in found)

"""A report's JSON without the report: byte for byte what the finished report writes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from advisor import drafting
from advisor.drafting import LINE_ENDS, Draft
from advisor.engine.facts import Fact, Origin
from advisor.pipeline import draft
from tests.batch.requests import GOOD

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.yaml"))


def drafted(request: dict[str, Any] | Path) -> Draft:
    return draft(request, "none", rules=(), checker=None, budget=None)


def as_finished(made: Draft) -> bytes:
    written = made.finished().model_dump_json(by_alias=True, exclude_none=True)
    for end in LINE_ENDS:
        written = written.replace(end, f"\\u{ord(end):04x}")
    return written.encode()


def test_every_kind_of_answer_is_written_as_if_finished() -> None:
    statuses = set()
    for path in EXAMPLES:
        made = drafted(yaml.safe_load(path.read_text(encoding="utf-8")))
        statuses.add(made.report.status.value)
        assert made.to_json() == as_finished(made), path.name
    assert {"designed", "needs_input", "not_applicable"} <= statuses


@pytest.mark.parametrize(
    "value", [True, False, 0, 7, 10**18, 0.0, -0.0, 1.0, 1e-05, 1e16, 1e22, 0.1 + 0.2, math.inf, 'a "b"\\\n\t\x7f\x01 é\u2028…😀', ""]
)
def test_a_fact_of_any_value_is_written_as_if_finished(value: bool | float | str) -> None:
    made = drafted(GOOD)
    odd = Draft(made.report, made.outcomes, {**made.facts, "task.wants": Fact(value, Origin.STATED, 'said: "x\x85"')})
    assert odd.to_json() == as_finished(odd)


def test_what_is_remembered_of_a_rule_depends_on_the_facts_that_its_text_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafting, "MOST_REMEMBERED", 5)  # so that some is forgotten as well
    sizes = (1_000, 20_000, 300_000, 1_000)
    for size in sizes:
        made = drafted({**GOOD, "data": {"size": f"{size} images"}})
        assert made.to_json() == as_finished(made)

"""Checks of a batch: each is run once for all rows and all workers, and one that fails is its own rows' affair."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import advisor
from advisor.batch.local import Workers
from advisor.batch.rows import Row, Settings
from advisor.batch.stream import answer_all
from advisor.batch.tasks import TaskReader
from advisor.cache import EvidenceCache
from advisor.verify.verifier import CheckCounts, Verifier
from tests.batch.faulty_checks import CRASH, EAT_MEMORY, END_SANDBOX, END_SANDBOX_ONCE, HANG, MARK_VARIABLE
from tests.batch.requests import GOOD, without_times

COMMAND = (sys.executable, str(Path(__file__).with_name("faulty_checks.py")))
FINE = 10


def request(classes: int) -> dict[str, Any]:
    return {**GOOD, "facts": {"data.classes": classes}}


def answered(classes: list[int], cache: EvidenceCache | None = None) -> tuple[list[Row], CheckCounts]:
    with Verifier(2, command=COMMAND, cache=cache) as verifier, Workers(Settings("static"), 2, verifier) as workers:
        rows = list(answer_all(TaskReader().from_requests(request(number) for number in classes), workers))
        counts = workers.counts()
        assert counts is not None
        return rows, counts


def test_a_check_that_crashes_hangs_or_eats_memory_is_an_error_row_and_every_other_row_is_as_without_it(row_schema: dict[str, Any]) -> None:
    rows, _ = answered([FINE, CRASH, FINE, HANG, EAT_MEMORY, END_SANDBOX, FINE])
    undisturbed, _ = answered([FINE])
    expected = without_times(undisturbed[0])["report"]
    assert [without_times(rows[place])["report"] == expected for place in (0, 2, 6)] == [True] * 3
    for place, code, words in (
        (1, "verification_crashed", "SIGSEGV"),
        (3, "verification_timeout", "did not finish within"),
        (4, "verification_memory", "more than 0.5 GiB of memory"),
        (5, "verification_crashed", "the sandbox ended before the check did"),
    ):
        jsonschema.validate(rows[place].content, row_schema)
        error = rows[place].error
        assert error is not None and (error.code, error.path, words in error.message) == (code, "verification.build", True), error


def test_a_sandbox_that_ends_once_costs_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MARK_VARIABLE, str(tmp_path / "ended"))
    rows, _ = answered([END_SANDBOX_ONCE, FINE])
    assert [row.status for row in rows] == ["designed", "designed"]
    assert (tmp_path / "ended").exists()


def test_one_request_by_itself_is_designed_and_says_what_broke_down() -> None:
    with Verifier(command=COMMAND) as verifier:
        report = advisor.design(request(CRASH), "static", checker=verifier)
    assert report.status == "designed"
    (build,) = (check for check in report.verification if check.name == "build")
    assert build.status == "skipped" and "SIGSEGV" in str(build.detail)


def test_each_check_is_run_once_for_all_workers_and_not_again_in_the_next_batch(tmp_path: Path) -> None:
    _, alone = answered([FINE])
    _, first = answered([FINE] * 8, EvidenceCache(tmp_path))
    _, second = answered([FINE] * 8, EvidenceCache(tmp_path))
    assert alone.computed > 0
    assert (first.computed, first.cached) == (alone.computed, 0)
    assert (second.computed, second.cached) == (0, alone.computed)
    assert first.shared == second.shared == 7 * alone.computed

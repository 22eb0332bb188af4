"""A time budget: each check gets its part, and what is not reached says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from advisor import design
from advisor.errors import UsageError
from advisor.verify.budget import LEAST_S, Budgeted, parse_budget
from advisor.verify.evidence import DeployEvidence, Job, Refusal, SmokeCheck, SmokeEvidence, StaticEvidence, broken_down
from tests.conftest import EXAMPLES
from tests.verify.jobs import mlp_job

COUNTED = StaticEvidence(parameters=1, trainable_parameters=1, buffers=0, flops_forward=2)
TRAINED = SmokeEvidence(device="CPU", checks=[SmokeCheck(name="finite", status="passed", detail="")])


class Recorded:
    """A checker that answers at once, or after `answer` has been called, and keeps what it was asked."""

    def __init__(self, answer: Callable[[Job], Refusal | None] = lambda job: None) -> None:
        self.jobs: list[Job] = []
        self._answer = answer

    def static(self, job: Job) -> StaticEvidence | Refusal:
        self.jobs.append(job)
        return self._answer(job) or COUNTED

    def smoke(self, job: Job) -> SmokeEvidence | Refusal:
        self.jobs.append(job)
        return self._answer(job) or TRAINED

    def deploy(self, job: Job) -> DeployEvidence | Refusal:
        self.jobs.append(job)
        return self._answer(job) or DeployEvidence(device="CPU", threads=1, variants=[])


@pytest.mark.parametrize(("said", "expected"), [("60s", 60), ("5 min", 300), ("0.5h", 1800), ("90", 90), (12.5, 12.5), ("2 Minutes", 120)])
def test_a_budget_is_read(said: str | float, expected: float) -> None:
    assert parse_budget(said) == pytest.approx(expected)


@pytest.mark.parametrize("said", ["soon", "", "0s", "-5s", "10 parsecs", float("nan"), float("inf")])
def test_what_is_no_time_is_an_error_that_shows_a_form(said: str | float) -> None:
    with pytest.raises(UsageError, match="write it as '60s'"):
        parse_budget(said)


def test_counting_leaves_half_of_the_time_to_the_training_and_the_second_count_gets_least() -> None:
    checker = Recorded()
    budgeted = Budgeted(checker, 100.0, trains=True)
    budgeted.static(mlp_job())
    budgeted.static(mlp_job().model_copy(update={"cross_check": True}))
    budgeted.smoke(mlp_job().model_copy(update={"time_limit_s": 60.0}))
    budgeted.deploy(mlp_job().model_copy(update={"time_limit_s": 180.0}))
    Budgeted(checker, 100.0, trains=False).static(mlp_job().model_copy(update={"time_limit_s": 60.0}))
    assert [job.time_limit_s for job in checker.jobs] == [20.0, 8.0, 60.0, 64.0, 60.0]  # the job's own, or a power of two below its part


def test_what_the_budget_does_not_reach_is_skipped_and_says_so() -> None:
    checker = Recorded()
    budgeted = Budgeted(checker, 1.5, trains=True)
    answers = (budgeted.static(mlp_job()), budgeted.smoke(mlp_job()))
    for answer, needed in zip(answers, (LEAST_S["static"], LEAST_S["smoke"]), strict=True):
        assert isinstance(answer, Refusal) and answer.status == "skipped" and answer.cause is None
        assert answer.reason.startswith("not reached: of the budget of 1.5 s") and answer.reason.endswith(f"{needed:g} s are needed")
    assert checker.jobs == []


def test_a_check_that_used_up_its_part_is_skipped_and_no_breakdown() -> None:
    budgeted = Budgeted(Recorded(lambda job: broken_down("timeout", "too slow")), 20.0, trains=True)
    answer = budgeted.static(mlp_job().model_copy(update={"time_limit_s": 60.0}))
    assert answer == Refusal(status="skipped", reason="not finished in 8 s, its part of the budget of 20 s")
    crashed = Budgeted(Recorded(lambda job: broken_down("crashed", "SIGSEGV")), 20.0, trains=True).static(mlp_job())
    assert isinstance(crashed, Refusal) and crashed.cause == "crashed"


def test_a_report_within_a_budget_names_what_was_not_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    for check in ("smoke", "cross_check"):
        monkeypatch.setitem(LEAST_S, check, 1e6)  # however fast or slow this machine is
    report = design(EXAMPLES / "tickets.yaml", "smoke", checker=Recorded(), budget="10 min")
    checks = {check.name: check for check in report.verification}
    assert report.status == "designed"
    assert checks["build"].status == "passed"
    assert checks["smoke_train"].status == "skipped" and "of the budget of 600 s" in (checks["smoke_train"].detail or "")
    assert "not cross-checked: not reached" in (checks["flops"].detail or "")

"""The parent's side: no torch, one run for each distinct job, real evidence back through the sandbox."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from advisor.verify.evidence import Build, Refusal, SmokeEvidence, StaticEvidence
from advisor.verify.verifier import Verifier
from tests.verify.jobs import mlp_job


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    with Verifier() as open_verifier:
        open_verifier.start()
        yield open_verifier


def test_static_and_smoke_evidence_come_back_whole(verifier: Verifier) -> None:
    static, smoke = verifier.static(mlp_job()), verifier.smoke(mlp_job())
    assert isinstance(static, StaticEvidence), static
    assert isinstance(smoke, SmokeEvidence), smoke
    assert static.parameters == static.trainable_parameters > 0
    assert {check.status for check in smoke.checks} == {"passed"}


def test_the_same_job_is_run_once_also_from_several_threads(verifier: Verifier) -> None:
    job = mlp_job(metric="recall")
    with ThreadPoolExecutor(4) as pool:
        futures = list(pool.map(lambda _: verifier.submit(job), range(8)))
    assert len({id(future) for future in futures}) == 1
    assert verifier.smoke(job) is futures[0].result()
    assert verifier.submit(job.model_copy(update={"seed": 1})) is not futures[0]


def test_a_design_that_cannot_be_built_is_refused_with_the_reason(verifier: Verifier) -> None:
    answer = verifier.static(mlp_job().model_copy(update={"build": Build(library="torch", factory="mpl")}))
    assert isinstance(answer, Refusal)
    assert "mpl" in answer.reason


def test_a_sandbox_that_cannot_start_is_a_refusal_with_its_last_words() -> None:
    with Verifier(command=(sys.executable, "-c", "raise SystemExit('no such thing here')")) as verifier:
        answer = verifier.static(mlp_job())
    assert answer == Refusal(status="skipped", reason="the sandbox ended before the check did: no such thing here", cause="lost")


def test_closing_refuses_what_is_under_way_and_can_be_repeated() -> None:
    verifier = Verifier()
    future = verifier.submit(mlp_job())
    verifier.close()
    verifier.close()
    assert isinstance(future.result(timeout=5), Refusal)


def test_the_parent_never_imports_torch() -> None:
    script = "import sys; from advisor.verify.verifier import Verifier; Verifier().close(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2], timeout=60)

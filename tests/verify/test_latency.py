"""Inference is timed for as long as something depends on it."""

from __future__ import annotations

import time

import pytest
import torch

from advisor.verify import latency
from advisor.verify.evidence import Target
from advisor.verify.latency import FEWEST_RUNS, MOST_RUNS, RUNS_ELSEWHERE, Place, measure_inference
from tests.verify.jobs import mlp_job


@pytest.mark.parametrize(("is_here", "runs"), [(True, MOST_RUNS), (False, RUNS_ELSEWHERE)])
def test_the_machine_that_is_meant_is_timed_more_often_than_another(is_here: bool, runs: int) -> None:
    job = mlp_job().model_copy(update={"target": Target(kind="cpu", is_here=is_here)})
    figures = measure_inference(job, Place(torch.device("cpu"), None, "a CPU"), 2.0**30, time.monotonic() + 300)
    assert figures["median"].source == f"{runs} warm runs, batch 1, random weights, a CPU"
    assert figures["median"].value <= figures["p95"].value
    assert figures["inference_rate"].value > 0


def test_a_slow_model_or_a_busy_machine_is_timed_as_often_as_a_median_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "ELSEWHERE_S", 0.0)
    figures = measure_inference(mlp_job(), Place(torch.device("cpu"), None, "a CPU"), 2.0**30, time.monotonic() + 300)
    assert figures["median"].source.startswith(f"{FEWEST_RUNS} warm runs")


def test_a_deadline_that_has_passed_leaves_nothing_to_tell() -> None:
    assert measure_inference(mlp_job(), Place(torch.device("cpu"), None, "a CPU"), 2.0**30, time.monotonic()) == {}

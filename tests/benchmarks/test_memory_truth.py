"""The benchmark on a GPU: what it would run can be predicted here, and without a GPU it says that it needs one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def truth(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import memory_truth

    return memory_truth


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_that_it_needs_one(truth: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["memory_truth.py"])
    with pytest.raises(SystemExit) as ended:
        truth.main()
    assert ended.value.code == 2
    assert "compares with a real GPU, and there is none here" in capsys.readouterr().err


def test_it_takes_every_model_first_and_every_setting_in_time(truth: Any) -> None:
    chosen = truth.cases(truth.MOST)
    assert len(truth.MODELS) >= 12
    assert {case["model"] for case in chosen[: len(truth.MODELS)]} == set(truth.MODELS)
    for setting in ("optimizer", "precision", "checkpointing", "lora"):
        assert len({case[setting] for case in chosen}) == len({case[setting] for case in truth.cases(10_000)}) > 1


def test_what_it_would_run_is_predicted(truth: Any) -> None:
    from advisor.verify.memory import predict_training_memory

    case = {"model": "gpt2", "optimizer": "adamw_8bit", "precision": "bf16", "checkpointing": True, "lora": True}
    memory, trainable = predict_training_memory(truth.job_of(case))
    assert memory is not None
    assert 0 < trainable < memory.total


def test_the_last_line_has_the_figures(truth: Any) -> None:
    results = [truth.Result("a", live=110, total=200, high=210, allocated=100, process=205),
               truth.Result("b", live=100, total=190, high=195, allocated=100, process=200)]  # fmt: skip
    assert truth.last_line(results) == "live median 5.00% p90 10.00% process median 3.72% p90 5.00% cap-exceeded 50.0% n=2"

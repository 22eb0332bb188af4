"""The benchmark on a GPU: what it would run can be predicted here, and without a GPU it says that it needs one."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from advisor.verify.hardware import Gpu, Hardware
from advisor.verify.overfit import mark
from tests.verify.jobs import TINY_DECODER, decoder_job

MIB, GIB = 2**20, 2**30
MACHINE = Hardware("CPU", 16, 128, 120, (Gpu("GPU-1", "H100", 80, 79, "9.0"),), driver="580.1")
CASE = {"model": "gpt2", "optimizer": "adamw", "precision": "bf16", "checkpointing": True, "lora": True}
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def truth(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import memory_truth

    return memory_truth


def test_without_a_gpu_it_says_that_it_needs_one(truth: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["memory_truth.py"])
    monkeypatch.setattr(truth, "detect", lambda: Hardware("CPU", 2, 16, 8, gpu_reason="no NVIDIA driver is installed"))
    assert truth.main() == 2
    assert "compares with a real GPU: this needs an NVIDIA GPU: no NVIDIA driver is installed" in capsys.readouterr().err


def test_it_takes_every_model_first_and_every_setting_in_time(truth: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(truth, "find_spec", lambda name: None)
    assert {case["optimizer"] for case in truth.cases(10_000)} == {"adamw", "sgd", "adafactor"}, "no 32-bit states in place of 8-bit ones"
    monkeypatch.setattr(truth, "find_spec", lambda name: name)
    chosen = truth.cases(truth.MOST)
    assert len(truth.MODELS) >= 12
    assert {case["model"] for case in chosen[: len(truth.MODELS)]} == set(truth.MODELS)
    for setting in ("optimizer", "precision", "checkpointing", "lora"):
        assert len({case[setting] for case in chosen}) == len({case[setting] for case in truth.cases(10_000)}) > 1


def test_what_it_would_run_is_predicted(truth: Any) -> None:
    from advisor.verify.memory import predict_training_memory

    memory, trainable = predict_training_memory(truth.job_of(CASE | {"optimizer": "adamw_8bit"}))
    assert memory is not None
    assert 0 < trainable < memory.total


def test_what_it_would_run_trains(truth: Any) -> None:
    """On the CPU, and far smaller; by the same lines as on a GPU."""
    job = decoder_job(
        TINY_DECODER, model={"adaptation": "lora"}, precision="bf16", activation_checkpointing=True, lora={"rank": 4, "alpha": 8}
    )
    trainer = truth.Trainer(job, "cpu")
    before = mark(trainer.model)
    trainer.train(2)
    moved = {name for name, bits in mark(trainer.model).items() if bits != before[name]}
    assert moved and all("lora_" in name for name in moved)
    with pytest.raises(RuntimeError, match="adamw_8bit ran as adamw"):
        truth.Trainer(decoder_job(TINY_DECODER, optimizer={"name": "adamw_8bit", "learning_rate": 1e-3}), "cpu")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda case: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda case: os._exit(1), "the process died"),
        (lambda case: time.sleep(60), "not finished in 0.5 s"),
    ],
)
def test_a_run_that_goes_wrong_does_not_end_the_others(truth: Any, monkeypatch: pytest.MonkeyPatch, fault: Any, words: str) -> None:
    monkeypatch.setattr(truth, "run", fault)
    monkeypatch.setattr(truth, "TIME_LIMIT_S", 0.5 if "finished" in words else 60.0)
    assert truth.run_apart(CASE) == words


def test_the_whole_of_it_leaves_a_table_and_the_last_line(
    truth: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter(
        [truth.Result(live=110 * MIB, total=200 * MIB, high=210 * MIB, allocated=100 * MIB, process=205 * MIB), "OutOfMemoryError"]
    )
    monkeypatch.setattr(truth, "detect", lambda: MACHINE)
    monkeypatch.setattr(truth, "what_is_lacking", lambda hardware: None)
    monkeypatch.setattr(truth, "import_without_compiler", lambda libraries: None)
    monkeypatch.setattr(truth, "run_apart", lambda case: next(answers))
    monkeypatch.setenv(truth.NVML_ANSWERS, "1")
    monkeypatch.setattr(sys, "argv", ["memory_truth.py", "--most", "2", "--out", str(tmp_path / "new" / "table.md")])
    assert truth.main() == 0
    written = (tmp_path / "new" / "table.md").read_text(encoding="utf-8")
    assert (
        "1 x H100, 80.0 GiB, compute capability 9.0, driver 580.1" in written and f"torch {torch.__version__.partition('+')[0]}" in written
    )
    assert "| 100 | 110 | +10.0% | 205 | 200 | -2.4% | kept |" in written
    assert "- not run: " in written and ": OutOfMemoryError" in written
    last = "live median 10.00% p90 10.00% process median 2.44% p90 2.44% cap-exceeded 0.0% n=1"
    assert written.splitlines()[-1] == capsys.readouterr().out.splitlines()[-1] == last


def test_the_last_line_has_the_figures(truth: Any) -> None:
    results = [truth.Result(live=110, total=200, high=210, allocated=100, process=205),
               truth.Result(live=100, total=190, high=195, allocated=100, process=200)]  # fmt: skip
    assert truth.last_line(results) == "live median 5.00% p90 10.00% process median 3.72% p90 5.00% cap-exceeded 50.0% n=2"


def test_what_the_process_takes_is_asked_of_nvml_by_its_number_or_by_what_is_gone(truth: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (gpu,) = MACHINE.gpus
    listed = [SimpleNamespace(pid=os.getpid(), usedGpuMemory=3 * GIB)]
    monkeypatch.setattr("pynvml.nvmlInit", lambda: None)
    monkeypatch.setattr("pynvml.nvmlDeviceGetHandleByUUID", lambda uuid: uuid)
    monkeypatch.setattr("pynvml.nvmlDeviceGetComputeRunningProcesses", lambda handle: listed)
    monkeypatch.setattr("pynvml.nvmlDeviceGetMemoryInfo", lambda handle: SimpleNamespace(free=75 * GIB))
    assert truth.process_bytes(gpu) == 3 * GIB
    listed.clear()  # as in a container
    assert truth.process_bytes(gpu) == 4 * GIB

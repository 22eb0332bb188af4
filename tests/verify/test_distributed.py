"""Data-parallel training: two processes over gloo end with the same weights, and what breaks that is found."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from advisor.verify.distributed import check_distributed
from advisor.verify.evidence import SmokeCheck, Target
from advisor.verify.hardware import Gpu, Hardware
from tests.verify.jobs import mlp_job

_ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_two_processes_train_as_one_and_those_that_do_not_are_found() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.verify.train_together"],
        cwd=_ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    sound, forgotten, unused, late = (SmokeCheck.model_validate_json(line) for line in done.stdout.splitlines() if line.startswith("{"))
    assert sound.status == "passed" and "2 processes on cpu, 2 steps" in sound.detail, sound
    assert forgotten.status == "failed" and "their gradients are not shared" in forgotten.detail, forgotten
    assert unused.status == "failed" and "parameters that were not used" in unused.detail, unused
    assert late.status == "skipped" and "in the time" in late.detail, late


def test_a_machine_with_too_few_gpus_says_so_and_one_device_needs_no_check() -> None:
    job = mlp_job(batch={"per_device": 8, "devices": 4, "effective": 32}).model_copy(update={"target": Target(kind="multi_gpu")})
    none = check_distributed(job, Hardware("CPU", 2, 16, 8, gpu_reason="no NVIDIA driver is installed"), math.inf)
    assert none is not None and none.status == "skipped"
    assert none.detail == "the recipe trains on 4 devices, and this machine has no GPU (no NVIDIA driver is installed)"
    one = check_distributed(job, Hardware("CPU", 2, 16, 8, (Gpu("GPU-1", "A100", 80, 70, "8.0"),)), math.inf)
    assert one is not None and one.detail.endswith("this machine has one GPU")
    assert check_distributed(mlp_job(), Hardware("CPU", 2, 16, 8), math.inf) is None

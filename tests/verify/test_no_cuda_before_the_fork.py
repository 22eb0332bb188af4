"""A process forked after CUDA started has none: nothing that the launcher imports may start it, or ask the driver for it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from advisor.verify import libraries
from advisor.verify.evidence import Target
from advisor.verify.hardware import Gpu, Hardware
from advisor.verify.light_imports import NVML_ANSWERS
from advisor.verify.placing import choose_device
from advisor.verify.sandbox import environment
from tests.verify.jobs import mlp_job

IMPORT_ALL_AND_FORK = """
import os, sys
from advisor.verify.libraries import import_for
for check in ("static", "smoke", "deploy"):
    import_for(sys.argv[1:], check, ())
import torch
if os.fork() == 0:
    print("lost" if torch.cuda._is_in_bad_fork() else "kept", flush=True)
    os._exit(0)
os.wait()
"""


def import_and_fork(*libraries: str, **changes: str | None) -> str:
    """Whether a process forked after the launcher imported these libraries could still use CUDA."""
    # no GPU is shown, so that NVML's answer is the same with and without a driver
    wanted = {**environment(1), "CUDA_VISIBLE_DEVICES": "", **changes}
    variables = {name: value for name, value in wanted.items() if value is not None}
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL_AND_FORK, *libraries], env=variables, capture_output=True, text=True, check=True
    )
    return done.stdout.split()[-1]


@pytest.mark.slow
def test_no_library_that_the_launcher_imports_takes_cuda_from_its_checks() -> None:
    assert import_and_fork(*libraries.MODULES) == "kept"
    assert import_and_fork("diffusers", **{NVML_ANSWERS: None}) == "lost", "the test can fail: diffusers asks when imported"


def test_what_starts_cuda_when_imported_is_left_to_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(libraries._STARTS_CUDA, "peft", "yaml")
    assert libraries.starts_cuda("peft") and not libraries.starts_cuda("timm")
    monkeypatch.setitem(libraries._STARTS_CUDA, "peft", "that_nobody_installed")
    assert not libraries.starts_cuda("peft")


def test_a_gpu_that_was_lost_to_an_import_is_said_and_the_cpu_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda._is_in_bad_fork", lambda: True)
    monkeypatch.setitem(os.environ, "CUDA_VISIBLE_DEVICES", "")
    job = mlp_job().model_copy(update={"target": Target(kind="gpu")})
    device, _, _, said = choose_device(job, Hardware("CPU", 2, 16, 8, (Gpu("GPU-1", "RTX 3060", 12, 11, "8.6"),)))
    assert device.type == "cpu" and "has started CUDA, and its RTX 3060 is lost to this one" in said[0]

"""The table of the examples on a GPU: one example's fault costs no other's row, and what is below it says why."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from advisor import Report
from advisor.report import Check
from advisor.verify.hardware import Gpu, Hardware
from advisor.wire import Basis, Quantity
from tests.render.reports import designed

ROOT = Path(__file__).resolve().parents[2]
MACHINE = Hardware("CPU", 16, 128, 120, (Gpu("GPU-1", "H100", 80, 79, "9.0"), Gpu("GPU-2", "H100", 80, 70, "9.0")), driver="580.1")


@pytest.fixture
def smoke(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import gpu_smoke

    return gpu_smoke


def gib(value: float) -> Quantity:
    return Quantity(value=value, unit="GiB", basis=Basis.MEASURED)


def report(*checks: Check) -> Report:
    return designed()[0].model_copy(update={"verification": list(checks)})


TRAINED = Check(
    name="smoke_train",
    status="passed",
    detail="loss from 2 to 1 in 10 steps; the model as designed",
    figures={"here: peak_memory": gib(3.0), "here: device_memory": gib(3.75)},
)


def test_a_row_has_what_was_measured_beside_what_was_predicted(smoke: Any) -> None:
    missed = Check(name="prediction.training_memory", status="failed", detail="it missed", figures={"predicted": gib(5.0)})
    row = smoke.row("defects", report(TRAINED, missed, Check(name="latency", status="failed", detail="too slow")))
    assert row.startswith("| defects | ") and row.endswith("| 1 passed, 1 failed | no | - | - | 3 | 3.75 | 5 | NO |")
    assert smoke.notes("defects", report(TRAINED, missed)) == ["defects: prediction.training_memory failed: it missed"]


def test_what_did_not_run_for_want_of_a_library_is_noted(smoke: Any) -> None:
    lacking = Check(name="smoke_train", status="skipped", detail="install advisor[diffusion]")
    beside = TRAINED.model_copy(update={"detail": "the model as designed; it ran on this machine's CPU: its H100 has only 1.0 GiB free"})
    other = Check(name="smoke.targets_fit", status="skipped", detail="any value may be a target")
    assert smoke.notes("x", report(lacking, other)) == ["x: smoke_train skipped: install advisor[diffusion]"]
    assert len(smoke.notes("x", report(beside, other))) == 1


def test_memory_is_missed_on_any_of_the_gpus(smoke: Any) -> None:
    after = Hardware("CPU", 16, 128, 120, (MACHINE.gpus[0], Gpu("GPU-2", "H100", 80, 68.5, "9.0")))
    assert smoke.left_behind(MACHINE, MACHINE) == 0
    assert smoke.left_behind(MACHINE, after) == 1.5
    assert smoke.left_behind(MACHINE, Hardware("CPU", 16, 128, 120)) == 149, "both were lost"


def test_an_example_that_breaks_costs_no_other_its_row(
    smoke: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def design(request: Any, *_: Any, **__: Any) -> Report:
        if "forecasting" in str(request):
            raise ValueError("a defect")
        return report(TRAINED)

    monkeypatch.setattr(smoke, "detect", lambda: MACHINE)
    monkeypatch.setattr(smoke, "what_is_lacking", lambda hardware: None)
    monkeypatch.setattr(smoke, "design", design)
    names = [str(ROOT / "examples" / f"{name}.yaml") for name in ("sales", "defects")]
    monkeypatch.setattr(sys, "argv", ["gpu_smoke.py", *names, "--out", str(tmp_path / "table.md")])
    assert smoke.main() == 0
    written = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "- sales: ValueError: a defect" in written and "| defects | " in written
    assert "2 x H100, 80.0 GiB, compute capability 9.0, driver 580.1" in written
    assert written.splitlines()[-1] == capsys.readouterr().out.splitlines()[-1] == "GPU memory not given back: 0.00 GiB"
    monkeypatch.setattr(sys, "argv", ["gpu_smoke.py", *names, "--minutes", "-1"])
    assert smoke.main() == 0
    assert "- defects: not reached in -1 minutes" in capsys.readouterr().out


def test_without_a_gpu_it_says_so_and_ends_with_two(
    smoke: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(smoke, "detect", lambda: Hardware("CPU", 2, 16, 8, gpu_reason="no NVIDIA driver is installed"))
    monkeypatch.setattr(sys, "argv", ["gpu_smoke.py"])
    assert smoke.main() == 2
    assert "needs an NVIDIA GPU: no NVIDIA driver is installed; nothing was measured" in capsys.readouterr().err

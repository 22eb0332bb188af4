"""Projects in other frameworks than plain PyTorch: which one a request gets, what it is told, and that they run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from advisor import Report, design, scaffold
from advisor.cli.main import main
from advisor.scaffolding.frameworks import EVERY
from advisor.scaffolding.project import notes_on_framework, project_texts
from tests.conftest import EXAMPLES
from tests.scaffolding.test_projects import kill_and_go_on

PROJECTS = [("defects", "Lightning"), ("many_series", "Lightning")]


def asked(example: str, framework: str) -> dict[str, Any]:
    request = yaml.safe_load((EXAMPLES / f"{example}.yaml").read_text(encoding="utf-8"))
    return {**request, "existingSetup": {**request.get("existingSetup", {}), "framework": framework}}


def designed(example: str, framework: str) -> Report:
    return design(asked(example, framework), "none")


@pytest.mark.parametrize(("example", "framework"), PROJECTS)
def test_the_settings_are_the_reports_recipe_in_every_framework(example: str, framework: str) -> None:
    report = designed(example, framework)
    assert yaml.safe_load(project_texts(report)["config.yaml"])["recipe"] == report.to_wire()["recipe"]


@pytest.mark.parametrize(("example", "framework"), PROJECTS)
def test_the_scripts_are_of_a_length_to_be_read(example: str, framework: str) -> None:
    texts = project_texts(designed(example, framework))
    assert max(len(text.splitlines()) for name, text in texts.items() if name.endswith(".py")) <= 310


def test_every_project_is_formatted_and_linted_clean(tmp_path: Path) -> None:
    for example, framework in PROJECTS:
        scaffold(designed(example, framework), tmp_path / f"{example}-{framework}")
    for command in (["check"], ["format", "--check"]):
        found = subprocess.run([sys.executable, "-m", "ruff", *command, str(tmp_path)], capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(("example", "framework"), PROJECTS)
def test_the_report_shows_the_core_in_the_framework_asked_for(example: str, framework: str) -> None:
    report = designed(example, framework)
    assert report.model_design is not None
    assert report.model_design.code_framework is not None
    assert report.model_design.code_framework.startswith(project_texts(report)["task.py"])


def test_a_lightning_project_is_a_lightning_module_and_its_trainer() -> None:
    texts = project_texts(designed("defects", "PyTorch Lightning"))
    assert "(pl.LightningModule)" in texts["train.py"]
    assert "pl.Trainer(" in texts["train.py"]
    assert "pytorch-lightning==" in texts["requirements.txt"]
    assert notes_on_framework(designed("defects", "PyTorch Lightning")) == []


def test_a_project_in_another_framework_than_asked_for_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "request.yaml"
    path.write_text(yaml.safe_dump(asked("robot", "Lightning")), encoding="utf-8")
    assert main(["scaffold", str(path), "-o", str(tmp_path / "project")]) == 0
    readme = (tmp_path / "project" / "README.md").read_text(encoding="utf-8")
    for said in (capsys.readouterr().out, readme):
        assert "names Lightning" in said
        assert "written in PyTorch" in said


def test_no_two_families_cover_a_design_in_the_same_framework() -> None:
    covered = [
        (family.framework, task, library, one)
        for family in EVERY
        for task in family.tasks
        for library in family.library
        for one in family.adaptations or ("",)
    ]
    assert len(covered) == len(set(covered))


# Dies while its fourth checkpoint is written.
KILLED_LIGHTNING = """
import os, signal, sys
from fsspec.implementations.local import LocalFileOpener
commit, commits = LocalFileOpener.commit, []
def dying(self):
    commits.append(self)
    if len(commits) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    commit(self)
LocalFileOpener.commit = dying
sys.argv = ["train.py", "--smoke"]
import train
train.main()
"""

LIGHTNING = """
import runpy, sys, torch
for name, *further in (["train", "--resume"], ["evaluate"], ["export"], ["train", "--output", "runs/whole"], ["tune"]):
    sys.argv = [f"{name}.py", "--smoke", *further]
    runpy.run_path(f"{name}.py", run_name="__main__")
resumed, whole = (torch.load(f"runs/{run}/last.ckpt", weights_only=True) for run in ("smoke", "whole"))
for part in {"state_dict", "current_model_state"} & set(whole):
    assert all(torch.equal(resumed[part][name], tensor) for name, tensor in whole[part].items()), "a resumed run ends elsewhere"
"""


@pytest.mark.slow
def test_a_lightning_project_survives_a_kill_and_then_evaluates_exports_and_tunes(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    scaffold(designed("defects", "Lightning"), folder)
    settings = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    settings["recipe"]["ema"] = 0.9  # which makes Lightning keep two sets of weights
    (folder / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    made = kill_and_go_on(KILLED_LIGHTNING, LIGHTNING, folder)
    assert {"best.ckpt", "last.ckpt", "tensorboard", "evaluation.json", "model.pt2", "model.onnx"} <= made
    assert (folder / "runs" / "smoke-tune" / "best.yaml").is_file()


@pytest.mark.slow
def test_every_project_type_checks(tmp_path: Path) -> None:
    for example, framework in PROJECTS:
        folder = tmp_path / f"{example}-{framework}"
        scaffold(designed(example, framework), folder)
        command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), "."]
        found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert found.returncode == 0, f"{example} in {framework}: {found.stdout}"

"""A project of each family as its user meets it: killed in the middle of a checkpoint, resumed, evaluated, exported, tuned."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from advisor import design, scaffold
from tests.conftest import EXAMPLES
from tests.scaffolding.variants import VARIANTS, design_variant

TRAINED = (
    "defects",
    "tickets",
    "token_classification",
    "llm",
    "wide_table",
    "many_series",
    "graph_classification",
    "keyword_spotting",
    "audio_classification",
    "dictation",
    "speech_recognition",
    "semantic_segmentation",
    "volume_segmentation",
    "detection",
    "image_generation",
)

# Dies as a process that is killed does, with half of its fourth checkpoint written.
KILLED = """
import os, pathlib, signal, sys, torch
save, saves = torch.save, []
def dying(state, path):
    saves.append(path)
    if len(saves) == 4:
        pathlib.Path(path).write_bytes(b"half a checkpoint")
        os.kill(os.getpid(), signal.SIGKILL)
    save(state, path)
torch.save = dying
sys.argv = ["train.py", "--smoke"]
import train
train.main()
"""

# The scripts one after the other in one process, which imports their libraries once.
ONWARD = """
import runpy, sys, torch
for name, *further in (["train", "--resume"], ["evaluate"], ["export"], ["train", "--output", "runs/whole"], ["tune"]):
    sys.argv = [f"{name}.py", "--smoke", *further]
    runpy.run_path(f"{name}.py", run_name="__main__")
resumed, whole = (torch.load(f"runs/{run}/last.pt", weights_only=True)["model"] for run in ("smoke", "whole"))
assert all(torch.equal(resumed[name], tensor) for name, tensor in whole.items()), "a resumed run ends elsewhere"
"""


def write_project(example: str, folder: Path) -> Path:
    scaffold(design(EXAMPLES / f"{example}.yaml", "none"), folder)
    return folder


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run([sys.executable, "-c", code], cwd=folder, env=settings, capture_output=True, text=True, timeout=600, check=False)


def kill_and_go_on(dying: str, onward: str, folder: Path) -> set[str]:
    """A run that dies half-way, and every script after it; returns the names of the files that this made."""
    killed = run(dying, folder)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    after = run(onward, folder)
    assert after.returncode == 0, after.stderr[-3000:]
    assert "resumed at step" in after.stdout
    return {path.name for path in (folder / "runs" / "smoke").iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("example", TRAINED)
def test_a_project_survives_a_kill_and_then_evaluates_exports_and_tunes(example: str, tmp_path: Path) -> None:
    folder = write_project(example, tmp_path / "project")
    made = kill_and_go_on(KILLED, ONWARD, folder)
    assert {"best.pt", "last.pt", "tensorboard", "evaluation.json"} <= made
    metric = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["project"]["watch"]
    assert metric in json.loads((folder / "runs" / "smoke" / "evaluation.json").read_text(encoding="utf-8"))
    assert (folder / "runs" / "smoke-tune" / "best.yaml").is_file()


IN_CONTEXT = """
import runpy, sys
for name in ("train", "evaluate", "export"):
    sys.argv = [f"{name}.py", "--smoke"]
    runpy.run_path(f"{name}.py", run_name="__main__")
"""


@pytest.mark.slow
def test_a_model_in_context_is_fitted_evaluated_and_exported(tmp_path: Path) -> None:
    folder = write_project("tabular", tmp_path / "project")
    done = run(IN_CONTEXT, folder)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((folder / "runs" / "smoke" / "evaluation.json").read_text(encoding="utf-8"))
    assert "macro_f1" in found
    assert "confusion_matrix" in found


AGENT = """
import runpy, sys
for name, *further in (["train", "--resume"], ["evaluate"], ["export"], ["tune"]):
    sys.argv = [f"{name}.py", "--smoke", *further]
    runpy.run_path(f"{name}.py", run_name="__main__")
"""

# Dies with half of its fourth checkpoint of the agent written.
KILLED_AGENT = """
import os, pathlib, signal, sys
from stable_baselines3.common.base_class import BaseAlgorithm
save, saves = BaseAlgorithm.save, []
def dying(self, path, *further):
    saves.append(path)
    if len(saves) == 4:
        pathlib.Path(path).write_bytes(b"half a checkpoint")
        os.kill(os.getpid(), signal.SIGKILL)
    save(self, path, *further)
BaseAlgorithm.save = dying
sys.argv = ["train.py", "--smoke"]
import train
train.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("example", ["robot", "atari"])
def test_an_agent_survives_a_kill_and_then_evaluates_exports_and_tunes(example: str, tmp_path: Path) -> None:
    folder = write_project(example, tmp_path / "project")
    assert {"best.zip", "last.zip", "evaluation.json", "model.pt2"} <= kill_and_go_on(KILLED_AGENT, AGENT, folder)


# The scripts of several projects in one process.
VARIED = """
import os, runpy, sys
for folder in sys.argv[1:]:
    os.chdir(folder)
    sys.path[0] = folder
    for module in [name for name, one in sys.modules.items() if str(getattr(one, "__file__", "")).startswith(os.path.dirname(folder))]:
        del sys.modules[module]
    for name in ("train", "evaluate"):
        sys.argv = [f"{name}.py", "--smoke"]
        runpy.run_path(f"{name}.py", run_name="__main__")
"""


@pytest.mark.slow
def test_projects_of_other_models_train_and_evaluate(tmp_path: Path) -> None:
    folders = [str(tmp_path / variant) for variant in VARIANTS]
    for variant in VARIANTS:
        scaffold(design_variant(variant), tmp_path / variant)
    done = run(f"import sys; sys.argv[1:] = {folders!r}\n{VARIED}", tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert all((tmp_path / variant / "runs" / "smoke" / "evaluation.json").is_file() for variant in VARIANTS)


@pytest.mark.slow
def test_every_project_type_checks(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    projects = {name: write_project(name, tmp_path / name) for name in (*TRAINED, "tabular", "robot")}
    for variant in VARIANTS:
        scaffold(design_variant(variant), tmp_path / variant)
        projects[variant] = tmp_path / variant
    for name, folder in projects.items():
        command = [sys.executable, "-m", "mypy", "--cache-dir", str(cache), "."]
        found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert found.returncode == 0, f"{name}: {found.stdout}"

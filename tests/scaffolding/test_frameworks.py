"""Projects in other frameworks than plain PyTorch: which one a request gets, what it is told, and that they run."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from advisor import Report, design, scaffold
from advisor.cli.main import main
from advisor.scaffolding.families import FAMILIES
from advisor.scaffolding.frameworks import EVERY
from advisor.scaffolding.project import notes_on_framework, project_texts
from tests.conftest import EXAMPLES
from tests.scaffolding.test_projects import kill_and_go_on, run

PROJECTS = [
    ("defects", "Lightning"),
    ("many_series", "Lightning"),
    ("defects", "TensorFlow"),
    ("image_regression", "Keras"),
    ("wide_table", "Keras"),
    ("defects", "JAX"),
    ("image_regression", "JAX"),
    ("wide_table", "JAX"),
]


def asked(example: str, framework: str) -> dict[str, Any]:
    request = yaml.safe_load((EXAMPLES / f"{example}.yaml").read_text(encoding="utf-8"))
    return {**request, "existingSetup": {**request.get("existingSetup", {}), "framework": framework}}


@cache
def designed(example: str, framework: str) -> Report:
    return design(asked(example, framework), "none")


def a_perceptron(framework: str) -> Report:
    request = asked("wide_table", framework)
    return design({**request, "existingSetup": {"framework": framework, "baseModel": "MLP"}}, "none")


def with_model(report: Report, name: str) -> Report:
    wire = report.to_wire()
    wire["recipe"]["model"]["id"] = name
    return Report.model_validate(wire)


def project_of(report: Report, folder: Path) -> Path:
    scaffold(report, folder)
    return folder


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


def test_every_family_that_is_trained_has_its_lightning_project() -> None:
    trained = {family.name for family in FAMILIES if family.skeleton == "training"}
    assert {family.name for family in EVERY if family.framework == "lightning"} == trained


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


def test_a_keras_project_trains_the_designs_network_where_keras_has_it() -> None:
    report = designed("defects", "TensorFlow")
    texts = project_texts(report)
    assert yaml.safe_load(texts["config.yaml"])["architecture"] == {"module": "convnext", "factory": "ConvNeXtTiny"}
    assert {"keras", "tensorflow"} <= {line.partition("==")[0] for line in texts["requirements.txt"].splitlines()}
    assert "torch" not in texts["requirements.txt"]
    notes = " ".join(notes_on_framework(report))
    assert "the architecture of the design's convnext_tiny.in12k_ft_in1k" in notes
    assert "drop path" in notes


def test_what_a_keras_project_leaves_out_is_not_searched() -> None:
    space = yaml.safe_load(project_texts(designed("defects", "TensorFlow"))["config.yaml"])["search"]["space"]
    assert space
    assert not any("drop_path" in path for path in space)


@pytest.mark.parametrize(
    ("framework", "name", "instead"),
    [
        ("TensorFlow", "vit_base_patch16_224.augreg_in21k_ft_in1k", "ConvNeXtBase"),
        ("TensorFlow", "mobilenetv4_conv_small.e2400_r224_in1k", "MobileNetV3Small"),
        ("JAX", "resnet50.a1_in1k", "convnext_tiny"),
    ],
)
def test_a_model_that_the_framework_lacks_is_named_with_what_is_trained_instead(framework: str, name: str, instead: str) -> None:
    notes = notes_on_framework(with_model(designed("defects", framework), name))
    assert name in notes[0]
    assert f"trains {instead}, the nearest in parameters" in notes[0]
    assert "Name PyTorch" in notes[0]


@pytest.mark.parametrize("framework", ["Keras", "JAX"])
def test_a_table_network_other_than_the_perceptron_is_named_too(framework: str) -> None:
    assert "ft_transformer is not to be had" in notes_on_framework(designed("wide_table", framework))[0]
    assert not any("not to be had" in note for note in notes_on_framework(a_perceptron(framework)))


def test_a_task_that_keras_has_no_project_for_gets_pytorch_and_is_told() -> None:
    report = designed("tickets", "TensorFlow")
    assert "import torch" in project_texts(report)["task.py"]
    assert notes_on_framework(report) == [
        "The request names TensorFlow, and there is no project in it for this kind of design: this one is written in PyTorch."
    ]


def test_the_weights_that_a_flax_network_starts_from_are_named() -> None:
    known, stranger = designed("defects", "JAX"), with_model(designed("defects", "JAX"), "resnet50.a1_in1k")
    for report in (known, stranger):
        assert yaml.safe_load(project_texts(report)["config.yaml"])["architecture"]["weights"] == "convnext_tiny.in12k_ft_in1k"
    assert "from timm's convnext_tiny.in12k_ft_in1k (licence apache-2.0)" in notes_on_framework(stranger)[0]


@pytest.mark.slow
def test_every_project_type_checks(tmp_path: Path) -> None:
    for example, framework in PROJECTS:
        folder = tmp_path / f"{example}-{framework}"
        scaffold(designed(example, framework), folder)
        command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), "."]
        found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert found.returncode == 0, f"{example} in {framework}: {found.stdout}"


# Dies with half of its fourth checkpoint written.
KILLED_ARRAYS = """
import os, pathlib, signal, sys
replace, moved = pathlib.Path.replace, []
def dying(self, target):
    moved.append(target)
    if len(moved) == 4:
        self.write_bytes(b"half a checkpoint")
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)
pathlib.Path.replace = dying
sys.argv = ["train.py", "--smoke"]
import train
train.main()
"""

ARRAYS = """
import runpy, sys
for name, *further in (["train", "--resume"], ["evaluate"], ["export"]):
    sys.argv = [f"{name}.py", "--smoke", *further]
    runpy.run_path(f"{name}.py", run_name="__main__")
"""

WHOLE_AND_TUNED = """
for name, *further in (["train", "--output", "runs/whole"], ["tune"]):
    sys.argv = [f"{name}.py", "--smoke", *further]
    runpy.run_path(f"{name}.py", run_name="__main__")
import numpy
"""

SAME_KERAS = """
import h5py
def read(run):
    found = {}
    with h5py.File(f"runs/{run}/last.weights.h5") as file:
        file.visititems(lambda name, one: found.update({name: one[()]}) if isinstance(one, h5py.Dataset) else None)
    return found
resumed, whole = read("smoke"), read("whole")
assert whole and all(numpy.array_equal(resumed[name], one) for name, one in whole.items()), "a resumed run ends elsewhere"
"""

SAME_JAX = """
resumed, whole = numpy.load("runs/smoke/last.npz"), numpy.load("runs/whole/last.npz")
assert all(numpy.array_equal(resumed[name], one) for name, one in whole.items()), "a resumed run ends elsewhere"
"""


@pytest.fixture
def small_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras on PyTorch, and XLA without the optimizations that take most of a short run."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")


@pytest.mark.slow
@pytest.mark.usefixtures("small_backends")
@pytest.mark.parametrize(
    ("framework", "same", "made"),
    [("Keras", SAME_KERAS, {"best.weights.h5", "model.keras", "model.onnx"}), ("JAX", SAME_JAX, {"best.npz", "model.stablehlo"})],
)
def test_a_project_for_tables_ends_as_if_it_had_not_been_killed(framework: str, same: str, made: set[str], tmp_path: Path) -> None:
    folder = project_of(a_perceptron(framework), tmp_path / "project")
    assert made | {"tensorboard", "evaluation.json"} <= kill_and_go_on(KILLED_ARRAYS, ARRAYS + WHOLE_AND_TUNED + same, folder)
    assert (folder / "runs" / "smoke-tune" / "best.yaml").is_file()


@pytest.mark.slow
@pytest.mark.usefixtures("small_backends")
@pytest.mark.parametrize(("framework", "made"), [("Keras", {"model.keras", "model.onnx"}), ("JAX", {"model.stablehlo"})])
def test_a_project_for_images_survives_a_kill_and_then_evaluates_and_exports(framework: str, made: set[str], tmp_path: Path) -> None:
    folder = project_of(designed("defects", framework), tmp_path / "project")
    assert made | {"tensorboard", "evaluation.json"} <= kill_and_go_on(KILLED_ARRAYS, ARRAYS, folder)


# The written-out network beside timm's own, with timm's weights in both.
BESIDE_TIMM = """
import jax, sys, numpy, torch
from flax import nnx
from network import Network, depth_of, layers_of, take_weights
kind = sys.argv[1]
torch.manual_seed(0)
if kind == "vit":
    from timm.models.vision_transformer import VisionTransformer
    theirs = VisionTransformer(img_size=32, patch_size=16, embed_dim=16, depth=2, num_heads=2, num_classes=3)
    shape = {"patch": 16, "width": 16, "depth": 2, "heads": 2, "imageSize": 32}
else:
    from timm.models.convnext import ConvNeXt
    theirs = ConvNeXt(depths=(1, 2, 1, 1), dims=(8, 12, 16, 20), num_classes=3)
    shape = {"depths": [1, 2, 1, 1], "widths": [8, 12, 16, 20]}
for parameter in theirs.parameters():
    torch.nn.init.normal_(parameter, std=0.2)
ours = Network({**shape, "mean": [0.5] * 3, "std": [0.25] * 3}, 3, 0.1, 0.1, {"rngs": nnx.Rngs(0)})
take_weights(ours, {name: tensor.numpy() for name, tensor in theirs.state_dict().items()})
images = numpy.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(numpy.float32)
expected = theirs.eval()((torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25).detach().numpy()
difference = numpy.abs(numpy.asarray(ours(images)) - expected).max() / numpy.abs(expected).max()
assert difference < 1e-4, difference
places = [place for place, _ in jax.tree_util.tree_leaves_with_path(nnx.state(ours, nnx.Param))]
depths = [depth_of(jax.tree_util.keystr(place, simple=True, separator="."), shape) for place in places]
assert set(depths) == set(range(layers_of(shape) + 1)), depths
"""


@pytest.mark.slow
@pytest.mark.usefixtures("small_backends")
@pytest.mark.parametrize(
    ("kind", "name"), [("convnext", "convnext_tiny.in12k_ft_in1k"), ("vit", "vit_tiny_patch16_224.augreg_in21k_ft_in1k")]
)
def test_the_network_in_flax_says_what_timms_says_with_timms_weights(kind: str, name: str, tmp_path: Path) -> None:
    folder = project_of(with_model(designed("defects", "JAX"), name), tmp_path / "project")
    done = run(BESIDE_TIMM.replace("sys.argv[1]", repr(kind)), folder)
    assert done.returncode == 0, done.stderr[-3000:]


LAYER_DECAY = """
from settings import read_settings
from task import build_model, rate_scales
settings = read_settings()
settings["recipe"]["model"]["pretrained"] = False
scales = sorted({scale for scale, _ in rate_scales(build_model(settings), settings)})
steps = [round(after / before, 6) for before, after in zip(scales, scales[1:])]
assert scales[-1] == 1.0 and len(scales) > 18, scales
assert set(steps) == {1 / 0.8}, steps
"""


@pytest.mark.slow
@pytest.mark.usefixtures("small_backends")
def test_keras_layer_decay_lowers_the_rate_from_block_to_block(tmp_path: Path) -> None:
    done = run(LAYER_DECAY, project_of(designed("defects", "Keras"), tmp_path / "project"))
    assert done.returncode == 0, done.stderr[-3000:]

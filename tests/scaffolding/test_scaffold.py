"""What a project's files say, where they are written, and what is refused."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from advisor import Report, design, scaffold
from advisor.cli.main import main
from advisor.errors import UsageError
from advisor.scaffolding.families import FAMILIES
from advisor.scaffolding.frameworks import family_for
from advisor.scaffolding.project import project_texts
from tests.conftest import EXAMPLES
from tests.render.reports import ATTACK
from tests.scaffolding.variants import VARIANTS, design_variant

FILES = {"train.py", "evaluate.py", "export.py", "tune.py", "task.py", "config.yaml", "requirements.txt", "README.md", "model_card.md"}


def covered_examples() -> list[str]:
    """Every example whose design has a project."""
    reports = {path.stem: design(path, "none") for path in sorted(EXAMPLES.glob("*.yaml"))}
    return [name for name, report in reports.items() if report.recipe and family_for(report.recipe, kind_of(report), {})]


def kind_of(report: Report) -> str:
    return next(str(fact.value) for fact in report.facts if fact.fact == "task.kind")


COVERED = covered_examples()


@pytest.fixture
def report() -> Report:
    return design(EXAMPLES / "defects.yaml", "none")


@pytest.mark.parametrize("example", COVERED)
def test_the_settings_are_the_reports_recipe(example: str) -> None:
    report = design(EXAMPLES / f"{example}.yaml", "none")
    assert yaml.safe_load(project_texts(report)["config.yaml"])["recipe"] == report.to_wire()["recipe"]


def test_every_family_has_an_example() -> None:
    reports = [design(EXAMPLES / f"{name}.yaml", "none") for name in COVERED]
    families = {family_for(report.recipe, kind_of(report), {}) for report in reports if report.recipe}
    assert families == set(FAMILIES)


def test_every_project_is_formatted_and_linted_clean(tmp_path: Path) -> None:
    for example in COVERED:
        scaffold(design(EXAMPLES / f"{example}.yaml", "none"), tmp_path / example)
    for variant in VARIANTS:
        scaffold(design_variant(variant), tmp_path / variant)
    for command in (["check"], ["format", "--check"]):
        found = subprocess.run([sys.executable, "-m", "ruff", *command, str(tmp_path)], capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    ("variant", "part"),
    [
        ("many_sounds", "binary_cross_entropy_with_logits"),
        ("waveforms", "freeze_feature_encoder()"),
        ("features", "SeamlessM4TFeatureExtractor"),
        ("segformer", 'BACKBONE = "segformer."'),
        ("unet", "smp.Unet("),
        ("lraspp", "segmentation.lraspp_mobilenet_v3_large("),
        ("rt_detr", "NORMALIZES = False"),
        ("yolos", "softmax(-1)"),
        ("sdxl", "StableDiffusionXLPipeline.save_lora_weights"),
        ("pixels", ".merge_and_unload()"),
    ],
)
def test_a_project_has_the_code_that_its_design_asks_for(variant: str, part: str) -> None:
    assert part in project_texts(design_variant(variant))["task.py"]


@pytest.mark.parametrize("example", COVERED)
def test_the_scripts_are_of_a_length_to_be_read(example: str) -> None:
    texts = project_texts(design(EXAMPLES / f"{example}.yaml", "none"))
    assert max(len(text.splitlines()) for name, text in texts.items() if name.endswith(".py")) <= 310


@pytest.mark.parametrize("example", COVERED)
def test_the_report_shows_the_core_of_the_project(example: str) -> None:
    report = design(EXAMPLES / f"{example}.yaml", "none")
    code = report.model_design.code_framework if report.model_design else None
    assert code is not None
    ast.parse(code)
    assert code.startswith(project_texts(report)["task.py"])
    if report.recipe and report.recipe.input.kind != "observation" and report.recipe.optimizer.name != "none":
        assert "def make_optimizer" in code
        assert "def rate_factor" in code


def test_the_requirements_are_pinned_to_tested_versions(report: Report) -> None:
    lines = project_texts(report)["requirements.txt"].splitlines()
    assert {"timm", "torch", "optuna", "tensorboard"} <= {line.partition("==")[0] for line in lines}
    assert all("==" in line for line in lines)


def test_a_folder_that_is_not_empty_is_left_alone_without_force(report: Report, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="not empty"):
        scaffold(report, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]
    assert (tmp_path / "train.py").read_text(encoding="utf-8") == "mine"
    scaffold(report, tmp_path, force=True)
    assert (tmp_path / "train.py").read_text(encoding="utf-8") != "mine"


def test_force_replaces_a_link_and_not_what_it_points_at(report: Report, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("mine", encoding="utf-8")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "train.py").symlink_to(outside)
    scaffold(report, tmp_path / "project", force=True)
    assert outside.read_text(encoding="utf-8") == "mine"


def test_a_report_that_is_no_design_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs_input"):
        scaffold(design(EXAMPLES / "missing.yaml", "none"), tmp_path / "project")
    assert not (tmp_path / "project").exists()


def test_a_kind_that_no_family_covers_is_refused_with_what_is_covered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scaffold", str(EXAMPLES / "image_captioning.yaml"), "-o", str(tmp_path / "project")]) == 2
    said = capsys.readouterr().err
    assert "image captioning" in said
    assert "timm" in said
    assert not (tmp_path / "project").exists()


def test_the_command_takes_a_request_or_its_report(tmp_path: Path) -> None:
    request = str(EXAMPLES / "defects.yaml")
    assert main(["design", request, "--verify", "none", "-o", str(tmp_path / "report")]) == 0
    assert main(["scaffold", request, "-o", str(tmp_path / "one")]) == 0
    assert main(["scaffold", str(tmp_path / "report" / "report.json"), "-o", str(tmp_path / "two")]) == 0
    assert {path.name for path in (tmp_path / "one").iterdir()} >= FILES
    for name in FILES - {"model_card.md"}:  # a report alone does not quote the request
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_hostile_text_becomes_neither_code_nor_a_path(tmp_path: Path) -> None:
    hostile = ATTACK + '"""\nimport os\n{{ 7*7 }} {% include "x" %} ../../x' + "A" * 18_000
    request = yaml.safe_load((EXAMPLES / "defects.yaml").read_text(encoding="utf-8"))
    plain = project_texts(design(request, "none"))
    request["task"]["specificTask"] = f"defect classification of parts {hostile}"
    request["data"]["quality"] = hostile
    request["challenges"] = [hostile]
    folder = tmp_path / "deep" / "project"
    scaffold(design(request, "none"), folder)
    assert {path.name for path in folder.iterdir()} == set(plain)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.parent != folder] == []
    for name in (name for name in plain if name.endswith((".py", ".toml", ".txt"))):
        assert (folder / name).read_text(encoding="utf-8") == plain[name]


def test_hostile_words_in_a_report_stay_data(report: Report) -> None:
    wire = report.to_wire()
    wire["headline"] = wire["recipe"]["metric"] = wire["recipe"]["loss"][0]["name"] = wire["recipe"]["model"]["license"] = ATTACK
    texts = project_texts(Report.model_validate(wire))
    assert yaml.safe_load(texts["config.yaml"])["recipe"] == json.loads(json.dumps(wire["recipe"]))
    assert texts["config.yaml"].isascii()
    assert "<script>" not in texts["README.md"]
    assert all(ATTACK[:20] not in text for name, text in texts.items() if name.endswith(".py"))


def test_a_model_that_the_catalogue_does_not_know_is_refused(report: Report) -> None:
    wire = report.to_wire()
    wire["recipe"]["model"]["id"] = "../../x"
    with pytest.raises(UsageError, match="is not in this catalogue"):
        project_texts(Report.model_validate(wire))

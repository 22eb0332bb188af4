"""A faulty catalogue is refused whole, with every fault and its place."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from advisor.catalogue import load_datasets, load_devices, load_models, models, newest_date
from advisor.errors import KnowledgeError
from advisor.resources import data_folder

SHIPPED = data_folder("catalogue")


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    copy = tmp_path / "catalogue"
    shutil.copytree(SHIPPED, copy)
    return copy


def spoil(file: Path, old: str, new: str) -> int:
    """Replace the first `old` by `new`; the line on which it stands."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    return text.count("\n", 0, text.index(old)) + 1


def test_an_unknown_field_is_reported_where_it_stands(catalogue: Path) -> None:
    file = catalogue / "models" / "vision.yaml"
    line = spoil(file, "    tier: edge", "    teir: edge")
    with pytest.raises(KnowledgeError) as caught:
        load_models(catalogue)
    unknown = next(fault for fault in caught.value.faults if "unknown field" in fault.message)
    assert str(unknown).startswith(f"{file}:{line}:5: entries[0].teir")
    assert any("entries[0].tier: Field required" in str(fault) for fault in caught.value.faults)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("memory_gib: 16", 'memory_gib: "16"', "valid number"),
        ("memory_gib: 16", "memory_gib: sixteen", "valid number"),
        ("checked: 2026-11-21", "checked: 2026-13-21", "valid date"),
        ("checked: 2026-11-21", "checked: 20261121", "valid date"),
        ("kind: gpu", "kind: graphics", "'cpu', 'gpu'"),
        ("tflops: {fp32:", "tflops: {fp33:", "'fp32'"),
        ("name: NVIDIA T4", "name: NVIDIA T4\n    name: T4", "second time"),
        ("source: *datasheet", "source: *brochure", "undefined alias"),
    ],
)
def test_a_fault_in_a_value_is_refused_with_its_line(catalogue: Path, old: str, new: str, complaint: str) -> None:
    line = spoil(catalogue / "devices.yaml", old, new)
    with pytest.raises(KnowledgeError, match=complaint) as caught:
        load_devices(catalogue)
    assert [fault.place.line for fault in caught.value.faults] == [line + new.count("\n")]


def test_a_number_may_be_written_with_an_exponent(catalogue: Path) -> None:
    spoil(catalogue / "datasets.yaml", "value: 0.936", "value: 9.36e-1")
    assert load_datasets(catalogue)["imagenet-1k"].ceilings[0].value == 0.936


def test_the_faults_of_all_files_are_reported_together(catalogue: Path) -> None:
    spoil(catalogue / "models" / "text.yaml", "tier: edge", "tier: tiny")
    spoil(catalogue / "models" / "llm.yaml", "pretrained: true", "pretrained: 1")
    with pytest.raises(KnowledgeError) as caught:
        load_models(catalogue)
    assert [Path(fault.place.file).name for fault in caught.value.faults] == ["llm.yaml", "text.yaml"]


def test_an_id_is_taken_once_across_files(catalogue: Path) -> None:
    taken = next(iter(load_models(catalogue)))
    file = catalogue / "models" / "vision.yaml"
    line = spoil(file, "id: mobilenetv4_conv_small.e2400_r224_in1k", f"id: {taken}")
    with pytest.raises(KnowledgeError, match="taken by an earlier entry") as caught:
        load_models(catalogue)
    assert (caught.value.faults[0].place.file, caught.value.faults[0].place.line) == (str(file), line)


def test_a_missing_file_is_said_to_be_missing(catalogue: Path) -> None:
    (catalogue / "devices.yaml").unlink()
    with pytest.raises(KnowledgeError, match=r"devices\.yaml: no such file"):
        load_devices(catalogue)


def test_a_loaded_catalogue_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        models()["new"] = next(iter(models().values()))  # type: ignore[index]


def test_the_newest_date_is_that_of_the_last_figure_read() -> None:
    files = [SHIPPED / "devices.yaml", SHIPPED / "datasets.yaml", *(SHIPPED / "models").glob("*.yaml")]
    written = {date for file in files for date in re.findall(r"checked: ([0-9-]+)", file.read_text(encoding="utf-8"))}
    assert newest_date().isoformat() == max(written)


def test_the_catalogue_is_read_without_torch() -> None:
    script = "import sys, advisor.catalogue as c; c.newest_date(); assert not {'torch', 'timm', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2])

"""The benchmarks on timm's published results read their columns as they are written and end in the line that is asked for."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
HEADER = (
    "model,arch,img_size,infer_gmacs,infer_sps_rtx3090_amp_nhwc_pt240,infer_bs_rtx3090_amp_nhwc_pt240,"
    "infer_sps_cpu_i7_12700h_fp32_pt240_compile,infer_bs_cpu_i7_12700h_fp32_pt240_compile\n"
)
# as published: huggingface/pytorch-image-models results @aa4b5850
ROWS = "resnet18.a1_in1k,resnet18,224,1.82,,,,\nresnet18.a2_in1k,resnet18,224,1.82,5000,1024,60.5,1\ngone,semobilevit_s,256,2.0,900,256,,\n"


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import timm_table

    return timm_table


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "results.csv"
    path.write_text(HEADER + ROWS, encoding="utf-8")
    return path


def last_line(script: str, csv: Path) -> str:
    done = subprocess.run([sys.executable, str(BENCHMARKS / script), str(csv)], capture_output=True, text=True, check=True,
                          env={"PYTHONPATH": str(BENCHMARKS.parent), "PATH": ""})  # fmt: skip
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "device", "precision", "channels_last", "compiled"),
    [
        ("infer_sps_rtx4090_amp_nchw_pt291_compile", "rtx4090", "amp", False, True),
        ("infer_sps_rtx3090_amp_nhwc_pt240", "rtx3090", "amp", True, False),
        ("infer_sps_cpu_i7_12700h_fp32_pt240_compile", "cpu_i7_12700h", "fp32", False, True),
        ("infer_sps_a100_80g_bf16_nchw_pt300", "a100_80g", "bf16", False, False),
    ],
)
def test_a_column_says_its_setting(table: Any, name: str, device: str, precision: str, channels_last: bool, compiled: bool) -> None:
    [column] = table.read_columns(["arch", name, name.replace("_sps_", "_bs_")])
    assert (column.device, column.precision, column.channels_last, column.compiled) == (device, precision, channels_last, compiled)


def test_a_column_of_another_form_is_named(table: Any) -> None:
    with pytest.raises(ValueError, match="infer_sps_rtx3090_fast: not of the form"):
        table.read_columns(["infer_sps_rtx3090_fast"])


def test_throughput_counts_once_for_all_weights_of_an_architecture(table: Any, csv: Path) -> None:
    found = table.measurements(table.read_table(csv))
    assert sorted((one.picture[0], one.batch, one.images_per_second) for one in found) == [
        ("resnet18", 1, 60.5), ("resnet18", 1024, 5000.0), ("semobilevit_s", 256, 900.0),
    ]  # fmt: skip
    assert table.still_in_timm(one.picture for one in found) == [("resnet18", 224)]


def test_a_sample_takes_every_family_before_any_twice(table: Any) -> None:
    pictures = [("resnet18", 224), ("resnet34", 224), ("resnet50", 224), ("vit_tiny_patch16_224", 224)]
    sample = table.stratified(pictures, 2)
    assert {table.family(arch) for arch, _ in sample} == {"resnet", "vision_transformer"}
    assert sample == table.stratified(pictures[::-1], 2)


@pytest.mark.slow
def test_throughput_ends_in_its_figures(csv: Path) -> None:
    found = re.fullmatch(r"median ([\d.]+)% inside-interval ([\d.]+)% median-width ([\d.]+)x n=2", last_line("throughput.py", csv))
    assert found is not None
    assert 1 < float(found[3]) < 4


@pytest.mark.slow
def test_flops_end_in_the_share_that_agrees(csv: Path) -> None:
    assert last_line("flops_timm.py", csv) == "cross-check within-2% 100.0% static within-2% 100.0% n=1"

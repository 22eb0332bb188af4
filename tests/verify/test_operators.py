"""A model's operators sum to its FLOPs, and each is of the kind that its shape says."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from advisor.verify.given import given_workload
from advisor.verify.operators import operators_at, read_operators
from advisor.verify.work import KINDS

IMAGE = given_workload(["3x64x64"])


def build(name: str) -> nn.Module:
    with torch.device("meta"):
        return timm.create_model(name, **({"img_size": 64} if "vit" in name else {}))


def test_convolutions_are_told_apart_by_kernel_and_groups() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 8, 7, groups=8),
                              nn.Conv2d(8, 8, 3, groups=2))  # fmt: skip
    kinds = [work.kind for work, _ in read_operators(model, IMAGE, None)]
    assert kinds == ["dense", "pointwise", "depthwise", "large_depthwise", "grouped"]


def test_one_layer_reads_its_weights_once_and_moves_its_input_and_output() -> None:
    with torch.device("meta"):
        model = nn.Conv2d(3, 16, 3, padding=1, bias=False)
    [(work, _)] = read_operators(model, IMAGE, None)
    assert (work.moved, work.weights) == (4 * 64 * 64 * (3 + 16), 4 * 16 * 3 * 9)
    assert work.flops == 2 * 64 * 64 * 16 * 27
    assert (work.rows, work.depth, work.width) == (64 * 64, 27, 16)


@pytest.mark.parametrize(("name", "attends"), [("resnet18", False), ("vit_tiny_patch16_224", True)])
def test_half_precision_halves_what_products_move(name: str, attends: bool) -> None:
    def moved(lower: torch.dtype | None) -> int:
        works = read_operators(build(name), IMAGE, lower)
        assert {work.kind for work, _ in works} <= set(KINDS)
        assert attends == any(work.kind == "attention" for work, _ in works)
        return sum(work.moved * count for work, count in works if work.kind in ("matmul", "pointwise"))

    assert moved(torch.float16) * 2 == moved(None)


def test_a_model_that_cannot_be_run_has_no_operators() -> None:
    with torch.device("meta"):
        assert operators_at(nn.Linear(5, 5), IMAGE, "bf16") == []

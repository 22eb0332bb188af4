from __future__ import annotations

import torch
from torch import nn

from advisor.verify.arithmetic import formula_of
from advisor.verify.flops import count_passes
from advisor.verify.workload import Workload


def _passes(model: nn.Module, *shape: int) -> tuple[int, int]:
    workload = Workload(
        batch=lambda size: {"x": torch.empty(size, *shape, device="meta", requires_grad=True)},
        forward=lambda model, batch: model(batch["x"]),
        loss=lambda outputs, _: outputs.sum(),
    )
    forward, backward, _ = count_passes(model.to("meta"), workload)
    return forward, backward


def test_the_backward_pass_of_a_convolution_costs_twice_the_forward_pass_whatever_its_groups() -> None:
    for groups in (1, 4, 32):
        forward, backward = _passes(nn.Conv2d(32, 64, 3, groups=groups), 32, 20, 20)
        assert forward == 2 * 18 * 18 * 64 * (32 // groups) * 9
        assert backward == 2 * forward


def test_a_transposed_convolution_is_counted_over_its_input() -> None:
    forward, backward = _passes(nn.ConvTranspose2d(16, 8, 2, stride=2, groups=2), 16, 10, 10)
    assert forward == 2 * 10 * 10 * 16 * 4 * 4
    assert backward == 2 * forward


def test_of_a_frozen_weight_only_the_gradient_of_the_input_is_counted() -> None:
    forward, backward = _passes(nn.Conv2d(8, 8, 3, groups=8).requires_grad_(False), 8, 9, 9)
    assert backward == forward


def test_each_row_of_a_mixture_of_experts_is_multiplied_once() -> None:
    formula = formula_of(torch.ops.aten._grouped_mm.default)
    assert formula is not None
    rows, experts = torch.empty(100, 16, device="meta"), torch.empty(4, 16, 24, device="meta")
    assert formula(rows, experts) == 2 * 100 * 16 * 24
    assert formula(rows.T, torch.empty(100, 24, device="meta")) == 2 * 100 * 16 * 24, "the weights' gradient"

"""Models that decide by the values of their tensors, which `meta` tensors lack: run on the CPU over random ones, a little at a time."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from advisor.errors import CheckError
from advisor.verify.batches import Batch
from advisor.verify.workload import Workload

MOST_PARAMETERS = 200_000_000
"""What is run on real CPU tensors: beyond it a pass takes longer than an answer may."""


class DependsOnValues(CheckError):
    """The model decides by the values of its tensors."""


def with_values(workload: Workload, seed: int = 0) -> Workload:
    """The workload on the CPU: normal numbers for floats, zeros for indices, which every vocabulary has, and `True` for masks."""
    source = torch.Generator().manual_seed(seed)

    def real(tensor: Tensor) -> Tensor:
        if tensor.is_floating_point():
            return torch.randn(tensor.shape, generator=source, dtype=torch.float32).to(tensor.dtype)
        return torch.full(tensor.shape, tensor.dtype == torch.bool, dtype=tensor.dtype)

    def batch(size: int) -> Batch:
        return {name: real(value) for name, value in workload.batch(size).items()}

    return replace(workload, batch=batch)


def count_by_values(model: nn.Module, workload: Workload) -> tuple[int, int]:
    """FLOPs of the forward and the backward pass of a real model over one sample of `with_values`; other values may take other paths."""
    batch = workload.batch(1)
    counter = FlopCounterMode(display=False)
    with counter:
        loss = workload.loss(workload.forward(model.eval(), batch), batch)
        forwards = counter.get_total_flops()
        if loss.requires_grad:
            loss.backward()
    model.zero_grad()
    return forwards, counter.get_total_flops() - forwards

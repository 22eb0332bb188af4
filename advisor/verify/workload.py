"""What a training script feeds a model and asks of it, apart from how it trains: the seam between a model and the recorder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from advisor.verify.batches import Batch, forward, loss_of, make_batch
from advisor.verify.evidence import Job


@dataclass(frozen=True)
class Workload:
    """`batch(n)` gives the shapes of n samples on `meta`; `forward` the model's output on them; `loss` a scalar of that output.

    `sample` says what one sample is, where no recipe does.
    """

    batch: Callable[[int], Batch]
    forward: Callable[[nn.Module, Batch], Any]
    loss: Callable[[Any, Batch], Tensor]
    sample: str = ""


def workload_of(job: Job) -> Workload:
    """The synthetic batches and the loss of a job's task."""
    return Workload(
        batch=lambda size: make_batch(job, size, "meta"),
        forward=lambda model, batch: forward(model, batch, job),
        loss=lambda outputs, batch: loss_of(outputs, batch, job),
    )

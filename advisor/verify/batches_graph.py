"""Synthetic graphs, in the shapes of the task. Nodes lie on a ring; neighbours are named by their offset on it.

N is the batch (nodes of a step) for nodes and links and the recipe's `nodes` for whole graphs, G the batch of graphs, D the
recipe's `neighbours`, F its features.

| task                 | batch                                                                                               |
| -------------------- | --------------------------------------------------------------------------------------------------- |
| node_classification  | nodes float [N, F] about N(0, 1), neighbours int64 [N, D] in [1, 3], targets int64 [N] below outputs  |
| graph_classification | nodes float [G, N, F], neighbours int64 [G, N, D], targets int64 [G] below outputs                   |
| graph_regression     | the same, targets float [G] in [0, 1)                                                               |
| link_prediction      | nodes float [N, F], neighbours int64 [N, D], others int64 [N, 2]: one is linked, one is not;         |
|                      | targets float [N, 2] of ones and zeros                                                               |
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from advisor.errors import CheckError
from advisor.verify.batches import LEVELS, Batch, Exercise, _Source
from advisor.verify.evidence import Job
from advisor.verify.graphs import GRAPH_TASKS, WHOLE_GRAPHS

_NOISE = 0.5  # standard deviation of what hides the signal
_FARTHEST = 3  # neighbours are at most so many places away; nodes half a ring away are unlike


def _make_graphs(job: Job, batch: int, source: _Source) -> Batch:
    """One batch of the table above."""
    sample = job.recipe.input
    if sample.features is None or sample.neighbours is None:
        raise CheckError(f"recipe.input.features and .neighbours are needed for a batch of {job.task}, and one is missing")
    if job.task == "link_prediction":
        return _links(batch, sample.features, sample.neighbours, source)
    count = (sample.nodes or 1) if job.task in WHOLE_GRAPHS else batch
    shape = (batch, count) if job.task in WHOLE_GRAPHS else (batch,)
    kinds = sample.outputs or 2
    if job.task == "node_classification":  # nodes of a class lie together, so that neighbours tell about each other
        labels = torch.arange(batch, device=source.device) * kinds // batch
    elif job.task == "graph_regression":
        labels = source.integers(0, LEVELS, batch) / LEVELS
    else:
        labels = source.integers(0, kinds, batch)
    signal = source.code(labels, sample.features)
    signal = signal.unsqueeze(1).expand(batch, count, -1) if len(shape) == 2 else signal
    nodes = signal + _NOISE * source.normal(*shape, sample.features)
    neighbours = source.integers(1, min(_FARTHEST, count - 1) + 1, *shape, sample.neighbours)
    return {"nodes": nodes, "neighbours": neighbours, "targets": labels}


def _links(count: int, features: int, neighbours: int, source: _Source) -> Batch:
    place = 2 * torch.pi * torch.arange(count, device=source.device) / max(count, 1)
    nodes = torch.sin(place.unsqueeze(-1) + torch.arange(features, device=source.device)) + _NOISE / 10 * source.normal(count, features)
    near = source.integers(1, min(_FARTHEST, count) + 1, count, neighbours)
    far = source.integers(max(1, count // 4), max(2, 3 * count // 4), count, 1)
    targets = torch.tensor([[1.0, 0.0]], device=source.device).expand(count, 2).contiguous()
    return {"nodes": nodes, "neighbours": near, "others": torch.cat([near[:, :1], far], -1), "targets": targets}


def _forward(model: nn.Module, batch: Batch, job: Job) -> Any:
    """Logits, or scores of links."""
    del job
    return model(**{name: value for name, value in batch.items() if name != "targets"})


def _loss(outputs: Tensor, batch: Batch, job: Job) -> Tensor:
    """Cross-entropy over classes, absolute error of numbers; binary cross-entropy over links, as many of them there as not."""
    if job.task == "link_prediction":
        return F.binary_cross_entropy_with_logits(outputs, batch["targets"].to(outputs.dtype))
    if job.task == "graph_regression":
        return F.l1_loss(outputs.squeeze(-1), batch["targets"].to(outputs.dtype))
    return F.cross_entropy(outputs, batch["targets"])


EXERCISES = dict.fromkeys(GRAPH_TASKS, Exercise(_make_graphs, _forward, _loss))

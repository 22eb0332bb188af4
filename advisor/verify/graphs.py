"""Graph networks of torch_geometric, with what turns node states into answers about nodes, whole graphs or links."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from advisor.errors import CheckError, did_you_mean
from advisor.verify.evidence import Job

WHOLE_GRAPHS = ("graph_classification", "graph_regression")
GRAPH_TASKS = ("node_classification", *WHOLE_GRAPHS, "link_prediction")
_WITH_SELF_LOOPS = ("GCN", "GAT")  # layers that look at a node's own features through a loop: arXiv:1609.02907, arXiv:1710.10903


class GraphNetwork(nn.Module):
    """Message passing over graphs whose nodes lie on a ring and name their neighbours by offset, so that a batch can be cut.

    `nodes` is [N, F] for one graph, [G, N, F] for G of them; `neighbours` int64 [..., N, D]. Returns logits [N, outputs] of
    nodes, [G, outputs] of graphs, or the scores [N, P] of the links between each node and the `others` [N, P] (offsets too).
    """

    def __init__(self, body: nn.Module, task: str, width: int, outputs: int, *, loops: bool) -> None:
        super().__init__()
        self.body, self.task, self.loops = body, task, loops
        self.head = nn.Linear(width, outputs) if task in WHOLE_GRAPHS else None

    def forward(self, nodes: Tensor, neighbours: Tensor, others: Tensor | None = None) -> Tensor:
        graphs = nodes.shape[0] if nodes.ndim == 3 else 1
        count = nodes.shape[-2]
        states: Tensor = self.body(nodes.reshape(graphs * count, -1), self._edges(neighbours.reshape(graphs, count, -1)))
        if self.head is not None:
            from torch_geometric.nn import global_add_pool, global_mean_pool

            pool = (
                global_mean_pool if self.task == "graph_regression" else global_add_pool
            )  # a property, and none that grows with the graph
            owner = torch.arange(graphs, device=nodes.device).repeat_interleave(count)
            answers: Tensor = self.head(pool(states, owner, size=graphs))
            return answers
        if others is None:
            return states
        ends = (torch.arange(count, device=nodes.device).unsqueeze(-1) + others) % count
        return (states.unsqueeze(1) * states[ends]).sum(-1)  # the inner product of arXiv:1611.07308

    def _edges(self, offsets: Tensor) -> Tensor:
        """[G, N, D] offsets to the [2, E] indices of torch_geometric, from neighbour to node."""
        graphs, count, _ = offsets.shape
        place = torch.arange(count, device=offsets.device).view(1, -1, 1)
        if self.loops:
            offsets = torch.cat([torch.zeros_like(offsets[..., :1]), offsets], -1)
        first = (torch.arange(graphs, device=offsets.device) * count).view(-1, 1, 1)
        source, target = (place + offsets) % count + first, place.expand_as(offsets) + first
        return torch.stack([source.reshape(-1), target.reshape(-1)])


def build_graph_network(job: Job) -> nn.Module:
    """The library's own model for the job's sizes. Raises CheckError for one that it does not have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # it scripts a class with torch.jit when it is imported
        from torch_geometric.nn import models
    name, sample = job.build.factory, job.recipe.input
    known = [model for model in ("GCN", "GAT", "GraphSAGE", "GIN") if hasattr(models, model)]
    if name not in known:
        raise CheckError(f"torch_geometric is not asked for models {name!r}{did_you_mean(name, known)}; known are {', '.join(known)}")
    if sample.features is None:
        raise CheckError(f"recipe.input.features is needed to build {name}, and is missing")
    settings: dict[str, Any] = dict(job.build.config)
    width, outputs = int(settings["hidden_channels"]), sample.outputs or 1
    if job.task == "node_classification":
        settings["out_channels"] = outputs
    if job.task == "graph_regression":
        settings["dropout"] = 0.0  # as the recipes for numbers have it: what is dropped from a sum is an error of the answer
    loops = name in _WITH_SELF_LOOPS
    if loops:
        settings["add_self_loops"] = False  # the batch has them already: to add them, the library asks for values, which meta tensors lack
    try:
        body = getattr(models, name)(in_channels=sample.features, **settings)
    except TypeError as error:
        raise CheckError(f"torch_geometric's {name} does not take its settings: {error}") from error
    return GraphNetwork(body, job.task, width, outputs, loops=loops)

"""Synthetic transitions, and a loss that stands in for the algorithm's own on one batch.

Without an environment there is nothing to explore. What can be checked is that every network takes its inputs and learns:
critics regress the returns that the batch holds, actors learn to do what it did. C, S, F are the recipe's channels, image
size and features, A its outputs.

| task                     | batch                                                                                            |
| ------------------------ | ------------------------------------------------------------------------------------------------ |
| reinforcement_discrete   | observations uint8 [B, C, S, S] or float [B, F], actions int64 [B] below A, returns float [B]     |
| reinforcement_continuous | observations the same, actions float [B, A] in (-1, 1), returns float [B]                         |
| reinforcement_offline    | the same                                                                                         |
| Decision Transformer     | states float [B, 20, F], actions float [B, 20, A], returns_to_go [B, 20, 1], timesteps [B, 20]     |
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from advisor.verify.agents import AGENT_TASKS
from advisor.verify.batches import Batch, Exercise, _Source
from advisor.verify.evidence import Job

STEPS = 20  # of a trajectory that a Decision Transformer sees: arXiv:2106.01345, appendix A
_PATCHES = 12  # an observation's situation shows in the brightness of 12 x 12 patches
_BRIGHTNESS = 100  # of a pixel around its mean of 128
_SITUATIONS = 6
_BOLDEST = 0.8  # of an action: those near 1 lie outside what a squashed Gaussian reaches
_VALUE_COEFFICIENT = 0.5  # of the critic beside the actor: arXiv:1707.06347, section 5


def _make_transitions(job: Job, batch: int, source: _Source) -> Batch:
    """One batch of the table above."""
    sample = job.recipe.input
    outputs = sample.outputs or 1
    situations = source.integers(0, _SITUATIONS, batch)
    is_discrete = job.task == "reinforcement_discrete"
    actions = situations % outputs if is_discrete else _BOLDEST * source.code(situations, outputs)
    returns = 1 + situations / _SITUATIONS
    return {"observations": _observations(job, situations, source), "actions": actions, "returns": returns}


def _observations(job: Job, situations: Tensor, source: _Source) -> Tensor:
    sample, batch = job.recipe.input, situations.shape[0]
    if sample.image_size is None:
        width = sample.features or 1
        return source.code(situations, width) + 0.1 * source.normal(batch, width)
    channels = sample.channels or 1
    patches = source.code(situations, channels * _PATCHES**2).view(batch, channels, _PATCHES, _PATCHES)
    return (128 + _BRIGHTNESS * F.interpolate(patches, size=(sample.image_size, sample.image_size))).to(torch.uint8)


def _forward(model: nn.Module, batch: Batch, job: Job) -> Any:
    """Values, and what the actor makes of the batch's actions."""
    if job.build.library != "transformers":
        return model(batch["observations"], batch["actions"])
    return {"actions": model(**batch, attention_mask=torch.ones_like(batch["timesteps"])).action_preds}


def _make_trajectories(job: Job, batch: int, source: _Source) -> Batch:
    """The last steps of episodes, with a situation in each."""
    sample, shape = job.recipe.input, (batch, STEPS)
    situations = source.integers(0, _SITUATIONS, batch * STEPS)
    return {
        "states": source.code(situations, sample.features or 1).unflatten(0, shape),
        "actions": _BOLDEST * source.code(situations, sample.outputs or 1).unflatten(0, shape),
        "returns_to_go": (1 + situations / _SITUATIONS).view(*shape, 1),
        "timesteps": torch.arange(STEPS, device=source.device).expand(shape),
    }


def _make(job: Job, batch: int, source: _Source) -> Batch:
    return (_make_trajectories if job.build.library == "transformers" else _make_transitions)(job, batch, source)


def _loss(outputs: dict[str, Tensor], batch: Batch, job: Job) -> Tensor:
    """Critics regress the returns; actors raise the likelihood of the batch's actions, or come near them."""
    del job
    if "values" not in outputs:
        return F.mse_loss(outputs["actions"].float(), batch["actions"].float())
    values = outputs["values"].float()
    loss = F.smooth_l1_loss(values, batch["returns"].float().unsqueeze(-1).expand_as(values))
    if "log_likelihood" in outputs:
        return _VALUE_COEFFICIENT * loss - outputs["log_likelihood"].mean()
    if "actions" in outputs:
        return _VALUE_COEFFICIENT * loss + F.mse_loss(outputs["actions"], batch["actions"].to(outputs["actions"].dtype))
    return loss


EXERCISES = dict.fromkeys(AGENT_TASKS, Exercise(_make, _forward, _loss))

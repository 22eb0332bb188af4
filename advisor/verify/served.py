"""A model as it is deployed: tensors in, its main output out, without targets or losses."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from advisor.errors import CheckError
from advisor.verify.agents import Agent
from advisor.verify.batches import Batch, forward, make_batch
from advisor.verify.build import build_model
from advisor.verify.evidence import Job

_TARGETS = ("targets", "labels", "classes", "boxes", "masks", "references", "start_positions", "end_positions", "actions", "returns")
_ANSWERS_OTHERWISE_IN_TRAINING = ("object_detection", "instance_segmentation", "semantic_segmentation")
_STIR = 0.1  # standard deviation of the noise; the scales and shifts of trained networks vary about as much


class Served(nn.Module):
    """`forward` takes the tensors that `names` names, in their order, and gives the main output: logits where there are any."""

    def __init__(self, model: nn.Module, job: Job, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.names, self._job = model, names, job

    def forward(self, *inputs: Tensor) -> Tensor:
        if isinstance(self.model, Agent):
            return _act(self.model, inputs[0])
        return _main(forward(self.model, dict(zip(self.names, inputs, strict=True)), self._job))


def serve(job: Job, seed: int | None = None) -> Served:
    """The job's model on the CPU, in evaluation mode, with random weights of which none is a constant."""
    torch.manual_seed(job.seed if seed is None else seed)
    model = build_model(job, "cpu")
    _stir(model)
    batch = sample(job, 1)
    served = Served(model, job, tuple(name for name in batch if name not in _TARGETS))
    served.eval()
    try:
        with torch.no_grad():
            served(*(batch[name] for name in served.names))
    except (KeyError, TypeError, ValueError):  # an encoder-decoder starts its decoder from the labels
        served.names = tuple(batch)
    return served


def set_distilling_mode(student: Served, job: Job) -> None:
    """Training mode. Not of a detector or segmenter of transformers: in it, that wants targets, and answers for more queries."""
    student.train(not (job.build.library == "transformers" and job.task in _ANSWERS_OTHERWISE_IN_TRAINING))


def sample(job: Job, size: int) -> Batch:
    """A synthetic batch of the task on the CPU."""
    return make_batch(job, size, "cpu", torch.Generator().manual_seed(job.seed))


def inputs_of(served: Served, job: Job, size: int) -> tuple[Tensor, ...]:
    """What the served model takes of a synthetic batch."""
    batch = sample(job, size)
    return tuple(batch[name] for name in served.names)


def class_axis(job: Job, outputs: Tensor) -> int | None:
    """Along which axis of the outputs the classes lie; None where the task has no classes."""
    if job.task in ("semantic_segmentation", "volume_segmentation"):
        return 1
    counts = job.task.endswith(("classification", "generation", "tuning", "answering", "captioning", "spotting", "recognition", "discrete"))
    return -1 if (counts or job.task in ("object_detection", "summarization", "translation")) and outputs.shape[-1] > 1 else None


def picks_places(job: Job) -> bool:
    """Whether the outputs may be of places that the model has picked by score, in the order of their scores."""
    return job.task in ("object_detection", "instance_segmentation")


def _stir(model: nn.Module) -> None:
    """Add noise to parameters that start as constants: behind a scale of zero a whole branch could be lost and nobody would see it."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point() and parameter.numel() and bool((parameter == parameter.flatten()[0]).all()):
                parameter.add_(_STIR * torch.randn(parameter.shape, generator=generator))


def _main(outputs: Any) -> Tensor:
    """Logits; else the first floating-point tensor that is more than one number, as a library's loss is."""
    found = getattr(outputs, "logits", outputs)
    if isinstance(found, dict):
        found = [value for name, value in found.items() if name != "loss"]
    if isinstance(found, list | tuple):
        found = next((each for each in found if isinstance(each, Tensor) and each.is_floating_point() and each.ndim), None)
    if not isinstance(found, Tensor):
        raise CheckError("the model answers with as many objects as it finds, no tensor of one shape: two versions cannot be compared here")
    return found


def _act(agent: Agent, observations: Tensor) -> Tensor:
    """The actor alone, without noise; an agent without one gives the values of its actions."""
    policy: Any = agent.policy
    network = getattr(policy, "q_net", None) or getattr(policy, "quantile_net", None)
    chosen: Tensor = network(observations) if network is not None else policy._predict(observations, deterministic=True)
    return chosen

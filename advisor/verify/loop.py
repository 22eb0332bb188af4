"""One optimizer step as a training script does it, for the recorder: what it calls, and what its names keep alive."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

from advisor.errors import CheckError
from advisor.verify.batches import Batch, forward, loss_of, make_batch
from advisor.verify.cuda_choices import CudaChoices
from advisor.verify.evidence import Job
from advisor.verify.trace import Recorder


class TrainingLoop:
    """The body of the loop over batches. Its attributes are a script's variables: each lives until it is assigned anew."""

    def __init__(self, model: nn.Module, job: Job, choices: CudaChoices) -> None:
        self.model = model
        self.job = job
        self.choices = choices
        self.trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.average: list[torch.Tensor] = []
        self.shapes = make_batch(job, job.recipe.batch.per_device, "meta")
        self.batch: Batch = {}
        self.outputs: Any = None
        self.loss: Any = None
        self._steps = 0

    def __call__(self, recorder: Recorder, optimizer: torch.optim.Optimizer | None) -> None:
        recipe = self.job.recipe
        assert optimizer is not None
        if recipe.ema is not None and not self.average:
            self.average = [torch.empty_like(parameter) for parameter in self.model.parameters()]
            recorder.claim("optimizer_state", self.average)
        optimizer.zero_grad()
        # after the first step, two batches show all that accumulation over any number of them needs: gradients live on
        for _ in range(min(2, recipe.batch.accumulation) if self._steps else 1):
            self._forward(recorder)
            recorder.enter("backward")
            self.loss.backward()
        recorder.enter("optimizer")
        if recipe.gradient_clip_norm is not None:
            nn.utils.clip_grad_norm_(self.trainable, recipe.gradient_clip_norm)
        optimizer.step()
        if self.average:
            with torch.no_grad():
                torch._foreach_lerp_(self.average, list(self.model.parameters()), 1 - (recipe.ema or 0.0))
        self._steps += 1

    def _forward(self, recorder: Recorder) -> None:
        recorder.enter("input")
        self.batch = {name: torch.empty_like(tensor) for name, tensor in self.shapes.items()}
        recorder.enter("forward")
        with self.choices.autocast() if self.choices.lower else nullcontext():
            self.outputs = forward(self.model, self.batch, self.job)
            recorder.enter("loss")
            self.loss = loss_of(self.outputs, self.batch, self.job)


def checkpoint_activations(model: nn.Module) -> None:
    """Turn on the library's own activation checkpointing. Raises CheckError for a model that has none."""
    if hasattr(model, "gradient_checkpointing_enable"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # the name is to change in transformers 6
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.config.use_cache = False  # a cache and checkpointing exclude each other
    elif hasattr(model, "set_grad_checkpointing"):
        model.set_grad_checkpointing(True)
    else:
        raise CheckError(f"{type(model).__name__} has no activation checkpointing of its own to turn on")

"""One optimizer step as a training script does it, for the recorder: what it calls, and what its names keep alive."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, Literal

import torch
from torch import nn

from advisor.errors import CheckError
from advisor.recipe import Recipe
from advisor.verify.batches import Batch
from advisor.verify.cuda_choices import CudaChoices
from advisor.verify.trace import Recorder
from advisor.verify.workload import Workload

ZeroGrad = Literal["before_forward", "before_backward", "after_step"]


class TrainingLoop:
    """The body of the loop over batches. Its attributes are a script's variables: each lives until it is assigned anew.

    `shapes` are the batches of the steps, on `meta`; the last serves all further steps. `zero_grad` is where the script drops
    the gradients.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        workload: Workload,
        choices: CudaChoices,
        shapes: Sequence[Batch],
        zero_grad: ZeroGrad = "before_forward",
    ) -> None:
        self.model = model
        self.recipe = recipe
        self.workload = workload
        self.choices = choices
        self.shapes = shapes
        self.zero_grad = zero_grad
        self.trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.average: list[torch.Tensor] = []
        self.batch: Batch = {}
        self.outputs: Any = None
        self.loss: Any = None
        self._steps = 0

    def __call__(self, recorder: Recorder, optimizer: torch.optim.Optimizer | None) -> None:
        recipe = self.recipe
        assert optimizer is not None
        if recipe.ema is not None and not self.average:
            self.average = [torch.empty_like(parameter) for parameter in self.model.parameters()]
            recorder.claim("optimizer_state", self.average)
        if self.zero_grad == "before_forward":
            optimizer.zero_grad()
        # after the first step, two batches show all that accumulation over any number of them needs: gradients live on
        for _ in range(min(2, recipe.batch.accumulation) if self._steps else 1):
            self._forward(recorder)
            if self.zero_grad == "before_backward":
                optimizer.zero_grad()
            recorder.enter("backward")
            with self.choices:
                self.loss.backward()
        recorder.enter("optimizer")
        if recipe.gradient_clip_norm is not None:
            nn.utils.clip_grad_norm_(self.trainable, recipe.gradient_clip_norm)
        optimizer.step()
        if self.average:
            with torch.no_grad():
                torch._foreach_lerp_(self.average, list(self.model.parameters()), 1 - (recipe.ema or 0.0))
        if self.zero_grad == "after_step":
            recorder.enter("between")  # tells the gradients apart before they go
            optimizer.zero_grad()
        self._steps += 1

    def _forward(self, recorder: Recorder) -> None:
        recorder.enter("input")
        shapes = self.shapes[min(self._steps, len(self.shapes) - 1)]
        self.batch = {name: torch.empty_like(tensor) for name, tensor in shapes.items()}
        recorder.enter("forward")
        with self.choices, self.choices.autocast() if self.choices.lower else nullcontext():
            self.outputs = self.workload.forward(self.model, self.batch)
            recorder.enter("loss")
            self.loss = self.workload.loss(self.outputs, self.batch)


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

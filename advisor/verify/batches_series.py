"""Synthetic windows of series for classes and anomalies.

B is the batch size, T, F, C the recipe's time steps, features and outputs.

| task                  | library      | batch                                                                       |
| --------------------- | ------------ | --------------------------------------------------------------------------- |
| series_classification | torch        | inputs float [B, T, F] waves in [-1, 1] with noise, targets int64 [B] below C |
| series_classification | transformers | past_values float [B, T, F], targets int64 [B]                               |
| anomaly_detection     | torch        | inputs float [B, T, F] waves in [-1, 1] with noise, targets: the waves       |

The class of a window is the period of its wave.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from advisor.verify.batches import Batch, Exercise, _size, _Source
from advisor.verify.evidence import Job

_NOISE = 0.05


def _classified_windows(job: Job, batch: int, source: _Source) -> Batch:
    labels = source.integers(0, job.recipe.input.outputs or 2, batch)
    windows = _waves(job, batch, source, 2.0 + labels)
    name = "past_values" if job.build.library == "transformers" else "inputs"
    return {name: windows + _NOISE * source.normal(*windows.shape), "targets": labels}


def _ordinary_windows(job: Job, batch: int, source: _Source) -> Batch:
    windows = _waves(job, batch, source, 2.0 + source.integers(0, 3, batch))
    return {"inputs": windows + _NOISE * source.normal(*windows.shape), "targets": windows}


def _waves(job: Job, batch: int, source: _Source, periods: Tensor) -> Tensor:
    """[B, T, F] waves with so many periods a window, each of a phase of its own."""
    steps, features = _size(job, "sequence_length"), job.recipe.input.features or 1
    time = torch.arange(steps, device=source.device).view(1, steps, 1) / steps
    return torch.sin(2 * torch.pi * time * periods.view(batch, 1, 1) + source.normal(batch, 1, features))


def _forward(model: nn.Module, batch: Batch, job: Job) -> Any:
    if job.build.library == "transformers":
        return model(past_values=batch["past_values"]).prediction_logits
    return model(batch["inputs"])


def _classification_loss(outputs: Tensor, batch: Batch, job: Job) -> Tensor:
    smoothing = next((loss.value for loss in job.recipe.loss if loss.value), 0.0)
    return F.cross_entropy(outputs, batch["targets"], label_smoothing=smoothing)


def _reconstruction_loss(outputs: Tensor, batch: Batch, job: Job) -> Tensor:
    del job
    return F.mse_loss(outputs, batch["targets"])


EXERCISES = {
    "series_classification": Exercise(_classified_windows, _forward, _classification_loss),
    "anomaly_detection": Exercise(_ordinary_windows, _forward, _reconstruction_loss),
}

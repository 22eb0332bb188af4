"""What a model says of data, outside of training."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from settings import Settings
from task import Batch, predict_batch

HALF = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def half_of(settings: Settings, device: torch.device) -> torch.dtype | None:
    """The 16-bit type of autocast. CPUs, which do not train in float16, take bfloat16."""
    half = HALF[settings["recipe"]["precision"]]
    return torch.bfloat16 if half is torch.float16 and device.type == "cpu" else half


def to_device(batch: Batch, device: torch.device) -> Batch:
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


@torch.no_grad()
def predict(model: nn.Module, loader: DataLoader[Batch], settings: Settings, device: torch.device) -> list[tuple[Any, Any]]:
    """For each batch what the model says and what is true."""
    model.eval()
    half, found = half_of(settings, device), []
    for batch in loader:  # outside of autocast, which would make the data's own arithmetic coarse
        with torch.autocast(device.type, half, enabled=half is not None):
            found.append(predict_batch(model, to_device(batch, device)))
    return found

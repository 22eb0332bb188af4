"""The optimizer that the recipe names."""

from __future__ import annotations

from typing import Any

import torch

from settings import Settings


def make_optimizer(groups: list[dict[str, Any]], settings: Settings) -> torch.optim.Optimizer:
    optimizer = settings["recipe"]["optimizer"]
    options = {"lr": optimizer["learningRate"], "betas": optimizer.get("betas"), "momentum": optimizer.get("momentum")}
    given = {name: value for name, value in options.items() if value is not None}
    name = optimizer["name"]
    if name.endswith("8bit") and torch.cuda.is_available():
        import bitsandbytes

        return {"adamw_8bit": bitsandbytes.optim.AdamW8bit, "paged_adamw_8bit": bitsandbytes.optim.PagedAdamW8bit}[name](groups, **given)
    if name in ("lamb", "lion"):
        from timm.optim import Lamb, Lion

        return {"lamb": Lamb, "lion": Lion}[name](groups, **given)
    factories = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD, "rmsprop": torch.optim.RMSprop, "adafactor": torch.optim.Adafactor}
    return factories.get(name, torch.optim.AdamW)(groups, **given)  # 8-bit states need a GPU: without one they are 32-bit

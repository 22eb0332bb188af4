"""Which parameters learn how fast, and the optimizer that the recipe names."""

from __future__ import annotations

import inspect
import re
from typing import Any

import torch
from torch import nn

from advisor.errors import CheckError, did_you_mean
from advisor.recipe import ParameterGroup, Recipe
from advisor.verify.adapt import head_names

_TORCH_OPTIMIZERS = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "radam": torch.optim.RAdam,
    "adafactor": torch.optim.Adafactor,
    "adadelta": torch.optim.Adadelta,
    "adamax": torch.optim.Adamax,
    "nadam": torch.optim.NAdam,
    "asgd": torch.optim.ASGD,
    "rprop": torch.optim.Rprop,
}
_TIMM_OPTIMIZERS = {"lamb": "Lamb", "lars": "Lars", "lion": "Lion"}
_BITSANDBYTES_OPTIMIZERS = {"adamw_8bit": "AdamW8bit", "paged_adamw_8bit": "PagedAdamW8bit"}
_NUMBERED_LAYER = re.compile(r"\.(\d+)\.")


def parameter_groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """The trainable parameters in groups of equal learning rate and weight decay, ready for an optimizer.

    The recipe's groups stack: `head`, `backbone` and `norm_and_bias` (tensors of one dimension or fewer, and biases) each
    scale the learning rate or replace the weight decay of their members; `layer_decay` multiplies the rate by its factor
    once for every layer between a parameter and the output (arXiv:2003.10555, arXiv:2106.08254).
    """
    wanted = {group.name: group for group in recipe.optimizer.parameter_groups}
    rate, decay = recipe.optimizer.learning_rate or 0.0, recipe.optimizer.weight_decay or 0.0
    heads = head_names(model) if {"head", "backbone"} & wanted.keys() else frozenset[str]()
    depths = _layer_depths(model) if "layer_decay" in wanted else {}
    top = max(depths.values(), default=0)
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        scale, own_decay = 1.0, decay
        for group in _memberships(name, parameter, wanted, heads):
            scale *= group.learning_rate_scale
            own_decay = own_decay if group.weight_decay is None else group.weight_decay
        if depths:
            scale *= wanted["layer_decay"].learning_rate_scale ** (top - depths[name])
        key = (rate * scale, own_decay)
        groups.setdefault(key, {"params": [], "lr": key[0], "weight_decay": key[1]})["params"].append(parameter)
    return list(groups.values())


def _memberships(name: str, parameter: nn.Parameter, wanted: dict[str, ParameterGroup], heads: frozenset[str]) -> list[ParameterGroup]:
    names = ["head" if name in heads else "backbone"]
    if parameter.ndim <= 1 or name.endswith(".bias"):
        names.append("norm_and_bias")
    return [wanted[n] for n in names if n in wanted]


def _layer_depths(model: nn.Module) -> dict[str, int]:
    """Each parameter's layer, 0 nearest the input. timm's models say it; elsewhere it is read from the numbered blocks."""
    if hasattr(model, "group_matcher"):
        from timm.models import group_parameters

        return dict(group_parameters(model, model.group_matcher(coarse=False), reverse=True))
    names = [name for name, _ in model.named_parameters()]
    numbers = {name: int(found.group(1)) + 1 for name in names if (found := _NUMBERED_LAYER.search(name))}
    if not numbers:
        raise CheckError(f"{type(model).__name__} has no numbered layers for a layer-wise decay of the learning rate")
    first = next(i for i, name in enumerate(names) if name in numbers)
    top = max(numbers.values()) + 1
    return {name: numbers.get(name, 0 if i < first else top) for i, name in enumerate(names)}


def make_optimizer(groups: list[dict[str, Any]], recipe: Recipe, *, foreach: bool | None = None) -> torch.optim.Optimizer | None:
    """The recipe's optimizer over `groups`, or None where nothing is trained.

    `foreach` forces the multi-tensor form that CUDA chooses by itself, for optimizers that have one. Where 8-bit states
    cannot be had on this machine, their 32-bit original stands in: see `optimizer_deviation`.
    """
    name = recipe.optimizer.name
    if name == "none":
        return None
    if not groups:
        raise CheckError(f"optimizer {name!r} has nothing to train: every parameter is frozen")
    factory = _optimizer_class(name)
    settings = {"lr": recipe.optimizer.learning_rate, "weight_decay": recipe.optimizer.weight_decay,
                "betas": recipe.optimizer.betas, "momentum": recipe.optimizer.momentum, "foreach": foreach}  # fmt: skip
    takes = inspect.signature(factory).parameters
    return factory(groups, **{key: value for key, value in settings.items() if value is not None and key in takes})


def optimizer_deviation(recipe: Recipe) -> str | None:
    """How the optimizer that `make_optimizer` gives differs from the one that the recipe names, or None."""
    name = recipe.optimizer.name
    if name in _BITSANDBYTES_OPTIMIZERS and not _has_bitsandbytes():
        return f"{name} ran as adamw with 32-bit states: bitsandbytes or its GPU is not here"
    return None


def _optimizer_class(name: str) -> Any:
    if name in _TIMM_OPTIMIZERS:
        import timm.optim

        return getattr(timm.optim, _TIMM_OPTIMIZERS[name])
    if name in _BITSANDBYTES_OPTIMIZERS:
        if not _has_bitsandbytes():
            return torch.optim.AdamW
        import bitsandbytes

        return getattr(bitsandbytes.optim, _BITSANDBYTES_OPTIMIZERS[name])
    if name not in _TORCH_OPTIMIZERS:
        known = ["none", *_TORCH_OPTIMIZERS, *_TIMM_OPTIMIZERS, *_BITSANDBYTES_OPTIMIZERS]
        raise CheckError(f"there is no optimizer {name!r}{did_you_mean(name, known)}; known are {', '.join(known)}")
    return _TORCH_OPTIMIZERS[name]


def _has_bitsandbytes() -> bool:
    from importlib.util import find_spec

    return torch.cuda.is_available() and find_spec("bitsandbytes") is not None

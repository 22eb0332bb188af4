"""What a decoder keeps of the tokens it has read: keys and values, or the state of a recurrent layer, read off its own cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from advisor.verify.shapes import MetaOperators

_FEW, _MORE = 2, 4  # tokens after which the cache is looked at: what grows between them is a token's, the rest a state


class CachedLayer(NamedTuple):
    """Elements that a layer keeps once and for each token, and the tokens beyond which it forgets the earliest."""

    fixed: int
    per_token: int
    window: int | None


_KNOWN: WeakKeyDictionary[nn.Module, list[CachedLayer]] = WeakKeyDictionary()


def cached_elements(model: nn.Module, length: int) -> int | None:
    """Elements that `model`, on `meta`, keeps of one sequence of `length` tokens; None where it has no cache that can be read."""
    if model not in _KNOWN:
        try:
            _KNOWN[model] = _read(model)
        except Exception:  # whatever a model has against a prompt of two tokens: there are formulas
            _KNOWN[model] = []
    layers = _KNOWN[model]
    return sum(layer.fixed + layer.per_token * min(length, layer.window or length) for layer in layers) if layers else None


def _read(model: nn.Module) -> list[CachedLayer]:
    few, more = (_layers(model, tokens) for tokens in (_FEW, _MORE))
    found = []
    for (before, _), (after, window) in zip(few, more, strict=True):
        slope = (after - before) // (_MORE - _FEW)
        found.append(CachedLayer(before - _FEW * slope, slope, window))
    return found if any(layer.fixed or layer.per_token for layer in found) else []


def _layers(model: nn.Module, tokens: int) -> list[tuple[int, int | None]]:
    """Elements and window of each layer's part of the cache after so many tokens."""
    ids = torch.empty(1, tokens, dtype=torch.long, device="meta")
    with MetaOperators(), torch.no_grad():
        outputs: Any = model(input_ids=ids, use_cache=True)
    cache = getattr(outputs, "past_key_values", None)
    cache = cache if cache is not None else getattr(outputs, "cache_params", None)
    parts = getattr(cache, "layers", None) or [cache]
    return [(sum(tensor.numel() for tensor in _tensors(part)), getattr(part, "sliding_window", None)) for part in parts]


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors(item)
    elif hasattr(value, "__dict__"):
        yield from _tensors(vars(value))

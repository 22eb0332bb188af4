"""The blocks that a network is a stack of: which of them are alike, so that what one of them does tells what the others do."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from advisor.verify.places import PLACES

_LEAST_LAYERS = 3  # layers without parts of their own: repeating fewer saves nothing
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_OF_EVERY_MODULE = frozenset(vars(nn.Module()))


@dataclass(frozen=True)
class Block:
    """One of `count` modules that are built alike: the `index`-th of `kind`."""

    module: nn.Module
    kind: int
    index: int
    count: int


def find_blocks(model: nn.Module) -> list[Block]:
    """The members of lists and sequences of modules that share no parameter with anything else; none within another."""
    uses = Counter(id(p) for module in model.modules() for p in module.parameters(recurse=False))
    found = [(module, signature) for module, signature in _visit(model) if _owns_its_parameters(module, uses)]
    kinds: dict[Hashable, list[nn.Module]] = defaultdict(list)
    for module, signature in found:
        kinds[signature].append(module)
    return [Block(module, kind, index, len(alike)) for kind, alike in enumerate(kinds.values()) for index, module in enumerate(alike)]


def _visit(module: nn.Module) -> Iterator[tuple[nn.Module, Hashable]]:
    """Children that are alike, outermost first; of those that have no like, what is within them, or themselves."""
    children = list(module.children())
    is_stack = isinstance(module, nn.ModuleList | nn.Sequential)
    signatures = [_signature(child) if is_stack and _is_deep(child) else None for child in children]
    counts = Counter(signatures)
    for child, signature in zip(children, signatures, strict=True):
        inner = [] if signature is not None and counts[signature] > 1 else list(_visit(child))
        yield from inner
        if signature is not None and not inner:
            yield child, signature


def _is_deep(module: nn.Module) -> bool:
    return sum(not any(part.children()) for part in module.modules()) >= _LEAST_LAYERS


def _owns_its_parameters(module: nn.Module, uses: Counter[int]) -> bool:
    own = Counter(id(p) for part in module.modules() for p in part.parameters(recurse=False))
    return all(uses[parameter] == count for parameter, count in own.items())


def _signature(block: nn.Module) -> Hashable:
    """What tells blocks apart: classes, settings but for `PLACES`, shapes. None for a block with hooks, or that was changed already."""
    parts = []
    for name, module in block.named_modules():
        if "forward" in vars(module) or any(getattr(module, hooks) for hooks in _HOOKS):
            return None
        tensors = [(n, p.shape, p.stride(), p.dtype, p.requires_grad) for n, p in module.named_parameters(recurse=False)]
        tensors += [(n, b.shape, b.stride(), b.dtype, False) for n, b in module.named_buffers(recurse=False)]
        own = vars(module).keys() - _OF_EVERY_MODULE - PLACES
        settings = [(key, _plain(vars(module)[key])) for key in sorted(own)]
        parts.append((name, type(module), module.training, tuple(tensors), tuple(settings)))
    return tuple(parts)


def _plain(value: Any) -> Hashable:
    """A setting as a value that can be compared; any other object is equal to itself alone."""
    if value is None or isinstance(value, bool | int | float | str | torch.device | torch.dtype):
        return (type(value), value)
    if isinstance(value, tuple | list):
        return tuple(map(_plain, value))
    if isinstance(value, dict):
        return tuple((str(key), _plain(each)) for key, each in value.items() if key not in PLACES)
    return id(value)

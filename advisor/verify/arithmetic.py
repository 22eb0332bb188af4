"""FLOPs of an operator: torch's own formulas, and better ones where those are wrong or missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Size, Tensor
from torch.utils.flop_counter import flop_registry

_aten = torch.ops.aten


def formula_of(func: Any) -> Callable[..., int] | None:
    """What counts this operator's FLOPs from its arguments and `out_val`; None where nothing does. 1 multiply-add = 2 FLOPs."""
    found: Callable[..., int] | None = _OWN.get(func._overloadpacket) or flop_registry.get(func._overloadpacket)
    return found


def _convolution_backward(grad: Tensor, inputs: Tensor, weight: Tensor, *rest: Any, out_val: Any = None, **_: Any) -> int:
    """As much as the forward pass for each of the gradients asked for, of the input and of the weight.

    torch's formula (2.15) forgets the groups of a convolution: of a depthwise one it counts the weight's gradient as if it were dense.
    """
    is_transposed, wanted = rest[4], rest[7]
    positions, weights = (inputs if is_transposed else grad), weight.numel()
    forward = 2 * positions.shape[0] * Size(positions.shape[2:]).numel() * weights
    return int(forward * sum(wanted[:2]))


def _grouped_product(left: Tensor, right: Tensor, *_: Any, out_val: Any = None, **__: Any) -> int:
    """A mixture of experts' products: every row goes through one of the matrices, or is summed into one of them."""
    one = left[0] if left.dim() > right.dim() else left  # each column of the right goes through one of the left's matrices
    return int(2 * one.numel() * right.shape[-1])


_OWN: dict[Any, Callable[..., int]] = {
    _aten.convolution_backward: _convolution_backward,
    _aten._grouped_mm: _grouped_product,
}

"""Stand-ins, on `meta`, for what needs a GPU's own kernels: quantized weights and 8-bit optimizer states.

They allocate what bitsandbytes allocates, when it does; their values are nobody's business.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

NF4_BLOCK = 64
"""Weights that share one scale in 4-bit NormalFloat: QLoRA, arXiv:2305.14314, section 3."""
SCALE_BLOCK = 256
"""Scales that share one second-level fp32 scale in double quantization: same place."""
STATE_BLOCK = 256
"""Optimizer states that share one fp32 scale: bitsandbytes 0.45, `Optimizer2State` with block-wise quantization."""
SMALLEST_8BIT = 4096
"""Parameters with fewer elements keep 32-bit states: bitsandbytes, `min_8bit_size`."""


class QuantizedLinear(nn.Linear):
    """A frozen linear layer stored in 4 or 8 bits, on `meta`: its tensors have the sizes, never the values.

    Both passes write the weight out in the input's type and drop it again, as bitsandbytes' MatMul4Bit does.
    """

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = _DequantizedMatmul.apply(x, self.weight, self.out_features)
        return out if self.bias is None else out + self.bias


class _DequantizedMatmul(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, packed: Tensor, rows: int) -> Tensor:
        ctx.rows, ctx.columns = rows, x.shape[-1]
        return nn.functional.linear(x, torch.empty(rows, x.shape[-1], dtype=x.dtype, device=x.device))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = gradients
        return gradient @ torch.empty(ctx.rows, ctx.columns, dtype=gradient.dtype, device=gradient.device), None, None


def quantize_linear(module: nn.Module, precision: str) -> None:
    """Turn a layer on `meta` into one stored as `nf4` (with double quantization) or `int8`, its scales as buffers."""
    if not isinstance(module, nn.Linear):  # GPT-2's layer holds its weight transposed, and does not say how wide it is
        module.in_features, module.out_features = module.weight.shape
    count = module.weight.numel()
    scales = math.ceil(count / NF4_BLOCK)
    if precision == "nf4":
        packed = torch.empty(math.ceil(count / 2), 1, dtype=torch.uint8, device="meta")
        module.register_buffer("scales", torch.empty(scales, dtype=torch.uint8, device="meta"), persistent=False)
        module.register_buffer("scales_of_scales", torch.empty(math.ceil(scales / SCALE_BLOCK), device="meta"), persistent=False)
    else:
        packed = torch.empty(module.weight.shape, dtype=torch.int8, device="meta")
        module.register_buffer("scales", torch.empty(module.out_features, device="meta"), persistent=False)
    module.weight = nn.Parameter(packed, requires_grad=False)
    module.__class__ = QuantizedLinear


class EightBitAdam(torch.optim.Optimizer):
    """The states of bitsandbytes' 8-bit Adam: two codes of one byte an element and a scale a block; no temporaries."""

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        super().__init__(groups, {})

    def step(self, closure: Any = None) -> None:
        """Allocate the states that the first step allocates."""
        for parameter in (p for group in self.param_groups for p in group["params"] if p.grad is not None):
            if not self.state[parameter]:
                self.state[parameter] = _eight_bit_states(parameter)


def _eight_bit_states(parameter: Tensor) -> dict[str, Tensor]:
    if parameter.numel() < SMALLEST_8BIT:
        return {name: torch.empty_like(parameter, dtype=torch.float32) for name in ("state1", "state2")}
    blocks = math.ceil(parameter.numel() / STATE_BLOCK)
    codes = {name: torch.empty_like(parameter, dtype=torch.uint8) for name in ("state1", "state2")}
    scales = {name: torch.empty(blocks, device=parameter.device) for name in ("absmax1", "absmax2")}
    return codes | scales

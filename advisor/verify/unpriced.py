"""Operators that do much arithmetic, or take memory of their own on CUDA, which nothing here has a price for: they are named."""

from __future__ import annotations

from typing import Any

# heavy operators that FlopCounterMode (torch 2.15) has no formula for; those of other namespaces are named as a matter of course
_UNPRICED = frozenset(
    """_grouped_mm _scaled_grouped_mm _native_multi_head_attention _transformer_encoder_layer_fwd _fft_r2c _fft_c2c _fft_c2r
    _cdist_forward grid_sampler_2d grid_sampler_3d _thnn_fused_lstm_cell _thnn_fused_gru_cell mkldnn_rnn_layer _cudnn_rnn
    _trilinear _sparse_mm""".split()  # noqa: SIM905
)
_PRICED_NAMESPACES = ("aten", "prim", "prims", "profiler")


def unpriced_name(func: Any) -> set[str]:
    """The operator's name where it has no price, else nothing: a known few, and all from outside PyTorch."""
    namespace, _, name = func._overloadpacket._qualified_op_name.partition("::")
    return {f"{namespace}.{name}"} if name in _UNPRICED or namespace not in _PRICED_NAMESPACES else set()

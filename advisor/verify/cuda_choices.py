"""What CUDA does differently from `meta`, told to meta tensors: mixed precision, fused attention, fused dropout.

`torch.autocast` leaves meta tensors as they are and says nothing, attention falls apart into its quadratic form, and
dropout keeps a mask of the wrong type. A mode over the Python functions puts this right, in the forward pass and in what
activation checkpointing computes again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

# CUDA's autocast lists, as ATen/autocast_mode.h has them (torch 2.15), under the names that Python calls them by
LOWER_PRECISION = frozenset(
    """conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d convolution prelu addmm addmv addr
    matmul __matmul__ __rmatmul__ einsum mm mv linear addbmm baddbmm bmm chain_matmul multi_dot linalg_multi_dot vecdot
    linalg_vecdot lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell scaled_dot_product_attention
    multi_head_attention_forward""".split()  # noqa: SIM905
)
FULL_PRECISION = frozenset(
    """acos asin cosh erfinv exp expm1 log log10 log2 log1p reciprocal rsqrt sinh tan pow __pow__ __rpow__ softplus
    layer_norm native_layer_norm rms_norm group_norm norm nuclear_norm cosine_similarity poisson_nll_loss
    cosine_embedding_loss nll_loss cross_entropy hinge_embedding_loss kl_div l1_loss smooth_l1_loss huber_loss mse_loss
    margin_ranking_loss multilabel_margin_loss soft_margin_loss triplet_margin_loss multi_margin_loss
    binary_cross_entropy_with_logits dist pdist cdist renorm logsumexp interpolate upsample""".split()  # noqa: SIM905
)
FULL_PRECISION_RESULT = frozenset({"prod", "softmax", "log_softmax", "cumprod", "cumsum", "sum", "vector_norm", "matrix_norm"})

_FLASH_HEAD_DIMENSION = 256  # largest that flash attention takes: sdp_utils.cpp
_FLASH_CAPABILITY = 8.0  # Ampere: sdp_utils.cpp
_HEAD_ALIGNMENT = 8  # flash attention pads the head dimension to a multiple of it: attention.cpp
_BIAS_ALIGNMENT = 16  # bytes that rows of an attention mask are padded to: attention.cpp

_BACKWARD = (torch.Tensor.backward, torch.autograd.backward)


class CudaChoices(TorchFunctionMode):
    """Casts as autocast does to `lower` (None: not at all), and picks the kernels of a GPU of this compute capability."""

    def __init__(self, lower: torch.dtype | None = None, capability: float = _FLASH_CAPABILITY) -> None:
        super().__init__()
        self.lower = lower
        self.capability = capability
        self.casts: dict[int, tuple[Tensor, Tensor]] = {}
        self._in_forward = False

    def autocast(self) -> _Autocast:
        """The region that a training script writes as `with torch.autocast(...)`: casts of weights are kept within it."""
        return _Autocast(self)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _BACKWARD:
            return self._backward(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if self.lower is not None:
            if name in LOWER_PRECISION:
                args, kwargs = self._to(self.lower, args), {key: self._to(self.lower, value) for key, value in kwargs.items()}
            elif name in FULL_PRECISION:
                args, kwargs = self._to(torch.float32, args), {key: self._to(torch.float32, value) for key, value in kwargs.items()}
            elif name in FULL_PRECISION_RESULT and kwargs.get("dtype") is None and _is_low(args[0]):
                kwargs = {**kwargs, "dtype": torch.float32}
        if func is F.dropout:
            return _dropout(*args, **kwargs)
        if func is F.scaled_dot_product_attention:
            return self._attention(*args, **kwargs)
        return func(*args, **kwargs)

    def _backward(self, tensors: Any, gradients: Any = None, retain_graph: bool = False, create_graph: bool = False, **_: Any) -> None:
        """Backward with this mode still on: Python would switch it off, and recomputation would differ from the first pass."""
        outputs = (tensors,) if isinstance(tensors, Tensor) else tuple(tensors)
        seeds = (gradients,) if gradients is None or isinstance(gradients, Tensor) else tuple(gradients)
        seeds = tuple(torch.ones_like(out) if seed is None else seed for out, seed in zip(outputs, seeds, strict=True))
        with self:
            torch.autograd.graph._engine_run_backward(
                outputs, seeds, bool(retain_graph), create_graph, inputs=(), allow_unreachable=True, accumulate_grad=True
            )

    def _to(self, dtype: torch.dtype, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self._cast_tensor(value, dtype)
        if isinstance(value, tuple | list):
            return type(value)(self._to(dtype, item) for item in value)
        return value

    def _cast_tensor(self, tensor: Tensor, dtype: torch.dtype) -> Tensor:
        if tensor.dtype == dtype or not tensor.is_floating_point() or tensor.dtype == torch.float64 or tensor.device.type != "meta":
            return tensor
        keeps = self._in_forward and dtype == self.lower and tensor.is_leaf and tensor.requires_grad and tensor.dtype == torch.float32
        if not keeps:
            return tensor.to(dtype)
        if id(tensor) not in self.casts:
            self.casts[id(tensor)] = (tensor, tensor.to(dtype))
        return self.casts[id(tensor)][1]

    def _attention(
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0, is_causal: bool = False,
        scale: float | None = None, enable_gqa: bool = False,
    ) -> Tensor:  # fmt: skip
        """The fused kernel that CUDA would choose for [B, heads, L, E], by sdp_utils.cpp; the quadratic form where it has none."""
        width = query.shape[-1]
        scale = width**-0.5 if scale is None else scale
        low = query.dtype in (torch.bfloat16, torch.float16)
        if query.ndim != 4:
            return F.scaled_dot_product_attention(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)
        if low and attn_mask is None and width <= _FLASH_HEAD_DIMENSION and self.capability >= _FLASH_CAPABILITY:
            padding = -width % _HEAD_ALIGNMENT
            if padding:
                query, key, value = (F.pad(t, (0, padding)) for t in (query, key, value))
            flash = torch.ops.aten._scaled_dot_product_flash_attention
            out: Tensor = flash(query, key, value, dropout_p, is_causal, False, scale=scale)[0]
            return out[..., :width] if padding else out
        if enable_gqa and query.shape[-3] != key.shape[-3]:
            return F.scaled_dot_product_attention(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=True)
        bias = None if attn_mask is None else _attention_bias(attn_mask, query, key)
        efficient = torch.ops.aten._scaled_dot_product_efficient_attention
        keeps_sums = torch.is_grad_enabled() and any(t.requires_grad for t in (query, key, value))
        fused: Tensor = efficient(query, key, value, bias, keeps_sums, dropout_p, is_causal, scale=scale)[0]
        return fused


class _Autocast:
    def __init__(self, mode: CudaChoices) -> None:
        self.mode = mode

    def __enter__(self) -> None:
        self.mode._in_forward = True

    def __exit__(self, *_: object) -> None:
        self.mode._in_forward = False
        self.mode.casts.clear()


def _is_low(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16)


def _dropout(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    if not training or p == 0:
        return x
    if inplace or p == 1:
        return F.dropout(x, p, training, inplace)
    out: Tensor = torch.native_dropout(x, p, True)[0]
    return out


def _attention_bias(mask: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """A mask as memory-efficient attention wants it: additive, rows aligned, [B, heads, L, S] by expansion."""
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=query.dtype).masked_fill_(mask, 0.0)
    columns = mask.shape[-1]
    padding = -columns % (_BIAS_ALIGNMENT // query.element_size())
    if padding and columns > 1:
        mask = F.pad(mask, (0, padding))[..., :columns]
    return mask.expand(query.shape[0], query.shape[1], query.shape[2], key.shape[2])

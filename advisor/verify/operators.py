"""What a forward pass consists of, operator by operator: kind, arithmetic, bytes moved, and the shape of the product.

Read on `meta` with the casts and fused kernels of CUDA (`cuda_choices`), in less than a second for most models.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

from advisor.verify.arithmetic import formula_of
from advisor.verify.cuda_choices import CudaChoices
from advisor.verify.shapes import MetaOperators
from advisor.verify.work import Work
from advisor.verify.workload import Workload

_NAMED = {
    "mm": "matmul", "addmm": "matmul", "bmm": "matmul", "baddbmm": "matmul", "_grouped_mm": "matmul",
    "_scaled_dot_product_flash_attention": "attention", "_scaled_dot_product_efficient_attention": "attention",
    "native_batch_norm": "batch_norm", "_native_batch_norm_legit_no_training": "batch_norm", "cudnn_batch_norm": "batch_norm",
    "native_layer_norm": "norm", "native_group_norm": "norm", "_fused_rms_norm": "norm",
    "_softmax": "softmax", "clone": "copy", "copy_": "copy", "_to_copy": "copy", "cat": "copy", "stack": "copy",
    "constant_pad_nd": "copy", "index": "gather", "roll": "gather", "index_select": "gather", "gather": "gather", "embedding": "gather",
}  # fmt: skip
_TUNED_KERNEL = (
    25  # 5 x 5: the largest depthwise kernel that cuDNN and PyTorch have a kernel of their own for (native/cudnn, DepthwiseConv2d.cu)
)
_EMPTY = frozenset({"empty", "empty_strided", "empty_like", "new_empty", "detach"})


class _Reader(MetaOperators):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.works: Counter[Work] = Counter()
        self._weights = {tensor.untyped_storage()._cdata for tensor in (*model.parameters(), *model.buffers())}
        self._kept: list[Any] = []  # casts of weights: alive, so that their storages' addresses are not used again

    def observe(self, func: Any, args: Any, kwargs: Any) -> Any:
        out = super().observe(func, args, kwargs)
        name = func._schema.name.partition("::")[2]
        inputs, outputs = _tensors((args, tuple(kwargs.values()))), _tensors(out)
        if not outputs or name in _EMPTY:
            return out
        seen = {tensor.untyped_storage()._cdata for tensor in inputs}
        if not func._schema.is_mutable and all(tensor.untyped_storage()._cdata in seen for tensor in outputs):
            return out  # a view
        if inputs and seen <= self._weights:  # a cast of a weight, or a table made of weights: once a batch
            self._weights |= {tensor.untyped_storage()._cdata for tensor in outputs}
            self._kept.append(out)
            return out
        weights = sum(_bytes(t) for t in inputs if t.untyped_storage()._cdata in self._weights)
        moved = sum(_bytes(t) for t in (*inputs, *outputs)) - weights
        formula = formula_of(func)
        flops = formula(*args, **kwargs, out_val=out) if formula else 0
        kind = _convolution_kind(args) if name == "convolution" else _NAMED.get(name, "elementwise")
        self.works[Work(kind, flops, moved, weights, *_product(name, args, outputs[0]))] += 1
        return out


_LOWER = {"bf16": torch.bfloat16, "fp16": torch.float16}
_NOT_READ = (RuntimeError, TypeError, ValueError, IndexError, AssertionError, NotImplementedError, AttributeError)


def operators_at(model: nn.Module, workload: Workload, precision: str) -> list[tuple[Work, int]]:
    """`read_operators` under the autocast of a precision; empty where the model cannot be run so, and FLOPs alone have to serve."""
    try:
        return read_operators(model, workload, _LOWER.get(precision))
    except _NOT_READ:
        return []


def read_operators(model: nn.Module, workload: Workload, lower: torch.dtype | None) -> list[tuple[Work, int]]:
    """The operators of a forward pass of a `meta` model over one sample of its workload, and how often each occurs.

    `lower` is what autocast casts products to; None leaves the model's own type.
    """
    model.eval()
    choices, batch = CudaChoices(lower), workload.batch(1)
    with _Reader(model) as reader, torch.no_grad(), choices, choices.autocast():
        workload.forward(model, batch)
    works: Counter[Work] = reader.works
    return list(works.items())


def _convolution_kind(args: Any) -> str:
    weight, groups = args[1], args[8]
    if groups == 1:
        return "pointwise" if weight.shape[2:].numel() == 1 else "dense"
    if weight.shape[1] > 1:
        return "grouped"
    return "depthwise" if weight[0].numel() <= _TUNED_KERNEL else "large_depthwise"


def _product(name: str, args: Any, out: Tensor) -> tuple[int, int, int]:
    """Rows, depth and width of the matrix product that an operator is, or amounts to."""
    if name == "convolution":
        weight, groups = args[1], args[8]
        return out.shape[2:].numel() * out.shape[0], weight[0].numel(), weight.shape[0] // groups
    if name in ("mm", "bmm", "addmm", "baddbmm", "_grouped_mm"):
        left = args[1] if name in ("addmm", "baddbmm") else args[0]
        return left.shape[-2], left.shape[-1], out.shape[-1]
    if name.startswith("_scaled_dot_product"):
        return args[0].shape[-2], args[0].shape[-1], args[1].shape[-2]
    return 0, 0, 0


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, tuple | list):
        return [tensor for item in value for tensor in _tensors(item)]
    return []


def _bytes(tensor: Tensor) -> int:
    return int(tensor.numel() * tensor.element_size())

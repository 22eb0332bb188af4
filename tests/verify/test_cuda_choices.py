"""Meta tensors meet the casts and the kernels that CUDA would choose. These facts move between versions of torch."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from advisor.verify.cuda_choices import FULL_PRECISION, FULL_PRECISION_RESULT, LOWER_PRECISION, CudaChoices


class Operators(TorchDispatchMode):
    """Notes what runs."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append(func._overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def meta(*shape: int, dtype: torch.dtype = torch.float32, trained: bool = False) -> Tensor:
    return torch.empty(*shape, dtype=dtype, device="meta", requires_grad=trained)


def attention_operator(dtype: torch.dtype, capability: float = 8.0, **settings: Any) -> str:
    query = meta(2, 4, 16, 64, dtype=dtype)
    with CudaChoices(None, capability), Operators() as operators:
        assert F.scaled_dot_product_attention(query, query, query, **settings).shape == query.shape
    return next((name for name in operators.seen if "attention" in name), "bmm" if "bmm" in operators.seen else "none")


def test_backward_works_on_meta() -> None:
    layer = nn.Linear(4, 4, device="meta")
    with CudaChoices():
        layer(meta(2, 4)).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.shape == (4, 4)


def test_real_autocast_still_ignores_meta_tensors() -> None:
    """The reason for the casting of our own; where this fails, it may go."""
    with torch.autocast("cpu", torch.bfloat16):
        assert nn.Linear(4, 4, device="meta")(meta(2, 4)).dtype == torch.float32


def test_matrix_products_are_cast_down_and_norms_and_losses_up() -> None:
    layer, norm = nn.Linear(4, 4, device="meta"), nn.LayerNorm(4, device="meta")
    with CudaChoices(torch.bfloat16):
        low = layer(meta(2, 4))
        assert low.dtype == (low @ low.T).dtype == torch.bfloat16
        assert norm(low).dtype == low.softmax(-1).dtype == low.sum().dtype == torch.float32
        assert F.cross_entropy(low, meta(2, dtype=torch.long)).dtype == torch.float32
        assert (low + low).dtype == F.relu(low).dtype == torch.bfloat16


def test_a_weight_is_cast_once_within_the_forward_region() -> None:
    layer, choices = nn.Linear(4, 4, bias=False, device="meta"), CudaChoices(torch.bfloat16)
    with choices, Operators() as operators, choices.autocast():
        layer(layer(meta(2, 4)))
    assert operators.seen.count("_to_copy") == 2  # the weight, and the input


def test_casting_goes_on_where_checkpointing_computes_again() -> None:
    layer, choices = nn.Linear(4, 4, device="meta"), CudaChoices(torch.bfloat16)
    with choices, Operators() as operators:
        with choices.autocast():
            loss = checkpoint(lambda x: F.dropout(layer(x), 0.1, True), meta(2, 4, trained=True), use_reentrant=False).sum()
        loss.backward()
    assert operators.seen.count("native_dropout") == 2
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32


def test_attention_is_fused_as_on_the_card() -> None:
    assert "flash" in attention_operator(torch.bfloat16, is_causal=True)
    assert "efficient" in attention_operator(torch.float32)
    assert "efficient" in attention_operator(torch.bfloat16, attn_mask=meta(2, 1, 16, 16, dtype=torch.bool))
    assert "efficient" in attention_operator(torch.float16, capability=7.5)


def test_plain_meta_tensors_would_take_the_quadratic_path() -> None:
    """The reason for choosing the kernel ourselves; where this fails, it may go."""
    query = meta(2, 4, 16, 64)
    with Operators() as operators:
        F.scaled_dot_product_attention(query, query, query)
    assert "bmm" in operators.seen


@pytest.mark.parametrize(("macro", "ours"), [("AT_FORALL_LOWER_PRECISION_FP", LOWER_PRECISION),
                                             ("AT_FORALL_FP32_SET_OPT_DTYPE", FULL_PRECISION_RESULT),
                                             ("AT_FORALL_FP32", FULL_PRECISION)])  # fmt: skip
def test_the_lists_are_those_of_the_installed_torch(macro: str, ours: frozenset[str]) -> None:
    header = (Path(torch.__file__).parent / "include" / "ATen" / "autocast_mode.h").read_text(encoding="utf-8")
    body = re.search(rf"#define {macro}\(_\)(.*?)\n\n", header, re.S)
    assert body is not None
    listed = {name.removeprefix("linalg_") for name in re.findall(r"_\((\w+)", body.group(1))}
    # names that C++ alone calls; Python's are lstm, interpolate, norm and nll_loss
    hidden = {name for name in listed if name.startswith(("_", "upsample_", "frobenius_norm", "nll_loss2d"))}
    assert listed - hidden <= {name.removeprefix("linalg_") for name in ours}

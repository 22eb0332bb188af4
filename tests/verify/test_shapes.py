"""The shortcut for operators on meta gives what the operators give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from advisor.verify.shapes import MetaOperators, WithoutInitialization


class Ran(TorchDispatchMode):
    """The operators that reach the kernels."""

    def __init__(self) -> None:
        super().__init__()
        self.on_meta: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(isinstance(one, Tensor) and one.is_meta for one in args):
            self.on_meta[func._schema.name] += 1
        return func(*args, **(kwargs or {}))


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(*shape, dtype=dtype, device="meta")


@pytest.mark.parametrize("compute", [
    lambda: F.conv2d(meta(2, 3, 8, 8).to(memory_format=torch.channels_last), meta(4, 3, 3, 3)),
    lambda: meta(2, 3, 4).transpose(0, 1) * 2.0,
    lambda: meta(2, dtype=torch.int64) * 2,
    lambda: meta(2, dtype=torch.int64) * 2.0,
    lambda: F.layer_norm(meta(2, 8), (8,)),
    lambda: torch.max(meta(3, 5), 1).values,
])  # fmt: skip
def test_a_repeated_operator_gives_the_same_shape_stride_and_type_in_a_new_storage(compute: Callable[[], Tensor]) -> None:
    plain = compute()
    with MetaOperators():
        first, second = compute(), compute()
    assert {(t.shape, t.stride(), t.dtype) for t in (plain, first, second)} == {(plain.shape, plain.stride(), plain.dtype)}
    assert first.untyped_storage()._cdata != second.untyped_storage()._cdata


def test_views_stay_views_also_where_the_schema_hides_it() -> None:
    with MetaOperators():
        for _ in range(2):
            whole = meta(4, 6)
            halves = torch.ops.aten.unsafe_split.Tensor(whole, 2)
            assert {half.untyped_storage()._cdata for half in halves} == {whole.untyped_storage()._cdata}


def test_changes_in_place_keep_the_tensor() -> None:
    with MetaOperators():
        x = meta(4)
        assert x.add_(1) is x
        torch._foreach_mul_([x], 2.0)


def test_a_tensor_without_values_answers_questions() -> None:
    with MetaOperators():
        assert not meta(3, dtype=torch.bool).all()
        assert meta(1).item() == 0.0
    with pytest.raises(RuntimeError):
        meta(1).item()


def test_without_initialization_only_values_on_meta_stay_as_they_are() -> None:
    def make(device: str) -> nn.Linear:
        layer = nn.Linear(3, 4, device=device)
        with torch.no_grad():
            layer.weight.uniform_().clamp_(0, 1).t_()
            layer.bias.zero_().add_(2.0)
        return layer

    with Ran() as ran, WithoutInitialization():
        light, real = make("meta"), make("cpu")
    whole = make("meta")
    assert ran.on_meta["aten::t_"] == 1 and not ran.on_meta.keys() & {"aten::clamp_", "aten::add_"}
    for one, other in zip(light.parameters(), whole.parameters(), strict=True):
        assert (one.shape, one.stride(), one.dtype, one.device) == (other.shape, other.stride(), other.dtype, other.device)
    assert bool((real.bias == 2).all())


def _batch_norm(x: Tensor, training: bool) -> tuple[Tensor, ...]:
    channels = [meta(x.shape[1]) for _ in range(4)]
    return torch.ops.aten.native_batch_norm(x, *channels, training, 0.1, 1e-5)


def _batch_norm_backward(x: Tensor) -> tuple[Tensor | None, ...]:
    channels = [meta(x.shape[1]) for _ in range(5)]
    return torch.ops.aten.native_batch_norm_backward(x, x, *channels, True, 1e-5, [True, False, True])


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (7, 3, 4, 5), (7, 3, 8, 9), (1, 3, 4, 5), (7, 3, 1, 1), (7, 3, 1, 5), (7, 3), (3, 7, 2)])
@pytest.mark.parametrize("layout", ["rows", "channels_last", "transposed", "cut"])
def test_what_was_learnt_of_one_batch_holds_for_another(shape: tuple[int, ...], layout: str) -> None:
    def compute(x: Tensor) -> list[Tensor | None]:
        whole = [x + x, x * 2, x > 0, x / x.to(torch.bfloat16), x + meta(x.shape[-1]), torch.where(x > 0, x, x)]
        if x.is_contiguous():
            whole += [*_batch_norm(x, True), *_batch_norm(x, False), *_batch_norm_backward(x)]
        return [*whole, F.gelu(x), F.relu(x), torch.ops.aten.threshold_backward(x, x, 0)]

    def described(tensors: list[Tensor | None]) -> list[Any]:
        return [None if t is None else (t.shape, t.stride(), t.dtype) for t in tensors]

    x = meta(*shape)
    if layout == "channels_last":
        x = x.to(memory_format=torch.channels_last) if x.ndim == 4 else x
    elif layout == "transposed":
        x = x.transpose(0, 1)
    elif layout == "cut":
        x = meta(*shape[:-1], 2 * shape[-1])[..., : shape[-1]]
    with MetaOperators():
        compute(meta(4, 3, 6, 7))
        shortened = compute(x)
    assert described(shortened) == described(compute(x))

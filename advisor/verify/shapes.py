"""Run operators on `meta` tensors quickly: what an operator gives for inputs of these shapes is worked out once.

PyTorch derives many output shapes in Python, 100 microseconds an operator; a network repeats the same few hundred.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_SCALAR = torch.ops.aten._local_scalar_dense.default
_UNANNOUNCED = frozenset({_SCALAR, torch.ops.aten._unsafe_view.default})
"""What looks as if it made a new tensor, and gives a number or a view of its input."""
_NORMALIZATIONS = frozenset(
    {
        torch.ops.aten.native_batch_norm.default,
        torch.ops.aten.native_batch_norm_backward.default,
        torch.ops.aten._native_batch_norm_legit_no_training.default,
    }
)
"""Two milliseconds each for shapes that are new, where those of other batches told all."""
_MOST_KNOWN = 200_000  # answers that are kept, of some 200 bytes: a long-lived process forgets them all rather than grow

P = ParamSpec("P")
R = TypeVar("R")
_Spec = tuple[tuple[int, ...], tuple[int, ...], torch.dtype]


class ShapeMemory:
    """Remembers, for operators that make new tensors and change none, the outputs' shapes by the inputs' shapes."""

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}
        self._forms: dict[Any, Any] = {}
        self._effects: dict[Any, str] = {}

    def run(self, func: Any, args: Any, kwargs: Any) -> Any:
        """What `func` returns, with new storages wherever it would make new ones."""
        effect = self._effects.get(func)
        if effect is None:
            effect = self._effects[func] = _effect(func)
        if effect == "in place" and _is_on_meta(args[0]):
            return args[0] if isinstance(args[0], Tensor) else None
        if effect != "new":
            return func(*args, **kwargs)
        key = (func, _key(args), _key(tuple(kwargs.items())) if kwargs else None)
        try:
            spec = self._known.get(key)
        except TypeError:  # an argument that is no plain value
            return func(*args, **kwargs)
        if spec is not None:
            return _made(spec)
        form = None if kwargs else _form(func, args)
        if form is not None and form in self._forms:
            self._known[key] = spec = _of_form(self._forms[form], args[0])
            return _made(spec)
        out = func(*args, **kwargs)
        if _is_reproducible(out, args):
            if len(self._known) >= _MOST_KNOWN:
                self.forget()
            self._known[key] = spec = _spec(out)
            if form is not None and (general := _generalized(spec, args[0])) is not None:
                self._forms[form] = general
        return out

    def forget(self) -> None:
        self._known.clear()
        self._forms.clear()


_SHAPES = ShapeMemory()  # the passes over one model, and over the next, ask for the same


def bookkeeping(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, past modes of Python functions: asking a tensor for its shape would go through each, for most of a trace's time."""

    @wraps(function)
    def beside(*args: P.args, **kwargs: P.kwargs) -> R:
        with torch._C.DisableTorchFunction():
            return function(*args, **kwargs)

    return beside


class MetaOperators(TorchDispatchMode):
    """Runs operators on `meta` with a `ShapeMemory`, and lets a model ask tensors for values that they do not have."""

    def __init__(self) -> None:
        super().__init__()
        self.has_answered = False  # whether a value was asked for

    @bookkeeping
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.observe(func, args, kwargs or {})

    def observe(self, func: Any, args: Any, kwargs: Any) -> Any:
        """What `func` returns; the place for what a recorder notes besides."""
        if asks_for_a_value(func, args):
            self.has_answered = True
            return answer_scalar(args[0])
        return _SHAPES.run(func, args, kwargs)


class WithoutInitialization(TorchDispatchMode):
    """Leaves out what would only change values on `meta`: a model's constructor spends most of its time on first weights."""

    def __init__(self) -> None:
        super().__init__()
        self._effects: dict[Any, str] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        effect = self._effects.get(func)
        if effect is None:
            effect = self._effects[func] = _effect(func)
        return args[0] if effect == "in place" and isinstance(args[0], Tensor) and args[0].is_meta else func(*args, **(kwargs or {}))


def answer_scalar(tensor: Tensor) -> bool | float | int:
    """What a tensor without values says: False (so that no mask counts as all ones, and none is left out), 0.0 or 1."""
    if tensor.dtype == torch.bool:
        return False
    return 0.0 if tensor.is_floating_point() else 1


def asks_for_a_value(func: Any, args: Any) -> bool:
    """Whether this is `.item()` of a tensor on `meta`, which has none: see `answer_scalar`."""
    return func is _SCALAR and args[0].device.type == "meta"


def _effect(func: Any) -> str:
    """`new`: makes tensors and changes none. `in place`: changes values of its first argument, of which meta has none."""
    schema = func._schema
    if func in _UNANNOUNCED:
        return "other"
    if not schema.is_mutable:
        return "new" if all(value.alias_info is None for value in schema.returns) else "other"
    changed = [argument.name for argument in schema.arguments if argument.alias_info is not None and argument.alias_info.is_write]
    keeps_shape = torch.Tag.pointwise in func.tags or schema.name.startswith("aten::_foreach_")
    return "in place" if keeps_shape and changed == ["self"] else "other"


def _form(func: Any, args: Any) -> Any:
    """What tells an operator's outputs, if they are of the first argument's shape or have a number a channel; None for other operators."""
    first = args[0] if args else None
    if not isinstance(first, Tensor) or first.ndim < 2 or not (func in _NORMALIZATIONS or torch.Tag.pointwise in func.tags):
        return None
    shape, strides = first.shape, first.stride()
    if not first.numel() or strides != torch.empty(shape, device="meta").stride():
        return None
    parts = []
    for arg in args:
        is_wide = isinstance(arg, Tensor) and arg.ndim > 1
        if is_wide and (arg.shape != shape or arg.stride() != strides or not arg.is_meta):
            return None
        parts.append(arg.dtype if is_wide else _key(arg))
    return (func, tuple([size == 1 for size in shape]), shape[1], *parts)


def _generalized(spec: Any, first: Tensor) -> Any:
    """The type alone of each output that is like `first`; None where some output is neither that nor a number a channel."""
    if isinstance(spec, list):
        parts = [_generalized(part, first) if isinstance(part, tuple) else part for part in spec]
        return None if any(part is None is not old for part, old in zip(parts, spec, strict=True)) else parts
    if spec[:2] == (tuple(first.shape), first.stride()):
        return spec[2]
    return spec if spec[0] == (first.shape[1],) else None


def _of_form(general: Any, first: Tensor) -> Any:
    if isinstance(general, list):
        return [_of_form(part, first) for part in general]
    return (tuple(first.shape), first.stride(), general) if isinstance(general, torch.dtype) else general


def _is_on_meta(value: Any) -> bool:
    tensors = value if isinstance(value, tuple | list) else (value,)
    return all(isinstance(tensor, Tensor) and tensor.is_meta for tensor in tensors)


def _key(value: Any) -> Any:
    if isinstance(value, Tensor):
        return (value.shape, value.stride(), value.dtype, value.is_meta)
    if isinstance(value, tuple | list):
        return tuple([_key(item) for item in value])
    return (value.__class__, value)  # 1, 1.0 and True are equal, and give different types


def _spec(out: Any) -> Any:
    if isinstance(out, Tensor):
        return (tuple(out.shape), out.stride(), out.dtype)
    return [_spec(item) if isinstance(item, Tensor) else item for item in out]


def _made(spec: Any) -> Any:
    if isinstance(spec, tuple):
        return torch.empty_strided(spec[0], spec[1], dtype=spec[2], device="meta")
    return tuple([_made(item) if isinstance(item, tuple) else item for item in spec])


def _is_reproducible(out: Any, args: Any) -> bool:
    """Whether all outputs are dense `meta` tensors with storages of their own: some operators return views unannounced."""
    outs = (out,) if isinstance(out, Tensor) else out
    if not isinstance(outs, tuple | list) or not all(item is None or isinstance(item, Tensor | int) for item in outs):
        return False
    tensors = [item for item in outs if isinstance(item, Tensor)]
    if not all(t.is_meta and t.storage_offset() == 0 and t.untyped_storage().nbytes() == _bytes(t) for t in tensors):
        return False
    storages = [t.untyped_storage()._cdata for t in (*tensors, *(arg for arg in args if isinstance(arg, Tensor)))]
    return len(set(storages[: len(tensors)])) == len(tensors) and not set(storages[: len(tensors)]) & set(storages[len(tensors) :])


def _bytes(tensor: Tensor) -> int:
    if tensor.numel() == 0:
        return 0
    return int(tensor.element_size() * (1 + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))))

"""What `torch.fx.experimental.symbolic_shapes` says of sizes that are plain numbers: nothing about them is unknown.

Each entry does what the function of that name does in torch 2.15 with integers and booleans.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any


def are_concrete(values: Any) -> bool:
    """Whether every value is a number, a sequence of such, or a tensor of such a shape."""
    return all(map(_is_concrete, values))


def _is_concrete(value: Any) -> bool:
    sizes = value if isinstance(value, list | tuple) else getattr(value, "shape", None)
    return isinstance(value, int | float) if sizes is None else are_concrete(sizes)


def _itself(value: Any) -> Any:
    return value


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(_equal, left, right))
    return bool(left == right)


def _and(*values: Any) -> Any:
    return functools.reduce(operator.and_, values)


def _or(*values: Any) -> Any:
    return functools.reduce(operator.or_, values)


def _no(*_: Any) -> bool:
    return False


def _yes(*_: Any) -> bool:
    return True


def _none(*_: Any) -> frozenset[Any]:
    return frozenset()


ANSWERS: dict[str, Callable[..., Any]] = {
    "expect_true": _itself,
    "guard_or_false": _itself,
    "guard_or_true": _itself,
    "guard_size_oblivious": _itself,
    "guarding_hint_or_throw": _itself,
    "statically_known_true": _itself,
    "has_guarding_hint": _yes,
    "is_nested_int": _no,
    "sym_eq": _equal,
    "sym_and": _and,
    "sym_or": _or,
    "free_unbacked_symbols": _none,
}

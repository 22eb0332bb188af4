"""Numbers that say which of its kind a block is, and whether a block decides anything by its own.

Blocks that differ in nothing else do the same, unless they ask for their number: in a comparison, in arithmetic, as an index.
Who of a stack runs asks for it as all of them would, so that the first to run tell of those that do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

PLACES = frozenset({"layer_idx", "layer_id", "layer_index", "layer_number", "block_idx", "idx", "target_name"})
"""Attributes that say which of its kind a block is; the last is peft's, a name."""

_ASKING = """bool hash int index float str repr neg pos abs invert trunc round eq ne lt le gt ge format add sub mul truediv floordiv mod
divmod pow lshift rshift and or xor radd rsub rmul rtruediv rfloordiv rmod rdivmod rpow rlshift rrshift rand ror rxor"""


class Place:
    """Stands for a number, and calls `asked` whenever anything could depend on which number it is."""

    def __init__(self, number: int, asked: Callable[[], None]) -> None:
        self._number, self._asked = number, asked

    __class__ = property(lambda _: int)

    def __getattr__(self, name: str) -> Any:
        self._asked()
        return getattr(self._number, name)


def _asking(name: str) -> Callable[..., Any]:
    def answer(self: Any, *others: Any) -> Any:
        self._asked()
        return getattr(self._number, name)(*(other._number if type(other) is Place else other for other in others))

    return answer


for _name in _ASKING.split():
    setattr(Place, f"__{_name}__", _asking(f"__{_name}__"))


@contextmanager
def watched(module: nn.Module, asked: Callable[[], None]) -> Iterator[None]:
    """`asked` is called when the module or a part of it looks at one of its `PLACES`, in this context."""
    numbers = [(vars(part), key) for part in module.modules() for key in PLACES & vars(part).keys() if type(vars(part)[key]) is int]
    for own, key in numbers:
        own[key] = Place(own[key], asked)
    try:
        yield
    finally:
        for own, key in numbers:
            own[key] = own[key]._number

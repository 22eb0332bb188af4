"""One program traced at two sizes tells what it allocates at any other: nothing but sizes changes.

The bytes of a tensor are a product of its dimensions, so that between two sizes of a batch, or two lengths of a sequence,
they follow a power of the size: none for weights, the first for activations, the second for scores of attention.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from advisor.verify.trace import FREE, Trace

Events = list[tuple[int, int]]
_ROUNDING = 1e-9  # of a power, which logarithms are divided for


class ChangedProgram(Exception):
    """The two traces differ in more than sizes: the model does other things at another size."""


class Scaled:
    """What one program allocates at other sizes, by two traces of it: `one` of size `size`, `two` of `other`.

    Both have at least two steps. Steps beyond those of `one` repeat its last. Raises ChangedProgram.
    """

    def __init__(self, one: Trace, two: Trace, size: int, other: int) -> None:
        self._one, self._size = one, size
        self._setup = one.events[: one.starts[0]]
        self._steps = _split(one)
        others = _split(two)
        self._powers = [_powers(step, others[min(i, len(others) - 1)], other / size) for i, step in enumerate(self._steps)]
        self._places = _places(self._setup, self._steps)

    @property
    def is_determined(self) -> bool:
        """Whether each size is a whole power of the program's: one unknown, told by two sizes, so that each trace confirms the other."""
        return all(power == round(power) for step in self._powers for power in step)

    def trace(self, size: int) -> Trace:
        """That of `one`, with the bytes that its allocations have at this size."""
        scale, powers = size / self._size, chain([0.0] * len(self._setup), *self._powers)
        events = [(n, _scaled(bytes_, scale, power)) for (n, bytes_), power in zip(self._one.events, powers, strict=True)]
        return replace(self._one, events=events)

    def at(self, sizes: Sequence[int]) -> Events:
        """The events of as many steps as there are sizes, each of its own."""
        events, numbers = list(self._setup), {number: number for number, size in self._setup if size != FREE}
        met: list[list[int]] = []
        fresh = max(numbers, default=-1) + 1
        for index, size in enumerate(sizes):
            scale = size / self._size
            own = min(index, len(self._steps) - 1)
            mine: list[int] = []
            met.append(mine)
            for (number, bytes_), power in zip(self._steps[own], self._powers[own], strict=True):
                if bytes_ != FREE:
                    mine.append(fresh)
                    events.append((fresh, _scaled(bytes_, scale, power)))
                    fresh += 1
                    continue
                step, place = self._places[number]
                if step >= 0:
                    step += index - own
                events.append((met[step][place] if step >= 0 else place, FREE))
        return events


def _split(trace: Trace) -> list[Events]:
    ends = [*trace.starts[1:], len(trace.events)]
    return [trace.events[start:end] for start, end in zip(trace.starts, ends, strict=True)]


def _places(setup: Events, steps: Sequence[Events]) -> dict[int, tuple[int, int]]:
    """Each allocation's step and which of it; those of the set-up have step -1 and their own number."""
    places = {number: (-1, number) for number, size in setup if size != FREE}
    for index, step in enumerate(steps):
        made = [number for number, size in step if size != FREE]
        places |= {number: (index, place) for place, number in enumerate(made)}
    return places


def _powers(one: Events, two: Events, scale: float) -> list[float]:
    """Of each event of `one`; `two` is the same step `scale` times as large."""
    shared = min(len(one), len(two))  # the last step of a trace ends before what follows it is freed
    if any(size != FREE for _, size in (*one[shared:], *two[shared:])):
        raise ChangedProgram
    powers = []
    for (_, size), (_, other) in zip(one, two, strict=False):
        if (size == FREE) != (other == FREE):
            raise ChangedProgram
        power = math.log(other / size) / math.log(scale) if size > 0 and other > 0 and size != other else 0.0
        powers.append(round(power) if abs(power - round(power)) < _ROUNDING else power)
    return powers + [0.0] * (len(one) - shared)


def _scaled(size: int, scale: float, power: float) -> int:
    return size if power == 0 else round(size * scale**power)

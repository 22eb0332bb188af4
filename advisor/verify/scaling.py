"""One program traced at two sizes tells what it allocates at any other: nothing but sizes changes.

The bytes of a tensor are a product of its dimensions, so that between two sizes of a batch, or two lengths of a sequence,
they follow a power of the size: none for weights, the first for activations, the second for scores of attention.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from advisor.verify.trace import FREE, Trace

Events = list[tuple[int, int]]


class ChangedProgram(Exception):
    """The two traces differ in more than sizes: the model does other things at another size."""


class Scaled:
    """What `larger`, traced at size 1, allocates at other sizes; `smaller` is the same program at size `scale` < 1.

    Both have at least two steps. Steps beyond those of `larger` repeat its last. Raises ChangedProgram.
    """

    def __init__(self, larger: Trace, smaller: Trace, scale: float) -> None:
        self._setup = larger.events[: larger.starts[0]]
        self._steps = _split(larger)
        others = _split(smaller)
        self._powers = [_powers(step, others[min(i, len(others) - 1)], scale) for i, step in enumerate(self._steps)]
        self._places = _places(self._setup, self._steps)

    def at(self, scales: Sequence[float]) -> Events:
        """The events of as many steps as there are sizes, each of its size, in bytes."""
        events, numbers = list(self._setup), {number: number for number, size in self._setup if size != FREE}
        met: list[list[int]] = []
        fresh = max(numbers, default=-1) + 1
        for index, scale in enumerate(scales):
            own = min(index, len(self._steps) - 1)
            mine: list[int] = []
            met.append(mine)
            for (number, size), power in zip(self._steps[own], self._powers[own], strict=True):
                if size != FREE:
                    mine.append(fresh)
                    events.append((fresh, size if power == 0 else round(size * scale**power)))
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


def _powers(larger: Events, smaller: Events, scale: float) -> list[float]:
    shared = min(len(larger), len(smaller))  # the last step of a trace ends before what follows it is freed
    if abs(len(larger) - len(smaller)) > 0 and any(size != FREE for _, size in (*larger[shared:], *smaller[shared:])):
        raise ChangedProgram
    powers = []
    for (_, big), (_, small) in zip(larger, smaller, strict=False):
        if (big == FREE) != (small == FREE):
            raise ChangedProgram
        powers.append(math.log(small / big) / math.log(scale) if big > 0 and small > 0 and big != small else 0.0)
    return powers + [0.0] * (len(larger) - shared)

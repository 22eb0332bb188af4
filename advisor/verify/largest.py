"""The largest batch that a device holds: two traces, one of them near it, tell every batch's allocations; a search finds it."""

from __future__ import annotations

from collections.abc import Callable

from advisor.verify.allocator import replay
from advisor.verify.evidence import Memory
from advisor.verify.memory import safety
from advisor.verify.scaling import ChangedProgram, Scaled
from advisor.verify.trace import Trace

LARGEST = 1 << 16  # samples: beyond it nobody wants a batch
_STEP_BACK = 0.97  # of the batch, where its own trace needs more than the other two told
_TRIES = 4
_AHEAD = (1.15, 1.1, 1.05, 1.02)  # of what fits, where more may fit again: of some batches the blocks happen to fit into one another
_FEW_MORE = 6  # samples above what a search found that are tried one by one, so that at least the very next does not fit
_LINES = 8  # more than a search needs where what is needed does grow in a line
_SMALLEST_PAIR = 4  # a batch of one may take other paths: its tensors are contiguous where others are not
_FIXED = ("weights", "gradients", "optimizer_state", "workspace", "context")  # of a prediction's categories: the same at every batch


def largest_batch(
    trace: Callable[[int], Trace], price: Callable[[Trace], Memory], room: int, start: int, first: tuple[Trace, Memory]
) -> int | None:
    """The most samples of which the interval's upper end stays within `room` bytes; 0 where one is too many, None where unknown.

    A little more may still run, by giving cached segments back to the driver again and again, at a cost in time; that is not
    counted on. Nor is what fragments happen to leave: where a batch does not fit, one of a percent or two more may.

    `first` is what a batch of `start` samples gave. The answer is traced itself where the two traces do not determine it.
    """
    known, memory = first
    if start == 1 and memory.high > room:
        return 0
    guess = _guess(memory, room, start)
    other = max(_SMALLEST_PAIR, guess if guess != start else 2 * start)
    try:
        family = _family(trace, start, known, other)
    except (ChangedProgram, RuntimeError, ValueError):  # such as BatchNorm, which wants two samples
        return None
    factor = safety(known)[0]
    others = memory.high - factor * replay(known.events, 0)  # the context and its range: the same at every batch

    def needs(batch: int) -> float:
        return factor * replay(family.trace(batch).events, 0) + others

    near = _search(needs, room, other, (start, memory.high))
    ahead = next((batch for share in _AHEAD if (batch := min(LARGEST, int(share * near))) > near and needs(batch) <= room), near)
    if ahead > near:
        near = _search(needs, room, ahead + 1, (ahead, needs(ahead)), low=ahead)
    batch, value = near, price(family.trace(near)).high if near else 0
    if value > room:  # over several orders of addresses, where one of them did not show it
        batch = _search(lambda batch: price(family.trace(batch)).high, room, near - 1, (near, value), high=near)
    for _ in range(_TRIES):
        if batch >= 1 and family.is_determined:
            return next((more - 1 for more in range(batch + 1, batch + _FEW_MORE) if price(family.trace(more)).high > room), batch)
        if batch < 1 or price(trace(batch)).high <= room:
            return max(batch, 0)
        batch = min(batch - 1, int(batch * _STEP_BACK))
    return None


def _guess(memory: Memory, room: int, start: int) -> int:
    """Roughly the largest batch: as if all that is not known to be fixed grew with it."""
    fixed = sum(memory.categories.get(name, 0) for name in _FIXED)
    growing = max(1, memory.total - fixed)
    return min(LARGEST, int(start * (room * memory.total / memory.high - fixed) / growing))


def _family(trace: Callable[[int], Trace], start: int, known: Trace, other: int) -> Scaled:
    """What any batch allocates, by those of `start` and another; by two others, where so few samples take other paths."""
    second = trace(other)
    if start >= _SMALLEST_PAIR:
        return Scaled(known, second, start, other)
    try:
        family = Scaled(known, second, start, other)
    except ChangedProgram:
        pass
    else:
        if family.is_determined:
            return family
    return Scaled(second, trace(2 * other), other, 2 * other)


def _search(needs: Callable[[int], float], room: int, batch: int, known: tuple[int, float], low: int = 0, high: int = LARGEST + 1) -> int:
    """The largest batch from `low` to below `high` with needs(batch) <= room, from a first `batch` on and what another is `known` to need.

    What is needed grows with the batch, almost in a straight line: lines are followed first, then what is left is halved.
    """
    tries = 0
    while high - low > 1:
        value = needs(batch)
        low, high = (batch, high) if value <= room else (low, batch)
        slope = (value - known[1]) / (batch - known[0])
        is_line = slope > 0 and tries < _LINES
        known, batch = (batch, value), int(batch + (room - value) // slope) if is_line else (low + high) // 2
        batch, tries = min(max(batch, low + 1), high - 1), tries + 1
    return low

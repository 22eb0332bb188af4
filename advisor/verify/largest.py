"""The largest batch that a device holds: two traces tell every batch's allocations, a search finds the batch, a trace confirms it."""

from __future__ import annotations

from collections.abc import Callable

from advisor.verify.allocator import replay
from advisor.verify.evidence import Memory
from advisor.verify.memory import safety
from advisor.verify.scaling import ChangedProgram, Scaled
from advisor.verify.trace import Trace

LARGEST = 1 << 16  # samples: beyond it nobody wants a batch
_STEP_BACK = 0.97  # of the batch, where the confirming trace needs more than the search thought
_TRIES = 4
_SMALLEST_PAIR = 4  # a batch of one takes other paths: its tensors are contiguous where others are not


def largest_batch(
    trace: Callable[[int], Trace], price: Callable[[Trace], Memory], room: int, start: int, first: tuple[Trace, Memory]
) -> int | None:
    """The most samples of which the interval's upper end stays within `room` bytes; 0 where one is too many, None where unknown.

    A little more may still run, by giving cached segments back to the driver again and again, at a cost in time; that is not
    counted on.

    `first` is what a batch of `start` samples gave.
    """
    size = max(_SMALLEST_PAIR, start)
    try:
        larger = first[0] if size == start else trace(size)
        smaller = trace(size // 2)
        scaled = Scaled(larger, smaller, size // 2 / size)
    except (ChangedProgram, RuntimeError, ValueError):  # such as BatchNorm, which wants two samples
        return None
    factor = safety(first[0])[0]
    others = first[1].high - factor * replay(first[0].events, 0)  # the context and its range: the same at every batch

    def needs(batch: int) -> float:
        return factor * replay(scaled.at([batch / size] * 2), 0) + others

    batch = _search(needs, room)
    for _ in range(_TRIES):
        if batch < 1:
            return 0
        memory = first[1] if batch == start else price(trace(batch))
        if memory.high <= room:
            return batch
        batch = min(batch - 1, int(batch * _STEP_BACK))
    return None


def _search(needs: Callable[[int], float], room: int) -> int:
    """The largest batch with needs(batch) <= room, by doubling and halving; needs grows with the batch."""
    low, high = 0, 1
    while high <= LARGEST and needs(high) <= room:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if needs(middle) <= room else (low, middle)
    return low

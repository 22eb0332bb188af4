"""A model of CUDA's caching allocator: how much it reserves for a sequence of allocations (c10/cuda/CUDACachingAllocator.cpp).

Sizes are rounded to 512 bytes and cut from segments: 2 MiB for blocks up to 1 MiB, 20 MiB for blocks below 10 MiB, their
own size rounded up to 2 MiB above. A free block is chosen by best fit, and among equals by its address. Segments are
given back to the driver only when a new one does not fit.
"""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low

MIB = 1 << 20
_MINIMUM = 512  # kMinBlockSize
_SMALL = MIB  # kSmallSize
_SMALL_SEGMENT = 2 * MIB  # kSmallBuffer
_MEDIUM = 10 * MIB  # kMinLargeAlloc
_MEDIUM_SEGMENT = 20 * MIB  # kLargeBuffer
_LARGE_ROUNDING = 2 * MIB  # kRoundLarge
_ADDRESSES = 1 << 20  # places that a segment's address is drawn from
_SEGMENT_SPAN = 1 << 40  # more than the largest segment

_MOST_REPLAYS = 7
_ENOUGH_ALIKE = 3  # replays that agree before the rest are spared


class OutOfMemory(Exception):
    """The allocations do not fit, even after every wholly free segment was given back."""


@dataclass(slots=True, eq=False)
class _Block:
    address: int
    size: int
    pool: _Pool
    before: _Block | None = None
    after: _Block | None = None
    free: bool = True


_Free = tuple[int, int, _Block]  # size, address: no two are equal in both, so that blocks are never compared


class _Pool:
    """The small or the large blocks: the free ones by size, then address. Blocks know their neighbours."""

    def __init__(self, splits_above: int) -> None:
        self.splits_above = splits_above
        self.segments: set[int] = set()
        self.free: list[_Free] = []

    def take(self, size: int) -> _Block | None:
        """The best-fitting free block, cut to size; None where there is none."""
        position = bisect_left(self.free, (size, 0))
        if position == len(self.free):
            return None
        whole, address, block = self.free.pop(position)
        block.free = False
        if whole - size > self.splits_above:
            rest = _Block(address + size, whole - size, self, block, block.after)
            if block.after is not None:
                block.after.before = rest
            block.size, block.after = size, rest
            insort(self.free, (rest.size, rest.address, rest))
        return block

    def give(self, block: _Block) -> None:
        """Free a block, and merge it with free neighbours."""
        free, before, after = self.free, block.before, block.after
        if after is not None and after.free:
            del free[bisect_left(free, (after.size, after.address))]
            block.size += after.size
            block.after = after.after
            if block.after is not None:
                block.after.before = block
        if before is not None and before.free:
            del free[bisect_left(free, (before.size, before.address))]
            before.size += block.size
            before.after = block.after
            if block.after is not None:
                block.after.before = before
            block = before
        block.free = True
        insort(free, (block.size, block.address, block))

    def add_segment(self, address: int, size: int) -> None:
        self.segments.add(address)
        insort(self.free, (size, address, _Block(address, size, self)))

    def release(self) -> int:
        """Drop the segments that are wholly free; returns their bytes."""
        whole = [entry for entry in self.free if entry[2].before is None and entry[2].after is None]
        self.free = [entry for entry in self.free if entry[2].before is not None or entry[2].after is not None]
        self.segments.difference_update(address for _, address, _ in whole)
        return sum(size for size, _, _ in whole)


class CachingAllocator:
    """Reserves segments and hands out blocks; `capacity` is what it may reserve in all, in bytes (None: without end)."""

    def __init__(self, seed: int, capacity: int | None = None) -> None:
        self.reserved = 0
        self.peak = 0
        self._capacity = capacity
        self._random = random.Random(seed)
        self._small, self._large = _Pool(_MINIMUM - 1), _Pool(_SMALL)
        self._places: dict[int, _Block] = {}

    def allocate(self, number: int, size: int) -> None:
        """Raises OutOfMemory where `capacity` does not allow it."""
        if size == 0:
            return
        size = -(-size // _MINIMUM) * _MINIMUM
        pool = self._large if size > _SMALL else self._small
        block = pool.take(size)
        if block is None:
            self._reserve(pool, _segment_size(size))
            block = pool.take(size)
            assert block is not None
        self._places[number] = block

    def free(self, number: int) -> None:
        block = self._places.pop(number, None)
        if block is not None:
            block.pool.give(block)

    def _reserve(self, pool: _Pool, size: int) -> None:
        if self._capacity is not None and self.reserved + size > self._capacity:
            self.reserved -= self._small.release() + self._large.release()
            if self.reserved + size > self._capacity:
                raise OutOfMemory
        # the driver's addresses follow no order that could be known: see `reserved_peak`
        address = self._random.randrange(_ADDRESSES) * _SEGMENT_SPAN
        while address in pool.segments:
            address += _SEGMENT_SPAN * _ADDRESSES
        pool.add_segment(address, size)
        self.reserved += size
        self.peak = max(self.peak, self.reserved)


def _segment_size(size: int) -> int:
    if size <= _SMALL:
        return _SMALL_SEGMENT
    if size < _MEDIUM:
        return _MEDIUM_SEGMENT
    return -(-size // _LARGE_ROUNDING) * _LARGE_ROUNDING


def replay(events: Sequence[tuple[int, int]], seed: int, capacity: int | None = None) -> int:
    """Most bytes reserved while `events`, pairs of an allocation and its bytes (negative: it is freed), run their course."""
    allocator = CachingAllocator(seed, capacity)
    for number, size in events:
        if size >= 0:
            allocator.allocate(number, size)
        else:
            allocator.free(number)
    return allocator.peak


def reserved_peak(events: Sequence[tuple[int, int]], capacity: int | None = None) -> tuple[int, int, int]:
    """Median, least and largest peak over several orders of segment addresses, in bytes.

    Ties between free blocks are broken by address, and the driver's addresses are not monotone: one order alone can be 7 %
    off. Where three orders agree the rest are spared. Raises OutOfMemory where `capacity` is too small.
    """
    peaks: list[int] = []
    for seed in range(_MOST_REPLAYS):
        peaks.append(replay(events, seed, capacity))
        if len(peaks) == _ENOUGH_ALIKE and len(set(peaks)) == 1:
            break
    return median_low(peaks), min(peaks), max(peaks)

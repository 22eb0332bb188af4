"""A model of CUDA's caching allocator: how much it reserves for a sequence of allocations (c10/cuda/CUDACachingAllocator.cpp).

Sizes are rounded to 512 bytes and cut from segments: 2 MiB for blocks up to 1 MiB, 20 MiB for blocks below 10 MiB, their
own size rounded up to 2 MiB above. A free block is chosen by best fit, and among equals by its address. Segments are
given back to the driver only when a new one does not fit.
"""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class _Block:
    size: int
    before: int | None = None
    after: int | None = None
    used: bool = False


@dataclass
class _Pool:
    """The small or the large blocks: all of them by address, and the free ones by size, then address."""

    splits_above: int
    blocks: dict[int, _Block] = field(default_factory=dict)
    free: list[tuple[int, int]] = field(default_factory=list)

    def take(self, size: int) -> int | None:
        """The address of the best-fitting free block, cut to size; None where there is none."""
        position = bisect_left(self.free, (size, 0))
        if position == len(self.free):
            return None
        whole, address = self.free.pop(position)
        block = self.blocks[address]
        block.used = True
        if whole - size > self.splits_above:
            rest = address + size
            self.blocks[rest] = _Block(whole - size, address, block.after)
            if block.after is not None:
                self.blocks[block.after].before = rest
            block.size, block.after = size, rest
            insort(self.free, (whole - size, rest))
        return address

    def give(self, address: int) -> None:
        """Free a block, and merge it with free neighbours."""
        block = self.blocks[address]
        block.used = False
        before = block.before
        if before is not None and not self.blocks[before].used:
            self._forget(before)
            self._absorb(before, address)
            address, block = before, self.blocks[before]
        if block.after is not None and not self.blocks[block.after].used:
            self._forget(block.after)
            self._absorb(address, block.after)
        insort(self.free, (block.size, address))

    def add_segment(self, address: int, size: int) -> None:
        self.blocks[address] = _Block(size)
        insort(self.free, (size, address))

    def release(self) -> int:
        """Drop the segments that are wholly free; returns their bytes."""
        whole = [(size, a) for size, a in self.free if self.blocks[a].before is None and self.blocks[a].after is None]
        for key in whole:
            self.free.remove(key)
            del self.blocks[key[1]]
        return sum(size for size, _ in whole)

    def _forget(self, address: int) -> None:
        del self.free[bisect_left(self.free, (self.blocks[address].size, address))]

    def _absorb(self, address: int, neighbour: int) -> None:
        block, other = self.blocks[address], self.blocks.pop(neighbour)
        block.size += other.size
        block.after = other.after
        if other.after is not None:
            self.blocks[other.after].before = address


class CachingAllocator:
    """Reserves segments and hands out blocks; `capacity` is what it may reserve in all, in bytes (None: without end)."""

    def __init__(self, seed: int, capacity: int | None = None) -> None:
        self.reserved = 0
        self.peak = 0
        self._capacity = capacity
        self._random = random.Random(seed)
        self._pools = (_Pool(_MINIMUM - 1), _Pool(_SMALL))
        self._places: dict[int, tuple[_Pool, int]] = {}

    def allocate(self, number: int, size: int) -> None:
        """Raises OutOfMemory where `capacity` does not allow it."""
        if size == 0:
            return
        size = -(-size // _MINIMUM) * _MINIMUM
        pool = self._pools[size > _SMALL]
        address = pool.take(size)
        if address is None:
            self._reserve(pool, _segment_size(size))
            address = pool.take(size)
            assert address is not None
        self._places[number] = (pool, address)

    def free(self, number: int) -> None:
        place = self._places.pop(number, None)
        if place is not None:
            place[0].give(place[1])

    def _reserve(self, pool: _Pool, size: int) -> None:
        if self._capacity is not None and self.reserved + size > self._capacity:
            self.reserved -= sum(each.release() for each in self._pools)
            if self.reserved + size > self._capacity:
                raise OutOfMemory
        # the driver's addresses follow no order that could be known: see `reserved_peak`
        address = self._random.randrange(_ADDRESSES) * _SEGMENT_SPAN
        while address in pool.blocks:
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

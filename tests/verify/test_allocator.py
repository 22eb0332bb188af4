"""The model of CUDA's caching allocator, on cases small enough to work out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.verify.allocator import MIB, CachingAllocator, OutOfMemory, replay, reserved_peak


def peak_of(*sizes: int) -> int:
    """Bytes reserved when blocks of these sizes live at once."""
    return replay(list(enumerate(sizes)), seed=0)


@pytest.mark.parametrize(("size", "segment"), [
    (1, 2 * MIB), (MIB, 2 * MIB), (MIB + 1, 20 * MIB), (10 * MIB - 512, 20 * MIB), (10 * MIB, 10 * MIB), (11 * MIB, 12 * MIB),
])  # fmt: skip
def test_a_segment_has_the_size_that_its_first_block_asks_for(size: int, segment: int) -> None:
    assert peak_of(size) == segment


def test_small_blocks_share_a_segment_to_the_last_512_bytes() -> None:
    assert peak_of(*[512] * 4096) == 2 * MIB
    assert peak_of(*[512] * 4097) == 4 * MIB
    assert peak_of(*[513] * 2048) == 2 * MIB  # each takes 1024


def test_small_and_large_blocks_do_not_share() -> None:
    assert peak_of(512, 2 * MIB) == 22 * MIB


def test_a_large_block_with_a_small_rest_is_not_cut() -> None:
    """A cached block of 12 MiB serves one of 11 whole: a rest of 1 MiB is not worth keeping."""
    assert replay([(0, 12 * MIB), (0, -1), (1, 11 * MIB), (2, MIB + 512)], seed=0) == 32 * MIB
    assert replay([(0, 14 * MIB), (0, -1), (1, 11 * MIB), (2, MIB + 512)], seed=0) == 14 * MIB


def test_the_smallest_block_that_fits_is_taken() -> None:
    events = [(0, 40 * MIB), (1, 20 * MIB), (0, -1), (1, -1), (2, 20 * MIB), (3, 40 * MIB)]
    assert replay(events, seed=0) == 60 * MIB


def test_freed_neighbours_merge() -> None:
    events = [(0, 30 * MIB), (0, -1), (1, 10 * MIB), (2, 20 * MIB), (1, -1), (2, -1), (3, 30 * MIB)]
    assert replay(events, seed=0) == 30 * MIB


def test_segments_wholly_free_are_given_back_when_memory_runs_out() -> None:
    events = [(0, 40 * MIB), (0, -1), (1, 50 * MIB)]
    assert replay(events, seed=0) == 90 * MIB
    assert replay(events, seed=0, capacity=60 * MIB) == 50 * MIB


def test_what_does_not_fit_is_out_of_memory() -> None:
    with pytest.raises(OutOfMemory):
        replay([(0, 40 * MIB), (1, 40 * MIB)], seed=0, capacity=60 * MIB)


def test_nothing_is_reserved_for_empty_tensors() -> None:
    assert replay([(0, 0), (0, -1)], seed=0) == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 30 * MIB)), max_size=60), st.integers(0, 3))
def test_reserved_memory_covers_the_live_blocks_and_reuse_is_free(steps: list[tuple[bool, int]], seed: int) -> None:
    events: list[tuple[int, int]] = []
    sizes: dict[int, int] = {}
    live = most = 0
    for number, (frees, size) in enumerate(steps):
        if frees and sizes:
            oldest = next(iter(sizes))
            live -= sizes.pop(oldest)
            events.append((oldest, -1))
        events.append((number, size))
        sizes[number] = size
        live += size
        most = max(most, live)
    once = replay(events, seed)
    assert once >= most
    everything_freed = events + [(number, -1) for number in sizes]
    largest = max((size for _, size in events), default=0)
    assert replay([*everything_freed, (len(steps), largest)] if largest else [], seed) <= once


def test_several_address_orders_give_an_ordered_interval() -> None:
    events = [(i, (i % 7 + 1) * 3 * MIB) for i in range(30)] + [(i, -1) for i in range(0, 30, 2)] + [(i, 5 * MIB) for i in range(30, 40)]
    median, least, most = reserved_peak(events)
    assert least <= median <= most


def test_reserved_memory_is_counted_as_it_grows() -> None:
    allocator = CachingAllocator(seed=1)
    allocator.allocate(0, 100)
    allocator.free(0)
    assert (allocator.reserved, allocator.peak) == (2 * MIB, 2 * MIB)

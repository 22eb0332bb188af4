"""The moment of a trace when most bytes are alive, and what they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from advisor.verify.trace import FREE, Trace

_LOGITS_LEAST = 0.9  # losses that shift tokens by one hold copies of the logits that are slightly smaller


@dataclass(frozen=True)
class LivePeak:
    """How many bytes are alive at most, of which kinds, and when."""

    total: int
    categories: dict[str, int]
    place: str


def live_peak(trace: Trace, logits: tuple[int, int] = (0, 0)) -> LivePeak:
    """The largest sum of live allocations. `logits` are the last dimension and the number of elements of the model's output.

    Categories: weights, gradients, optimizer_state (told by identity), activations (saved for a backward pass, and the
    batch), logits_and_loss, workspace, and temporaries, which is the rest.
    """
    index, total = _find_peak(trace.events)
    alive, saved = _alive_at(trace, index)
    kinds: Counter[str] = Counter()
    for number, size in alive.items():
        kinds[_kind(trace, number, size, saved, logits)] += size
    number = trace.events[index][0]
    phase, count = trace.phase_of(number)
    return LivePeak(total, dict(kinds), f"{phase}, pass {count}, in {trace.origins.get(number, phase)}")


def _find_peak(events: Sequence[tuple[int, int]]) -> tuple[int, int]:
    sizes: dict[int, int] = {}
    live = peak = index = 0
    for position, (number, size) in enumerate(events):
        if size == FREE:
            live -= sizes.pop(number)
            continue
        sizes[number] = size
        live += size
        if live > peak:
            peak, index = live, position
    return index, peak


def _alive_at(trace: Trace, index: int) -> tuple[dict[int, int], set[int]]:
    """Allocations alive just after the event at `index`, and those that some backward pass found when it began."""
    sizes: dict[int, int] = {}
    alive: dict[int, int] = {}
    saved: set[int] = set()
    starts = [first for first, name in trace.phases if name == "backward"]
    for position, (number, size) in enumerate(trace.events):
        if starts and number >= starts[0] and size != FREE:
            starts.pop(0)
            saved |= sizes.keys()
        if size == FREE:
            del sizes[number]
        else:
            sizes[number] = size
        if position == index:
            alive = dict(sizes)
    return alive, saved


def _kind(trace: Trace, number: int, size: int, saved: set[int], logits: tuple[int, int]) -> str:
    known = trace.categories.get(number)
    if known is not None:
        return known
    phase, _ = trace.phase_of(number)
    width, elements = logits
    if phase == "loss" or (trace.widths.get(number) == width and size >= _LOGITS_LEAST * 2 * elements and phase != "optimizer"):
        return "logits_and_loss"
    return "activations" if phase == "input" or (phase == "forward" and number in saved) else "temporaries"

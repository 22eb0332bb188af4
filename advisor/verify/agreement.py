"""Two versions of one model side by side: how far their outputs differ, and how long each takes."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from advisor.verify.evidence import Agreement, Timing

FEWEST_RUNS, MOST_RUNS = 3, 30
PAIRED_S = 1.5  # of both versions together; a slow model is run FEWEST_RUNS times, however long that takes
# Of the places that a detector picks. In RF-DETR with random weights, whose scores lie closer than trained ones, two or none of 1,200
# change places; a wrong operator, axis or constant changes nearly all.
MOST_EXCHANGED = 0.02
GLANCE_S = 0.3  # where the target is another machine, of which these times say nothing


def compare(original: Tensor, other: Tensor, limit: float | None, classes: int | None, *, picks: bool = False) -> Agreement:
    """Errors of `other`, absolute and relative to the root mean square of `original`; classes lie along that axis, if there are any.

    `picks`: the outputs, [samples, places, …], are of places that the model has picked by score (a detector's queries). Two scores that
    are equal up to rounding then change places, and their outputs with them: `exchanged` counts these, and `relative_error` is of the rest.
    """
    if original.shape != other.shape:
        return Agreement(samples=len(original), max_error=math.inf, mean_error=math.inf, relative_error=math.inf, limit=limit)
    wanted, given = original.double(), other.double()
    miss = (given - wanted).abs().nan_to_num(nan=math.inf)
    scale = float(wanted.square().mean().sqrt())
    are_places = picks and miss.ndim > 2
    exchanged = _near_ties(miss, limit * scale) if are_places and limit is not None else torch.zeros(len(miss), dtype=torch.bool)
    return Agreement(
        samples=len(original),
        max_error=float(miss.max()),
        mean_error=float(miss.mean()),
        relative_error=float(miss[~exchanged].square().mean().sqrt()) / scale if scale else math.inf,
        exchanged=int(exchanged.sum()),
        limit=limit,
        top1=None if classes is None else float((wanted.argmax(classes) == given.argmax(classes)).double().mean()),
    )


def _near_ties(miss: Tensor, limit: float) -> Tensor:
    """[samples, places]: which of them were exchanged: few, and not the same place in every sample, as a wrong constant's would be."""
    apart = miss.flatten(2).square().mean(-1).sqrt() > limit
    is_chance = float(apart.double().mean()) <= MOST_EXCHANGED and not (len(apart) > 1 and bool(apart.all(0).any()))
    return apart & is_chance


def time_in_turns(one: Callable[[], object], other: Callable[[], object], seconds: float = PAIRED_S) -> tuple[Timing, Timing]:
    """Both versions timed in turns after a warm run each, so that what else the machine does falls on both."""
    times: tuple[list[float], list[float]] = ([], [])
    one(), other()
    end = time.monotonic() + seconds
    with torch.no_grad():
        while len(times[0]) < FEWEST_RUNS or (len(times[0]) < MOST_RUNS and time.monotonic() < end):
            for run, taken in zip((one, other), times, strict=True):
                start = time.perf_counter()
                run()
                taken.append(1000 * (time.perf_counter() - start))
    return _timing(times[0]), _timing(times[1])


def _timing(times: list[float]) -> Timing:
    return Timing(median_ms=statistics.median(times), p95_ms=statistics.quantiles(times, n=20, method="inclusive")[-1], runs=len(times))

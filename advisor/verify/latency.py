"""How long inference takes, on this machine, with the model as designed and random weights: one sample, and a batch for throughput."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from advisor.verify.batches import forward, make_batch
from advisor.verify.build import build_model
from advisor.verify.evidence import Job
from advisor.verify.measuring import PeakMemory
from advisor.wire import Basis, Quantity

WARM_RUNS = 2
MOST_RUNS, RUNS_ELSEWHERE = 50, 10  # fewer where another machine is meant, so that nothing depends on these times
FEWEST_RUNS = 5  # below that, a 95th percentile would be the maximum of a handful
LONGEST_S, ELSEWHERE_S = 6.0, 1.0  # for one sample, and half of it for the batch: someone waits. The fewest runs may take longer
TIME_SHARE = 0.5  # of the time that is left, where that is less
THROUGHPUT_BATCH = 32  # from which on throughput hardly grows on CPUs and small GPUs
MEMORY_SHARE = 0.5  # of what is free, for the activations of the batch


@dataclass(frozen=True)
class Place:
    """Where to measure: the device, autocast's type or None, and the device in words, with its threads."""

    device: torch.device
    half: torch.dtype | None
    name: str


def measure_inference(job: Job, place: Place, free_bytes: float, deadline: float) -> dict[str, Quantity]:
    """Median and 95th percentile in ms of a forward pass over one sample, and over a batch, whose samples a second are given too.

    From warm runs; what there is no time for is left out. For a language model this is the time to read the prompt, not to
    write an answer.
    """
    model = build_model(job, str(place.device))
    memory = PeakMemory(place.device)
    most, longest = (MOST_RUNS, LONGEST_S) if job.target.is_here else (RUNS_ELSEWHERE, ELSEWHERE_S)
    left = deadline - time.monotonic()
    seconds = min(longest, left * TIME_SHARE)
    rest = seconds / 2
    times = _time(_run(model, job, place, 1), seconds, most, deadline)
    if len(times) < FEWEST_RUNS:
        return {}
    figures = _spread(times, f"{len(times)} warm runs, batch 1, random weights, {place.name}", "")
    each = statistics.median(times) * (WARM_RUNS + FEWEST_RUNS) / 1000
    sample_bytes = max(1, memory.bytes())
    size = int(min(THROUGHPUT_BATCH, job.recipe.batch.per_device, rest / each, free_bytes * MEMORY_SHARE / sample_bytes))
    if size < 2:
        return figures
    times = _time(_run(model, job, place, size), rest, most, deadline)
    if len(times) < FEWEST_RUNS:
        return figures
    source = f"{len(times)} warm runs, batch {size}, random weights, {place.name}"
    rate = Quantity(value=1000 * size / statistics.median(times), unit="samples/s", basis=Basis.MEASURED, source=source)
    return {**figures, **_spread(times, source, f"batch_{size}_"), "inference_rate": rate}


def _run(model: nn.Module, job: Job, place: Place, size: int) -> Callable[[], None]:
    batch = make_batch(job, size, place.device, torch.Generator().manual_seed(job.seed))

    def run() -> None:
        with torch.inference_mode(), torch.autocast(place.device.type, place.half, enabled=place.half is not None):
            forward(model, batch, job)
        if place.device.type == "cuda":
            torch.cuda.synchronize(place.device)

    return run


def _time(run: Callable[[], None], seconds: float, most: int, deadline: float) -> list[float]:
    """Milliseconds of each run after the first few, for so many seconds and runs at most; of the fewest, as long as there is time."""
    times, end = [], time.monotonic() + seconds
    for number in range(WARM_RUNS + most):
        start = time.perf_counter()
        run()
        if number >= WARM_RUNS:
            times.append(1000 * (time.perf_counter() - start))
        if time.monotonic() > (end if len(times) >= FEWEST_RUNS else deadline):
            break
    return times


def _spread(times: list[float], source: str, prefix: str) -> dict[str, Quantity]:
    high = statistics.quantiles(times, n=20)[-1]
    median = Quantity(value=statistics.median(times), unit="ms", low=min(times), high=high, basis=Basis.MEASURED, source=source)
    return {f"{prefix}median": median, f"{prefix}p95": Quantity(value=high, unit="ms", basis=Basis.MEASURED, source=source)}

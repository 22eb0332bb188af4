"""How long one sample takes, on this machine, with the model as designed and random weights."""

from __future__ import annotations

import statistics
import time

import torch

from advisor.verify.batches import forward, make_batch
from advisor.verify.build import build_model
from advisor.verify.evidence import Job
from advisor.wire import Basis, Quantity

WARM_RUNS = 3
MOST_RUNS = 50
FEWEST_RUNS = 5  # below that, a 95th percentile would be the maximum of a handful
TIME_SHARE = 0.5  # of the time that is left


def measure_latency(job: Job, device: torch.device, half: torch.dtype | None, where: str, deadline: float) -> dict[str, Quantity]:
    """Median and 95th percentile of a forward pass over one sample, in ms, from warm runs; nothing where time is too short.

    `half` is autocast's type. For a language model this is the time to read the prompt, not to write an answer.
    """
    model = build_model(job, str(device))
    batch = make_batch(job, 1, device, torch.Generator().manual_seed(job.seed))
    times: list[float] = []
    end = time.monotonic() + (deadline - time.monotonic()) * TIME_SHARE
    with torch.inference_mode(), torch.autocast(device.type, half, enabled=half is not None):
        for run in range(WARM_RUNS + MOST_RUNS):
            start = time.perf_counter()
            forward(model, batch, job)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if run >= WARM_RUNS:
                times.append(1000 * (time.perf_counter() - start))
            if time.monotonic() > end:
                break
    if len(times) < FEWEST_RUNS:
        return {}
    source = f"{len(times)} warm runs, batch 1, {where}"
    high = statistics.quantiles(times, n=20)[-1]
    return {
        "median": Quantity(value=statistics.median(times), unit="ms", low=min(times), high=high, basis=Basis.MEASURED, source=source),
        "p95": Quantity(value=high, unit="ms", basis=Basis.MEASURED, source=source),
    }

"""Times on a device from a model's operators: one sample's latency, a step of training. Always intervals, never bare points."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from advisor.catalogue.entries import DeviceEntry
from advisor.planning.roofline import (
    MICROSECOND,
    TRAINING_SETTING,
    coefficients,
    device_spread,
    fitted,
    interval,
    lay_out,
    seconds,
    setting,
)
from advisor.planning.timing import ACCELERATED, BACKWARD_TO_FORWARD, GIGA, MILLISECONDS, Served, band
from advisor.verify.work import Work
from advisor.wire import Basis, Quantity

Works = Collection[tuple[Work, int]]
Times = tuple[float, float, float]

UNPRICED = 2.0
"""Times the upper end where an operator does arithmetic that is in no count: judgement; nothing bounds what it takes."""
_PASSES = 1 + BACKWARD_TO_FORWARD
_PARAMETER_BYTES = 16  # of an optimizer's step: the weight read and written, its gradient written and read, in fp32
_STATE_PASSES = 2  # each state is read and written


@dataclass(frozen=True)
class Training:
    """What a step does beside the forward pass over `batch` samples.

    `passes` is its arithmetic in forward passes (3, but for frozen layers and recomputation), `trained` the number of
    trainable parameters, `state_bytes` the optimizer's for each.
    """

    batch: int
    passes: float
    trained: int
    state_bytes: float
    accumulation: int = 1


def latency(
    works: Works, device: DeviceEntry, precision: Served, *, decoded_bytes: float | None = None, unpriced: bool = False
) -> Quantity | None:
    """Time of one sample at batch 1 in ms, in plain PyTorch; of one token where `decoded_bytes` of weights are read for each.

    None where the catalogue lacks the device's figures.
    """
    try:
        operators = lay_out(works, 1, device, precision)
    except ValueError:
        return None
    how = coefficients()[setting(device, channels_last=False, compiled=device.kind == "cpu")]
    if decoded_bytes is None:
        busy = interval(float(seconds(operators, how).sum()), how["spread"], _spread(device, precision))
    else:
        busy = _reading(decoded_bytes, device)
    return _quantity(_with_calls(busy, works, 1, device), unpriced, device)


def step_time(works: Works, training: Training, device: DeviceEntry, precision: Served, *, unpriced: bool = False) -> Quantity | None:
    """Time of one optimizer step on one device in ms, over `accumulation` batches; None where the catalogue lacks its figures."""
    try:
        operators = lay_out(works, training.batch, device, precision)
    except ValueError:
        return None
    how, passes = coefficients()[setting(device, channels_last=False, compiled=True)], training.passes
    if device.kind != "cpu":  # whole steps were measured on a GPU: their coefficients hold the backward pass
        how, passes = coefficients()[TRAINING_SETTING], training.passes / _PASSES
    plain = float(seconds(operators, how).sum()) * passes
    busy = interval(plain, how["spread"], _spread(device, precision, is_training=True))
    busy = _with_calls(busy, works, training.passes, device)
    moved = training.trained * (_PARAMETER_BYTES + _STATE_PASSES * training.state_bytes)
    low, typical, high = (each * training.accumulation + once for each, once in zip(busy, _reading(moved, device), strict=True))
    return _quantity((low, typical, high), unpriced, device)


def _spread(device: DeviceEntry, precision: Served, *, is_training: bool = False) -> float:
    """What was not measured is as uncertain as a device that was not: fp32 and int8 on a GPU, training on any card but one."""
    alike, unlike = (fitted()["device_spread"][name] for name in ("alike", "unlike"))
    own = device_spread(device)
    if device.kind == "cpu":
        return max(own, unlike) if is_training else own
    is_measured = precision in ("bf16", "fp16") and (not is_training or device.id in fitted()["training_devices"])
    return own if is_measured else max(own, alike)


def _with_calls(busy: Times, works: Works, passes: float, device: DeviceEntry) -> Times:
    """On an accelerator no operator starts before the host has called it; on a CPU the call is part of the time."""
    calls = passes * sum(count for _, count in works) * MICROSECOND
    host = fitted()["host_call_us"]
    if device.kind in ACCELERATED:
        low, typical, high = (max(time, calls * host[end]) for time, end in zip(busy, ("low", "typical", "high"), strict=True))
        return low, typical, high
    return busy[0], busy[1], busy[2] + calls * host["high"]


def _reading(moved: float, device: DeviceEntry) -> Times:
    """Seconds, low, typical, high, to read or write so many bytes."""
    share, rate = band("bandwidth", "share"), (device.bandwidth_gbs or math.nan) * GIGA
    return moved / (share.high * rate), moved / (share.typical * rate), moved / (share.low * rate)


def _quantity(times: Times, unpriced: bool, device: DeviceEntry) -> Quantity:
    low, typical, high = times
    rounded = [float(f"{MILLISECONDS * time:.3g}") for time in (low, typical, high * (UNPRICED if unpriced else 1))]
    return Quantity(
        value=rounded[1], low=rounded[0], high=rounded[2], unit="ms", basis=Basis.ESTIMATED, source=f"roofline by operator on {device.name}"
    )

"""How long a step takes, how many samples a second that is, and what it costs in energy: from FLOPs, bytes and a data sheet."""

from __future__ import annotations

from typing import Any, cast

from advisor.catalogue.entries import DeviceEntry
from advisor.estimating.answer import Estimate
from advisor.estimating.question import Question
from advisor.planning.timing import BACKWARD_TO_FORWARD, SECONDS_AN_HOUR, estimate_latency, estimate_training_hours
from advisor.recipe import Precision
from advisor.wire import Basis, Quantity

RECOMPUTED = 1  # forward passes more with activation checkpointing: arXiv:2205.05198, section 5
WATTS_A_KILOWATT = 1000.0
POWER = (0.5, 0.8, 1.0)
"""Share of a device's thermal design power while it trains, low, typical, high: arXiv:2104.10350, table 4 measured 63 to 90 %
of accelerators' rated power in training; the rest of the machine is left out."""

_COMPUTE = {"int8": "bf16", "nf4": "bf16"}  # stored so, multiplied in 16 bits
_FILE = {"bf16": "fp16"}


def price_times(estimate: Estimate, question: Question, device: DeviceEntry) -> Estimate:
    """The estimate with its times on the device; without them where the catalogue has no peak for it."""
    precision = cast("Precision", _COMPUTE.get(question.precision, question.precision))
    weights = estimate.file_bytes.get(_FILE.get(question.precision, question.precision), 4 * estimate.parameters)
    each = estimate.flops_per_token or estimate.flops_forward
    times: dict[str, Any] = {"device": device.name, "latency": estimate_latency(each, weights, device, precision)}
    if estimate.flops_backward is not None:
        times |= _training(estimate, question, device, precision)
    return estimate.model_copy(update=times)


def _training(estimate: Estimate, question: Question, device: DeviceEntry, precision: Precision) -> dict[str, Quantity]:
    again = RECOMPUTED * estimate.flops_forward if question.checkpointing else 0
    flops = estimate.flops_forward + (estimate.flops_backward or 0) + again
    samples = question.batch * question.accumulation * question.devices

    def hours(count: float) -> Quantity | None:
        # the bands are of three forward passes' worth of work; other ratios (frozen layers, recomputation) scale it
        return estimate_training_hours(flops / (1 + BACKWARD_TO_FORWARD), count, device, question.devices, precision)

    step = hours(samples)
    if step is None or step.value == 0:
        return {}
    found = {"step_time": _scaled(step, SECONDS_AN_HOUR * 1000, "ms"), "throughput": _inverse(step, samples / SECONDS_AN_HOUR, "samples/s")}
    total = hours(question.samples) if question.samples else None
    if total is not None:
        found["training_time"] = total
    if device.tdp_w is not None:
        found["energy"] = _energy(total or step, device.tdp_w * question.devices, "training" if total else "step")
    return found


def _energy(time: Quantity, watts: float, of: str) -> Quantity:
    """Kilowatt-hours for a training, watt-hours for a step."""
    factor = watts / WATTS_A_KILOWATT if of == "training" else watts
    low, typical, high = (share * factor for share in POWER)
    return Quantity(
        value=_rounded(time.value * typical), low=_rounded((time.low or 0) * low), high=_rounded((time.high or 0) * high),
        unit="kWh" if of == "training" else "Wh", basis=Basis.ESTIMATED, source=f"{watts:g} W of rated power; a {of}",
    )  # fmt: skip


def _scaled(time: Quantity, factor: float, unit: str) -> Quantity:
    changed = {name: _rounded(getattr(time, name) * factor) for name in ("value", "low", "high")}
    return time.model_copy(update={**changed, "unit": unit})


def _inverse(time: Quantity, amount: float, unit: str) -> Quantity:
    low, high = time.low or time.value, time.high or time.value
    return time.model_copy(update={"value": _rounded(amount / time.value), "low": _rounded(amount / high),
                                   "high": _rounded(amount / low), "unit": unit})  # fmt: skip


def _rounded(figure: float) -> float:
    return float(f"{figure:.3g}")

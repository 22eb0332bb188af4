"""How long a step takes, how many samples a second that is, and what it costs in energy: from operators and a data sheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from advisor.catalogue.entries import DeviceEntry
from advisor.estimating.answer import Estimate
from advisor.estimating.question import Question
from advisor.planning import operator_timing
from advisor.planning.communication import communication_share, estimate_exchange, with_communication
from advisor.planning.operator_timing import Training
from advisor.planning.timing import BACKWARD_TO_FORWARD, MILLISECONDS, SECONDS_AN_HOUR, estimate_latency, estimate_training_hours
from advisor.recipe import Precision, Recipe
from advisor.verify.formulas import STATE_BYTES
from advisor.verify.work import Work
from advisor.wire import Basis, Quantity

RECOMPUTED = 1  # forward passes more with activation checkpointing: arXiv:2205.05198, section 5
WATTS_A_KILOWATT = 1000.0
POWER = (0.5, 0.8, 1.0)
"""Share of a device's thermal design power while it trains, low, typical, high: arXiv:2104.10350, table 4 measured 63 to 90 %
of accelerators' rated power in training; the rest of the machine is left out."""

COMPUTE = {"int8": "bf16", "nf4": "bf16"}
"""Stored so, multiplied in 16 bits."""
_FILE = {"bf16": "fp16"}
_OTHER_STATES = {"sgd_momentum": STATE_BYTES["momentum"], "adafactor": 0.0}  # the second moments of Adafactor are sums of rows and columns
_GENERATIVE = "text_generation"

Works = Sequence[tuple[Work, int]]


def price_times(estimate: Estimate, works: Works, question: Question, device: DeviceEntry, recipe: Recipe) -> Estimate:
    """The estimate with its times on the device; without them where the catalogue has no peak for it.

    `works` are the model's operators; without them FLOPs have to serve, with wider intervals.
    """
    precision = cast("Precision", COMPUTE.get(question.precision, question.precision))
    times: dict[str, Any] = {"device": device.name, "latency": _latency(estimate, works, question, device, precision)}
    if estimate.flops_backward is not None:
        times |= _training(estimate, works, question, device, recipe)
    notes = [_UNREAD] if not works else []
    if precision not in device.tflops and device.tflops:
        notes.append(f"no rate in {precision} is known of {device.name}, or it has none: times are at its nearest")
    if "step_time" in times and question.devices > 1 and "communication_share" not in times:
        notes.append(f"no interconnect is known of {device.name}: the step is as if devices had nothing to tell each other")
    if estimate.flops_uncounted:
        notes.append(
            f"no time is known for {', '.join(estimate.flops_uncounted)}: the upper ends are {operator_timing.UNPRICED:g} times as high"
        )
    return estimate.model_copy(update={**times, "warnings": [*estimate.warnings, *notes]})


_UNREAD = "the model's operators could not be read one by one: times are from FLOPs alone, with a wider interval"


def _latency(estimate: Estimate, works: Works, question: Question, device: DeviceEntry, precision: Precision) -> Quantity | None:
    weights = estimate.file_bytes.get(_FILE.get(question.precision, question.precision), 4 * estimate.parameters)
    decodes = estimate.task == _GENERATIVE
    if works:
        found = operator_timing.latency(works, device, precision, decoded_bytes=weights if decodes else None,
                                        unpriced=bool(estimate.flops_uncounted))  # fmt: skip
        if found is not None:
            return found
    each = (estimate.flops_per_token if decodes else None) or estimate.flops_forward
    return estimate_latency(each, weights, device, precision)


def _training(estimate: Estimate, works: Works, question: Question, device: DeviceEntry, recipe: Recipe) -> dict[str, Quantity]:
    step = _step(estimate, works, question, device, recipe.precision)
    if step is None or step.value == 0:
        return {}
    exchange = estimate_exchange(recipe, estimate.parameters, estimate.trainable_parameters, device, nodes=1)
    shared = {}
    if exchange is not None:
        alone = _scaled(step, 1 / MILLISECONDS / SECONDS_AN_HOUR, "h")
        shared["communication_share"] = communication_share(alone, exchange)
        step = with_communication(step, alone, exchange)
    samples = question.batch * question.accumulation * question.devices
    found = {"step_time": step, "throughput": _inverse(step, samples * MILLISECONDS, "samples/s"), **shared}
    steps = question.samples / samples if question.samples else None
    total = None if steps is None else _scaled(step, steps / MILLISECONDS / SECONDS_AN_HOUR, "h")
    if total is not None:
        found["training_time"] = total
    if device.tdp_w is not None:
        hours = total or _scaled(step, 1 / MILLISECONDS / SECONDS_AN_HOUR, "h")
        found["energy"] = _energy(hours, device.tdp_w * question.devices, "training" if total else "step")
    return found


def _step(estimate: Estimate, works: Works, question: Question, device: DeviceEntry, precision: Precision) -> Quantity | None:
    """Milliseconds of one optimizer step of one device by itself."""
    again = RECOMPUTED * estimate.flops_forward if question.checkpointing else 0
    flops = estimate.flops_forward + (estimate.flops_backward or 0) + again
    if works:
        state = _OTHER_STATES.get(question.optimizer, STATE_BYTES.get(question.optimizer, 0.0))
        training = Training(
            question.batch, flops / max(estimate.flops_forward, 1), estimate.trainable_parameters, state, question.accumulation
        )
        found = operator_timing.step_time(works, training, device, precision, unpriced=bool(estimate.flops_uncounted))
        if found is not None:
            return found
    # the bands are of three forward passes' worth of work; other ratios (frozen layers, recomputation) scale it
    hours = estimate_training_hours(flops / (1 + BACKWARD_TO_FORWARD), question.batch * question.accumulation, device, 1, precision)
    return None if hours is None else _scaled(hours, SECONDS_AN_HOUR * MILLISECONDS, "ms")


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

"""Times from FLOPs and a device's figures: a roofline with the efficiency that real models reach, always as an interval."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from advisor.catalogue.entries import DeviceEntry
from advisor.parsed import remembered
from advisor.recipe import Precision, Recipe
from advisor.resources import data_folder
from advisor.wire import Basis, Quantity

BACKWARD_TO_FORWARD = 2  # a backward pass costs twice the forward: one product for inputs, one for weights (arXiv:2001.08361)
FROZEN_BACKWARD = {"linear_probe": 0, "lora": 1, "qlora": 1, "adapter": 1, "freeze": 1}
TERA, GIGA = 1e12, 1e9
SECONDS_AN_HOUR = 3600.0
MILLISECONDS = 1e3
ACCELERATED = ("gpu", "multi_gpu", "tpu", "apple")

Work = Literal["training", "inference"]
Served = Literal["fp32", "bf16", "fp16", "int8"]


@dataclass(frozen=True)
class Band:
    low: float
    typical: float
    high: float


@cache
def _bands() -> dict[str, dict[str, Band]]:
    path = data_folder("catalogue") / "efficiency.yaml"
    with remembered("efficiency") as parse:
        data = parse(path.read_text(encoding="utf-8"), path.name).data
    keys = ("share", "overhead_ms", "gbs_a_device")
    return {work: {key: Band(**entry[key]) for key in keys if key in entry} for work, entry in data.items()}


def band(kind: str, key: str) -> Band:
    """An entry of catalogue/efficiency.yaml."""
    return _bands()[kind][key]


def peak_flops(device: DeviceEntry, precision: Served) -> float | None:
    """Dense peak in FLOP/s (integer operations for int8) at a precision, or at the nearest one that the device has."""
    for name in (precision, "fp16", "bf16", "fp32"):
        rate = device.tflops.get(name)
        if rate:
            return rate * TERA
    return None


def estimate_latency(flops: float, weight_bytes: float, device: DeviceEntry, precision: Served) -> Quantity | None:
    """Time of one sample at batch 1 in ms: the slower of arithmetic and reading the weights, and the cost of the call."""
    peak = peak_flops(device, precision)
    if peak is None:
        return None
    kind = _kind(device)
    share, overhead = _bands()[f"{kind}_inference"]["share"], _bands()[f"{kind}_inference"]["overhead_ms"]
    reach = _bands()["bandwidth"]["share"]
    bandwidth = (device.bandwidth_gbs or 0.0) * GIGA

    def time(efficiency: float, reading: float, call: float) -> float:
        arithmetic = flops / (efficiency * peak)
        memory = weight_bytes / (reading * bandwidth) if bandwidth else 0.0
        return max(arithmetic, memory) * MILLISECONDS + call

    return _interval(
        time(share.high, reach.high, overhead.low),
        time(share.typical, reach.typical, overhead.typical),
        time(share.low, reach.low, overhead.high),
        "ms",
        device,
    )


def training_passes(recipe: Recipe) -> float:
    """Forward passes' worth of arithmetic in a training step: 3 where everything is trained and kept, one more where it is recomputed.

    Frozen weights need no gradient of their own; behind a frozen network nothing goes back at all. Source: arXiv:2001.08361,
    section 2.1 (products of a backward pass); arXiv:2205.05198, section 5 (recomputation).
    """
    backward = {"linear_probe": 0.0, "lora": 1.0, "qlora": 1.0, "adapter": 1.0, "freeze": 1.0}.get(
        recipe.model.adaptation, BACKWARD_TO_FORWARD
    )
    return 1 + backward + (1 if recipe.activation_checkpointing else 0)


def estimate_training_hours(
    flops_forward: float, samples: float, device: DeviceEntry, devices: int, precision: Precision
) -> Quantity | None:
    """Hours to show `samples` samples to the model, forward and backward, on `devices` devices that scale without loss."""
    peak = peak_flops(device, precision)
    if peak is None:
        return None
    share = _bands()[f"{_kind(device)}_training"]["share"]
    work = flops_forward * (1 + BACKWARD_TO_FORWARD) * samples / (peak * devices) / SECONDS_AN_HOUR
    return _interval(work / share.high, work / share.typical, work / share.low, "h", device)


def _kind(device: DeviceEntry) -> str:
    return "gpu" if device.kind in ACCELERATED else "cpu"


def _interval(low: float, typical: float, high: float, unit: str, device: DeviceEntry) -> Quantity:
    rounded = [float(f"{figure:.3g}") for figure in (low, typical, high)]
    return Quantity(
        value=rounded[1], low=rounded[0], high=rounded[2], unit=unit, basis=Basis.ESTIMATED, source=f"roofline on {device.name}"
    )

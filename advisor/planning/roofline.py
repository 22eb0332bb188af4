"""Time of a forward pass from its operators: each takes as long as its arithmetic or its bytes, whichever is slower, and its call.

How much of the device's figures each kind of work reaches stands in catalogue/efficiency.yaml, fitted by
benchmarks/throughput_fit.py. The formula here is the one that is fitted.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advisor.catalogue.entries import DeviceEntry
from advisor.parsed import remembered
from advisor.planning.timing import GIGA, Served, peak_flops
from advisor.resources import data_folder
from advisor.verify.work import KINDS, Work

MICROSECOND = 1e-6
TRAINING_SETTING = "gpu_training"
"""Whole training steps, forward and backward pass, by the operators of the forward pass."""
QUANTILE = 1.645  # of a normal distribution: nine in ten lie within
PRODUCTS = ("dense", "pointwise", "grouped", "depthwise", "large_depthwise", "matmul", "attention")
"""Kinds whose arithmetic takes time; that of the others is hidden by their reads and writes."""

_PLACES = {kind: place for place, kind in enumerate(KINDS)}
# Done by the ordinary cores of a GPU: no matrix product is large enough for the others.
_IS_VECTOR = np.array([kind in ("depthwise", "large_depthwise") for kind in KINDS])
SHARPNESS = 3  # of the smooth maximum: 26 % above the larger where arithmetic and bytes take equally long, as overlap is never perfect

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Operators:
    """Many operators as arrays, one entry an operator: what `seconds` works on, whatever the coefficients."""

    kind: NDArray[np.intp]
    count: Floats
    arithmetic: Floats  # seconds of the whole batch at the device's peak
    bytes: Floats  # seconds of the whole batch at the device's bandwidth
    rows: Floats
    depth: Floats
    width: Floats


def lay_out(works: Collection[tuple[Work, int]], batch: int, device: DeviceEntry, precision: Served) -> Operators:
    """One model's operators over `batch` samples on a device. Raises ValueError where the catalogue lacks its figures."""
    peak, plain = peak_flops(device, precision), peak_flops(device, "fp32")
    if peak is None or plain is None or device.bandwidth_gbs is None:
        raise ValueError(f"the catalogue has no peak or no bandwidth for {device.name}")
    sustained = sustained_share(device)
    table = np.array([(*work[1:], count) for work, count in works], dtype=np.float64).reshape(-1, 7)
    kind = np.array([_PLACES[work.kind] for work, _ in works], dtype=np.intp)
    flops, moved, weights, rows, depth, width, count = table.T
    peaks = np.where(_IS_VECTOR[kind], plain, peak)
    reading = (moved * batch + weights) / (device.bandwidth_gbs * GIGA)
    return Operators(kind, count, flops * batch / peaks / sustained, reading / sustained, rows * batch, depth, width)


def sustained_share(device: DeviceEntry) -> float:
    """What part of its data sheet's clock a GPU's power allows: power grows with the clock's cube, and all slows with it.

    More than the whole where there is power to spare, up to what boards clock to by themselves.
    """
    peak, power = device.tflops.get("fp16"), fitted()["power"]
    if device.kind != "gpu" or not peak or device.tdp_w is None:
        return 1.0
    share: float = (device.tdp_w / peak / power["watts_a_tflops"]) ** power["exponent"]
    return min(float(power["most"]), share)


def seconds(operators: Operators, coefficients: Mapping[str, Any]) -> Floats:
    """Seconds of each operator, times how often it occurs.

    `coefficients`: `arithmetic` (share of the peak) by kind of product, `bytes` (share of the bandwidth) by kind, `depth` and
    `width` (where a product of so many reaches half the share), `call_us`.
    """
    reach = np.array([coefficients["arithmetic"].get(name, 1.0) for name in KINDS])[operators.kind]
    reading = np.array([coefficients["bytes"][name] for name in KINDS])[operators.kind]
    filled = _saturating(operators.depth, coefficients["depth"]) * _saturating(operators.width, coefficients["width"])
    arithmetic = operators.arithmetic / (reach * np.maximum(filled, np.finfo(float).tiny))
    slower: Floats = (arithmetic**SHARPNESS + (operators.bytes / reading) ** SHARPNESS) ** (1 / SHARPNESS)
    calls: Floats = operators.count * (slower + coefficients["call_us"] * MICROSECOND)
    return calls


def _saturating(size: Floats, half: float) -> Floats:
    return np.where(size > 0, size / (size + half), 1.0)


def setting(device: DeviceEntry, *, channels_last: bool, compiled: bool) -> str:
    """The name in catalogue/efficiency.yaml of how a model is run."""
    kind = "cpu" if device.kind == "cpu" else "gpu"
    return f"{kind}_{'compiled' if compiled else 'channels_last' if channels_last else 'eager'}"


@cache
def fitted() -> dict[str, Any]:
    """The roofline's part of catalogue/efficiency.yaml."""
    path = data_folder("catalogue") / "efficiency.yaml"
    with remembered("efficiency") as parse:
        found: dict[str, Any] = parse(path.read_text(encoding="utf-8"), path.name).data["roofline"]
    return found


def coefficients() -> dict[str, dict[str, Any]]:
    """The shipped coefficients by setting, for `seconds` and `interval`."""
    found: dict[str, dict[str, Any]] = fitted()["settings"]
    return found


def device_spread(device: DeviceEntry) -> float:
    """Standard deviation, in logarithms, of a device's speed about its data sheet's: none for one that was fitted to.

    That of NVIDIA's other GPUs is what leaving each GPU out of the fit showed; for all else there is nothing to leave out.
    """
    if device.id in fitted()["devices"]:
        return 0.0
    is_alike = device.kind == "gpu" and device.compute_capability is not None
    spread: float = fitted()["device_spread"]["alike" if is_alike else "unlike"]
    return spread


def interval(plain: float, spread: Mapping[str, float], device: float) -> tuple[float, float, float]:
    """Low, typical and high seconds about a prediction, by the spread of models and of devices (in logarithms), which are independent."""
    typical, reach = plain * spread["typical"], QUANTILE * device
    low, high = (math.hypot(math.log(spread[end] / spread["typical"]), reach) for end in ("low", "high"))
    return typical * math.exp(-low), typical, typical * math.exp(high)


def images_per_second(operators: Operators, batch: int, coefficients: Mapping[str, Any], device: float = 0.0) -> tuple[float, float, float]:
    """Low, typical and high throughput of a whole model, by the spread that models of unseen families showed, and the device's."""
    low, typical, high = interval(float(seconds(operators, coefficients).sum()), coefficients["spread"], device)
    return batch / high, batch / typical, batch / low

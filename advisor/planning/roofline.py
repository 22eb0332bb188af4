"""Time of a forward pass from its operators: each takes as long as its arithmetic or its bytes, whichever is slower, and its call.

How much of the device's figures each kind of work reaches stands in catalogue/efficiency.yaml, fitted by
benchmarks/throughput_fit.py. The formula here is the one that is fitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advisor.catalogue.entries import DeviceEntry
from advisor.parsed import remembered
from advisor.planning.timing import GIGA, peak_flops
from advisor.recipe import Precision
from advisor.resources import data_folder
from advisor.verify.operators import KINDS, Work

MICROSECOND = 1e-6
PRODUCTS = ("dense", "pointwise", "grouped", "depthwise", "large_depthwise", "matmul", "attention")
"""Kinds whose arithmetic takes time; that of the others is hidden by their reads and writes."""

_VECTOR_KINDS = ("depthwise", "large_depthwise")  # done by the ordinary cores of a GPU: no matrix product is large enough for the others
_SHARPNESS = 3  # of the smooth maximum: 26 % above the larger where arithmetic and bytes take equally long, as overlap is never perfect

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


def lay_out(works: Mapping[Work, int], batch: int, device: DeviceEntry, precision: Precision) -> Operators:
    """One model's operators over `batch` images on a device. Raises ValueError where the catalogue lacks its figures."""
    peak, plain = peak_flops(device, precision), peak_flops(device, "fp32")
    if peak is None or plain is None or device.bandwidth_gbs is None:
        raise ValueError(f"the catalogue has no peak or no bandwidth for {device.name}")
    table = np.array([(*work[1:], count) for work, count in works.items()], dtype=np.float64).reshape(-1, 7)
    kind = np.array([KINDS.index(work.kind) for work in works], dtype=np.intp)
    flops, moved, weights, rows, depth, width, count = table.T
    peaks = np.where(np.isin(kind, [KINDS.index(name) for name in _VECTOR_KINDS]), plain, peak)
    reading = (moved * batch + weights) / (device.bandwidth_gbs * GIGA)
    return Operators(kind, count, flops * batch / peaks, reading, rows * batch, depth, width)


def seconds(operators: Operators, coefficients: Mapping[str, Any]) -> Floats:
    """Seconds of each operator, times how often it occurs.

    `coefficients`: `arithmetic` (share of the peak) by kind of product, `bytes` (share of the bandwidth) by kind, `depth` and
    `width` (where a product of so many reaches half the share), `call_us`.
    """
    reach = np.array([coefficients["arithmetic"].get(name, 1.0) for name in KINDS])[operators.kind]
    reading = np.array([coefficients["bytes"][name] for name in KINDS])[operators.kind]
    filled = _saturating(operators.depth, coefficients["depth"]) * _saturating(operators.width, coefficients["width"])
    arithmetic = operators.arithmetic / (reach * np.maximum(filled, np.finfo(float).tiny))
    slower: Floats = (arithmetic**_SHARPNESS + (operators.bytes / reading) ** _SHARPNESS) ** (1 / _SHARPNESS)
    calls: Floats = operators.count * (slower + coefficients["call_us"] * MICROSECOND)
    return calls


def _saturating(size: Floats, half: float) -> Floats:
    return np.where(size > 0, size / (size + half), 1.0)


def setting(device: DeviceEntry, *, channels_last: bool, compiled: bool) -> str:
    """The name in catalogue/efficiency.yaml of how a model is run."""
    kind = "cpu" if device.kind == "cpu" else "gpu"
    return f"{kind}_{'compiled' if compiled else 'channels_last' if channels_last else 'eager'}"


@cache
def coefficients() -> dict[str, dict[str, Any]]:
    """The shipped coefficients by setting, for `seconds` and `images_per_second`."""
    path = data_folder("catalogue") / "efficiency.yaml"
    with remembered("efficiency") as parse:
        found: dict[str, dict[str, Any]] = parse(path.read_text(encoding="utf-8"), path.name).data["roofline"]["settings"]
    return found


def images_per_second(operators: Operators, batch: int, fitted: Mapping[str, Any]) -> tuple[float, float, float]:
    """Low, typical and high throughput of a whole model, by the spread that models of unseen families showed."""
    plain, spread = batch / float(seconds(operators, fitted).sum()), fitted["spread"]
    return plain / spread["high"], plain / spread["typical"], plain / spread["low"]

"""Fits the roofline's coefficients to timm's published throughput and prints them as YAML, for catalogue/efficiency.yaml.

    python benchmarks/throughput_fit.py CSV [--most 420]

A third of the families, by the hash of their names, are never fitted to. `fit` takes any measurements, so that throughput.py
can leave a device out too. The settings of a kind of device are fitted together: each pulled to what they share, so that a
setting measured on one device still tells arithmetic from bytes. Needs scipy.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from timm_table import TRAINING, Measured, family, measurements, operators_of, read_table, still_in_timm, stratified

from advisor.estimating.devices import find_device
from advisor.planning.roofline import MICROSECOND, PRODUCTS, SHARPNESS, TRAINING_SETTING, Operators, lay_out, seconds, setting
from advisor.verify.work import KINDS

PARTS = 3
FOLDS = 3
TRUST = 0.15  # weight of a coefficient's starting value, in logarithms, against one model's error
TIE = 0.3  # weight of the value that the settings of a kind of device share
LEAST_SPREAD = 0.21
"""Standard deviation of the logarithm of the share of a data sheet's matrix peak that six accelerators sustain (0.869, 0.836, 0.811,
0.803, 0.604, 0.514): stas00/ml-engineering compute/accelerator/README.md @b9e29720. Two or three GPUs that agree prove no less."""
TOLERANCE = 1e-3  # of the sum of squares, where a fit ends
FIRST_SHARE = 3  # of the coefficients' order, in `_pack`: depth, width and call come before
TAIL, FEW = 0.03, 0.05
"""Shares of the error on families not fitted to, each family weighing the same, that an interval leaves out at either end: of nearly
sixty families, and, where they are fewer, what leaves out the second of a further one (arXiv:2306.06342: it has a weight too)."""
_PRODUCT_OF_KIND = np.array([PRODUCTS.index(kind) if kind in PRODUCTS else -1 for kind in KINDS])
START: dict[str, Any] = {"depth": 30.0, "width": 30.0, "call_us": 3.0, "arithmetic": 0.6, "bytes": 0.7}


def is_left_out(name: str) -> bool:
    """Whether a family is kept from every fit."""
    return hashlib.sha256(name.encode()).digest()[0] % PARTS == 0


@dataclass(frozen=True)
class Laid:
    """A measurement with its operators."""

    measured: Measured
    setting: str
    device: str
    family: str
    operators: Operators

    @property
    def seconds(self) -> float:
        return self.measured.batch / self.measured.images_per_second


def resolve(said: str) -> Any:
    """The catalogue's device for a column's: `rtx3090`, `cpu_i7_12700h`."""
    return find_device(said.removeprefix("cpu_").replace("_", " ")).entry


def lay(measured: list[Measured]) -> list[Laid]:
    """Measurements with what their models consist of; what cannot be read is named on standard error."""
    laid, failed = [], set()
    for one in measured:
        precision = one.column.precision
        device = resolve(one.column.device)
        try:
            works = operators_of(one.picture, precision)
        except Exception as error:
            if one.picture not in failed:
                print(f"not predicted: {one.picture[0]} at {one.picture[1]}: {' '.join(str(error).split())[:120]}", file=sys.stderr)
            failed.add(one.picture)
            continue
        operators = lay_out(works, one.batch, device, "fp16" if precision == "amp" else precision)
        how = setting(device, channels_last=one.column.channels_last, compiled=one.column.compiled)
        how = TRAINING_SETTING if one.column.work == TRAINING else how
        laid.append(Laid(one, how, device.id, family(one.picture[0]), operators))
    return laid


def fit(laid: list[Laid]) -> dict[str, dict[str, Any]]:
    """Coefficients by setting, each with the quantiles of measured over predicted on families outside its fold."""
    folds = sorted({_fold(one) for one in laid})
    errors = defaultdict(list)
    for number in folds if len(folds) > 1 else ():
        inside = fit_plain([one for one in laid if _fold(one) != number])
        for one in laid:
            if _fold(one) == number and one.setting in inside:
                errors[one.setting].append((one.family, math.exp(-log_error(one, inside))))
    found = {how: {**coefficients, "spread": _spread(errors[how])} for how, coefficients in fit_plain(laid).items()}
    if TRAINING_SETTING in found:  # measured on one card by one version: no surer than the forward passes that were measured on several
        tail = _tail(errors[TRAINING_SETTING])
        widest = [_spread(errors[how], tail) for how in found if how.startswith("gpu_")]
        found[TRAINING_SETTING]["spread"] |= {"low": min(s["low"] for s in widest), "high": max(s["high"] for s in widest)}
    return found


def fit_plain(laid: list[Laid]) -> dict[str, dict[str, Any]]:
    """Coefficients by setting."""
    kinds = defaultdict(list)
    for one in laid:
        kinds[one.setting.partition("_")[0]].append(one)
    return {how: found for members in kinds.values() for how, found in _fit_together(members).items()}


def log_error(one: Laid, by_setting: dict[str, dict[str, Any]]) -> float:
    """Logarithm of predicted over measured time."""
    return math.log(float(seconds(one.operators, by_setting[one.setting]).sum()) / one.seconds)


def spread_of_devices(laid: list[Laid]) -> float:
    """Root mean square of GPUs' median errors, in logarithms, each by a fit to the others; `LEAST_SPREAD` where they are few and alike."""
    gpus = [one for one in laid if one.setting.startswith("gpu_") and one.setting != TRAINING_SETTING]
    medians = []
    for device in sorted({one.device for one in gpus}):
        others = fit_plain([one for one in gpus if one.device != device])
        errors = [log_error(one, others) for one in gpus if one.device == device and one.setting in others]
        medians += [float(np.median(errors))] if errors else []
    return max(LEAST_SPREAD, float(np.sqrt(np.mean(np.square(medians)))) if medians else 0.0)


def _fold(one: Laid) -> int:
    return hashlib.sha256(one.family.encode()).digest()[1] % FOLDS


def _tail(errors: list[tuple[str, float]]) -> float:
    families = len({name for name, _ in errors})
    return min(TAIL, max(0.0, 1 - (1 - FEW) * (families + 1) / families)) if families else TAIL


def _spread(errors: list[tuple[str, float]], tail: float = TAIL) -> dict[str, float]:
    """Quantiles of measured over predicted, as for a model of a family drawn by chance."""
    sizes = Counter(name for name, _ in errors)
    ordered = sorted((ratio, 1 / sizes[name]) for name, ratio in errors)
    ratios, weights = np.array(ordered).T
    low, middle, high = np.interp((tail, 0.5, 1 - tail), (np.cumsum(weights) - weights / 2) / weights.sum(), ratios)
    return {"low": float(low), "typical": float(middle), "high": float(high)}


def _fit_together(members: list[Laid]) -> dict[str, dict[str, Any]]:
    """Least squares over the shared coefficients, and each setting's departures from them."""
    from scipy.optimize import least_squares

    settings = sorted({one.setting for one in members})
    merged = Operators(*(np.concatenate([getattr(m.operators, f.name) for m in members]) for f in fields(Operators)))
    owner = np.repeat(np.arange(len(members)), [len(m.operators.kind) for m in members])
    place = np.array([settings.index(one.setting) for one in members])
    measured, first = np.log([m.seconds for m in members]), _pack(START)
    size, count = len(first), len(members)
    pulls = np.diag(np.concatenate([np.full(size, TRUST), np.full(size * len(settings), TIE)]))
    start = np.concatenate([first, np.zeros(size * len(settings))])

    def predicted(values: Any) -> tuple[Any, Any]:
        return _totals(merged, owner, count, (values[:size] + values[size:].reshape(-1, size))[place])

    def residuals(values: Any) -> Any:
        return np.concatenate([np.log(predicted(values)[0]) - measured, pulls @ (values - start)])

    def slopes(values: Any) -> Any:
        _, slope = predicted(values)
        own = [np.where((place == number)[:, None], slope, 0) for number in range(len(settings))]
        return np.concatenate([np.concatenate([slope, *own], axis=1), pulls])

    found = least_squares(residuals, start, slopes, loss="soft_l1", f_scale=0.2, max_nfev=40, ftol=TOLERANCE).x
    return {how: _unpack(found[:size] + own) for how, own in zip(settings, found[size:].reshape(-1, size), strict=True)}


def _totals(merged: Operators, owner: Any, count: int, logs: Any) -> tuple[Any, Any]:
    """Seconds of each of `count` measurements, by the formula of `seconds`, and their logarithms' slopes by each coefficient.

    `owner`: the measurement of each operator; `logs` [measurements, coefficients]: logarithms in the order of `_pack`.
    """
    values = np.exp(logs)[owner]
    depth, width, call = values[:, 0], values[:, 1], values[:, 2] * MICROSECOND
    product = _PRODUCT_OF_KIND[merged.kind]
    line = np.arange(len(owner))
    reach = np.where(product >= 0, values[line, FIRST_SHARE + np.maximum(product, 0)], 1.0)
    filled = np.where(merged.depth > 0, merged.depth / (merged.depth + depth), 1.0)
    broad = np.where(merged.width > 0, merged.width / (merged.width + width), 1.0)
    arithmetic = merged.arithmetic / (reach * filled * broad)
    reading = merged.bytes / values[line, FIRST_SHARE + len(PRODUCTS) + merged.kind]
    slower = (arithmetic**SHARPNESS + reading**SHARPNESS) ** (1 / SHARPNESS)
    per = np.where(slower > 0, merged.count / np.maximum(slower, np.finfo(float).tiny) ** (SHARPNESS - 1), 0.0)
    by_arithmetic, by_bytes = per * arithmetic**SHARPNESS, per * reading**SHARPNESS

    def by_kind(weights: Any, kind: Any, kinds: int) -> Any:
        return np.bincount(owner * kinds + kind, weights, count * kinds).reshape(count, kinds)

    total = np.bincount(owner, merged.count * (slower + call), count)
    slope = np.concatenate([
        by_kind(by_arithmetic * (1 - filled), np.zeros_like(product), 1),
        by_kind(by_arithmetic * (1 - broad), np.zeros_like(product), 1),
        by_kind(merged.count * call, np.zeros_like(product), 1),
        -by_kind(by_arithmetic, product + 1, len(PRODUCTS) + 1)[:, 1:],
        -by_kind(by_bytes, merged.kind, len(KINDS)),
    ], axis=1)  # fmt: skip
    return total, slope / total[:, None]


def _pack(start: dict[str, Any]) -> Any:
    return np.log(
        [start["depth"], start["width"], start["call_us"], *([start["arithmetic"]] * len(PRODUCTS)), *([start["bytes"]] * len(KINDS))]
    )


def _unpack(values: Any) -> dict[str, Any]:
    depth, width, call, *shares = (float(value) for value in np.exp(values))
    return {
        "arithmetic": dict(zip(PRODUCTS, shares, strict=False)),
        "bytes": dict(zip(KINDS, shares[len(PRODUCTS) :], strict=True)),
        "depth": depth, "width": width, "call_us": call,
    }  # fmt: skip


def chosen(measured: list[Measured], most: int) -> list[Measured]:
    pictures = set(stratified(still_in_timm(one.picture for one in measured), most))
    return [one for one in measured if one.picture in pictures]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--most", type=int, default=420, help="models to fit to")
    arguments = parser.parse_args()
    rows = read_table(arguments.csv)
    laid = [one for one in lay(chosen(measurements(rows), arguments.most) + training(rows, arguments.most)) if not is_left_out(one.family)]
    found = {"device_spread": {"alike": spread_of_devices(laid)}, "settings": fit(laid)}
    print(yaml.safe_dump(_rounded(found), sort_keys=False, default_flow_style=None, width=140), end="")


def training(rows: list[dict[str, str]], most: int) -> list[Measured]:
    """Training throughput, forward and backward pass and SGD with momentum, where the layout is the usual one."""
    return chosen([one for one in measurements(rows, TRAINING) if not one.column.channels_last], most)


def _rounded(value: Any) -> Any:
    return {key: _rounded(item) for key, item in value.items()} if isinstance(value, dict) else float(f"{value:.3g}")


if __name__ == "__main__":
    main()

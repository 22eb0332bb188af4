"""Fits the roofline's coefficients to timm's published throughput and prints them as YAML, for catalogue/efficiency.yaml.

    python benchmarks/throughput_fit.py CSV [--most 420]

A third of the families, by the hash of their names, are never fitted to. `fit` takes any measurements, so that throughput.py
can leave a device out too. Needs scipy.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from timm_table import Measured, family, measurements, operators_of, read_table, still_in_timm, stratified

from advisor.estimating.devices import find_device
from advisor.planning.roofline import PRODUCTS, Operators, lay_out, seconds, setting
from advisor.verify.operators import KINDS

PARTS = 3
FOLDS = 5
TRUST = 0.15  # weight of a coefficient's starting value, in logarithms, against one model's error
LOW, MIDDLE, HIGH = 0.03, 0.5, 0.97  # of the error on families not fitted to, each family weighing the same
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
        laid.append(Laid(one, how, device.id, family(one.picture[0]), operators))
    return laid


def fit(laid: list[Laid]) -> dict[str, dict[str, Any]]:
    """Coefficients by setting, each with the quantiles of measured over predicted on families outside its fold."""
    groups = defaultdict(list)
    for one in laid:
        groups[one.setting].append(one)
    found = {}
    for how, members in groups.items():
        coefficients = _fit_one(members)
        found[how] = {**coefficients, "spread": _spread(_cross_validated(members))}
    return found


def _spread(errors: list[tuple[str, float]]) -> dict[str, float]:
    """Quantiles of measured over predicted, as for a model of a family drawn by chance."""
    sizes = Counter(name for name, _ in errors)
    ordered = sorted((ratio, 1 / sizes[name]) for name, ratio in errors)
    ratios, weights = np.array(ordered).T
    low, middle, high = np.interp((LOW, MIDDLE, HIGH), (np.cumsum(weights) - weights / 2) / weights.sum(), ratios)
    return {"low": float(low), "typical": float(middle), "high": float(high)}


def _cross_validated(members: list[Laid]) -> list[tuple[str, float]]:
    """Family and measured over predicted of every measurement, by coefficients that its family had no part in."""

    def fold(one: Laid) -> int:
        return hashlib.sha256(one.family.encode()).digest()[1] % FOLDS

    ratios: list[tuple[str, float]] = []
    for number in range(FOLDS):
        inside, outside = [m for m in members if fold(m) != number], [m for m in members if fold(m) == number]
        if inside and outside:
            coefficients = _fit_one(inside)
            ratios += [(one.family, one.seconds / float(seconds(one.operators, coefficients).sum())) for one in outside]
    return ratios


def _fit_one(members: list[Laid]) -> dict[str, Any]:
    from scipy.optimize import least_squares

    merged = Operators(*(np.concatenate([getattr(m.operators, f.name) for m in members]) for f in fields(Operators)))
    starts = np.cumsum([0, *(len(m.operators.kind) for m in members[:-1])])
    measured = np.log([m.seconds for m in members])
    first = _pack(START)

    def residuals(values: Any) -> Any:
        predicted = np.add.reduceat(seconds(merged, _unpack(values)), starts)
        return np.concatenate([np.log(predicted) - measured, TRUST * (values - first)])

    return _unpack(least_squares(residuals, first, loss="soft_l1", f_scale=0.2, max_nfev=40).x)


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
    laid = lay(chosen(measurements(read_table(arguments.csv)), arguments.most))
    rounded = {how: _rounded(coefficients) for how, coefficients in fit([one for one in laid if not is_left_out(one.family)]).items()}
    print(yaml.safe_dump(rounded, sort_keys=False, default_flow_style=None, width=140), end="")


def _rounded(value: Any) -> Any:
    return {key: _rounded(item) for key, item in value.items()} if isinstance(value, dict) else float(f"{value:.3g}")


if __name__ == "__main__":
    main()

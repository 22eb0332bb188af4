"""Numbers for people: every figure in a report is written here, so that it looks the same everywhere.

A graphics card's GB are GiB (2^30 bytes); a file's MB are 10^6 bytes; 1 multiply-add is 2 FLOPs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from advisor.wire import Basis, Quantity

ABSENT = "–"
UNLIMITED = "no limit"
_SIGNIFICANT_DIGITS = 3

# Unit → (factor, label), largest first: a value is shown in the largest unit that leaves it at 1 or more.
_SCALES: dict[str, tuple[tuple[float, str], ...]] = {
    "bytes": ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "bytes")),
    "file bytes": ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "bytes")),
    "parameters": ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"), (1, "parameters")),
    "FLOPs": ((1e15, "PFLOPs"), (1e12, "TFLOPs"), (1e9, "GFLOPs"), (1e6, "MFLOPs"), (1, "FLOPs")),
    "s": ((86400, "days"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs")),
    "ms": ((86400e3, "days"), (3600e3, "h"), (60e3, "min"), (1e3, "s"), (1, "ms"), (1e-3, "µs")),
    "h": ((24, "days"), (1, "h"), (1 / 60, "min")),
    "GiB": ((1, "GiB"), (2**-10, "MiB"), (2**-20, "KiB")),
    "fraction": ((1e-2, "%"),),
    "relative error": ((1e-2, "% of error"),),
}
_SAME_UNIT = {"B": "bytes", "byte": "bytes", "params": "parameters", "flops": "FLOPs", "FLOP": "FLOPs", "seconds": "s", "hours": "h"}
_PREFIXED = {"USD": "$", "$": "$"}

_BASIS_LABELS = {
    Basis.MEASURED: "measured",
    Basis.COMPUTED: "computed",
    Basis.ESTIMATED: "estimated",
    Basis.PUBLISHED: "published elsewhere",
    Basis.RULED: "from a rule",
}

WIDE = 10  # an interval whose ends are so many times apart has no common number of decimals


def format_number(value: float) -> str:
    """Three significant digits and no exponent between 10^-3 and 10^15: 0.05, 28.6, 1,380; beyond, 2e-5."""
    if not math.isfinite(value):
        return UNLIMITED if value > 0 else str(value)
    if value and abs(value) < 1e-3:
        return format_rate(value)
    if float(value).is_integer() or abs(value) >= 10 ** (_SIGNIFICANT_DIGITS - 1):
        return f"{value:,.0f}"
    return f"{value:.{_SIGNIFICANT_DIGITS}g}"


def format_rate(value: float) -> str:
    """A learning rate or weight decay as papers write it, all digits kept: 5e-5, 2.5e-4, 0.001, 0.05."""
    if value == 0 or not math.isfinite(value) or abs(value) >= 1e-3:
        return f"{value:g}"
    digits, exponent = f"{value:e}".split("e")
    return f"{float(digits):g}e{int(exponent)}"


def format_amount(value: float, unit: str | None = None, low: float | None = None, high: float | None = None) -> str:
    """A value with its unit and, where both ends are known, its interval: `5.21 GiB (4.98–5.6 GiB)`."""
    shown = _scaled(value, unit)
    if low is None or high is None or low == high:
        return shown
    return f"{shown} ({format_interval(low, high, unit)})"


def format_interval(low: float, high: float, unit: str | None = None) -> str:
    """Both ends in the unit of the upper one, near ones to as many decimals as either needs: `4.98–5.60 GiB`, `0.999–25.8 ms`."""
    factor, label = _scale(unit, high)
    ends = [format_number(end / factor) for end in (low, high)]
    decimals = max(len(end.partition(".")[2]) for end in ends)
    if decimals and high < WIDE * low and not any("e" in end for end in ends):
        ends = [f"{end / factor:,.{decimals}f}" for end in (low, high)]
    return _with_label("–".join(ends), label)


def format_quantity(quantity: Quantity) -> str:
    """Value, unit and interval; the basis is left to the place that shows it."""
    return format_amount(quantity.value, quantity.unit, quantity.low, quantity.high)


def format_basis(basis: Basis) -> str:
    """What a figure rests on, in a word."""
    return _BASIS_LABELS[basis]


def format_value(value: Any) -> str:
    """Any value of a decision, a fact or a change in words: true is `yes`, a choice is its name and settings."""
    match value:
        case None | "" | [] | ():
            return ABSENT
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return format_number(value)
        case Mapping():
            return _format_choice(value)
        case list() | tuple():
            return ", ".join(format_value(item) for item in value)
        case _:
            return str(value)


def _format_choice(choice: Mapping[str, Any]) -> str:
    """A slot's value: its name, then its settings; its prose where it has no name."""
    name, text = choice.get("name"), choice.get("text")
    if text and not name:
        return str(text)
    settings = [
        f"{key.replace('_', ' ')} {format_value(item)}"
        for key, item in choice.items()
        if key not in {"name", "text"} and item not in (None, "", [], {}, ())
    ]
    if name:
        return f"{name} ({', '.join(settings)})" if settings else str(name)
    return ", ".join(settings) or ABSENT


def _scaled(value: float, unit: str | None) -> str:
    """`value` in the largest of its unit's scales that leaves it at 1 or more."""
    if not math.isfinite(value):
        return format_number(value)
    factor, label = _scale(unit, value)
    return _with_label(format_number(value / factor), label)


def _scale(unit: str | None, value: float) -> tuple[float, str]:
    unit = _SAME_UNIT.get(unit or "", unit or "")
    scales = _SCALES.get(unit, ((1.0, unit),))
    return next((scale for scale in scales if abs(value) >= scale[0]), scales[-1])


def _with_label(number: str, label: str) -> str:
    if label in _PREFIXED:
        return f"{_PREFIXED[label]}{number}"
    return f"{number} {label}" if label else number

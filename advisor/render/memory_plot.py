"""The memory budget: what lies in the device's memory at the peak, stacked by category against what the device has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.render.evidence import label_of
from advisor.render.numbers import format_amount
from advisor.render.svg import INK, LIMIT, PAPER, Plot, draw
from advisor.report import Check, Report
from advisor.wire import Quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GIB = {"bytes": 2**-30, "B": 2**-30, "GiB": 1.0}
# Colours that stay apart for colour-blind eyes (P. Tol, "Colour schemes", the bright and light schemes).
_COLOURS = ("#4477aa", "#66ccee", "#aa3377", "#228833", "#ccbb44", "#ee8866", "#ee6677", "#888888", "#aaaa00", "#77aadd")
_ORDER = ("weights", "gradients", "optimizer_state", "activations", "logits_and_loss", "kv_cache", "temporaries", "workspace",
          "allocator_slack", "context")  # fmt: skip
_ROW = 0.62  # inches for each bar
_FRAME = 0.75  # inches for the axis and the limit's label


@dataclass(frozen=True)
class Share:
    """A category at one peak: its colour, GiB, and part of the whole."""

    name: str
    colour: str
    size: str
    part: str


@dataclass(frozen=True)
class Budget:
    """One peak in words: the legend and text alternative of its bar."""

    name: str
    shares: list[Share]


def memory_budgets(report: Report) -> list[Budget]:
    """The peaks that were computed, category by category, largest first."""
    return [
        Budget(
            label_of(check.name),
            [
                Share(label_of(name), _colour(name), format_amount(size, "GiB"), f"{size / total:.1%}")
                for name, size in sorted(_sizes(check).items(), key=lambda item: -item[1])
            ],
        )
        for check in _checks(report)
        if (total := sum(_sizes(check).values()))
    ]


def plot_memory(report: Report) -> Plot | None:
    """One bar a peak, training first, with its interval and the device's memory; None where no peak was computed."""
    checks = _checks(report)
    if not checks:
        return None
    limit = next((check.limit * _GIB[check.unit or ""] for check in checks if check.limit), None)

    def paint(axes: Axes) -> None:
        reach = max([limit or 0.0, *(_interval(report, check)[1] for check in checks)])
        for row, check in enumerate(checks):
            _stack(axes, -row, check, _interval(report, check))
        axes.set_xlim(0, reach * 1.06)
        axes.set_ylim(-len(checks) + 0.5, 0.5)
        axes.set_yticks([-row for row in range(len(checks))], [check.name.partition("_")[0] for check in checks], rotation=90, va="center")
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("GiB at the peak; the line is the interval of the whole")
        if limit:
            axes.axvline(limit, color=LIMIT, linestyle="--", linewidth=1.2)
            axes.text(limit, 1.01, f"device {format_amount(limit, 'GiB')}", color=LIMIT, ha="right", va="bottom",
                      transform=axes.get_xaxis_transform())  # fmt: skip

    return draw("memory", "Memory at the peak against the device", _describe(checks, limit), paint, height=_FRAME + _ROW * len(checks))


def _checks(report: Report) -> list[Check]:
    found = [check for check in report.verification if check.name.endswith("_memory") and check.unit in _GIB and _sizes(check)]
    return sorted(found, key=lambda check: check.name != "training_memory")


def _sizes(check: Check) -> dict[str, float]:
    """GiB by category, in the order in which they are stacked."""
    ranks = {name: rank for rank, name in enumerate(_ORDER)}
    sizes = {name: figure.value * _GIB[figure.unit] for name, figure in check.figures.items() if figure.unit in _GIB and name != "total"}
    return dict(sorted(sizes.items(), key=lambda item: ranks.get(item[0], len(ranks))))


def _interval(report: Report, check: Check) -> tuple[float, float]:
    """The whole's interval, as the chosen candidate's figure or the check's own total gives it."""
    chosen = next((candidate.figures for candidate in report.candidates if candidate.verdict == "chosen"), {})
    whole: Quantity | None = chosen.get(check.name) or check.figures.get("total")
    value = sum(_sizes(check).values())
    if whole is None or whole.low is None or whole.high is None or whole.unit not in _GIB:
        return value, value
    return whole.low * _GIB[whole.unit], whole.high * _GIB[whole.unit]


def _stack(axes: Axes, row: int, check: Check, interval: tuple[float, float]) -> None:
    start = 0.0
    for name, size in _sizes(check).items():
        axes.barh(row, size, left=start, height=0.5, color=_colour(name), edgecolor=PAPER, linewidth=0.4)
        start += size
    axes.plot(interval, [row - 0.36, row - 0.36], color=INK, linewidth=1.4, marker="|", markersize=6)


def _colour(name: str) -> str:
    return _COLOURS[_ORDER.index(name) % len(_COLOURS)] if name in _ORDER else _COLOURS[sum(map(ord, name)) % len(_COLOURS)]


def _describe(checks: list[Check], limit: float | None) -> str:
    wholes = [f"{label_of(check.name)} {format_amount(sum(_sizes(check).values()), 'GiB')}" for check in checks]
    return "; ".join([*wholes, f"the device has {format_amount(limit, 'GiB')}" if limit else "no device limit is known"]) + "."

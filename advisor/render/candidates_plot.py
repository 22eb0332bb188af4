"""The candidates compared: published quality against each cost that bears a limit, the limits drawn in."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from advisor.render.evidence import label_of
from advisor.render.numbers import format_amount, format_quantity
from advisor.render.svg import ACCENT, INK, LIMIT, MUTED, PAPER, Plot, draw
from advisor.report import Candidate, Report
from advisor.wire import Basis, Quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Cost → the check that holds its limit, and the unit it is drawn in with what other units are multiplied by.
_COSTS: dict[str, tuple[str, str, dict[str, float]]] = {
    "latency": ("latency", "ms", {"s": 1e3}),
    "file_size": ("model_size", "MB", {"bytes": 1e-6, "B": 1e-6}),
    "training_memory": ("training_memory", "GiB", {"bytes": 2**-30, "B": 2**-30}),
    "inference_memory": ("inference_memory", "GiB", {"bytes": 2**-30, "B": 2**-30}),
}
_PANELS = 3
_LOG_SPREAD = 10  # from a tenfold spread on, equal ratios are drawn equally far apart
_LOWER_IS_BETTER = {"wer", "cer", "mae", "mase", "rmse", "smape", "crps", "fid", "perplexity", "eer"}
_MARKERS = {"chosen": "o", "runner-up": "s", "rejected": "X"}


def letter(index: int) -> str:
    """The candidates' names in the plots: A is the first."""
    return chr(ord("A") + index)


def plot_candidates(report: Report) -> list[Plot]:
    """One plot a cost, those with a limit first; none where there are no two candidates to compare."""
    if len([candidate for candidate in report.candidates if candidate.figures]) < 2:
        return []
    benchmark, limits = find_benchmark(report.candidates), _limits(report)
    known = [cost for cost in _COSTS if sum(cost in candidate.figures for candidate in report.candidates) > 1]
    shown = sorted(known, key=lambda cost: cost not in limits)[:_PANELS]
    return [_plot(report.candidates, cost, limits.get(cost), benchmark) for cost in shown]


def find_benchmark(candidates: list[Candidate]) -> str | None:
    """The published figure that most of them bear, and two at least: figures of different benchmarks do not compare."""
    borne = Counter(
        name for candidate in candidates for name, figure in candidate.figures.items() if figure.basis is Basis.PUBLISHED
    ).most_common(1)
    return borne[0][0] if borne and borne[0][1] > 1 else None


def _limits(report: Report) -> dict[str, float]:
    checks = {check.name: check for check in report.verification if check.limit is not None}
    return {
        cost: (checks[name].limit or 0.0) * factors.get(checks[name].unit or "", 1.0)
        for cost, (name, _, factors) in _COSTS.items()
        if name in checks
    }


def _plot(candidates: list[Candidate], cost: str, limit: float | None, benchmark: str | None) -> Plot:
    _, unit, factors = _COSTS[cost]
    points = [
        (letter(index), candidate, _scaled(candidate.figures[cost], factors, unit), _height(candidate, index, benchmark))
        for index, candidate in enumerate(candidates)
        if cost in candidate.figures and (benchmark is None or benchmark in candidate.figures)
    ]

    def paint(axes: Axes) -> None:
        from matplotlib.ticker import NullLocator

        ends = [end for _, _, figure, _ in points for end in (figure.low, figure.value, figure.high) if end]
        ends += [limit] if limit else []
        if min(ends) > 0 and max(ends) / min(ends) > _LOG_SPREAD:
            axes.set_xscale("log")
            axes.xaxis.set_minor_locator(NullLocator())  # a tick takes a millisecond to make
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.set_xlim(min(ends) / 1.5, max(ends) * 1.5)
        else:
            axes.set_xlim(0, max(ends) * 1.15)
        for name, candidate, figure, height in points:
            _mark(axes, name, candidate.verdict, figure, height)
        if limit:
            axes.axvline(limit, color=LIMIT, linestyle="--", linewidth=1.2)
            axes.axvspan(limit, axes.get_xlim()[1], color=LIMIT, alpha=0.12, linewidth=0)
            axes.text(limit, 1.01, f"limit {format_amount(limit, unit)}", color=LIMIT, ha="center", va="bottom",
                      transform=axes.get_xaxis_transform())  # fmt: skip
        axes.margins(y=0.25)
        axes.set_xlabel(f"{label_of(cost)}, {unit}")
        _name_heights(axes, [height for _, _, _, height in points], benchmark, candidates)

    title = f"{_quality(candidates, benchmark) if benchmark else 'Candidates'} against {label_of(cost)}"
    return draw(f"candidates-{cost.replace('_', '-')}", title, _describe(points, limit, unit, benchmark), paint)


def _mark(axes: Axes, name: str, verdict: str, figure: Quantity, height: float) -> None:
    colour = ACCENT if verdict == "chosen" else MUTED
    if figure.low is not None and figure.high is not None:
        axes.plot([figure.low, figure.high], [height, height], color=colour, linewidth=1.2, alpha=0.7)
    axes.plot([figure.value], [height], _MARKERS.get(verdict, "s"), markersize=7, color=colour, markeredgecolor=PAPER)
    offset, side = (6, "bottom") if verdict == "chosen" else (-6, "top")  # two that nearly agree keep their names apart
    axes.annotate(name, (figure.value, height), xytext=(0, offset), textcoords="offset points", ha="center", va=side,
                  color=INK, fontweight="bold")  # fmt: skip


def _name_heights(axes: Axes, heights: list[float], benchmark: str | None, candidates: list[Candidate]) -> None:
    if benchmark:
        axes.set_ylabel(_quality(candidates, benchmark))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
        axes.locator_params(axis="y", nbins=5)
        if _unit(candidates, benchmark) in _LOWER_IS_BETTER:
            axes.invert_yaxis()
    else:
        axes.set_yticks(heights, [letter(round(-height)) for height in heights])


def _height(candidate: Candidate, index: int, benchmark: str | None) -> float:
    return candidate.figures[benchmark].value if benchmark else -float(index)


def _unit(candidates: list[Candidate], benchmark: str) -> str:
    return next(candidate.figures[benchmark].unit for candidate in candidates if benchmark in candidate.figures).lower()


def _quality(candidates: list[Candidate], benchmark: str) -> str:
    return f"{benchmark}{', lower is better' if _unit(candidates, benchmark) in _LOWER_IS_BETTER else ''}"


def _scaled(figure: Quantity, factors: dict[str, float], unit: str) -> Quantity:
    factor = factors.get(figure.unit, 1.0)
    ends = {name: None if end is None else end * factor for name, end in (("low", figure.low), ("high", figure.high))}
    return figure.model_copy(update={"value": figure.value * factor, "unit": unit, **ends})


def _describe(points: list[tuple[str, Candidate, Quantity, float]], limit: float | None, unit: str, benchmark: str | None) -> str:
    parts = [
        f"{name}, {candidate.model.id}, {candidate.verdict}: {format_quantity(figure)}{f', {benchmark} {height:.3g}' if benchmark else ''}"
        for name, candidate, figure, height in points
    ]
    return "; ".join([*parts, f"the limit is {format_amount(limit, unit)}" if limit else "no limit is stated"]) + "."

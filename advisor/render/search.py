"""The search space in words: a row a parameter, and one line on how to search it."""

from __future__ import annotations

from advisor.render.numbers import format_quantity, format_rate
from advisor.report import SearchParameter, SearchSpace

_SAMPLERS = {
    "tpe": "TPE (TPESampler)",
    "qmc": "a low-discrepancy sequence (QMCSampler)",
    "random": "random search (RandomSampler)",
    "grid": "a grid (GridSampler)",
    "gp": "a Gaussian process (GPSampler)",
}
_PRUNERS = {"none": "no pruning", "median": "the median rule (MedianPruner)", "hyperband": "Hyperband (HyperbandPruner)"}


def describe_search(space: SearchSpace) -> str:
    """Sampler, pruner and budget in one line."""
    goal = f"{space.direction} {space.metric} on the validation part"
    pruned = f", from {space.resource[:-1]} {space.min_resource}" if space.pruner != "none" else ""
    length = f"{space.max_resource:,} {space.resource} each" if space.max_resource > 1 else f"one {space.resource[:-1]} each"
    cost = f"; at most {format_quantity(space.total_time)} in all" if space.total_time else ""
    return f"{space.trials} trials of {length}, to {goal}: {_SAMPLERS[space.sampler]}, {_PRUNERS[space.pruner]}{pruned}{cost}."


def describe_parameters(space: SearchSpace) -> list[tuple[str, str, str, str]]:
    """(name, range, the recipe's own value, rule) of each parameter."""
    return [(one.name.replace("_", " "), _range(one), format_rate(one.start), one.rule_id) for one in space.parameters]


def _range(one: SearchParameter) -> str:
    if one.low is None or one.high is None:
        return "one of " + ", ".join(map(format_rate, one.choices or []))
    scale = ", log scale" if one.log else ", whole numbers" if one.kind == "int" else ""
    return f"{format_rate(one.low)} to {format_rate(one.high)}{scale}"

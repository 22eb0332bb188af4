"""The course of the learning rate that a recipe names: trained with by the smoke-train, drawn by the report."""

from __future__ import annotations

import math

from advisor.recipe import Recipe

_STEP_DECAYS = (0.5, 0.75)  # of the run, where a step schedule divides the rate by ten (arXiv:1512.03385 does so twice)
_ONECYCLE_RISE = 0.3  # torch.optim.lr_scheduler.OneCycleLR, `pct_start`


def rate_factors(recipe: Recipe, steps: int) -> list[float]:
    """What the schedule makes of the learning rate in a run of `steps`: its warm-up and its course, compressed."""
    schedule = recipe.schedule
    if schedule is None:
        return [1.0] * steps
    fraction = schedule.warmup_fraction or 0.0
    if schedule.warmup_epochs and recipe.epochs:
        fraction = schedule.warmup_epochs / recipe.epochs
    elif schedule.warmup_steps:
        fraction = schedule.warmup_steps / recipe.steps if recipe.steps else 1 / steps
    warmup = min(math.ceil(fraction * steps), steps // 2)
    rising = [(step + 1) / (warmup + 1) for step in range(warmup)]
    length = steps - warmup
    return rising + [_course(schedule.name, step / length, 1 + step / max(1, warmup)) for step in range(length)]


def _course(name: str, progress: float, age: float) -> float:
    """The factor after the warm-up; `progress` goes from 0 to just below 1, and `age` counts in warm-ups, from 1."""
    if name == "onecycle":
        at_top = progress >= _ONECYCLE_RISE
        part = (progress - _ONECYCLE_RISE) / (1 - _ONECYCLE_RISE) if at_top else 1 - progress / _ONECYCLE_RISE
        return max(0.04, (1 + math.cos(math.pi * part)) / 2)  # OneCycleLR starts at a 25th of the rate (`div_factor`)
    courses: dict[str, float] = {
        "cosine": (1 + math.cos(math.pi * progress)) / 2,
        "linear": 1 - progress,
        "poly": (1 - progress) ** 0.9,  # the power of arXiv:1706.05587
        "step": 0.1 ** float(sum(progress >= decay for decay in _STEP_DECAYS)),
        "inverse_sqrt": age**-0.5,
    }
    return courses.get(name, 1.0)

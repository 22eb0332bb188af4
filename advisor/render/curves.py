"""Two curves: the loss that the smoke-train saw, and the learning rate over the planned run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from advisor.learning_rate import rate_factors
from advisor.recipe import Recipe
from advisor.render.numbers import format_number, format_rate
from advisor.render.svg import ACCENT, MUTED, Plot, draw
from advisor.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 200  # of the schedule's curve
_HEIGHT = 2.0  # inches


def plot_loss(report: Report) -> Plot | None:
    """The smoke-train's loss, step by step; None where none ran."""
    losses = next((check.losses for check in report.verification if check.losses), None)
    if not losses:
        return None

    def paint(axes: Axes) -> None:
        axes.plot(range(1, len(losses) + 1), losses, color=ACCENT, linewidth=1.4, marker="o", markersize=3)
        axes.set_xlabel("optimizer step on one synthetic batch")
        axes.set_ylabel("loss")
        axes.locator_params(axis="x", integer=True, nbins=8)
        axes.locator_params(axis="y", nbins=5)

    words = f"The loss goes from {losses[0]:.3g} at step 1 to {losses[-1]:.3g} at step {len(losses)}; its lowest is {min(losses):.3g}."
    return draw("loss", "Loss of the smoke-train", words, paint, height=_HEIGHT)


def plot_schedule(report: Report) -> Plot | None:
    """The learning rate from the first step to the last; None where nothing is trained or no rate is set."""
    recipe = report.recipe
    if recipe is None or recipe.optimizer.learning_rate is None or recipe.schedule is None:
        return None
    rate, (length, unit) = recipe.optimizer.learning_rate, _length(recipe)
    rates = [rate * factor for factor in rate_factors(_with_steps(recipe, report), _POINTS)]

    def paint(axes: Axes) -> None:
        axes.plot([length * point / (_POINTS - 1) for point in range(_POINTS)], rates, color=ACCENT, linewidth=1.4)
        axes.axhline(rate, color=MUTED, linewidth=0.6, linestyle=":")
        axes.set_ylim(0, rate * 1.12)
        axes.set_yticks([0, rate / 2, rate], ["0", format_rate(rate / 2), format_rate(rate)], rotation=90, va="center")
        axes.set_xlim(0, length)
        axes.set_xlabel(unit)
        axes.set_ylabel("learning rate")

    return draw("schedule", "Learning rate over the run", _course(recipe), paint, height=_HEIGHT)


def _length(recipe: Recipe) -> tuple[float, str]:
    if recipe.epochs:
        return recipe.epochs, "epoch"
    return (recipe.steps, "step") if recipe.steps else (100.0, "% of the run")


def _with_steps(recipe: Recipe, report: Report) -> Recipe:
    """The recipe with its length in steps too, where the number of samples tells it: a warm-up in steps is drawn to scale."""
    samples = next((fact.value for fact in report.facts if fact.fact == "data.samples"), None)
    if recipe.steps or not recipe.epochs or not isinstance(samples, int | float):
        return recipe
    return recipe.model_copy(update={"steps": max(1, round(recipe.epochs * math.ceil(samples / recipe.batch.effective)))})


def _course(recipe: Recipe) -> str:
    schedule, rate = recipe.schedule, format_rate(recipe.optimizer.learning_rate or 0.0)
    if schedule is None:
        return ""
    length, unit = _length(recipe)
    over = f"over {format_number(length)} {unit}s" if unit != "% of the run" else "over the run"
    if schedule.name == "plateau":
        return f"At most {rate} {over}: it falls where validation stops improving, which cannot be drawn beforehand."
    warmed = bool(schedule.warmup_steps or schedule.warmup_epochs or schedule.warmup_fraction)
    return f"{schedule.name.capitalize()} {over} with a peak of {rate}{', after a warm-up' if warmed else ''}."

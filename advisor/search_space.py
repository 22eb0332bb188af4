"""The hyperparameters of a recipe that are worth searching: the recipe's own numbers, widened by the rules' factors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from advisor import choices as c
from advisor.engine.deciding import Decided
from advisor.engine.facts import Facts
from advisor.planning.plan import Design
from advisor.planning.sizing import SIGNIFICANT_DIGITS, number
from advisor.recipe import Recipe
from advisor.report import SearchParameter, SearchSpace
from advisor.wire import Basis, Quantity

# With fewer trials than this only the learning rate is tuned (github google-research/tuning_playbook README.md, on Adam).
ONLY_THE_RATE_BELOW = 10
HOURS_A_DAY = 24.0
# What the metrics measure, not advice: of these a smaller value is the better one, of every other a larger.
MINIMIZED = frozenset({"mae", "rmse", "mape", "mase", "wer", "cer", "eer", "perplexity", "fid"})


def search_space(design: Design, figures: Mapping[str, Quantity]) -> SearchSpace | None:
    """The space, sampler, pruner and budget for this recipe; None where nothing is trained, or the stated budget allows one run only."""
    recipe, outcome = design.recipe, design.outcomes.get("search")
    length = recipe.epochs or recipe.steps
    if outcome is None or not outcome.decided or recipe.optimizer.name == "none" or length is None:
        return None
    decided = outcome.decided[0]
    search = decided.choice
    assert isinstance(search, c.Search)
    run = figures.get("training_time")
    trials = affordable(search.trials, search.share, run, design.facts)
    points = trials if search.name == "grid" else None
    parameters = [_on_grid(one, points) if points else one for one in _parameters(recipe, design.outcomes["tune"].decided)]
    if trials < ONLY_THE_RATE_BELOW:
        parameters = [parameter for parameter in parameters if parameter.name == "learning_rate"]
    if trials < 2 or not parameters:
        return None
    length = max(length, *(max(one.choices or [0.0]) for one in parameters if one.name == "epochs"), 0.0)
    longest = math.ceil(length * search.share)
    return SearchSpace(
        parameters=parameters,
        sampler=search.name,
        pruner=search.pruner if longest > 1 else "none",  # before the end there is nothing to look at
        trials=trials,
        metric=recipe.metric,
        direction="minimize" if recipe.metric in MINIMIZED else "maximize",
        resource="epochs" if recipe.epochs else "steps",
        min_resource=max(1, math.ceil(longest * search.first_look)),
        max_resource=longest,
        total_time=_total(run, trials * search.share),
        text=search.text,
        rule_id=decided.rule_id,
    )


def affordable(trials: int, share: float, run: Quantity | None, facts: Facts) -> int:
    """As many trials as the stated GPU-hours and days pay for, where the time of a run in hours is known."""
    hours = min(
        number(facts, "limit.gpu_hours", math.inf) / number(facts, "compute.devices", 1),
        number(facts, "limit.days", math.inf) * HOURS_A_DAY,
    )
    if run is None or run.value <= 0 or math.isinf(hours):
        return trials
    return min(trials, int(hours / (run.value * share)))


def _total(run: Quantity | None, runs: float) -> Quantity | None:
    if run is None:
        return None
    scaled = {name: float(f"{value * runs:.3g}") for name in ("value", "low", "high") if (value := getattr(run, name)) is not None}
    return Quantity(**scaled, unit=run.unit, basis=Basis.ESTIMATED, source=f"{runs:g} whole runs; {run.source}")


def _parameters(recipe: Recipe, tuned: tuple[Decided, ...]) -> Iterator[SearchParameter]:
    known = _values(recipe)
    for decided in tuned:
        choice = decided.choice
        assert isinstance(choice, c.Tuned)
        if choice.name in known:
            yield _parameter(choice, *known[choice.name], decided.rule_id)


def _values(recipe: Recipe) -> dict[str, tuple[str, float]]:
    """Each searchable number that the recipe has: name → (path, value)."""
    optimizer, schedule, lora = recipe.optimizer, recipe.schedule, recipe.lora
    plain = {
        "learning_rate": ("optimizer.learningRate", optimizer.learning_rate),
        "weight_decay": ("optimizer.weightDecay", optimizer.weight_decay or None),
        "warmup_fraction": ("schedule.warmupFraction", schedule and schedule.warmup_fraction),
        "epochs": ("epochs", recipe.epochs),
        "lora_dropout": ("lora.dropout", lora and lora.dropout),
    }
    groups = {group.name: ("optimizer.parameterGroups", group.learning_rate_scale) for group in optimizer.parameter_groups}
    techniques = {
        technique.name: (kind, technique.value)
        for kind in ("regularization", "augmentation")
        for technique in getattr(recipe, kind)
        if technique.value is not None
    }
    return {name: (path, float(value)) for name, (path, value) in {**groups, **techniques, **plain}.items() if value is not None}


def _parameter(choice: c.Tuned, path: str, start: float, rule_id: str) -> SearchParameter:
    if choice.among is not None:
        values = sorted({start, *map(float, choice.among)})
        return SearchParameter(name=choice.name, path=path, kind="categorical", choices=values, start=start, rule_id=rule_id)
    factors = choice.times
    low, high = choice.between if factors is None else (_rounded(start * factors[0]), _rounded(start * factors[1]))  # type: ignore[misc]
    return SearchParameter(
        name=choice.name,
        path=path,
        kind="int" if choice.whole else "float",
        low=min(low, start),
        high=max(high, start),
        log=choice.log,
        start=start,
        rule_id=rule_id,
    )


def _on_grid(parameter: SearchParameter, points: int) -> SearchParameter:
    """A range as so many values, evenly spaced by its scale, for a sampler that tries each."""
    if parameter.low is None or parameter.high is None or points < 2:
        return parameter
    shares = [index / (points - 1) for index in range(points)]
    if parameter.log:
        values = [parameter.low * (parameter.high / parameter.low) ** share for share in shares]
    else:
        values = [parameter.low + (parameter.high - parameter.low) * share for share in shares]
    return parameter.model_copy(
        update={"kind": "categorical", "low": None, "high": None, "log": False, "choices": [*map(_rounded, values)]}
    )


def _rounded(value: float) -> float:
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")

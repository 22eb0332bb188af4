"""The search space of a recipe: its own numbers widened by the rules, in the form that Optuna takes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from advisor import Report, design
from advisor.choices import Metric, Tuned
from advisor.engine.facts import Fact, Origin
from advisor.engine.loading import load_knowledge
from advisor.search_space import MINIMIZED, affordable
from advisor.wire import Basis, Quantity
from tests.conftest import EXAMPLES


def of_example(name: str) -> Any:
    return design(EXAMPLES / f"{name}.yaml", "none").search_space


def parameters(space: Any) -> dict[str, Any]:
    return {parameter.name: parameter for parameter in space.parameters}


def test_images_are_searched_around_the_recipe_with_pruned_trials() -> None:
    report = design(EXAMPLES / "defects.yaml", "none")
    assert report.search_space is not None and report.recipe is not None
    space, rate = report.search_space, report.recipe.optimizer.learning_rate
    assert (space.sampler, space.pruner, space.direction, space.resource) == ("tpe", "hyperband", "maximize", "epochs")
    searched = parameters(space)["learning_rate"]
    assert searched.log and searched.start == rate and searched.low < rate < searched.high
    assert searched.high / searched.low == pytest.approx(10, rel=0.1), "a pretrained model bears an order of magnitude, not two"
    assert {"weight_decay", "layer_decay", "label_smoothing"} <= parameters(space).keys()
    assert 1 <= space.min_resource < space.max_resource == report.recipe.epochs


def test_encoders_are_searched_over_the_published_grid() -> None:
    space = of_example("tickets")
    searched = parameters(space)
    assert (searched["learning_rate"].low, searched["learning_rate"].high) == (1e-5, 5e-5)
    assert searched["epochs"].kind == "categorical" and searched["epochs"].choices == [2, 3, 4] and space.max_resource == 4
    assert space.pruner == "median" and "weight_decay" not in searched


def test_a_decoder_gets_five_learning_rates_and_nothing_else() -> None:
    space = of_example("llm")
    [rate] = space.parameters
    assert space.trials == len(rate.choices) == 5 and rate.name == "learning_rate" and rate.low is None
    assert rate.choices == sorted(rate.choices) and rate.start in rate.choices


def test_a_small_error_is_better_than_a_large_one() -> None:
    assert of_example("image_regression").direction == "minimize"


def test_every_metric_of_the_rules_has_a_direction() -> None:
    rises = {
        "accuracy", "top5_accuracy", "f1", "macro_f1", "entity_f1", "squad_f1", "exact_match", "mcc", "precision", "recall", "r2",
        "roc_auc",
        "average_precision", "map", "mask_map", "miou", "dice", "bleu", "rouge", "cider", "mrr", "ndcg@10", "recall@1", "vqa_accuracy",
        "win_rate",
        "task_score", "episode_return", "normalized_return", "linear_probe_accuracy",
    }  # fmt: skip
    named = {rule.choice.name for rule in load_knowledge().rules.rules["metric"] if isinstance(rule.choice, Metric)}
    assert named - MINIMIZED == rises, "say of a new metric whether it rises"


@pytest.mark.parametrize("name", ["sales", "tabular", "missing", "trees"])
def test_where_nothing_is_trained_nothing_is_searched(name: str) -> None:
    assert of_example(name) is None


def test_every_space_contains_its_recipe() -> None:
    names = [path.stem for path in sorted(EXAMPLES.glob("*.yaml"))]
    for space in filter(None, map(of_example, names)):
        assert space.parameters[0].name == "learning_rate"
        for one in space.parameters:
            if one.kind == "categorical":
                assert len(one.choices) >= 2 and min(one.choices) <= one.start <= max(one.choices)
            else:
                assert one.low <= one.start <= one.high and one.low < one.high and (not one.log or one.low > 0)


def hours(value: float) -> Quantity:
    return Quantity(value=value, unit="h", basis=Basis.ESTIMATED)


@pytest.mark.parametrize(
    ("stated", "trials"),
    [({}, 30), ({"limit.gpu_hours": 10.0}, 5), ({"limit.gpu_hours": 10.0, "compute.devices": 2}, 2), ({"limit.days": 1.0}, 12)],
)
def test_the_stated_budget_limits_the_trials(stated: dict[str, Any], trials: int) -> None:
    facts = {name: Fact(value, Origin.STATED) for name, value in stated.items()}
    assert affordable(30, 1.0, hours(2.0), facts) == trials


def test_a_small_budget_searches_the_learning_rate_alone() -> None:
    request = {
        "task": {"type": "classification", "domain": "CV", "specificTask": "image classification"},
        "data": {"size": "50k images", "distribution": "10 classes"},
        "constraints": {"computeResources": "RTX 3060 12GB", "budget": "6 GPU-hours"},
    }
    whole = Report.model_validate(design({**request, "constraints": {"computeResources": "RTX 3060 12GB"}}, "none").to_wire()).search_space
    assert whole is not None and whole.total_time is not None
    run = whole.total_time.value / whole.trials
    space = design(
        {**request, "constraints": {"computeResources": "RTX 3060 12GB", "budget": f"{run * 5.5:.2f} GPU-hours"}}, "none"
    ).search_space
    assert space is not None and space.trials == 5 and [one.name for one in space.parameters] == ["learning_rate"]


@pytest.mark.parametrize("bad", [{}, {"times": (2.0, 1.0)}, {"times": (0.5, 2.0), "among": [1, 2]}])
def test_a_range_that_is_none_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="one of times, between and among"):
        Tuned(name="dropout", **bad)

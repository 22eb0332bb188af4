"""The kinds of training project: which designs each covers, and what its templates are told.

A family is a template `templates/scaffold/NAME/task.py.j2`: data, model, loss, metrics, and what is exported. The scripts of
`templates/scaffold/training/` are the same for all: settings, seeds, optimizer, schedule, the loop with its checkpoints, evaluation,
export and search.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from advisor.recipe import Recipe
from advisor.scaffold import miniature

ADJUSTED_BALANCE = ("imbalanced", "long_tail")  # for which the loss rules adjust the logits by the class frequencies

Facts = Mapping[str, Any]
Changes = dict[str, Any]
COMMON = ("numpy", "optuna", "pyyaml", "scikit-learn", "tensorboard", "torch", "tqdm")


@dataclass(frozen=True)
class Family:
    """One kind of project. `miniature` gives what a smoke run lays over the settings."""

    name: str
    about: str
    library: str
    tasks: tuple[str, ...]
    data: str
    requirements: tuple[str, ...]
    miniature: Callable[[Recipe, Mapping[str, Any]], Changes]
    skeleton: str = "training"
    adaptations: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    values: Callable[[Recipe, str, Facts], Changes] = lambda recipe, task, facts: {}

    def covers(self, recipe: Recipe, task: str) -> bool:
        fits = not self.adaptations or recipe.model.adaptation in self.adaptations
        return recipe.model.library == self.library and task in self.tasks and fits


def _image_values(recipe: Recipe, task: str, facts: Facts) -> Changes:
    return {
        "regression": task == "image_regression",
        "partly": recipe.model.adaptation in ("freeze", "linear_probe"),
        "adjusts": _adjusts(facts),
    }


def _adjusts(facts: Facts) -> bool:
    return facts.get("data.balance") in ADJUSTED_BALANCE or facts.get("challenge.long_tail") is True


FAMILIES = (
    Family(
        name="timm",
        about="images with timm: classification and regression",
        library="timm",
        tasks=("image_classification", "image_regression"),
        data="a folder with one folder of images for each class; for regression, a folder with images and labels.csv",
        requirements=("pillow", "timm", "torchvision"),
        miniature=miniature.timm,
        values=_image_values,
    ),
)


def family_of(recipe: Recipe, task: str) -> Family | None:
    """The family that covers a design, or None."""
    return next((family for family in FAMILIES if family.covers(recipe, task)), None)

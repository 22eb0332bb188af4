"""What a smoke run changes: a model, samples and a run so small that a CPU is through in seconds. Weights are random then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from advisor.recipe import Recipe

EPOCHS = 2
BATCH = 4
MOST_ACCUMULATION = 2  # two parts show all that more would
TRIALS = 2

# timm's own miniatures for tests, by what the name of the model begins with; the code of the whole family runs in them.
TIMM_MINIATURES = {
    "convnext": "test_convnext",
    "caformer": "test_convnext",
    "efficientnet": "test_efficientnet",
    "tf_efficientnet": "test_efficientnet",
    "mobilenet": "test_efficientnet",
    "resnet": "test_resnet",
    "regnet": "test_byobnet",
    "vit": "test_vit",
    "deit": "test_vit",
    "beit": "test_vit",
    "eva": "test_vit",
}
TIMM_OTHER = "test_vit"
TIMM_PIXELS = 64


def run(recipe: Recipe, **changes: Any) -> dict[str, Any]:
    """The changes that every family makes, and those given."""
    accumulation = min(recipe.batch.accumulation, MOST_ACCUMULATION)
    batch = {"perDevice": BATCH, "accumulation": accumulation, "devices": 1, "effective": BATCH * accumulation}
    length = {"steps": None, "epochs": EPOCHS} if recipe.steps is None else {"steps": EPOCHS}
    return {
        "recipe": {"batch": batch, **length, "model": {"pretrained": False}, **changes},
        "project": {"workers": 0, "checkpointSteps": 1},
        "search": {"trials": TRIALS, "startupTrials": 1},
    }


def timm(recipe: Recipe, config: Mapping[str, Any]) -> dict[str, Any]:
    known = (small for start, small in TIMM_MINIATURES.items() if recipe.model.id.startswith(start))
    model = {"id": next(known, TIMM_OTHER), "pretrained": False}
    return run(recipe, model=model, input={"imageSize": TIMM_PIXELS})

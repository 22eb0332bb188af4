"""A stand-in trains by the recipe of the model that was asked for; the other candidates by their own."""

from __future__ import annotations

from typing import Any

from advisor import design


def _recipe_for(base: str) -> dict[str, Any]:
    request = {
        "task": {"type": "detection", "domain": "CV", "specificTask": "custom object detection"},
        "data": {"size": "3,000 images, 6 classes"},
        "constraints": {"computeResources": "1x RTX 3090"},
        "existingSetup": {"baseModel": base},
    }
    return dict(design(request, "none").to_wire()["recipe"])


def test_the_recipe_goes_to_the_stand_in_and_not_to_the_model_itself() -> None:
    named, own = _recipe_for("RTMDet-s"), _recipe_for("fcos_resnet50_fpn")
    assert named["model"]["id"] == own["model"]["id"] == "fcos_resnet50_fpn"
    assert (named["optimizer"]["name"], own["optimizer"]["name"]) == ("adamw", "sgd")
    assert "ema" in named
    assert "ema" not in own


def test_of_names_as_long_as_one_another_the_first_is_the_model() -> None:
    assert _recipe_for("DAB-DETR R50")["model"]["id"] == "SenseTime/deformable-detr"

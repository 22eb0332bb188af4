"""A stand-in trains by the recipe of the model that was asked for; the other candidates by their own."""

from __future__ import annotations

from advisor import design


def test_the_recipe_goes_to_the_stand_in_alone() -> None:
    def asked(base: str) -> dict:
        return {
            "task": {"type": "detection", "domain": "CV", "specificTask": "custom object detection"},
            "data": {"size": "3,000 images, 6 classes"},
            "constraints": {"computeResources": "1x RTX 3090"},
            "existingSetup": {"baseModel": base},
        }

    named, own = (design(asked(base), "none").to_wire()["recipe"] for base in ("RTMDet-s", "fcos_resnet50_fpn"))
    assert named["model"]["id"] == own["model"]["id"] == "fcos_resnet50_fpn"
    assert (named["optimizer"]["name"], own["optimizer"]["name"]) == ("adamw", "sgd")
    assert "ema" in named
    assert "ema" not in own

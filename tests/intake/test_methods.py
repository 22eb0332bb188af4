"""A method of pretraining and the encoder that it trains may be named in different fields; each is understood in both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from advisor.catalogue import models
from advisor.engine.vocabulary import FactSpec
from advisor.intake import read_facts
from advisor.request import Request


def facts_of(vocabulary: Mapping[str, FactSpec], task: str, base: str | None, type_: str = "embedding") -> dict[str, Any]:
    request = {
        "task": {"type": type_, "domain": "CV", "specificTask": task},
        "data": {"size": "50k images"},
        "constraints": {"computeResources": "single-GPU"},
        "existingSetup": {"baseModel": base},
    }
    return {name: fact.value for name, fact in read_facts(Request.model_validate(request), vocabulary).facts.items()}


@pytest.mark.parametrize(
    ("task", "base", "id_"),
    [
        ("SimCLR self-supervised pretraining", None, "simclr_resnet50"),
        ("SimCLR contrastive pretraining", "resnet18", "simclr_resnet18"),
        ("self-supervised pretraining with MoCo v3", "vit_base_patch16_224", "moco_v3_vit_base"),
        ("self-supervised pretraining on images", "BYOL (ResNet-50)", "byol_resnet50"),
        ("DINO self-distillation pretraining of a ViT-S/16", None, "dino_vit_small"),
        ("self-supervised pretraining (SwAV)", "resnet50", "barlow_twins_resnet50"),
    ],
)
def test_a_method_of_two_views_is_found_with_its_encoder(vocabulary: Mapping[str, FactSpec], task: str, base: str | None, id_: str) -> None:
    found = facts_of(vocabulary, task, base)
    assert (found["task.kind"], found["setup.base_model"]) == ("two_view_pretraining", id_)
    assert id_ in models()


@pytest.mark.parametrize("task", ["self-supervised pretraining on unlabelled images", "masked autoencoder pretraining", "SimMIM"])
def test_without_a_method_of_two_views_patches_are_masked(vocabulary: Mapping[str, FactSpec], task: str) -> None:
    assert facts_of(vocabulary, task, None)["task.kind"] == "image_pretraining"


@pytest.mark.parametrize(
    ("base", "is_on_hub"),
    [("microsoft/resnet-50", True), ("facebook/convnext-tiny-224", True), ("timm/resnet50.a1_in1k", False), ("resnet50", False)],
)
def test_a_model_named_as_on_the_hub_is_one_of_transformers(vocabulary: Mapping[str, FactSpec], base: str, is_on_hub: bool) -> None:
    assert facts_of(vocabulary, "image classification", base, "classification")["setup.base_on_hub"] is is_on_hub

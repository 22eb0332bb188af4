"""What the templates for segmentation, detection and image generation are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from advisor import catalogue
from advisor.recipe import Recipe
from advisor.scaffolding.built import factory, model_type

UNNORMALIZED = ("rt_detr", "rt_detr_v2", "d_fine")  # detectors that take pixels between 0 and 1 as they are
COCO_CLASSES = 80  # where the request names no number: arXiv:1405.0312

Facts = Mapping[str, Any]
Changes = dict[str, Any]


def segmentation_values(recipe: Recipe, task: str, facts: Facts) -> Changes:
    library = recipe.model.library
    return {
        "data": "a folder with images/ and masks/, PNGs of the same names with class numbers (255: void); groups.csv (file, group) if any",
        "library": library,
        "factory": factory(recipe),
        "backbone": {"segmentation_models_pytorch": "encoder."}.get(
            library, "segformer." if model_type(recipe) == "segformer" else "backbone."
        ),
        "partly": recipe.model.adaptation in ("freeze", "linear_probe"),
        "requirements": {"transformers": ("transformers",), "segmentation_models_pytorch": ("segmentation-models-pytorch",)}.get(
            library, ()
        ),
    }


def volume_values(recipe: Recipe, task: str, facts: Facts) -> Changes:
    return {
        "data": "a folder of .npz files: image [channels, depth, height, width], label [depth, height, width] of class numbers (255: void)",
        "factory": factory(recipe),
    }


def detection_values(recipe: Recipe, task: str, facts: Facts) -> Changes:
    kind = model_type(recipe)
    return {
        "data": "a folder with images/ and annotations.json in COCO's format (an image may name its group, where images belong together)",
        "normalizes": kind not in UNNORMALIZED,
        "backbone": "vit." if kind == "yolos" else "model.backbone.",
        "softmax": kind in ("detr", "yolos"),
        "classes": COCO_CLASSES,
        "partly": recipe.model.adaptation in ("freeze", "linear_probe"),
    }


def diffusion_values(recipe: Recipe, task: str, facts: Facts) -> Changes:
    text = factory(recipe) == "UNet2DConditionModel"
    xl = text and "addition_embed_type" in catalogue.models()[recipe.model.id].build.config
    return {
        "data": "a folder with images and metadata.csv (file, text)" if text else "a folder of images",
        "factory": factory(recipe),
        "text": text,
        "xl": xl,
        "pipeline": "StableDiffusionXLPipeline" if xl else "StableDiffusionPipeline",
        "lora": recipe.lora is not None,
        "watch": "loss",
        "requirements": ("transformers",) if text else (),
    }

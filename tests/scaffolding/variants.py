"""Requests beside the examples, whose projects have code that none of theirs has."""

from __future__ import annotations

from typing import Any

import yaml

from advisor import Report, design
from tests.conftest import EXAMPLES


def on(model: str) -> dict[str, Any]:
    return {"existingSetup": {"framework": "PyTorch", "baseModel": model}}


# An example, and what is changed in it.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "many_sounds": ("audio_classification", {"challenges": ["multi-label"]}),
    "waveforms": ("audio_classification", on("facebook/hubert-base-ls960")),
    "features": ("speech_recognition", on("facebook/w2v-bert-2.0")),
    "segformer": ("semantic_segmentation", on("nvidia/segformer-b0-finetuned-ade-512-512")),
    "unet": ("semantic_segmentation", on("unet_mobilenet_v2")),
    "lraspp": ("semantic_segmentation", on("lraspp_mobilenet_v3_large")),
    "rt_detr": ("detection", on("PekingU/rtdetr_v2_r18vd")),
    "d_fine": ("detection", on("ustc-community/dfine-nano-coco")),
    "yolos": ("detection", on("hustvl/yolos-tiny")),
    "sdxl": ("image_generation", on("sdxl")),
    "pixels": ("image_generation", on("google/ddpm-cifar10-32")),
}


def design_variant(name: str) -> Report:
    example, changes = VARIANTS[name]
    return design({**yaml.safe_load((EXAMPLES / f"{example}.yaml").read_text(encoding="utf-8")), **changes}, "none")

"""What becomes of an image and its mask before the model sees them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torchvision import tv_tensors
from torchvision.transforms import v2

from settings import Settings

VOID = 255  # the class number of pixels that no loss is taken of and that no score counts
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of the images that the weights were trained on


def fit_square(image: tv_tensors.Image, mask: tv_tensors.Mask, size: int) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
    """The whole image in a square: its longer edge to `size`, void below or beside it."""
    height, width = image.shape[-2:]
    scale = size / max(height, width)
    wanted = [max(1, round(height * scale)), max(1, round(width * scale))]
    padding = [0, 0, size - wanted[1], size - wanted[0]]
    image, mask = v2.Resize(wanted, antialias=True)(image, mask)
    return v2.Pad(padding, fill={tv_tensors.Image: 0, tv_tensors.Mask: VOID})(image, mask)


def make_transforms(settings: Settings) -> tuple[v2.Transform, v2.Transform, dict[bool, v2.Compose]]:
    """The recipe's augmentation before the crop, the crop, and what follows: in training (True) and else (False)."""
    size = settings["recipe"]["input"]["imageSize"]
    kinds = {one["name"]: one.get("value") for one in settings["recipe"]["augmentation"]}
    fill: dict[Any, Any] = {tv_tensors.Image: 0, tv_tensors.Mask: VOID}
    span = (0.5, 2.0) if "random_scale_crop" in kinds else (1.0, 1.0)
    first: list[nn.Module] = [v2.ScaleJitter((size, size), span, antialias=True)]
    if "elastic_rotation" in kinds:
        first += [v2.RandomRotation(30, fill=fill), v2.RandomApply([v2.ElasticTransform(fill=fill)])]
    varied: list[nn.Module] = []
    if "random_flip" in kinds:
        varied.append(v2.RandomHorizontalFlip(kinds["random_flip"] or 0.5))
    if "photometric_distortion" in kinds:
        varied.append(v2.RandomPhotometricDistort(p=kinds["photometric_distortion"] or 0.5))
    last: list[nn.Module] = [v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True), v2.Normalize(MEAN, DEVIATION)]
    crop = v2.RandomCrop(size, pad_if_needed=True, fill=fill)
    return v2.Compose(first), crop, {True: v2.Compose([*varied, *last]), False: v2.Compose(last)}

"""Annotated images in COCO's format, what becomes of them before the model sees them, and COCO's scores."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.transforms import v2

from settings import Settings

NAMES = ("map", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "recall_1", "recall_10", "recall_100")  # as COCOeval orders them
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's
Annotated = tuple[list[dict[str, Any]], list[str]]


def read_coco(data: Path) -> Annotated:
    """The images of DATA/annotations.json, each with its boxes [x, y, width, height] and class numbers; and the classes' names."""
    found = json.loads((data / "annotations.json").read_text(encoding="utf-8"))
    categories = sorted(found["categories"], key=lambda one: one["id"])
    numbers = {one["id"]: number for number, one in enumerate(categories)}
    images = {one["id"]: {**one, "boxes": [], "classes": []} for one in found["images"]}
    for one in found["annotations"]:
        if not one.get("iscrowd") and min(one["bbox"][2:]) > 0:
            images[one["image_id"]]["boxes"].append(one["bbox"])
            images[one["image_id"]]["classes"].append(numbers[one["category_id"]])
    return list(images.values()), [one["name"] for one in categories]


def make_transform(settings: Settings, training: bool, normalizes: bool) -> v2.Compose:
    """The recipe's augmentation in training, then a square of the recipe's size."""
    size = settings["recipe"]["input"]["imageSize"]
    kinds = {one["name"]: one.get("value") for one in settings["recipe"]["augmentation"]} if training else {}
    steps: list[nn.Module] = []
    if "random_flip" in kinds:
        steps.append(v2.RandomHorizontalFlip(kinds["random_flip"] or 0.5))
    if "hsv_jitter" in kinds:
        steps.append(v2.RandomPhotometricDistort(p=kinds["hsv_jitter"] or 0.5))
    if "zoom_out_iou_crop" in kinds:
        steps += [v2.RandomZoomOut(p=0.5), v2.RandomApply([v2.RandomIoUCrop()], p=0.8)]
    steps += [v2.Resize((size, size), antialias=True), v2.ClampBoundingBoxes(), v2.SanitizeBoundingBoxes()]
    steps.append(v2.ToDtype(torch.float32, scale=True))
    return v2.Compose([*steps, v2.Normalize(MEAN, DEVIATION)] if normalizes else steps)


def crop_around(image: tv_tensors.Image, boxes: tv_tensors.BoundingBoxes) -> tuple[Tensor, Tensor]:
    """A random part of the image that holds every object whole."""
    height, width = image.shape[-2:]
    if not len(boxes):
        return image, boxes
    left, top = (boxes[:, :2].amin(0).clamp(min=0) * torch.rand(2)).int().tolist()
    ends = boxes[:, 2:].amax(0).ceil()
    right, bottom = (ends + (torch.tensor([width, height]) - ends).clamp(min=0) * torch.rand(2)).ceil().int().tolist()
    window = (top, left, min(bottom, height) - top, min(right, width) - left)
    return v2.functional.crop(image, *window), v2.functional.crop(boxes, *window)


def evaluate_coco(said: list[dict[str, Tensor]], true: list[dict[str, Tensor]], classes: int) -> COCOeval:
    """COCO's evaluation of boxes [x, y, x, y] with `classes` and `scores` against true ones, image by image."""
    truth: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for number, (found, known) in enumerate(zip(said, true, strict=True), 1):
        results += [{"image_id": number, **one, "score": float(s)} for one, s in zip(listed(found), found["scores"], strict=True)]
        for one in listed(known):
            area = one["bbox"][2] * one["bbox"][3]
            truth.append({"id": len(truth) + 1, "image_id": number, "area": area, "iscrowd": 0, **one})
    with contextlib.redirect_stdout(io.StringIO()):  # it tells of its progress
        gold = COCO()
        gold.dataset = {
            "info": {},
            "images": [{"id": number} for number in range(1, len(true) + 1)],
            "categories": [{"id": number} for number in range(classes)],
            "annotations": truth,
        }
        gold.createIndex()
        scores = COCOeval(gold, gold.loadRes(results), "bbox")
        scores.evaluate()
        scores.accumulate()
        scores.summarize()
    return scores


def listed(found: dict[str, Tensor]) -> list[dict[str, Any]]:
    corners, classes = found["boxes"].tolist(), found["classes"].tolist()
    return [{"category_id": number, "bbox": [x, y, r - x, b - y]} for (x, y, r, b), number in zip(corners, classes, strict=True)]


def by_name(scores: COCOeval) -> dict[str, float]:
    """The scores that the part allows: COCOeval has -1 for sizes of objects that do not occur."""
    return {name: float(value) for name, value in zip(NAMES, scores.stats, strict=False) if value >= 0}


def by_class(scores: COCOeval) -> list[float | None]:
    """Each class's AP over all thresholds of IoU, None where it does not occur."""
    precision = scores.eval["precision"][:, :, :, 0, 2]  # thresholds, recalls, classes, areas (all), most detections (100)
    means = [one[one > -1] for one in precision.transpose(2, 0, 1)]
    return [float(one.mean()) if one.size else None for one in means]

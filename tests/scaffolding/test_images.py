"""What projects for detection and segmentation make of images, boxes and masks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import tv_tensors

from tests.scaffolding.scripts import load

SETTINGS = {
    "recipe": {
        "input": {"imageSize": 64},
        "augmentation": [{"name": name} for name in ("random_flip", "random_scale_crop", "elastic_rotation", "photometric_distortion")],
    }
}


def found(*boxes: tuple[float, ...], classes: list[int] | None = None) -> dict[str, torch.Tensor]:
    numbers = torch.tensor(classes or [0] * len(boxes), dtype=torch.long)
    return {"boxes": torch.tensor(boxes), "classes": numbers, "scores": torch.linspace(0.9, 0.5, len(boxes))}


def test_boxes_that_are_right_score_one_and_boxes_that_are_half_right_at_loose_thresholds_alone() -> None:
    boxes = load("detection", "boxes")
    true = [found((0.0, 0.0, 100.0, 100.0)), found((10.0, 10.0, 20.0, 20.0), classes=[1])]
    right = boxes.by_name(boxes.evaluate_coco(true, true, 3))
    assert right["map"] == pytest.approx(1.0)
    assert "ap_medium" not in right, "a size that does not occur has no score"
    shifted = [found((0.0, 0.0, 100.0, 62.0)), true[1]]  # an IoU of 0.62: right at 0.50, 0.55 and 0.60 of ten thresholds
    scores = boxes.evaluate_coco(shifted, true, 3)
    assert boxes.by_class(scores) == [pytest.approx(0.3), pytest.approx(1.0), None]


def test_annotations_are_read_with_classes_numbered_in_order_and_crowds_left_out(tmp_path: Path) -> None:
    annotations = [
        {"image_id": 7, "category_id": 90, "bbox": [1, 2, 3, 4]},
        {"image_id": 7, "category_id": 3, "bbox": [0, 0, 9, 9], "iscrowd": 1},
        {"image_id": 7, "category_id": 3, "bbox": [0, 0, 0, 9]},
    ]
    wire = {
        "images": [{"id": 7, "file_name": "a.png"}],
        "annotations": annotations,
        "categories": [{"id": 90, "name": "kite"}, {"id": 3, "name": "car"}],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(wire), encoding="utf-8")
    images, names = load("detection", "boxes").read_coco(tmp_path)
    assert names == ["car", "kite"]
    assert [(one["boxes"], one["classes"]) for one in images] == [([[1, 2, 3, 4]], [1])]


def test_a_crop_holds_every_object_whole() -> None:
    torch.manual_seed(0)
    corners = torch.tensor([[20.0, 30.0, 40.0, 50.0], [60.0, 10.0, 90.0, 44.0]])
    boxes = tv_tensors.BoundingBoxes(corners, format="XYXY", canvas_size=(80, 100))
    crop_around = load("detection", "boxes").crop_around
    for _ in range(50):
        image, kept = crop_around(tv_tensors.Image(torch.zeros(3, 80, 100)), boxes)
        sizes = (kept[:, 2:] - kept[:, :2]).tolist()
        assert sizes == [[20, 20], [30, 34]]
        assert kept.min() >= 0 and kept[:, 2].max() <= image.shape[-1] and kept[:, 3].max() <= image.shape[-2]


@pytest.mark.parametrize("shape", [(40, 100), (100, 40), (16, 16)])
def test_an_image_is_fitted_whole_into_a_square_with_void_around_it(shape: tuple[int, int]) -> None:
    transforms = load("segmentation", "transforms")
    image, mask = tv_tensors.Image(torch.full((3, *shape), 9, dtype=torch.uint8)), tv_tensors.Mask(torch.ones(1, *shape, dtype=torch.uint8))
    fitted, around = transforms.fit_square(image, mask, 64)
    assert fitted.shape == (3, 64, 64)
    assert set(around.unique().tolist()) <= {1, transforms.VOID}
    assert int((around == 1).sum()) == round(64 * min(shape) / max(shape)) * 64


def test_augmentation_moves_image_and_mask_alike_and_leaves_class_numbers_whole() -> None:
    transforms = load("segmentation", "transforms")
    torch.manual_seed(0)
    numbers = np.kron(np.array([[1, 2], [3, 4]]), np.ones((48, 48))).astype(np.uint8)
    before, crop, after = transforms.make_transforms(SETTINGS)
    for _ in range(10):
        image, mask = before(
            tv_tensors.Image(torch.from_numpy(numbers * 50).expand(3, -1, -1)), tv_tensors.Mask(torch.from_numpy(numbers)[None])
        )
        image, mask = crop(image, mask)
        assert image.shape == (3, 64, 64) and mask.shape == (1, 64, 64)
        assert set(mask.unique().tolist()) <= {1, 2, 3, 4, transforms.VOID}
        known = mask[0] != transforms.VOID
        alike = (image[0].float() / 50).round() == mask[0]
        assert alike[known].float().mean() > 0.8, "but for edges, where images are interpolated"
        assert after[True](image, mask)[0].dtype == torch.float32

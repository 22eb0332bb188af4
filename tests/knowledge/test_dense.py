"""What the reports on detection, segmentation, generation and video must say."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

import advisor
from advisor.resources import data_folder

EXAMPLES = data_folder("catalogue").parent / "examples"
COMMERCIAL = ("permissive", "restricted")


def designed(name: str, depth: str = "none", **changes: Any) -> dict[str, Any]:
    request = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"))
    for section, values in changes.items():
        request.setdefault(section, {}).update(values)
    report: dict[str, Any] = advisor.design(request, verify=depth).model_dump(by_alias=True, exclude_none=True, mode="json")
    assert report["status"] == "designed", report["status"]
    return report


def names(techniques: list[dict[str, Any]]) -> set[str]:
    return {technique["name"] for technique in techniques}


def test_a_real_time_detector_is_permissive_and_learns_gently() -> None:
    report = designed("detection")
    recipe = report["recipe"]
    assert recipe["model"]["architectureFamily"] == "transformer" and recipe["model"]["license"] == "apache-2.0"
    assert recipe["optimizer"]["learningRate"] == pytest.approx(1e-4) and recipe["batch"]["effective"] == 16
    assert recipe["loss"][0]["name"] == "hungarian_set_loss" and recipe["metric"] == "map" and recipe["split"] == "grouped"
    assert {"ema", "layer_decay"} <= names(recipe["regularization"]) and "multi_scale" in names(recipe["augmentation"])
    assert any("AGPL" in warning["text"] for warning in report["warnings"])


@pytest.mark.parametrize(
    ("model", "optimizer", "rate", "epochs", "schedule"),
    [
        ("fasterrcnn_resnet50_fpn", "sgd", 0.02, 24, "step"),
        ("detr_resnet50", "adamw", 1e-4, 300, "step"),
        ("deformable detr", "adamw", 2e-4, 50, "step"),
        ("rt-detr", "adamw", 1e-4, 72, "constant"),
    ],
)
def test_each_line_of_detectors_has_its_own_recipe(model: str, optimizer: str, rate: float, epochs: int, schedule: str) -> None:
    large = {"data": {"size": "118k images"}, "existingSetup": {"baseModel": model}, "constraints": {"latencyRequirement": "< 500 ms"}}
    recipe = designed("detection", **large)["recipe"]
    assert recipe["optimizer"]["name"] == optimizer and recipe["optimizer"]["learningRate"] == pytest.approx(rate)
    assert recipe["epochs"] == epochs and recipe["schedule"]["name"] == schedule


def test_pixels_get_a_licence_for_products_and_dice_for_rare_classes() -> None:
    report = designed("semantic_segmentation")
    recipe = report["recipe"]
    assert recipe["model"]["license"] == "mit" and recipe["metric"] == "miou" and recipe["schedule"]["name"] == "poly"
    assert recipe["loss"][0]["name"] == "dice_cross_entropy"
    assert any("NVIDIA" in warning["text"] for warning in report["warnings"])


def test_segformer_trains_its_head_ten_times_faster() -> None:
    recipe = designed("semantic_segmentation", existingSetup={"baseModel": "nvidia/mit-b0"}, data={"size": "20k images"})["recipe"]
    assert recipe["optimizer"]["learningRate"] == pytest.approx(6e-5) and recipe["epochs"] == 125
    head = next(group for group in recipe["optimizer"]["parameterGroups"] if group["name"] == "head")
    assert head["learningRateScale"] == 10


def test_instances_are_found_by_rf_detr_and_compared_with_mask_rcnn() -> None:
    report = designed("instance_segmentation")
    recipe = report["recipe"]
    assert recipe["model"]["id"] == "Roboflow/rf-detr-seg-small" and recipe["model"]["license"] == "apache-2.0"
    assert recipe["optimizer"]["name"] == "adamw" and recipe["metric"] == "mask_map" and recipe["input"]["imageSize"] == 384
    assert "maskrcnn_resnet50_fpn" in [candidate["model"]["id"] for candidate in report["candidates"]]


def test_a_named_mask_rcnn_follows_the_two_stage_reference() -> None:
    recipe = designed("instance_segmentation", existingSetup={"baseModel": "Mask R-CNN"})["recipe"]
    assert recipe["optimizer"]["name"] == "sgd" and recipe["loss"][0]["name"] == "rpn_box_and_mask_losses"


def test_volumes_follow_nnunet() -> None:
    recipe = designed("volume_segmentation")["recipe"]
    assert not recipe["model"]["pretrained"] and recipe["input"]["kind"] == "volume"
    optimizer = recipe["optimizer"]
    assert (optimizer["name"], optimizer["learningRate"], optimizer["momentum"]) == ("sgd", 0.01, 0.99)
    assert recipe["epochs"] == 1000 and recipe["gradientClipNorm"] == 12 and recipe["batch"]["effective"] == 2
    assert recipe["loss"][0]["name"] == "dice_cross_entropy" and "deep_supervision" in names(recipe["regularization"])


@pytest.mark.parametrize(("card", "size"), [("one GPU with 8 GB", 96), ("one RTX 3060 12GB", 128), ("one RTX 3090 24GB", 160)])
def test_memory_decides_the_patch_of_a_volume(card: str, size: int) -> None:
    assert designed("volume_segmentation", constraints={"computeResources": card})["recipe"]["input"]["imageSize"] == size


def test_a_style_is_learnt_by_adapters_at_a_constant_rate() -> None:
    recipe = designed("image_generation")["recipe"]
    assert recipe["model"]["adaptation"] == "lora" and recipe["lora"]["rank"] == 4 and recipe["schedule"]["name"] == "constant"
    assert recipe["optimizer"]["learningRate"] == pytest.approx(1e-4) and recipe["loss"][0]["name"] == "mse"
    assert names(recipe["augmentation"]) == {"random_flip"}


def test_diffusion_from_scratch_keeps_an_average_and_no_decay() -> None:
    scratch = {"specificTask": "class-conditional latent diffusion, trained from scratch"}
    recipe = designed("image_generation", task=scratch, data={"size": "1.28M images"}, constraints={"computeResources": "8x A100 80GB"})[
        "recipe"
    ]
    assert recipe["batch"]["effective"] == 256 and recipe["ema"] == 0.9999 and recipe["optimizer"]["weightDecay"] == 0


def test_clips_are_split_by_source_and_trained_from_kinetics() -> None:
    recipe = designed("video_classification")["recipe"]
    assert recipe["input"]["kind"] == "video" and recipe["split"] == "grouped" and recipe["model"]["pretrained"]


def test_videomae_follows_its_authors_on_many_clips() -> None:
    recipe = designed("video_classification", data={"size": "240k clips"}, existingSetup={"baseModel": "videomae-base"})["recipe"]
    assert recipe["optimizer"]["learningRate"] == pytest.approx(1e-3) and recipe["epochs"] == 75


def test_a_number_from_an_image_has_one_output_and_a_robust_loss() -> None:
    recipe = designed("image_regression")["recipe"]
    assert recipe["input"]["outputs"] == 1 and recipe["loss"][0]["name"] == "huber" and recipe["metric"] == "mae"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["detection", "semantic_segmentation", "instance_segmentation", "volume_segmentation", "image_generation", "video_classification"],
)
def test_the_chosen_model_is_counted_and_fits(name: str) -> None:
    checks = {check["name"]: check["status"] for check in designed(name, depth="static")["verification"]}
    assert checks["build"] == "passed" and checks["training_memory"] in ("passed", "repaired")

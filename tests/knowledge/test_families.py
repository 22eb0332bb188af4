"""What is published for a family of models is what a request that names it gets."""

from __future__ import annotations

from typing import Any

import pytest

import advisor

IMAGENET, GPUS, LABELS = "1.28M images, 1000 classes", "8x A100 80GB", "fully-supervised"
SCRATCH = ("classification", "CV", "image classification, trained from scratch")
IMAGES = ("classification", "CV", "image classification")
BOXES = ("detection", "CV", "object detection")
TUNING = ("generation", "NLP")
SERIES = ("sequence", "time series", "forecasting, trained from scratch")
# type, domain, task, size, compute, base model; then optimizer, learning rate, batch, schedule: as published by the source that the
# rule names
PUBLISHED: list[tuple[str, str, str, str, str, str, str, float, int, str]] = [
    (*SCRATCH, IMAGENET, GPUS, "swin_tiny_patch4_window7_224", "adamw", 1e-3, 1024, "cosine"),
    (*SCRATCH, IMAGENET, GPUS, "efficientnet_b0", "rmsprop", 0.032, 512, "step"),
    (*SCRATCH, IMAGENET, GPUS, "mobilenet_v3_large", "rmsprop", 0.032, 512, "step"),
    (*SCRATCH, "50k images, 10 classes", "single-GPU", "resnet18", "sgd", 0.1, 128, "cosine"),
    (*IMAGES, IMAGENET, GPUS, "convnext_base.fb_in22k", "adamw", 7e-5, 1024, "cosine"),
    (*BOXES, "118k images, 80 classes", GPUS, "ssdlite320_mobilenet_v3_large", "sgd", 0.15, 192, "cosine"),
    (*BOXES, "118k images, 80 classes", GPUS, "retinanet_resnet50_fpn", "sgd", 0.01, 16, "step"),
    ("classification", "video", "action recognition", "240k videos", GPUS, "timesformer", "sgd", 0.005, 16, "step"),
    ("classification", "NLP", "sentiment classification", "67k sentences", "1x V100", "roberta-base", "adamw", 2e-5, 32, "linear"),
    (*TUNING, "instruction tuning, full fine-tuning", "52k instructions", GPUS, "llama-2-7b", "adamw", 2e-5, 128, "cosine"),
    (*TUNING, "instruction tuning, QLoRA", "200k dialogues", "1x A100 80GB", "mistral-7b", "paged_adamw_8bit", 2e-4, 16, "cosine"),
    (*TUNING, "preference alignment (ORPO), full fine-tuning", "61k preference pairs", GPUS, "mistral-7b", "adamw", 5e-6, 32, "cosine"),
    ("generation", "multimodal", "visual instruction tuning", "665k images", GPUS, "llava-1.5-7b", "adamw", 2e-5, 128, "cosine"),
    ("classification", "audio", "music genre classification", "1,000 clips", "1x T4", "distilhubert", "adamw", 5e-5, 8, "linear"),
    (*SERIES, "17,420 hourly steps", "single-GPU", "DLinear", "adam", 5e-3, 32, "step"),
    (*SERIES, "300 hourly series of 20,000 steps", "single-GPU", "TFT", "adam", 1e-3, 64, "constant"),
    ("classification", "graph", "node classification", "169,343 nodes, 40 classes", "single-GPU", "GCN", "adam", 5e-3, 169343, "constant"),
    (*SCRATCH, IMAGENET, GPUS, "efficientnet_v2_m", "sgd", 0.5, 1024, "cosine"),
    (*SCRATCH, IMAGENET, GPUS, "mobilenetv4_conv_small", "adamw", 4e-3, 4096, "cosine"),
    (*SCRATCH, IMAGENET, GPUS, "regnety_032", "sgd", 0.8, 1024, "cosine"),
    (*IMAGES, IMAGENET, GPUS, "swin_base_patch4_window7_224", "adamw", 4e-5, 1024, "cosine"),
    (*IMAGES[:2], "image classification, LoRA", "5000 images", "1x T4", "google/vit-base-patch16-224-in21k", "adamw", 2e-3, 32, "cosine"),
    (*BOXES, "170 images", "1x T4", "faster r-cnn", "sgd", 0.005, 4, "step"),
    (*BOXES, "1000 images, 5 classes", "1x T4", "facebook/detr-resnet-50", "adamw", 5e-5, 8, "cosine"),
    ("classification", "NLP", "NLI MNLI", "393k pairs", "1x V100", "google/electra-small-discriminator", "adamw", 3e-4, 64, "linear"),
    ("generation", "NLP", "summarization", "287k articles", "1x V100", "t5-small", "adamw", 1e-4, 16, "linear"),
    (*TUNING, "reward model on preference pairs", "60k preference pairs", GPUS, "llama-2-7b", "adamw", 1e-5, 64, "linear"),
    ("generation", "CV", "image generation, trained from scratch", "8,189 images", "1x V100", "DDPM", "adam", 2e-4, 32, "cosine"),
    (*SERIES[:2], "forecasting", "500 daily series of 1,000 steps", "single-GPU", "chronos-t5-small", "adamw", 1e-5, 64, "linear"),
]  # fmt: skip


def designed(type_: str, domain: str, task: str, size: str, compute: str, base: str | None = None, **labels: str) -> advisor.Report:
    request: dict[str, Any] = {
        "task": {"type": type_, "domain": domain, "specificTask": task},
        "data": {"size": size, "labelAvailability": labels.get("labels", LABELS)},
        "constraints": {"computeResources": compute},
    }
    if base:
        request["existingSetup"] = {"baseModel": base}
    report = advisor.design(request, verify="none")
    assert report.status == "designed" and report.recipe, report.headline
    return report


@pytest.mark.parametrize("case", PUBLISHED, ids=lambda case: f"{case[5]}-{case[2][:24]}")
def test_a_named_family_gets_the_recipe_published_for_it(case: tuple[Any, ...]) -> None:
    *request, optimizer, rate, batch, schedule = case
    recipe = designed(*request).recipe
    assert recipe and recipe.schedule
    assert (recipe.optimizer.name, recipe.batch.effective, recipe.schedule.name) == (optimizer, batch, schedule)
    assert recipe.optimizer.learning_rate == pytest.approx(rate, rel=0.05)


def test_several_labels_are_never_under_one_softmax() -> None:
    report = designed("classification", "NLP", "toxic comments, multi-label", "160k comments, 6 classes", "single-GPU")
    assert report.recipe and report.recipe.loss[0].name == "binary_cross_entropy"


def test_few_texts_are_learnt_in_pairs_on_a_sentence_encoder() -> None:
    report = designed("classification", "NLP", "few-shot text classification", "64 texts, 8 per class", "single-GPU", labels="few-shot")
    recipe = report.recipe
    assert recipe and recipe.loss[0].name == "cosine_similarity" and "sentence-transformers" in recipe.model.id and recipe.epochs == 1


@pytest.mark.parametrize("task", ["human pose estimation", "monocular depth estimation", "text to speech", "image super resolution"])
def test_a_task_without_checked_models_is_pointed_elsewhere(task: str) -> None:
    domain = "audio" if "speech" in task else "CV"
    request = {"task": {"type": "generation", "domain": domain, "specificTask": task}, "data": {"size": "10k samples"}}
    report = advisor.design(request, verify="none")
    assert report.status == "not_applicable" and report.baselines

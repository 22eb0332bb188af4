"""Every model can be built by the library that its entry names, and is the model that was published."""

from __future__ import annotations

import pytest
from torch import nn

from advisor.catalogue import models
from advisor.catalogue.entries import ModelEntry
from advisor.recipe import Recipe
from advisor.verify.build import build_model
from advisor.verify.evidence import Job, Target

PUBLISHED = 0.01  # what a task's own head may add
ROUNDED = 0.02  # where the source prints two digits: 340M, 33M, 1.7B
HEADLESS = ("dinov2", "dinov3")  # published as backbones, without classes
SERIES = {"kind": "series", "sequence_length": 96, "horizon": 24, "features": 1}
SLOW_TO_IMPORT = ("monai",)  # half a minute and more on a busy machine
DENSE = ("object_detection", "semantic_segmentation", "instance_segmentation", "image_generation", "video_classification")
TABLE = {"kind": "table", "features": 16}
STRUCTURED: dict[str, dict[str, object]] = {
    "node_classification": {"kind": "graph", "features": 1433, "neighbours": 4, "outputs": 7},
    "graph_classification": {"kind": "graph", "features": 9, "nodes": 26, "neighbours": 2, "outputs": 2},
    "link_prediction": {"kind": "graph", "features": 1433, "neighbours": 4},
    "series_classification": {"kind": "series", "sequence_length": 128, "features": 1, "outputs": 5},
    "anomaly_detection": {"kind": "series", "sequence_length": 100, "features": 1},
}
SEEN = {"cnn": {"image_size": 84, "channels": 4}, "mlp": {"features": 17}, "transformer": {"features": 17}}


def _input(entry: ModelEntry) -> dict[str, object]:
    """The sample for which the entry's count is published: ImageNet's classes, two labels for texts."""
    if entry.build.library == "timm":
        return {"kind": "image", "image_size": entry.image_size, "outputs": None if entry.line in HEADLESS else 1000}
    if entry.tasks[0] in STRUCTURED:
        return STRUCTURED[entry.tasks[0]]
    if entry.tasks[0].startswith("reinforcement"):
        return {"kind": "observation", "outputs": 6, **SEEN[entry.family]}
    if "forecasting" in entry.tasks:
        return SERIES
    if "volume_segmentation" in entry.tasks:
        return {"kind": "volume", "image_size": entry.image_size or 128, "channels": 1, "outputs": 3}
    if entry.tasks[0] in DENSE:
        counted_here = entry.build.library == "segmentation_models_pytorch"
        return {"kind": "image", "image_size": entry.image_size, "outputs": 1 if counted_here else None}
    if entry.build.factory == "AutoModelForImageTextToText":
        return {"kind": "image_text", "image_size": entry.image_size, "channels": 3, "sequence_length": 128}
    if entry.tasks[0].startswith("tabular"):
        return TABLE | {"outputs": 10 if entry.build.library == "tabular" else 1}
    return {"kind": "text", "sequence_length": 128, "outputs": 2}


def job_of(model: str) -> Job:
    """The static check of a catalogue's model, at the sample for which its figures are published."""
    entry = models()[model]
    recipe = {
        "model": {"id": model, "library": entry.build.library, "architecture_family": entry.family, "pretrained": entry.pretrained,
                  "adaptation": "full", "license": entry.license},
        "input": _input(entry), "loss": [{"name": "cross_entropy"}], "metric": "accuracy", "split": "random",
        "optimizer": {"name": "adamw"}, "batch": {"per_device": 1, "effective": 1}, "precision": "fp32",
    }  # fmt: skip
    return Job(check="static", task=entry.tasks[0], build=entry.build, recipe=Recipe.model_validate(recipe), target=Target(kind="cpu"))


def build(model: str) -> nn.Module:
    return build_model(job_of(model), "meta")


def _each_model() -> list[object]:
    """Every id; the first of each file's ways of building is fast enough for every run, all of them together are not."""
    first = {
        (entry.build.library, entry.build.factory): entry.id
        for entry in reversed(models().values())
        if entry.build.library not in SLOW_TO_IMPORT
    }
    return [pytest.param(name, marks=() if name in first.values() else pytest.mark.slow) for name in models()]


@pytest.mark.parametrize("model", _each_model())
def test_the_built_model_is_the_published_one(model: str) -> None:
    entry = models()[model]
    built, published = build(model), entry.parameters.value
    counted = sum(parameter.numel() for parameter in built.parameters())
    rounded = published == float(f"{published:.1e}")
    assert counted == pytest.approx(published, rel=ROUNDED if rounded else PUBLISHED)

    kinds = {type(module).__name__ for module in built.modules() if "Norm" in type(module).__name__}
    batch = any("BatchNorm" in kind for kind in kinds)
    assert entry.norm == ("batch" if batch else "layer" if kinds else "none")


@pytest.mark.parametrize("model", ["resnet50.a1_in1k", "vit_base_patch16_clip_224.laion2b_ft_in12k_in1k"])
def test_a_classifier_is_as_large_as_timm_says(model: str) -> None:
    import timm

    assert models()[model].image_size == timm.get_pretrained_cfg(model).input_size[-1]
    assert models()[model].license == timm.get_pretrained_cfg(model).license

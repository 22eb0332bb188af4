"""SimCLR and its kin are tried with their own losses, which tell a pair of views from two images."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from advisor.errors import CheckError
from advisor.recipe import Recipe
from advisor.verify.batches import make_batch
from advisor.verify.build import build_model, make_optimizer, parameter_groups
from advisor.verify.evidence import Build, Job, Target
from advisor.verify.overfit import Subject
from advisor.verify.reduce import Limits, reduce_job
from advisor.verify.smoke import prepare
from advisor.verify.two_views import TwoViews, Views, deviation, loss_of_views

LOSSES = {
    "nt_xent": {"projector": [32, 16]},
    "info_nce": {"projector": [32, 16], "normalized": False},
    "negative_cosine_similarity": {"projector": [32, 32], "predictor": [16, 32]},
    "normalized_mse": {"projector": [32, 16], "predictor": [32, 16]},
    "barlow_twins": {"projector": [32, 32]},
    "dino_cross_entropy": {"projector": [32, 16], "normalized": False, "prototypes": 64},
}


def job_of(loss: str, heads: dict[str, Any], *, ema: float | None = None, name: str = "resnet18", size: int = 32) -> Job:
    recipe = {
        "model": {"id": "x", "library": "timm", "architecture_family": "cnn", "pretrained": False, "adaptation": "scratch", "license": "x"},
        "input": {"kind": "image", "image_size": size}, "loss": [{"name": loss}], "metric": "linear_probe_accuracy", "split": "random",
        "optimizer": {"name": "lars", "learning_rate": 0.3, "weight_decay": 1e-6, "momentum": 0.9}, "precision": "fp32", "ema": ema,
        "batch": {"per_device": 4, "effective": 4},
    }  # fmt: skip
    build = Build(
        library="timm",
        factory="TwoViews",
        config={"name": name, "layers": [1, 1, 1, 1], **heads} if "resnet" in name else {"name": name, **heads},
    )
    return Job(check="smoke", task="two_view_pretraining", build=build, recipe=Recipe.model_validate(recipe), target=Target(kind="cpu"))


def views(own: bool) -> Views:
    """Two views of eight images that agree, or are those of other images."""
    first = F.normalize(torch.randn(8, 32, generator=torch.Generator().manual_seed(0)), dim=-1)
    both = torch.stack([first, first if own else first.roll(1, 0)])
    return Views(both, both)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_lower_where_the_views_are_of_one_image(loss: str) -> None:
    job = job_of(loss, LOSSES[loss])
    own, other = (float(loss_of_views(views(same), {}, job)) for same in (True, False))
    assert own < other


@pytest.mark.parametrize("loss", ["nt_xent", "info_nce"])
def test_with_one_feature_for_all_images_contrast_loses_what_guessing_loses(loss: str) -> None:
    same = torch.ones(2, 8, 32)
    others = 15 if loss == "nt_xent" else 8  # of 16 views, one is itself
    assert float(loss_of_views(Views(same, same), {}, job_of(loss, LOSSES[loss]))) == pytest.approx(
        float(torch.tensor(float(others)).log()), rel=1e-4
    )


def test_an_unknown_loss_is_named_with_those_there_are() -> None:
    with pytest.raises(CheckError, match="no loss 'nt_zent' of two views; did you mean 'nt_xent'"):
        loss_of_views(views(True), {}, job_of("nt_zent", {"projector": [8]}))


def test_no_gradient_reaches_the_targets() -> None:
    job = job_of("negative_cosine_similarity", LOSSES["negative_cosine_similarity"])
    seen = build_model(job, "cpu").train()(**make_batch(job, 4, "cpu"))
    assert seen.predicted.requires_grad and not seen.targets.requires_grad and seen.targets.shape == (2, 4, 32)


def test_the_teacher_is_the_recipe_s_moving_average_and_no_part_of_the_model() -> None:
    job = job_of("normalized_mse", LOSSES["normalized_mse"], ema=0.996)
    model = build_model(job, "cpu")
    before = sum(1 for _ in model.parameters())
    subject: Subject = prepare(job, model, torch.device("cpu"))
    assert subject.ema is not None and isinstance(model, TwoViews)
    assert sum(1 for _ in model.parameters()) == before
    with torch.no_grad():
        for parameter in subject.ema.module.parameters():
            parameter.zero_()
    assert float(model.train()(**subject.batch).targets.abs().max()) == 0.0


def test_small_crops_are_seen_by_the_student_alone() -> None:
    heads = {**LOSSES["dino_cross_entropy"], "local_views": 3, "dynamic_img_size": True, "depth": 1}
    job = job_of("dino_cross_entropy", heads, name="vit_tiny_patch16_224", size=64)
    seen = build_model(job, "cpu")(**make_batch(job, 2, "cpu"))
    assert seen.predicted.shape == (5, 2, 64) and seen.targets.shape == (2, 2, 64)


def test_lars_takes_the_recipe_s_momentum() -> None:
    job = job_of("nt_xent", LOSSES["nt_xent"])
    optimizer = make_optimizer(parameter_groups(build_model(job, "cpu"), job.recipe), job.recipe)
    assert type(optimizer).__name__ == "Lars" and optimizer.param_groups[0]["momentum"] == 0.9


def test_a_reduced_copy_has_narrow_heads_and_says_so() -> None:
    job = job_of("barlow_twins", {"projector": [8192, 8192, 8192]}, size=224)
    small, said = reduce_job(job, Limits(memory_bytes=2**31, step_flops=1e6))
    assert small.build.config["projector"] == [512, 512, 512] and any("narrower projections" in words for words in said)


def test_keys_of_the_batch_in_place_of_the_queue_are_told() -> None:
    assert "queue" in str(deviation(job_of("info_nce", LOSSES["info_nce"])))
    assert deviation(job_of("info_nce", LOSSES["info_nce"] | {"predictor": [8, 16]})) is None

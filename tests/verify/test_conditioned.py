"""What trains beside a frozen denoiser: ControlNet's copy and textual inversion's embeddings."""

from __future__ import annotations

import pytest
import torch

from advisor import catalogue
from advisor.recipe import Recipe
from advisor.verify.adapt import apply_adaptation, set_training_mode
from advisor.verify.batches import forward, loss_of, make_batch
from advisor.verify.build import build_model
from advisor.verify.build_dense import narrower
from advisor.verify.evidence import Job, Target

pytest.importorskip("diffusers")
TRAINED = {"controlnet_sd15": 361_279_120, "textual_inversion_sd15": 49_408 * 768}  # ControlNet as published; CLIP's token embeddings


def job_of(id_: str, *, small: bool = False) -> Job:
    entry = catalogue.models()[id_]
    recipe = {
        "model": {
            "id": id_,
            "library": "diffusers",
            "architectureFamily": "diffusion",
            "pretrained": True,
            "adaptation": "freeze",
            "license": entry.license,
        },
        "input": {"kind": "image", "imageSize": 64 if small else 512, "channels": 3},
        "loss": [{"name": "mse"}],
        "metric": "fid",
        "split": "random",
        "optimizer": {"name": "adamw"},
        "batch": {"perDevice": 2, "effective": 2},
        "precision": "fp32",
    }
    job = Job(check="smoke", task=entry.tasks[0], build=entry.build, recipe=Recipe.model_validate(recipe), target=Target(kind="cpu"))
    if not small:
        return job
    settings = next(narrower(job))[1]
    return job.model_copy(update={"build": job.build.model_copy(update={"config": {**job.build.config, **settings}})})


@pytest.mark.parametrize("id_", TRAINED)
def test_what_is_published_as_trained_is_trained_and_nothing_else(id_: str) -> None:
    job = job_of(id_)
    model = apply_adaptation(build_model(job, "meta"), job.recipe)
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert sum(parameter.numel() for parameter in trained.values()) == TRAINED[id_]
    assert not [name for name in trained if name.startswith("backbone.")]


@pytest.mark.parametrize("id_", TRAINED)
def test_the_gradient_reaches_what_is_trained_through_what_is_frozen(id_: str) -> None:
    job = job_of(id_, small=True)
    model = set_training_mode(apply_adaptation(build_model(job, "cpu"), job.recipe), job.recipe)
    batch = make_batch(job, 2, torch.device("cpu"), torch.Generator().manual_seed(0))
    loss_of(forward(model, batch, job), batch, job).backward()
    moved = [name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0]
    assert moved and not [name for name in moved if name.startswith("backbone.")]

"""Forecasters of chronos-forecasting, TabM, untied heads and masked autoencoders: built, tried, and wrong names answered."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from advisor.catalogue import models
from advisor.errors import CheckError
from advisor.verify.batches import compute_loss, forward, make_batch
from advisor.verify.build import build_model
from advisor.verify.evidence import Build, Job
from tests.verify.jobs import make_recipe, mlp_job

BOLT = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 1, "num_decoder_layers": 1, "num_heads": 2}
SECOND = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 1, "num_heads": 2}


def small(model: str, **cut: Any) -> Build:
    build = models()[model].build
    return Build(library=build.library, factory=build.factory, config={**build.config, **cut})


def job_of(task: str, build: Build, sample: dict[str, Any], loss: str) -> Job:
    recipe = make_recipe(sample, loss=[{"name": loss}])
    return mlp_job().model_copy(update={"task": task, "recipe": recipe, "build": build})


def series(build: Build, context: int = 56, horizon: int = 20) -> Job:
    return job_of("forecasting", build, {"kind": "series", "sequence_length": context, "horizon": horizon}, "quantile")


@pytest.mark.parametrize(
    ("model", "cut"),
    [
        ("amazon/chronos-bolt-small", BOLT),
        ("amazon/chronos-2", SECOND),
        ("google/timesfm-2.5-200m-transformers", {"hidden_size": 32, "head_dim": 16, "num_attention_heads": 2, "num_key_value_heads": 2,
                                                  "intermediate_size": 32, "num_hidden_layers": 1}),
    ],
)  # fmt: skip
def test_a_pretrained_forecaster_has_a_loss_that_can_be_trained(model: str, cut: dict[str, Any]) -> None:
    job = series(small(model, **cut))
    network = build_model(job, "cpu").train()
    loss = compute_loss(network, make_batch(job, 3, "cpu", torch.Generator().manual_seed(0)), job)
    loss.backward()
    assert torch.isfinite(loss) and any(parameter.grad is not None for parameter in network.parameters())


def test_chronos_gives_quantiles_of_every_step_that_is_asked_for() -> None:
    for model, cut, quantiles in (("amazon/chronos-bolt-small", BOLT, 9), ("amazon/chronos-2", SECOND, 21)):
        job = series(small(model, **cut))
        given = forward(build_model(job, "cpu"), make_batch(job, 3, "cpu"), job).logits
        assert given.shape[:2] == (3, quantiles) and given.shape[2] >= 20


def test_members_of_an_ensemble_are_judged_one_by_one() -> None:
    """The loss of their mean is lower than the mean of their losses, as the squared error is convex."""
    build = small("tabm", k=4, d_block=16, n_blocks=1)
    job = job_of("tabular_regression", build, {"kind": "table", "features": 5, "outputs": 1}, "mse")
    network, batch = build_model(job, "cpu"), make_batch(job, 8, "cpu", torch.Generator().manual_seed(0))
    with torch.no_grad():
        answers = network(batch["inputs"])
        assert answers.shape == (8, 4, 1)
        each = (answers.squeeze(-1) - batch["targets"].unsqueeze(1)).square().mean()
        together = (answers.mean(1).squeeze(-1) - batch["targets"]).square().mean()
        assert compute_loss(network, batch, job) == pytest.approx(float(each)) and float(together) < float(each)


def test_a_head_that_the_weights_have_apart_is_built_apart() -> None:
    build = small("google/flan-t5-base", d_model=32, d_ff=64, num_layers=1, num_decoder_layers=1, num_heads=2, vocab_size=300)
    job = job_of("summarization", build, {"kind": "text", "sequence_length": 16}, "cross_entropy")
    network: Any = build_model(job, "cpu")
    assert network.get_output_embeddings().weight is not network.get_input_embeddings().weight


def test_a_masked_autoencoder_is_judged_by_what_it_does_not_see() -> None:
    cut = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "decoder_hidden_size": 32,
           "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2, "decoder_intermediate_size": 64, "image_size": 64}  # fmt: skip
    job = job_of("image_pretraining", small("masked_autoencoder_base", **cut), {"kind": "image", "image_size": 64}, "masked_mse")
    outputs = forward(build_model(job, "cpu"), make_batch(job, 2, "cpu"), job)
    assert outputs.mask.mean() == pytest.approx(0.75) and torch.isfinite(outputs.loss)


@pytest.mark.parametrize(("library", "known"), [("chronos", "Chronos2"), ("tabm", "TabM")])
def test_a_network_that_a_library_does_not_have_is_named_with_those_it_has(library: Any, known: str) -> None:
    task, sample = ("forecasting", {"kind": "series", "sequence_length": 32, "horizon": 8}) if library == "chronos" else (
        "tabular_regression", {"kind": "table", "features": 5})  # fmt: skip
    job = job_of(task, Build(library=library, factory="Chronos3", config={}), sample, "mse")
    with pytest.raises(CheckError, match=known):
        build_model(job, "meta")

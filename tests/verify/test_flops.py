"""FLOPs are exact where a formula or a second counter can say so, and what was left out is named."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from advisor.recipe import RecipeInput
from advisor.verify.batches import make_batch
from advisor.verify.build import build_model
from advisor.verify.evidence import Build, Job
from advisor.verify.flops import count_flops, cross_check_flops
from tests.verify.jobs import TINY_BERT, bert_job, make_recipe, mlp_job, timm_job


def flops_of(job: Job) -> int:
    return count_flops(build_model(job, "meta"), make_batch(job, 1, "meta"), job)[0]


def recurrent_job(factory: str) -> Job:
    recipe = make_recipe({"kind": "series", "sequence_length": 30, "horizon": 7, "features": 4}, loss=[{"name": "mse"}])
    build = Build(library="torch", factory=factory, config={"hidden": 64, "layers": 2})
    return mlp_job().model_copy(update={"task": "forecasting", "recipe": recipe, "build": build})


def test_a_multiply_add_is_two_operations() -> None:
    assert flops_of(mlp_job()) == 2 * (6 * 32 + 32 * 32 + 32 * 32 + 32 * 3)


@pytest.mark.parametrize(("factory", "gates"), [("lstm_forecaster", 4), ("gru_forecaster", 3)])
def test_recurrent_layers_count_as_their_formula_says(factory: str, gates: int) -> None:
    """Each step multiplies the input and the state with one matrix a gate: torch.nn.LSTM's and GRU's documentation."""
    body = 30 * 2 * gates * ((4 * 64 + 64 * 64) + (64 * 64 + 64 * 64))
    assert flops_of(recurrent_job(factory)) == body + 2 * 64 * 7


@pytest.mark.parametrize("job", [timm_job("resnet18", 64), timm_job("vit_tiny_patch16_224", 64), bert_job(TINY_BERT)],
                         ids=["resnet18", "vit", "bert"])  # fmt: skip
def test_a_second_counter_on_real_tensors_agrees(job: Job) -> None:
    checked, detail = cross_check_flops(job)
    assert checked == pytest.approx(flops_of(job), rel=0.01), detail


def test_the_second_counter_says_what_it_cannot_do() -> None:
    assert cross_check_flops(recurrent_job("lstm_forecaster")) == (None, "fvcore does not count lstm")
    large = bert_job({"num_hidden_layers": 40})
    assert "too many" in cross_check_flops(large)[1]
    many = timm_job("resnet50", 1024)
    recipe = many.recipe.model_copy(update={"input": RecipeInput(kind="image", image_size=1024, channels=3, outputs=10)})
    assert "GMACs are too many" in cross_check_flops(many.model_copy(update={"recipe": recipe}))[1]


def test_an_operator_that_nobody_counts_is_named() -> None:
    class Spectrum(nn.Module):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return torch.fft.rfft(rows).abs()

    job = mlp_job()
    assert count_flops(Spectrum(), make_batch(job, 1, "meta"), job) == (0, ["aten._fft_r2c"])

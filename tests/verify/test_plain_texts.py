"""Small networks over word vectors: shapes, batches they learn, and which way they read."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from advisor.verify.batches import compute_loss, make_batch
from advisor.verify.build import build_model
from advisor.verify.evidence import Build, Job, Target
from tests.verify.jobs import make_recipe

WORDS, LENGTH, OUTPUTS = 50, 12, 3
SIZES = {"vocabulary": WORDS, "width": 16, "dropout": 0.0}


def _job(factory: str, task: str, **config: object) -> Job:
    recipe = make_recipe({"kind": "text", "sequence_length": LENGTH, "outputs": OUTPUTS}, model={"architecture_family": "rnn"})
    build = Build(library="torch", factory=factory, config={**SIZES, **config})
    return Job(check="smoke", task=task, build=build, recipe=recipe, target=Target(kind="cpu"), time_limit_s=20)


JOBS = [
    _job("text_cnn", "text_classification", filters=8, kernels=[2, 3]),
    _job("text_lstm", "text_classification", hidden=8),
    _job("lstm_tagger", "token_classification", hidden=8),
    _job("lstm_language_model", "text_generation", hidden=16),
]


def _outputs(model: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    outputs: torch.Tensor = model(tokens)
    return outputs


@pytest.mark.parametrize("job", JOBS, ids=lambda job: str(job.build.factory))
def test_a_batch_s_loss_falls(job: Job) -> None:
    torch.manual_seed(0)
    model = build_model(job, "cpu").train()
    batch = make_batch(job, 8, "cpu", torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        loss = compute_loss(model, batch, job)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_a_text_has_one_answer_and_each_of_its_tokens_another() -> None:
    tokens = torch.randint(8, WORDS, (2, LENGTH))
    shapes = [tuple(_outputs(build_model(job, "cpu"), tokens).shape) for job in JOBS]
    assert shapes == [(2, OUTPUTS), (2, OUTPUTS), (2, OUTPUTS, LENGTH), (2, WORDS, LENGTH)]


def test_a_language_model_does_not_look_ahead_and_a_tagger_does() -> None:
    first = torch.randint(8, WORDS, (1, LENGTH))
    second = first.clone()
    second[0, -1] = 8 + (second[0, -1] - 7) % (WORDS - 8)
    for job, looks_ahead in ((JOBS[3], False), (JOBS[2], True)):
        model = build_model(job, "cpu")
        same = torch.allclose(_outputs(model, first)[..., :-1], _outputs(model, second)[..., :-1])
        assert same is not looks_ahead

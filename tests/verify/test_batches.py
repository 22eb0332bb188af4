"""Synthetic batches have the task's shapes, and can be learned."""

from __future__ import annotations

import math

import pytest
import torch

from advisor.catalogue import models
from advisor.errors import CheckError
from advisor.recipe import Named
from advisor.verify.adapt import apply_adaptation
from advisor.verify.batches import compute_loss, loss_of, make_batch
from advisor.verify.build import build_model, make_optimizer, parameter_groups
from advisor.verify.evidence import Job, Target
from tests.verify.jobs import TINY_BERT, TINY_DECODER, bert_job, decoder_job, make_recipe, mlp_job, timm_job


def test_shapes_and_types_are_the_same_on_meta_as_on_the_cpu() -> None:
    for job in (mlp_job(), timm_job("resnet18", 48), bert_job(TINY_BERT)):
        real, shape = make_batch(job, 3, "cpu"), make_batch(job, 3, "meta")
        assert {k: (v.shape, v.dtype) for k, v in real.items()} == {k: (v.shape, v.dtype) for k, v in shape.items()}
        assert all(value.is_meta for value in shape.values())


def test_token_ids_stay_within_the_vocabulary() -> None:
    ids = make_batch(bert_job({**TINY_BERT, "vocab_size": 20}), 8, "cpu")["input_ids"]
    assert 8 <= int(ids.min()) <= int(ids.max()) < 20


def test_of_a_masked_language_model_the_recipe_s_share_is_hidden_and_asked_for() -> None:
    job = bert_job(TINY_BERT).model_copy(update={"task": "masked_language_modeling"})
    length = job.recipe.input.sequence_length or 0
    recipe = job.recipe.model_copy(update={"regularization": [Named(name="masking", value=0.25)]})
    for made, share in ((job, 0.15), (job.model_copy(update={"recipe": recipe}), 0.25)):
        batch = make_batch(made, 3, "cpu", torch.Generator().manual_seed(0))
        hidden = batch["labels"] != -100
        assert hidden.sum(-1).tolist() == [round(share * length)] * 3
        assert batch["input_ids"][hidden].unique().numel() == 1 and (batch["labels"][hidden] >= 8).all()
        loss = compute_loss(build_model(made, "cpu"), batch, made).detach()
        assert float(loss) == pytest.approx(math.log(TINY_BERT["vocab_size"]), rel=0.1)


@pytest.mark.parametrize("objective", ["dpo", "ipo", "kto", "orpo", "simpo", "grpo"])
def test_each_objective_of_preferences_raises_the_chosen_answer_and_lowers_the_rejected(objective: str) -> None:
    job = decoder_job(TINY_DECODER, loss=[{"name": objective}]).model_copy(update={"task": "preference_tuning"})
    batch = make_batch(job, 4, "cpu", torch.Generator().manual_seed(0))
    policy = (-10 - torch.rand(4, 2)).requires_grad_()
    loss_of((policy, batch["references"]), batch, job).backward()
    assert policy.grad is not None and (policy.grad[:, 0] < 0).all() and (policy.grad[:, 1] > 0).all()


def test_the_same_generator_gives_the_same_batch() -> None:
    job = timm_job("resnet18", 32)
    first, second = (make_batch(job, 2, "cpu", torch.Generator().manual_seed(7))["inputs"] for _ in range(2))
    assert torch.equal(first, second)


def test_a_label_shows_in_the_inputs_of_another_batch() -> None:
    """A net trained on some batches is right on one that it has not seen."""
    job = mlp_job(optimizer={"name": "adam", "learning_rate": 1e-2})
    torch.manual_seed(0)
    model, generator = build_model(job, "cpu"), torch.Generator().manual_seed(0)
    optimizer = make_optimizer(parameter_groups(model, job.recipe), job.recipe)
    assert optimizer is not None
    for _ in range(60):
        optimizer.zero_grad()
        compute_loss(model, make_batch(job, 64, "cpu", generator), job).backward()
        optimizer.step()
    unseen = make_batch(job, 256, "cpu", generator)
    right = (model.eval()(unseen["inputs"]).argmax(-1) == unseen["targets"]).float().mean()
    assert right > 0.6  # one in three by chance


def test_label_smoothing_raises_the_loss_of_a_sure_model() -> None:
    plain, smooth = mlp_job(), mlp_job(loss=[{"name": "cross_entropy", "value": 0.2}])
    model, batch = build_model(plain, "cpu"), make_batch(plain, 4, "cpu", torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.head.bias.copy_(torch.tensor([50.0, 0.0, 0.0]))
    batch["targets"].zero_()
    assert compute_loss(model, batch, plain) < 0.1 < compute_loss(model, batch, smooth)


def test_what_has_no_batch_or_loss_is_named() -> None:
    with pytest.raises(CheckError, match="no synthetic batch for task 'other'"):
        make_batch(mlp_job().model_copy(update={"task": "other"}), 2, "cpu")
    job = mlp_job(loss=[{"name": "crossentropy"}])
    with pytest.raises(CheckError, match="did you mean 'cross_entropy'"):
        compute_loss(build_model(job, "cpu"), make_batch(job, 2, "cpu"), job)


def _seen_job(loss: str) -> Job:
    """SmolVLM of 256 million parameters on one tile."""
    entry = models()["HuggingFaceTB/SmolVLM-256M-Instruct"]
    sample = {"kind": "image_text", "image_size": 512, "channels": 3, "sequence_length": 32}
    recipe = make_recipe(sample, model={"library": "transformers", "adaptation": "freeze"}, loss=[{"name": loss}])
    return Job(check="static", task="visual_question_answering", build=entry.build, recipe=recipe, target=Target(kind="cpu"))


def test_preferences_over_images_compare_two_answers_to_one_question() -> None:
    plain, compared = (make_batch(_seen_job(loss), 3, "meta") for loss in ("cross_entropy", "dpo"))
    assert plain["input_ids"].shape == (3, 32) and compared["input_ids"].shape == (3, 2, 32)
    assert compared["pixel_values"].shape == plain["pixel_values"].shape
    batch = make_batch(_seen_job("dpo"), 2, "cpu", torch.Generator().manual_seed(0))
    asked = batch["labels"] == -100
    assert torch.equal(batch["input_ids"][:, 0][asked[:, 0]], batch["input_ids"][:, 1][asked[:, 1]])
    assert not torch.equal(batch["input_ids"][:, 0], batch["input_ids"][:, 1])


def test_between_frozen_halves_the_connector_trains_alone() -> None:
    job = _seen_job("cross_entropy")
    model = apply_adaptation(build_model(job, "meta"), job.recipe)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert trained and all("connector" in name for name in trained)


def test_of_two_towers_the_images_is_locked() -> None:
    entry = models()["openai/clip-vit-base-patch32"]
    sample = {"kind": "image_text", "image_size": 224, "channels": 3, "sequence_length": 77}
    recipe = make_recipe(sample, model={"library": "transformers", "adaptation": "freeze"})
    job = Job(check="static", task="contrastive_pretraining", build=entry.build, recipe=recipe, target=Target(kind="cpu"))
    model = apply_adaptation(build_model(job, "meta"), recipe)
    locked = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert locked == {name for name, _ in model.named_parameters() if name.startswith("vision_model.")}


def test_scored_pairs_are_drawn_together_and_others_apart() -> None:
    job = bert_job(TINY_BERT).model_copy(update={"task": "text_embedding"})
    recipe = job.recipe.model_copy(update={"loss": [Named(name="cosine_similarity")]})
    vectors = torch.eye(4).unsqueeze(1).expand(-1, 2, -1)
    assert float(loss_of(vectors, {}, job.model_copy(update={"recipe": recipe}))) == pytest.approx(0.0)

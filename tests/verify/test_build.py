"""Models are built by their own libraries, adapted as the recipe says, and grouped for the optimizer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from advisor.errors import CheckError
from advisor.recipe import LoraSettings
from advisor.verify.batches import compute_loss, forward, make_batch
from advisor.verify.build import apply_adaptation, build_model, make_optimizer, parameter_groups, set_training_mode
from advisor.verify.evidence import Build, Job
from advisor.verify.priced import EightBitAdam, QuantizedLinear
from tests.verify.jobs import TINY_BERT, TINY_DECODER, bert_job, decoder_job, make_recipe, mlp_job, timm_job

LORA = LoraSettings(rank=4, alpha=8)


def rebuilt(job: Job, **build: Any) -> Job:
    return job.model_copy(update={"build": Build(**{**job.build.model_dump(), **build})})


def count(model: nn.Module, trainable: bool = False) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable)


def test_parameters_are_exact_and_nothing_is_allocated() -> None:
    model = build_model(timm_job("resnet50", 224), "meta")
    assert all(parameter.is_meta for parameter in model.parameters())
    assert count(model) == 25_557_032 - 1000 * 2049 + 10 * 2049  # torchvision's documented count, with ten classes


def test_an_image_size_reaches_the_models_that_fix_theirs() -> None:
    assert build_model(timm_job("vit_tiny_patch16_224", 64), "meta").pos_embed.shape == (1, 17, 192)
    build_model(timm_job("resnet18", 64), "meta")  # takes any size, and no such setting


def test_the_recipe_sets_the_outputs_of_a_text_classifier() -> None:
    assert build_model(bert_job(TINY_BERT), "meta").num_labels == 2


@pytest.mark.parametrize("job", [
    mlp_job(), timm_job("resnet18", 32), bert_job(TINY_BERT), decoder_job(TINY_DECODER),
], ids=lambda job: job.build.factory)  # fmt: skip
def test_real_models_give_a_finite_loss_on_their_batch(job: Job) -> None:
    model = build_model(job, "cpu")
    assert torch.isfinite(compute_loss(model, make_batch(job, 2, "cpu", torch.Generator().manual_seed(0)), job))


@pytest.mark.parametrize("factory", ["lstm_forecaster", "gru_forecaster", "tcn_forecaster", "nlinear_forecaster"])
def test_forecasters_give_the_horizon(factory: str) -> None:
    recipe = make_recipe({"kind": "series", "sequence_length": 12, "horizon": 5, "features": 3}, loss=[{"name": "mse"}])
    job = mlp_job().model_copy(update={"task": "forecasting", "recipe": recipe, "build": Build(library="torch", factory=factory)})
    batch = make_batch(job, 4, "cpu")
    assert forward(build_model(job, "cpu"), batch, job).shape == batch["targets"].shape == (4, 5)


@pytest.mark.parametrize("factory", ["dlinear_forecaster", "nbeats_forecaster", "lstm_forecaster", "deepar_forecaster"])
def test_a_forecaster_that_is_trained_on_a_likelihood_gives_three_values_a_step(factory: str) -> None:
    recipe = make_recipe(
        {"kind": "series", "sequence_length": 48, "horizon": 12, "features": 3}, loss=[{"name": "student_t_nll"}], metric="mase"
    )
    job = mlp_job().model_copy(update={"task": "forecasting", "recipe": recipe, "build": Build(library="torch", factory=factory)})
    assert build_model(job, "cpu")(torch.randn(2, 48, 3)).shape == (2, 12, 3)


def test_a_decision_transformer_is_trained_on_the_actions_of_trajectories() -> None:
    recipe = make_recipe({"kind": "observation", "features": 5, "outputs": 2}, loss=[{"name": "mse"}], metric="return")
    config = {"model_type": "decision_transformer", "hidden_size": 16, "n_layer": 1, "n_head": 1, "max_ep_len": 100}
    build = Build(library="transformers", factory="DecisionTransformerModel", config=config)
    job = mlp_job().model_copy(update={"task": "reinforcement_offline", "recipe": recipe, "build": build})
    model, batch = build_model(job, "cpu"), make_batch(job, 3, "cpu")
    assert batch["states"].shape == (3, 20, 5)
    compute_loss(model, batch, job).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize(("job", "words"), [
    (timm_job("resnet500"), "did you mean 'resnet50'"),
    (rebuilt(bert_job(TINY_BERT), factory="BertForSequenceClasification"), "did you mean 'BertForSequenceClassification'"),
    (rebuilt(bert_job(TINY_BERT), config={"model_type": "brt"}), "transformers has no model type 'brt'"),
    (bert_job({"layer_norm_eps": "tiny"}), "layer_norm_eps"),
    (rebuilt(mlp_job(), factory="lstm_forcaster"), "did you mean 'lstm_forecaster'"),
    (rebuilt(mlp_job(), factory="lstm_forecaster"), "recipe.input.sequence_length is needed"),
    (rebuilt(mlp_job(), config={"width": 3}), "does not take its settings"),
])  # fmt: skip
def test_what_cannot_be_built_is_named(job: Job, words: str) -> None:
    with pytest.raises(CheckError, match=words):
        build_model(job, "meta")


def test_a_linear_probe_trains_the_head_and_holds_the_statistics_still() -> None:
    job = timm_job("resnet18", 32, model={"adaptation": "linear_probe"})
    model = apply_adaptation(build_model(job, "cpu"), job.recipe)
    assert {name for name, p in model.named_parameters() if p.requires_grad} == {"fc.weight", "fc.bias"}
    before = model.bn1.running_mean.clone()
    compute_loss(set_training_mode(model, job.recipe), make_batch(job, 4, "cpu"), job)
    assert torch.equal(model.bn1.running_mean, before)
    assert model.fc.training


def test_lora_trains_adapters_and_the_new_head_over_a_frozen_16_bit_base() -> None:
    job = bert_job(TINY_BERT, model={"adaptation": "lora"}, lora=LORA, precision="bf16")
    model = apply_adaptation(build_model(job, "meta"), job.recipe)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert all("lora_" in name or "classifier" in name for name in trained)
    assert any("classifier" in name for name in trained)
    assert {p.dtype for p in trained.values()} == {torch.float32}
    assert model.get_input_embeddings().weight.dtype == torch.bfloat16


def test_qlora_stores_the_linear_layers_in_four_bits_and_allocates_nothing() -> None:
    job = decoder_job(TINY_DECODER, model={"adaptation": "qlora"}, lora=LORA.model_copy(update={"base_precision": "nf4"}), precision="bf16")
    model = apply_adaptation(build_model(job, "meta"), job.recipe)
    layers = [module for module in model.modules() if isinstance(module, QuantizedLinear)]
    assert len(layers) == 2 * 7
    stored = sum(t.nbytes for layer in layers for t in (layer.weight, *layer.buffers()))
    weights = sum(layer.in_features * layer.out_features for layer in layers)
    assert 8 * stored / weights == pytest.approx(4.127, rel=0.01)  # bits a weight, QLoRA section 3
    assert all(parameter.is_meta for parameter in model.parameters())


def test_parameter_groups_stack_head_norm_and_layer_decay() -> None:
    groups = [{"name": "head", "learning_rate_scale": 10.0}, {"name": "norm_and_bias", "weight_decay": 0.0},
              {"name": "layer_decay", "learning_rate_scale": 0.5}]  # fmt: skip
    optimizer = {"name": "adamw", "learning_rate": 1.0, "weight_decay": 0.05, "parameter_groups": groups}
    job = timm_job("vit_tiny_patch16_224", 224, optimizer=optimizer)
    model = build_model(job, "meta")
    found = {id(p): group for group in parameter_groups(model, job.recipe) for p in group["params"]}
    assert len(found) == len(list(model.parameters()))
    assert (found[id(model.head.weight)]["lr"], found[id(model.head.weight)]["weight_decay"]) == (10.0, 0.05)
    assert found[id(model.norm.weight)]["weight_decay"] == 0.0
    assert found[id(model.blocks[10].mlp.fc1.weight)]["lr"] == found[id(model.blocks[11].mlp.fc1.weight)]["lr"] / 2
    assert found[id(model.patch_embed.proj.weight)]["lr"] < found[id(model.blocks[0].mlp.fc1.weight)]["lr"]


def test_layer_decay_reads_the_depth_of_a_transformer_from_its_numbered_blocks() -> None:
    optimizer = {"name": "adamw", "learning_rate": 1.0, "parameter_groups": [{"name": "layer_decay", "learning_rate_scale": 0.5}]}
    model = build_model(bert_job(TINY_BERT), "meta")
    found = {id(p): g["lr"] for g in parameter_groups(model, bert_job(TINY_BERT, optimizer=optimizer).recipe) for p in g["params"]}
    layers = model.bert.encoder.layer
    rates = [found[id(module.weight)] for module in (model.bert.embeddings.word_embeddings, layers[0].output.dense,
             layers[1].output.dense, model.classifier)]  # fmt: skip
    assert rates == [0.125, 0.25, 0.5, 1.0]


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop", "adagrad", "radam", "adafactor", "lamb", "lion", "adamw_8bit"])
def test_every_named_optimizer_takes_a_step(name: str) -> None:
    job = mlp_job(optimizer={"name": name, "learning_rate": 1e-2, "momentum": 0.9, "betas": (0.9, 0.99)})
    model = build_model(job, "cpu")
    before = model.head.weight.clone()
    optimizer = make_optimizer(parameter_groups(model, job.recipe), job.recipe)
    assert optimizer is not None
    compute_loss(model, make_batch(job, 4, "cpu"), job).backward()
    optimizer.step()
    assert not torch.equal(model.head.weight, before)


def test_nothing_to_train_is_no_optimizer_or_an_error() -> None:
    assert make_optimizer([], make_recipe({"kind": "table"}, optimizer={"name": "none"})) is None
    with pytest.raises(CheckError, match="every parameter is frozen"):
        make_optimizer([], make_recipe({"kind": "table"}))
    with pytest.raises(CheckError, match="did you mean 'adamw'"):
        make_optimizer([{"params": []}], make_recipe({"kind": "table"}, optimizer={"name": "adamww"}))


def test_eight_bit_states_take_a_byte_an_element_and_small_tensors_stay_in_32_bits() -> None:
    large, small = nn.Parameter(torch.zeros(64, 128)), nn.Parameter(torch.zeros(16))
    large.grad, small.grad = torch.zeros_like(large), torch.zeros_like(small)
    optimizer = EightBitAdam([{"params": [large, small]}])
    optimizer.step()
    assert sum(t.nbytes for t in optimizer.state[large].values()) == 2 * (8192 + 4 * 32)
    assert sum(t.nbytes for t in optimizer.state[small].values()) == 2 * 4 * 16

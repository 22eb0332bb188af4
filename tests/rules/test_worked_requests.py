"""The worked requests, from facts to recipe: what each design has to say, whatever the wording of the request was."""

from __future__ import annotations

from typing import Any

import pytest

from advisor import catalogue
from advisor.engine.facts import Fact, Facts, Origin
from advisor.engine.loading import Knowledge, load_knowledge
from advisor.planning.candidates import propose
from advisor.planning.plan import Design, brief, plan

NO_LIMIT = float("inf")
ORDINARY: dict[str, Any] = {
    "task.wants": "deep_learning",
    "task.scratch": False,
    "data.labels": "full",
    "data.noise": "clean",
    "data.augmentation_wanted": True,
    "compute.devices": 1,
    "limit.latency_ms": NO_LIMIT,
    "limit.model_mb": NO_LIMIT,
    "limit.accuracy": 0.0,
    "limit.accuracy_metric": "none",
    "license.commercial": True,
    "setup.framework": "pytorch",
    "setup.adaptation": "any",
    "setup.base_pretrained": False,
}
RTX_3060 = {"compute.kind": "gpu", "compute.memory_gib": 12.0, "compute.bf16": True, "compute.fp16": True}
RTX_4090 = {"compute.kind": "gpu", "compute.memory_gib": 24.0, "compute.bf16": True, "compute.fp16": True}
T4 = {"compute.kind": "gpu", "compute.memory_gib": 16.0, "compute.bf16": False, "compute.fp16": True}
CLUSTER = {"compute.kind": "multi_gpu", "compute.devices": 8, "compute.memory_gib": 80.0, "compute.bf16": True, "compute.fp16": True}


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load_knowledge()


def given(knowledge: Knowledge, kind: str, samples: int, **values: Any) -> Facts:
    whole = dict.fromkeys((name for name in knowledge.vocabulary if name.startswith(("challenge.", "issue.", "asked."))), False)
    facts = {**whole, **ORDINARY, "task.kind": kind, "data.samples": samples, **values}
    if "data.classes" in facts:
        facts["data.samples_per_class"] = samples / facts["data.classes"]
    return {name: Fact(value, Origin.STATED) for name, value in facts.items()}


def designed(knowledge: Knowledge, facts: Facts) -> Design:
    """The design of the first candidate."""
    proposal = propose(catalogue.serving(str(facts["task.kind"].value)), brief(knowledge, facts))
    return plan(knowledge, brief(knowledge, facts), proposal.compared[0])


def compared(knowledge: Knowledge, facts: Facts) -> set[str]:
    return {entry.line for entry in propose(catalogue.serving(str(facts["task.kind"].value)), brief(knowledge, facts)).compared}


def texts(design: Design, slot: str) -> str:
    return " ".join(decided.choice.model_dump_json() for decided in design.outcomes[slot].decided)


def test_defects_are_fine_tuned_gently_and_their_evidence_is_kept_in_the_picture(knowledge: Knowledge) -> None:
    small_fast = {"limit.latency_ms": 50.0, "limit.model_mb": 100.0}
    design = designed(knowledge, given(knowledge, "image_classification", 5_000, **{"data.classes": 10}, **RTX_3060, **small_fast))
    recipe = design.recipe
    assert recipe.model.pretrained and recipe.model.adaptation == "layer_decay"
    assert recipe.optimizer.name == "adamw" and 2e-5 <= recipe.optimizer.learning_rate <= 2e-4  # type: ignore[operator]
    assert "layer_decay" in {group.name for group in recipe.optimizer.parameter_groups}
    assert recipe.metric == "macro_f1" and recipe.split == "stratified" and recipe.precision == "bf16"
    augmentation = {technique.name: technique.value for technique in recipe.augmentation}
    assert augmentation["random_resized_crop"] >= 0.6 and not augmentation.keys() & {"mixup", "cutmix"}  # type: ignore[operator]
    assert "label_smoothing" in {technique.name for technique in recipe.regularization}
    assert "logistic regression" in texts(design, "baseline")


def test_tickets_get_an_encoder_at_its_published_rate(knowledge: Knowledge) -> None:
    facts = given(knowledge, "text_classification", 20_000, **{"data.classes": 5}, **T4)
    recipe = designed(knowledge, facts).recipe
    assert recipe.model.adaptation == "full" and recipe.optimizer.learning_rate == pytest.approx(2e-5)
    assert recipe.epochs is not None and 3 <= recipe.epochs <= 5
    assert recipe.schedule is not None and recipe.schedule.name == "linear" and 0.06 <= (recipe.schedule.warmup_fraction or 0) <= 0.1
    assert compared(knowledge, facts) & {"minilm", "distilbert"}, "a light encoder is compared"
    assert "TF-IDF" in texts(designed(knowledge, facts), "baseline")


def test_deberta_is_not_trained_in_float16(knowledge: Knowledge) -> None:
    facts = given(knowledge, "text_classification", 20_000, **T4)
    deberta = next(entry for entry in catalogue.models().values() if entry.line == "deberta")
    other = next(entry for entry in catalogue.models().values() if entry.line == "bert" and "text_classification" in entry.tasks)
    assert plan(knowledge, brief(knowledge, facts), deberta).recipe.precision == "fp32"
    assert plan(knowledge, brief(knowledge, facts), other).recipe.precision == "fp16"


def test_sales_are_forecast_without_training_and_judged_against_naive(knowledge: Knowledge) -> None:
    facts = given(knowledge, "forecasting", 730, **{"data.horizon": 7, "data.context": 30, "compute.kind": "cpu"})
    design = designed(knowledge, facts)
    recipe = design.recipe
    assert recipe.model.adaptation == "zero_shot" and recipe.optimizer.name == "none" and recipe.schedule is None
    assert recipe.split == "time" and recipe.metric == "mase" and recipe.input.sequence_length == 30
    assert "Seasonal naive" in texts(design, "baseline") and "ETS" in texts(design, "baseline")
    assert compared(knowledge, facts) > {"chronos2"}, "a network trained on the series is compared"


def test_a_forecaster_without_weights_is_trained_with_scaling_fitted_on_the_past(knowledge: Knowledge) -> None:
    facts = given(knowledge, "forecasting", 730, **{"data.horizon": 7, "data.context": 30, "compute.kind": "cpu"})
    design = plan(knowledge, brief(knowledge, facts), catalogue.models()["lstm_forecaster"])
    assert design.recipe.optimizer.name == "adam" and design.recipe.optimizer.learning_rate == pytest.approx(1e-3)
    assert design.recipe.gradient_clip_norm == 1.0
    assert "training part" in texts(design, "normalization")


def test_a_percentage_target_is_measured_and_warned_about(knowledge: Knowledge) -> None:
    facts = given(knowledge, "forecasting", 730, **{"compute.kind": "cpu", "limit.accuracy_metric": "mape", "limit.accuracy": 0.1})
    design = designed(knowledge, facts)
    assert design.recipe.metric == "mape" and "MASE" in texts(design, "metric")


def test_an_8b_decoder_on_24_gib_gets_a_4_bit_base(knowledge: Knowledge) -> None:
    recipe = designed(knowledge, given(knowledge, "instruction_tuning", 50_000, **RTX_4090)).recipe
    assert recipe.model.adaptation == "qlora" and recipe.lora is not None and recipe.lora.base_precision == "nf4"
    assert recipe.lora.target == "all-linear" and recipe.optimizer.name == "paged_adamw_8bit"
    assert recipe.optimizer.learning_rate == pytest.approx(2e-4) and recipe.gradient_clip_norm == 0.3
    assert recipe.schedule is not None and recipe.schedule.name == "cosine" and recipe.activation_checkpointing


@pytest.mark.parametrize(("memory", "adaptation"), [(39.9, "qlora"), (40.0, "lora"), (80.0, "lora")])
def test_memory_decides_how_a_decoder_is_adapted(knowledge: Knowledge, memory: float, adaptation: str) -> None:
    facts = given(knowledge, "instruction_tuning", 50_000, **{**RTX_4090, "compute.memory_gib": memory})
    assert designed(knowledge, facts).recipe.model.adaptation == adaptation


def test_a_small_table_is_learnt_in_context_after_the_trees(knowledge: Knowledge) -> None:
    design = designed(knowledge, given(knowledge, "tabular_classification", 3_000, **RTX_4090))
    assert design.recipe.model.adaptation == "in_context" and design.recipe.optimizer.name == "none"
    assert "LightGBM" in texts(design, "baseline") and "first" in texts(design, "baseline")


@pytest.mark.parametrize(
    ("id_", "name", "rate", "batch", "epochs"),
    [
        ("resnet50.a1_in1k", "sgd", 0.5, 1024, 600),
        ("deit_small_patch16_224.fb_in1k", "adamw", 1e-3, 1024, 300),
        ("convnext_tiny.in12k_ft_in1k", "adamw", 1e-3, 1024, 300),
    ],
)
def test_images_from_scratch_follow_the_recipe_of_their_family(
    knowledge: Knowledge, id_: str, name: str, rate: float, batch: int, epochs: int
) -> None:
    facts = given(knowledge, "image_classification", 1_281_167, **{**CLUSTER, "task.scratch": True})
    recipe = plan(knowledge, brief(knowledge, facts), catalogue.models()[id_]).recipe
    assert (recipe.optimizer.name, recipe.batch.effective, recipe.epochs) == (name, batch, epochs)
    assert recipe.optimizer.learning_rate == pytest.approx(rate) and recipe.ema
    assert {"mixup", "cutmix"} <= {technique.name for technique in recipe.augmentation}


def test_a_small_resnet_trains_for_ninety_epochs_without_mixed_pictures_or_an_average(knowledge: Knowledge) -> None:
    facts = given(knowledge, "image_classification", 1_281_167, **{**CLUSTER, "task.scratch": True})
    recipe = plan(knowledge, brief(knowledge, facts), catalogue.models()["resnet18.a1_in1k"]).recipe
    assert (recipe.epochs, recipe.batch.effective, recipe.optimizer.learning_rate) == (90, 256, pytest.approx(0.1))
    assert recipe.schedule is not None and recipe.schedule.name == "step" and recipe.ema is None
    assert not {"mixup", "cutmix", "trivialaugment"} & {technique.name for technique in recipe.augmentation}


def test_what_the_request_asks_for_wins_over_the_default(knowledge: Knowledge) -> None:
    asked = given(knowledge, "image_classification", 5_000, **{**RTX_3060, "setup.adaptation": "linear_probe"})
    assert designed(knowledge, asked).recipe.model.adaptation == "linear_probe"


@pytest.mark.parametrize(("per_class", "adaptation"), [(9, "linear_probe"), (10, "layer_decay")])
def test_few_images_a_class_train_the_head_alone(knowledge: Knowledge, per_class: int, adaptation: str) -> None:
    facts = given(knowledge, "image_classification", per_class * 20, **{"data.classes": 20}, **RTX_3060)
    assert designed(knowledge, facts).recipe.model.adaptation == adaptation


def test_several_notices_of_one_kind_stand_side_by_side(knowledge: Knowledge) -> None:
    facts = given(knowledge, "image_classification", 900, **{**RTX_3060, "challenge.privacy": True, "challenge.fairness": True})
    kinds = [decided.choice.name for decided in designed(knowledge, facts).outcomes["notice"].decided]  # type: ignore[attr-defined]
    assert kinds.count("bias") >= 2 and "privacy" in kinds

"""What a named model is made for decides what the words leave open, and how it is adapted decides its rate, whatever its size."""

from __future__ import annotations

import pytest

from advisor import Report, Status, design


def report_on(type_: str, domain: str, task: str, model: str, size: str = "20k samples") -> Report:
    return design(
        {
            "task": {"type": type_, "domain": domain, "specificTask": task},
            "data": {"size": size},
            "constraints": {"computeResources": "1x A100 80GB"},
            "existingSetup": {"baseModel": model},
        },
        "none",
    )


@pytest.mark.parametrize(
    ("domain", "task", "model", "metric"),
    [
        ("multimodal", "receipt understanding, token classification with layout", "microsoft/layoutlmv3-base", "entity_f1"),
        ("multimodal", "extractive document question answering", "microsoft/layoutlmv3-base", "squad_f1"),
        ("multimodal", "handwritten text recognition of single lines", "microsoft/trocr-base-stage1", "cer"),
        ("multimodal", "hateful memes: image and text", "dandelin/vilt-b32-mlm", "vqa_accuracy"),
    ],
)
def test_the_model_tells_how_a_page_is_read(domain: str, task: str, model: str, metric: str) -> None:
    report = report_on("sequence-modeling", domain, task, model)
    assert report.status is Status.DESIGNED and report.recipe, report.headline
    assert report.recipe.metric == metric


@pytest.mark.parametrize(
    "task", ["named entity recognition", "extractive question answering", "reranking of passages", "sentence embeddings"]
)
def test_adapters_on_large_encoders_take_the_rate_of_adapters(task: str) -> None:
    models = {"sentence embeddings": "BAAI/bge-large-en-v1.5", "reranking of passages": "BAAI/bge-reranker-large"}
    report = report_on("sequence-modeling", "NLP", f"{task}, LoRA", models.get(task, "roberta-large"))
    assert report.recipe and report.recipe.model.adaptation == "lora"
    assert report.recipe.optimizer.learning_rate and report.recipe.optimizer.learning_rate >= 1e-4


@pytest.mark.parametrize(
    ("said", "loss"),
    [("RLOO with a reward model", "grpo"), ("PPO against a reward model", "ppo"), ("reward model training", "pairwise_reward")],
)
def test_who_names_the_objective_means_it_and_not_what_scores(said: str, loss: str) -> None:
    report = report_on("generation", "NLP", f"preference tuning: {said}", "EleutherAI/pythia-1b")
    assert report.recipe and report.recipe.loss[0].name == loss


def test_only_the_projector_trains_where_that_is_said() -> None:
    report = report_on(
        "generation",
        "multimodal",
        "vision-language feature alignment, only the projector is trained",
        "llava-1.5-7b",
        "558k image-caption pairs",
    )
    assert report.recipe and report.recipe.model.adaptation == "freeze"
    assert report.recipe.optimizer.learning_rate == pytest.approx(1e-3) and report.recipe.batch.effective == 256


@pytest.mark.parametrize(
    ("task", "model", "family"),
    [
        ("sentiment, trained from scratch", "TextCNN", "cnn"),
        ("sentiment, trained from scratch", "BiLSTM", "rnn"),
        ("named entity recognition, trained from scratch", "BiLSTM-CRF", "rnn"),
    ],
)
def test_small_networks_over_word_vectors_are_designed_by_name(task: str, model: str, family: str) -> None:
    type_ = "classification" if "sentiment" in task else "sequence-modeling"
    report = report_on(type_, "NLP", task, model)
    assert report.recipe and report.recipe.model.architecture_family == family
    assert report.recipe.optimizer.learning_rate == pytest.approx(1e-3)

"""What does not fit: tasks nobody knows, a domain that the task is not of, base models, sizes of known data. Said, never guessed."""

from __future__ import annotations

from typing import Any

import pytest

from advisor import Report, Status, design

IMAGES: dict[str, Any] = {
    "task": {"type": "classification", "domain": "CV", "specificTask": "image classification"},
    "data": {"size": "5000 images", "distribution": "10 classes"},
    "constraints": {"computeResources": "RTX 3060 12GB"},
}


def answer(**parts: dict[str, Any]) -> Report:
    return design({name: {**IMAGES.get(name, {}), **parts.get(name, {})} for name in {**IMAGES, **parts}}, "none")


def told(report: Report, kind: str) -> str:
    return " ".join(notice.text for notice in report.warnings if notice.kind == kind)


def test_a_task_that_nobody_knows_is_quoted_with_what_it_was_taken_for() -> None:
    said = told(answer(task={"specificTask": "quantum flux prediction"}), "not understood")
    assert '"quantum flux prediction" names no task that is known' in said
    assert "read as image_classification" in said and "facts.task.kind" in said and "did you mean" not in said


def test_a_misspelt_task_is_met_with_the_nearest() -> None:
    said = told(answer(task={"specificTask": "imge clasification"}), "not understood")
    assert "did you mean image_classification?" in said


def test_a_task_of_which_nothing_is_known_is_asked_for_and_nothing_else_that_hangs_on_it() -> None:
    report = answer(task={"type": "frobnication", "domain": "astrology", "specificTask": "horoscopes"})
    assert report.status is Status.NEEDS_INPUT
    assert [question.fact for question in report.clarifications] == ["task.kind"]
    assert all(word in told(report, "not understood") for word in ("frobnication", "astrology", "horoscopes"))


@pytest.mark.parametrize("specific", ["segmentation of tabular rows", None])
def test_segmentation_of_rows_is_a_contradiction_that_names_what_each_goes_with(specific: str | None) -> None:
    report = answer(task={"type": "segmentation", "domain": "tabular", "specificTask": specific}, data={"size": "5000 rows"})
    assert report.status is Status.NEEDS_INPUT and report.model_design is None
    said = told(report, "contradiction")
    assert "segmentation is known of cv" in said and "regression" in said and "facts.task.kind" in said


def test_a_task_of_another_domain_is_warned_about() -> None:
    said = told(answer(task={"specificTask": "named entity recognition"}, data={"size": "5000 sentences"}), "contradiction")
    assert "read as token_classification, though task.domain says cv" in said and "correct one" in said


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("FooNet-9000", "compares models of the catalogue"),
        ("resnet-5O", "the nearest is ResNet-50"),
        ("bert-base-uncsed", "the nearest is BERT base (uncased)"),
        ("efficentnet-bo", "the nearest is EfficientNet-B0"),
    ],
)
def test_a_base_model_that_is_not_known_is_quoted_with_the_nearest(name: str, hint: str) -> None:
    said = told(answer(existingSetup={"baseModel": name}), "not understood")
    assert f'"{name}" is no model of the catalogue' in said and hint in said


def test_a_base_model_unfit_for_the_task_is_said_to_be() -> None:
    report = answer(existingSetup={"baseModel": "bert-base-uncased"})
    said = told(report, "not used")
    assert "BERT base (uncased) is in the catalogue for text classification" in said and "not for image classification" in said
    assert all("bert" not in candidate.model.id for candidate in report.candidates)


@pytest.mark.parametrize(
    ("task", "name", "stands"),
    [
        (("classification", "CV", "image classification, trained from scratch"), "WideResNet-28-10", "wide_resnet50_2.racm_in1k"),
        (
            ("classification", "CV", "image classification"),
            "google/vit-base-patch16-224-in21k",
            "vit_base_patch16_224.augreg_in21k_ft_in1k",
        ),
        (("sequence-modeling", "time-series", "forecasting, trained from scratch"), "Informer", "itransformer_forecaster"),
        (("generation", "NLP", "instruction tuning"), "Qwen/Qwen2-0.5B-Instruct", "Qwen/Qwen2.5-0.5B"),
        (("generation", "NLP", "instruction tuning"), "llama-65b", "meta-llama/Llama-3.1-70B"),
        (("detection", "CV", "object detection"), "Mask R-CNN", "fasterrcnn_resnet50_fpn"),
        (("classification", "time-series", "series classification"), "ResNet", "series_resnet"),
    ],
)
def test_a_model_that_is_not_in_the_catalogue_is_stood_in_for_by_its_nearest_kin(
    task: tuple[str, str, str], name: str, stands: str
) -> None:
    kind, domain, specific = task
    parts: dict[str, Any] = {"task": {"type": kind, "domain": domain, "specificTask": specific}, "existingSetup": {"baseModel": name}}
    report = answer(**parts, data={"size": "20000 samples", "distribution": None}, constraints={"computeResources": "8x A100 80GB"})
    assert report.recipe and report.recipe.model.id == stands
    said = told(report, "read as")
    assert f'"{name}" is no model of the catalogue' in said and "stands in for it" in said


@pytest.mark.parametrize("name", ["GPT-4", "Claude 3.5 Sonnet", "gemini-1.5-flash"])
def test_a_model_whose_weights_are_closed_is_said_to_be(name: str) -> None:
    task = {"type": "generation", "domain": "NLP", "specificTask": "instruction tuning"}
    report = answer(task=task, data={"size": "5k dialogues", "distribution": None}, existingSetup={"baseModel": name})
    assert report.recipe and report.recipe.model.id == "Qwen/Qwen3-8B"
    assert "its weights are not published" in told(report, "read as")


@pytest.mark.parametrize(
    ("specific", "model"),
    [
        ("continued pretraining of Llama 3.1 8B on legal text", "meta-llama/Llama-3.1-8B"),
        ("instruction tuning of Mistral 7B", "mistralai/Mistral-7B-v0.3"),
        ("story generation that beats GPT-2", "Qwen/Qwen3-8B"),
    ],
)
def test_a_model_that_the_task_names_is_trained_unless_it_is_a_rival(specific: str, model: str) -> None:
    task = {"type": "generation", "domain": "NLP", "specificTask": specific}
    report = answer(task=task, data={"size": "50k documents", "distribution": None}, constraints={"computeResources": "8x A100 80GB"})
    assert report.recipe and report.recipe.model.id == model


@pytest.mark.parametrize(
    ("specific", "name", "network"),
    [("LunarLander, discrete actions", "DQN", "dqn_mlp"), ("Atari, discrete actions", "PPO", "ppo_cnn"), ("CartPole", "PPO", "ppo_mlp")],
)
def test_a_named_agent_gets_the_network_for_what_it_sees(specific: str, name: str, network: str) -> None:
    report = answer(
        task={"type": "RL", "domain": "RL", "specificTask": specific},
        data={"size": "1M env steps", "distribution": None},
        existingSetup={"baseModel": name},
    )
    assert report.recipe and report.recipe.model.id == network


def test_a_fitting_base_model_is_no_matter_for_a_notice() -> None:
    report = answer(existingSetup={"baseModel": "ResNet-50"})
    assert told(report, "not used") == "" and any("resnet50" in candidate.model.id for candidate in report.candidates)


@pytest.mark.parametrize(
    ("size", "distribution", "expected"),
    [
        ("10k samples", "10 classes", "CIFAR-10 has 50,000 training samples, and the request says 10,000"),
        ("50k samples", "100 classes", "CIFAR-10 has 10 classes, and the request says 100"),
        ("50k samples", "10 classes", ""),
    ],
)
def test_a_known_data_set_of_another_size_is_a_contradiction(size: str, distribution: str, expected: str) -> None:
    report = answer(task={"specificTask": "image classification → CIFAR-10"}, data={"size": size, "distribution": distribution})
    said = told(report, "contradiction")
    assert expected in said if expected else said == ""


@pytest.mark.parametrize(
    ("task", "instead"),
    [
        ({"type": "algorithm competition", "domain": "programming", "specificTask": "leetcode"}, "an exact algorithm"),
        ({"type": "classification", "domain": "tabular", "specificTask": "random forest on customer data"}, "scikit-learn"),
        ({"type": "statistics", "domain": "tabular", "specificTask": "hypothesis test of two groups"}, "SciPy"),
        ({"type": "preprocessing", "domain": "tabular", "specificTask": "data cleaning"}, "Polars"),
        ({"type": "platform", "domain": "CV", "specificTask": "MLOps platform setup and team management"}, "Kubeflow"),
    ],
)
def test_what_is_no_task_for_deep_learning_is_sent_elsewhere(task: dict[str, Any], instead: str) -> None:
    report = answer(task=task)
    assert report.status is Status.NOT_APPLICABLE and instead in report.headline


@pytest.mark.parametrize(
    ("name", "stands", "size"),
    [
        ("deepseek-v3", "Qwen/Qwen3-30B-A3B", "671 billion"),
        ("Kimi-K2-Instruct", "Qwen/Qwen3-30B-A3B", "1 trillion"),
        ("Llama 3.1 405B", "meta-llama/Llama-3.1-70B", "405 billion"),
        ("Falcon-180B", "meta-llama/Llama-3.1-70B", "180 billion"),
    ],
)
def test_a_model_far_larger_than_its_stand_in_is_said_not_to_be_built(name: str, stands: str, size: str) -> None:
    task = {"type": "generation", "domain": "NLP", "specificTask": "instruction tuning"}
    report = answer(
        task=task,
        data={"size": "5k dialogues", "distribution": None},
        constraints={"computeResources": "8x H100"},
        existingSetup={"baseModel": name},
    )
    assert report.recipe and report.recipe.model.id == stands
    assert f"It has {size} parameters and is not built here" in told(report, "read as")


def test_a_model_as_large_as_its_stand_in_is_not_said_to_be_larger() -> None:
    task = {"type": "generation", "domain": "NLP", "specificTask": "instruction tuning"}
    report = answer(task=task, data={"size": "5k dialogues", "distribution": None}, existingSetup={"baseModel": "Vicuna 7B"})
    assert "is not built here" not in told(report, "read as")

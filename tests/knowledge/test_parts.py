"""The parts around a design: each stated challenge, issue and failure case is answered for its own kind of data, and only then."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from advisor import Report, design
from tests.conftest import EXAMPLES

# A request of each kind of data: type, domain and task; size; classes.
KINDS: dict[str, tuple[str, str, str, str | None, str | None]] = {
    "images": ("classification", "CV", "image classification", "5000 images", "10 classes"),
    "boxes": ("detection", "CV", "object detection", "5000 images", "10 classes"),
    "texts": ("classification", "NLP", "text classification", "5000 texts", "10 classes"),
    "decoders": ("generation", "NLP", "instruction tuning", "50k instructions", None),
    "sound": ("classification", "audio", "audio classification", "5000 clips", "10 classes"),
    "tables": ("classification", "tabular", "churn", "50000 rows", "2 classes"),
    "series": ("forecasting", "time-series", "sales forecasting", "2 years of daily sales", None),
    "graphs": ("classification", "graph", "node classification", "5000 nodes", "10 classes"),
    "agents": ("RL", "RL", "continuous control", None, None),
}
CHALLENGES = {
    "few-shot": "few shot",
    "domain-shift": "domain shift",
    "real-time": "real time",
    "long-tail": "long tail",
    "noisy labels": "noisy labels",
    "imbalance": "imbalance",
    "weak labels": "weak labels",
    "continual learning": "continual learning",
    "privacy": "privacy",
    "fairness": "fairness",
    "interpretability": "interpretability",
}
# What an agent, which labels its own data and holds none about people, is not told about.
NOT_FOR_AGENTS = {"few-shot", "privacy"}


def ask(
    kind: str, challenge: str = "", issue: str = "", compute: str = "RTX 4090 24GB", size: str = "", labels: str = "", **more: Any
) -> Report:
    type_, domain, specific, usual, classes = KINDS[kind]
    data = {"size": size or usual, "distribution": classes, "labelAvailability": labels or None}
    return design(
        {
            "task": {"type": type_, "domain": domain, "specificTask": specific},
            "data": {name: value for name, value in data.items() if value},
            "constraints": {"computeResources": compute, **more.get("constraints", {})},
            "challenges": [challenge] if challenge else [],
            "existingSetup": {"trainingIssues": [issue] if issue else [], **more.get("setup", {})},
        },
        "none",
    )


report_of = functools.cache(ask)


def said(report: Report, topic: str) -> str:
    return next((practice.text for practice in report.practices if practice.topic == topic), "")


@pytest.mark.parametrize("challenge", CHALLENGES)
def test_a_challenge_is_answered_for_each_kind_of_data_in_words_of_its_own(challenge: str) -> None:
    asked = [kind for kind in KINDS if not (kind == "agents" and challenge in NOT_FOR_AGENTS)]
    answers = {kind: said(report_of(kind, challenge), CHALLENGES[challenge]) for kind in asked}
    assert [kind for kind, text in answers.items() if not text] == []
    assert len(set(answers.values())) >= min(4, len(answers)), "one text for all kinds of data is no answer"
    assert all(not said(report_of(kind), CHALLENGES[challenge]) for kind in asked), "what was not stated is not answered"


@pytest.mark.parametrize("kind", KINDS)
def test_every_design_is_tracked_and_monitored_and_has_its_ways_back(kind: str) -> None:
    report = report_of(kind)
    assert said(report, "experiment tracking") and said(report, "monitoring") and said(report, "error analysis")
    back = {step.step: [loop.back_to for loop in step.feedback] for step in report.workflow}
    assert {1, 2, 3, 5, 7} <= {step for step, targets in back.items() if targets}
    assert all(target <= step for step, targets in back.items() for target in targets), "a loop leads back, not on"


def test_monitoring_and_validation_differ_between_kinds_of_data() -> None:
    for topic in ("monitoring", "error analysis"):
        assert len({said(report_of(kind), topic) for kind in KINDS}) >= 8, topic
    assert len({tuple(loop.seen for loop in report_of(kind).workflow[3].feedback) for kind in KINDS}) >= 7


def test_few_samples_are_cross_validated_and_many_are_not() -> None:
    assert "five folds" in said(report_of("images", size="900 images"), "cross validation")
    assert "Backtest" in said(report_of("series"), "cross validation")
    assert said(report_of("images", size="50k images"), "cross validation") == ""


def test_unlabelled_data_bring_self_supervision_by_kind() -> None:
    labels, topic = "few labels, the rest unlabelled", "self supervised pretraining"
    texts = {kind: said(report_of(kind, labels=labels), topic) for kind in KINDS if kind != "decoders"}
    assert "DINO" in texts["images"] and "masked" in texts["texts"].lower() and "wav2vec" in texts["sound"]
    assert "trees" in texts["tables"] and not texts["agents"]
    assert not said(report_of("images", labels="fully-supervised"), "self supervised pretraining")


def test_a_cpu_is_told_where_to_train_and_a_fleet_how() -> None:
    assert "Colab" in said(report_of("images", compute="CPU"), "cloud")
    assert said(report_of("tables", compute="CPU"), "cloud") == "", "a table trains on any CPU"
    assert "torchrun" in said(report_of("decoders", compute="32x H100 80GB"), "multi node")
    assert said(report_of("decoders", compute="4x H100 80GB"), "multi node") == ""


def test_a_stated_budget_is_turned_into_hours_and_a_stop() -> None:
    report = ask("images", constraints={"budget": "500 USD"})
    assert "500 USD" in said(report, "cloud") and "billing alarm" in said(report, "cloud")


# --- training issues ---------------------------------------------------------------------------------------------------

ISSUES = {
    "overfitting": "Overfitting",
    "underfitting": "Underfitting",
    "loss is NaN": "NaN or infinite loss",
    "vanishing gradients": "Vanishing gradients",
    "exploding gradients": "Exploding gradients",
    "loss oscillates": "Oscillating loss",
    "slow convergence": "Slow convergence",
    "validation loss on a plateau": "Loss on a plateau",
    "CUDA out of memory": "Out of memory",
    "data loading is slow, GPU idle": "Slow data loading",
    "worse in production": "Performance falls short after deployment",
}


@pytest.mark.parametrize("issue", ISSUES)
def test_a_stated_issue_is_diagnosed_first_with_fixes_in_order(issue: str) -> None:
    guidance = report_of("images", issue=issue).debugging_guidance
    assert guidance is not None
    first = guidance.common_issues[0]
    assert first.issue == ISSUES[issue] and first.diagnosis and len(first.solution) >= 4


@pytest.mark.parametrize(
    ("kind", "issue", "own"),
    [
        ("decoders", "loss is NaN", "NaN with masked tokens"),
        ("boxes", "loss is NaN", "NaN with boxes"),
        ("tables", "loss is NaN", "NaN in the inputs"),
        ("decoders", "CUDA out of memory", "Out of memory with long texts"),
        ("graphs", "CUDA out of memory", "Out of memory on a graph"),
        ("series", "overfitting", "Overfitting to few series"),
        ("agents", "slow convergence", "Slow learning"),
        ("images", "data loading is slow", "Decoding is the bottleneck"),
    ],
)
def test_an_issue_with_causes_of_its_own_kind_says_them_too(kind: str, issue: str, own: str) -> None:
    guidance = report_of(kind, issue=issue).debugging_guidance
    assert guidance is not None and own in [entry.issue for entry in guidance.common_issues]
    other = report_of("texts", issue=issue).debugging_guidance
    assert other is not None and own not in [entry.issue for entry in other.common_issues]


def test_accuracy_below_chance_is_called_a_defect_and_not_underfitting() -> None:
    guidance = report_of("texts", issue="underfitting").debugging_guidance
    assert guidance is not None and "Worse than chance is not underfitting" in guidance.common_issues[0].diagnosis


# --- the five failure cases ----------------------------------------------------------------------------------------------


def warned(report: Report) -> str:
    return " ".join(notice.text for notice in report.warnings)


def test_very_little_data_bring_active_learning_and_bought_labels() -> None:
    report = report_of("images", size="300 images")
    assert "buy labels" in warned(report) and said(report, "active learning")
    assert report.recipe is not None and report.recipe.model.pretrained


def test_little_compute_brings_a_light_model_frozen_layers_or_a_rented_card() -> None:
    report = report_of("images", compute="CPU")
    assert "rent a GPU" in warned(report)
    assert all(
        (candidate.figures.get("parameters") is None or candidate.figures["parameters"].value < 60e6) for candidate in report.candidates
    )


def test_what_does_not_converge_is_simplified_before_it_is_tuned() -> None:
    assert "overfit 16 samples" in warned(report_of("texts", issue="does not converge with any learning rate"))


def test_a_fall_in_production_starts_with_the_data_and_aligns_last() -> None:
    text = warned(report_of("images", issue="good on the test set but worse in production"))
    assert text.index("Label a few hundred") < text.index("CORAL")


def test_a_large_model_for_a_small_need_is_questioned() -> None:
    report = ask("texts", setup={"baseModel": "Qwen3-8B"})
    assert "decoder" in warned(report) and report.recipe is not None and report.recipe.model.id != "Qwen/Qwen3-8B"


# --- where common advice is wrong or dated ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        ("images", {"challenge": "few-shot"}, "requires_grad"),
        ("images", {}, "0.13 %"),
        ("images", {}, "GradScaler"),
        ("images", {"compute": "Tesla V100 16GB"}, 'torch.amp.GradScaler("cuda")'),
        ("decoders", {}, "80 % of 7B runs"),
        ("images", {"compute": "Raspberry Pi 5"}, "Four times is the size"),
        ("images", {}, "free, twice as fast"),
        ("boxes", {}, "SGD for vision"),
        ("texts", {}, "AdamW 1e-3"),
        ("images", {"size": "300k images"}, "beyond 100,000 samples"),
        ("texts", {}, "10,000 samples"),
        ("series", {}, "LSTM"),
        ("series", {}, "MAPE"),
        ("texts", {}, "longest"),
        ("images", {"issue": "out of memory"}, "no throughput, no accuracy"),
        ("images", {}, "TorchServe"),
        ("images", {}, "ResNet-50 and EfficientNet-B0"),
    ],
)
def test_a_departure_from_common_advice_is_said_where_it_applies(kind: str, changes: dict[str, Any], words: str) -> None:
    report = report_of(kind, **changes)
    found = [departure.text for departure in report.departures if words.lower() in departure.text.lower()]
    found += [notice.text for notice in report.warnings if words.lower() in notice.text.lower()]
    assert found, f"{words} is not said of {kind}"


def test_every_departure_names_its_source_and_is_not_said_to_everybody() -> None:
    reports = [report_of(kind) for kind in KINDS]
    assert all(departure.sources and departure.why for report in reports for departure in report.departures)
    everywhere = set.intersection(*({departure.rule_id for departure in report.departures} for report in reports))
    assert everywhere == set()


def test_trees_before_networks_is_said_of_small_tables() -> None:
    report = design(EXAMPLES / "tabular.yaml", "none")
    assert "common advice" in warned(report) and any("LightGBM" in baseline.name for baseline in report.baselines)

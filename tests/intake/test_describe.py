from __future__ import annotations

import pytest

from advisor.errors import RequestError


@pytest.mark.parametrize(
    ("field", "said", "fact", "value"),
    [
        ("distribution", "balanced", "data.balance", "balanced"), ("distribution", "balanced, 10 classes", "data.classes", 10),
        ("distribution", "long-tail", "data.balance", "long_tail"),
        ("distribution", "long-tail-ish, 80 classes", "data.balance", "long_tail"),
        ("distribution", "mild imbalance", "data.balance", "imbalanced"),
        ("distribution", "1:20 imbalance", "data.balance", "imbalanced"), ("distribution", "1:1", "data.balance", "balanced"),
        ("distribution", "2% positive", "data.balance", "imbalanced"),
        ("distribution", "no class imbalance", "data.balance", "balanced"), ("distribution", "long-tail", "challenge.long_tail", True),
        ("distribution", "skewed", "challenge.imbalance", True),
        ("distribution", "binary, rare positives", "data.classes", 2), ("labelAvailability", "fully-supervised", "data.labels", "full"),
        ("labelAvailability", "weakly-supervised", "data.labels", "weak"), ("labelAvailability", "unsupervised", "data.labels", "none"),
        ("labelAvailability", "self-supervised", "data.labels", "self"), ("labelAvailability", "semi-supervised", "data.labels", "semi"),
        ("labelAvailability", "few-shot", "data.labels", "few"), ("labelAvailability", "few-shot", "challenge.few_shot", True),
        ("labelAvailability", "preference pairs", "data.labels", "preference"), ("labelAvailability", "reward", "data.labels", "reward"),
        ("labelAvailability", "partially labelled", "data.labels", "semi"), ("quality", "clean, expert labels", "data.noise", "clean"),
        ("quality", "some label noise", "data.noise", "some"), ("quality", "very noisy", "data.noise", "heavy"),
        ("quality", "not noisy", "data.noise", "clean"),
        ("quality", "scans of 1024x768 px", "data.image_size", 768), ("size", "5,000 labelled images", "data.labels", "full"),
        ("size", "10k weakly labelled images", "data.labels", "weak"), ("size", "61k preference pairs", "data.labels", "preference"),
    ],
)  # fmt: skip
def test_data(intake, field: str, said: str, fact: str, value: object) -> None:
    assert intake(data={field: said}).facts[fact].value == value


@pytest.mark.parametrize(
    ("said", "fact"),
    [
        ("few-shot", "few_shot"), ("very little data", "few_shot"), ("domain-shift between hospitals", "domain_shift"),
        ("sim-to-real", "domain_shift"), ("real-time", "real_time"),
        ("long-tail", "long_tail"), ("class imbalance", "imbalance"), ("noisy labels", "noisy_labels"), ("weak labels", "weak_labels"),
        ("continual learning", "continual"),
        ("GDPR", "privacy"), ("federated", "privacy"), ("fairness across groups", "fairness"), ("must be explainable", "interpretability"),
    ],
)  # fmt: skip
def test_challenges(intake, said: str, fact: str) -> None:
    facts = intake(challenges=[said]).facts
    assert facts[f"challenge.{fact}"].value is True
    assert facts["challenge.privacy" if fact != "privacy" else "challenge.fairness"].value is False


@pytest.mark.parametrize(
    ("said", "fact"),
    [
        ("my loss turned into NaN", "nan"), ("loss becomes nan after epoch 3", "nan"), ("loss goes to infinity", "nan"),
        ("overfitting", "overfitting"),
        ("val loss goes up", "overfitting"), ("high train acc, low val acc", "overfitting"), ("underfitting", "underfitting"),
        ("both train and val accuracy low", "underfitting"),
        ("exploding gradients", "exploding_gradients"), ("the loss diverges", "exploding_gradients"),
        ("vanishing gradient", "vanishing_gradients"), ("loss oscillates", "oscillation"),
        ("training is unstable", "oscillation"), ("slow convergence", "slow_convergence"),
        ("training takes too long", "slow_convergence"), ("loss is stuck at 0.69", "plateau"),
        ("the model does not converge", "plateau"), ("CUDA out of memory", "out_of_memory"), ("OOM at batch 8", "out_of_memory"),
        ("GPU utilization is low", "data_loading"),
        ("the dataloader is the bottleneck", "data_loading"), ("works in the lab, poor in production", "production_gap"),
        ("great on the test set, terrible with real users", "production_gap"), ("takes forever to get better", "slow_convergence"),
        ("gradient norm shoots up to 1e6", "exploding_gradients"), ("first layers get almost no gradient", "vanishing_gradients"),
        ("the loss goes up and down", "oscillation"), ("GPU waits for data", "data_loading"), ("always predicts the same class", "plateau"),
        ("train acc 99%, val acc 60%", "overfitting"), ("training accuracy 0.98 but validation 0.71", "overfitting"),
        ("training error 5%, validation error 25%", "overfitting"), ("99% on train but only 80% on validation", "overfitting"),
        ("both train and val accuracy are low: 55% and 54%", "underfitting"), ("underfitting: train 71%, val 70%", "underfitting"),
    ],
)  # fmt: skip
def test_training_issues(intake, said: str, fact: str) -> None:
    facts = intake(existingSetup={"trainingIssues": [said]}).facts
    assert {name for name, known in facts.items() if name.startswith("issue.") and known.value} == {f"issue.{fact}"}


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("PyTorch 2.3", "pytorch"),
        ("PyTorch Lightning", "lightning"),
        ("TensorFlow", "tensorflow"),
        ("Keras 3", "keras"),
        ("Flax", "jax"),
        ("PaddlePaddle", "other"),
    ],
)
def test_frameworks(intake, said: str, value: str) -> None:
    assert intake(existingSetup={"framework": said}).facts["setup.framework"].value == value


@pytest.mark.parametrize(
    "sections",
    [
        {"challenges": ["moon phase"]}, {"existingSetup": {"trainingIssues": ["moon phase"]}},
        {"existingSetup": {"framework": "moon phase"}},
        {"existingSetup": {"baseModel": "moon phase"}}, {"data": {"quality": "clean, moon phase"}},
        {"data": {"distribution": "moon phase"}},
        {"data": {"labelAvailability": "moon phase"}},
        {"task": {"type": "classification", "domain": "CV", "specificTask": "image classification, moon phase"}},
    ],
)  # fmt: skip
def test_text_that_matches_nothing_is_quoted_in_a_notice(intake, sections: dict[str, object]) -> None:
    assert [notice.kind for notice in intake(**sections).notices if '"moon phase"' in notice.text] == ["not understood"]


@pytest.mark.parametrize(
    "said",
    [
        "train accuracy 97%, val accuracy 95%", "train acc 55%, val acc 54%", "train 0.97, val 0.95", "97% on train, 95% on validation",
        "train error 3%, validation error 5%", "train acc 60%, val acc 70%",
    ],
)  # fmt: skip
def test_close_scores_are_no_issue_of_fit_where_nothing_says_what_is_wanted(intake, said: str) -> None:
    found = intake(existingSetup={"trainingIssues": [said]})
    assert not any(known.value for name, known in found.facts.items() if name.startswith("issue."))
    assert ["constraints.accuracyTarget" in notice.text for notice in found.notices if said in notice.text] == [True]


@pytest.mark.parametrize(("target", "is_low"), [("accuracy >98%", True), ("accuracy >96%", False), ("top-1 acc >90%", False)])
def test_close_scores_are_underfitting_below_the_accuracy_that_is_wanted(intake, target: str, is_low: bool) -> None:
    issues = ["train accuracy 97%, val accuracy 95%"]
    found = intake(existingSetup={"trainingIssues": issues}, constraints={"accuracyTarget": target})
    assert found.facts["issue.underfitting"].value is is_low
    assert found.facts["issue.overfitting"].value is False


def test_a_negated_issue_is_none(intake) -> None:
    found = intake(existingSetup={"trainingIssues": ["no overfitting"]})
    assert found.facts["issue.overfitting"].value is False
    assert found.notices


def test_two_words_for_opposite_things_are_a_contradiction(intake) -> None:
    with pytest.raises(RequestError, match=r"data\.distribution.*balanced.*challenges\[0\].*long_tail"):
        intake(data={"distribution": "balanced"}, challenges=["long-tail"])


def test_the_stronger_of_two_words_counts(intake) -> None:
    assert intake(data={"distribution": "imbalanced, long-tail"}).facts["data.balance"].value == "long_tail"
    assert intake(data={"quality": "good, but some label noise"}).facts["data.noise"].value == "some"


def test_labels_in_the_task_count_where_their_own_field_is_empty(intake) -> None:
    task = {"type": "detection", "domain": "time-series", "specificTask": "unsupervised anomaly detection"}
    assert intake(task=task).facts["data.labels"].value == "none"
    assert intake(task=task, data={"labelAvailability": "semi-supervised"}).facts["data.labels"].value == "semi"


def test_unlabelled_data_may_be_learnt_from_by_self_supervision(intake) -> None:
    assert intake(data={"size": "10k unlabelled images", "labelAvailability": "self-supervised"}).facts["data.labels"].value == "self"


def test_control_characters_are_not_repeated(intake) -> None:
    texts = [notice.text for notice in intake(challenges=["moon\x1b[31m\x00phase\n"]).notices]
    assert texts and all(text.isprintable() for text in texts)

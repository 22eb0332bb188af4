"""Intake as a whole: where each fact comes from, what is assumed, and what contradicts what."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

import pytest

from advisor.engine.facts import Origin
from advisor.engine.vocabulary import FactSpec
from advisor.errors import RequestError
from advisor.intake import load_catalogue, read_facts
from advisor.request import Request

FACTORY = {
    "task": {"type": "classification", "domain": "CV", "specificTask": "defect classification"},
    "data": {"size": "5,000 labelled images", "distribution": "10 classes"},
    "constraints": {"computeResources": "RTX 3060 12GB", "latencyRequirement": "inference <50ms",
                    "accuracyTarget": "top-1 acc >90%", "modelSizeLimit": "<100MB"},
}  # fmt: skip


def test_the_documented_example_is_understood_without_a_notice(intake) -> None:
    found = intake(**FACTORY)
    values = {name: fact.value for name, fact in found.facts.items()}
    assert found.notices == []
    expected = {
        "task.kind": "image_classification", "data.samples": 5_000, "data.classes": 10, "data.samples_per_class": 500,
        "data.labels": "full", "compute.kind": "gpu",
        "compute.device": "rtx-3060-12gb", "compute.devices": 1, "compute.memory_gib": 12, "compute.bf16": True, "compute.fp16": True,
        "limit.latency_ms": 50,
        "limit.accuracy": 0.9, "limit.accuracy_metric": "top1", "limit.model_mb": 100,
    }  # fmt: skip
    assert {name: values[name] for name in expected} == expected


def test_every_fact_is_declared_and_says_where_it_comes_from(intake, vocabulary: Mapping[str, FactSpec]) -> None:
    for name, fact in intake(**FACTORY).facts.items():
        assert vocabulary[name].problem_with(fact.value) is None
        assert fact.detail
        assert fact.origin in (Origin.STATED, Origin.DERIVED, Origin.ASSUMED)


def test_a_stated_fact_quotes_its_field(intake) -> None:
    fact = intake(**FACTORY).facts["data.samples"]
    assert (fact.origin, fact.detail) == (Origin.STATED, 'data.size: "5,000 labelled images"')


def test_limits_challenges_and_issues_that_are_not_stated_are_not_there(intake) -> None:
    facts = intake().facts
    limits = {"limit.latency_ms": math.inf, "limit.model_mb": math.inf, "limit.cost_usd": math.inf, "limit.gpu_hours": math.inf,
              "limit.days": math.inf, "limit.accuracy": 0, "limit.accuracy_metric": "none"}  # fmt: skip
    assert {name: facts[name].value for name in limits} == limits
    closed = [fact for name, fact in facts.items() if name.startswith(("challenge.", "issue.", "asked."))]
    assert len(closed) > 20
    assert all((fact.value, fact.origin) == (False, Origin.DERIVED) for fact in closed)


def test_assumptions_are_the_vocabularys(intake, vocabulary: Mapping[str, FactSpec]) -> None:
    facts = intake().facts
    assumed = {name: fact.value for name, fact in facts.items() if fact.origin is Origin.ASSUMED}
    assert assumed == {
        "data.labels": "full",
        "data.noise": "clean",
        "data.augmentation_wanted": True,
        "license.commercial": True,
        "setup.framework": "pytorch",
    }
    assert "data.samples" not in facts and "compute.kind" not in facts


def test_hours_and_tokens_become_samples_by_a_declared_assumption(intake) -> None:
    audio = intake(task={"type": "sequence-modeling", "domain": "audio", "specificTask": "ASR"}, data={"size": "40 hours of audio"}).facts[
        "data.samples"
    ]
    assert (audio.origin, audio.value) == (Origin.ASSUMED, 11_707)
    assert "12.3 s" in audio.detail
    text = {"type": "generation", "domain": "NLP"}
    assert intake(task=text, data={"size": "1,024,000 tokens"}).facts["data.samples"].value == 1_000
    assert intake(task=text, data={"size": "1,024,000 tokens"}, facts={"data.tokens": 512}).facts["data.samples"].value == 2_000


def test_a_duration_waits_for_its_frequency(intake) -> None:
    task = {"type": "sequence-modeling", "domain": "time-series"}
    asked = intake(task=task, data={"size": "2 years of sales data"})
    assert "data.samples" not in asked.facts
    assert any("does not say how many samples" in notice.text for notice in asked.notices)
    assert intake(task=task, data={"size": "2 years of sales data"}, facts={"data.frequency": "weekly"}).facts["data.samples"].value == 104


def test_the_base_model_gives_its_line(intake) -> None:
    facts = intake(existingSetup={"baseModel": "bert-base"}).facts
    assert [facts[f"setup.{name}"].value for name in ("base_model", "base_line", "base_pretrained")] == [
        "google-bert/bert-base-uncased",
        "bert",
        True,
    ]
    assert intake(existingSetup={"baseModel": "gpt2 124M"}).facts["setup.base_model"].value == "openai-community/gpt2"
    assert intake(existingSetup={"baseModel": "gpt2 7B"}).facts["setup.base_model"].value == "unknown"
    assert "setup.base_model" not in intake().facts
    assert intake().facts["setup.base_pretrained"].value is False


@pytest.mark.parametrize(
    ("said", "bf16", "fp16"),
    [("V100 16GB", False, True), ("A100 40GB", True, True), ("CPU", False, False), ("TPU v4", True, False), ("M2", False, True)],
)
def test_precision_follows_from_the_device(intake, said: str, bf16: bool, fp16: bool) -> None:
    facts = intake(constraints={"computeResources": said}).facts
    assert (facts["compute.bf16"].value, facts["compute.fp16"].value) == (bf16, fp16)


def test_an_unnamed_gpu_leaves_its_precision_open(intake) -> None:
    assert "compute.bf16" not in intake(constraints={"computeResources": "single-GPU"}).facts


def test_an_image_size_on_a_table_is_only_noticed(intake) -> None:
    found = intake(task={"type": "classification", "domain": "tabular"}, facts={"data.image_size": 224})
    assert any("image size decides nothing" in notice.text for notice in found.notices)


# --- the facts block ---


def test_stated_facts_win_over_what_is_derived(intake) -> None:
    facts = intake(constraints={"computeResources": "V100 16GB"}, facts={"compute.bf16": True, "task.kind": "image_regression"}).facts
    assert (facts["compute.bf16"].value, facts["task.kind"].value) == (True, "image_regression")


def test_a_stated_device_is_found_by_its_alias_and_gives_the_rest(intake) -> None:
    facts = intake(facts={"compute.device": "RTX 3060"}).facts
    assert [facts[f"compute.{name}"].value for name in ("device", "kind", "devices", "memory_gib")] == ["rtx-3060-12gb", "gpu", 1, 12]


def test_a_stated_number_may_be_what_the_text_rounds(intake) -> None:
    assert intake(data={"size": "~1k images"}, facts={"data.samples": 1034}).facts["data.samples"].value == 1034


@pytest.mark.parametrize(
    ("sections", "fact", "says"),
    [
        ({"data": {"size": "10k images"}, "facts": {"data.samples": 500}}, "data.samples", "facts.data.samples says 500"),
        ({"data": {"labelAvailability": "weak labels"}, "facts": {"data.labels": "full"}}, "data.labels", "facts.data.labels says full"),
        ({"constraints": {"computeResources": "8x V100"}, "facts": {"compute.kind": "cpu"}}, "compute.kind", "says cpu"),
        ({"constraints": {"latencyRequirement": "<50ms"}, "facts": {"limit.latency_ms": 10}}, "limit.latency_ms", "says 10"),
        ({"data": {"size": "5,000 images, 10 classes", "distribution": "20 classes"}}, "data.classes", "data.size"),
    ],
)  # fmt: skip
def test_a_contradiction_names_both_sides(intake, sections: dict[str, object], fact: str, says: str) -> None:
    with pytest.raises(RequestError) as caught:
        intake(**sections)
    assert len(caught.value.faults) >= 1
    assert f"contradiction about {fact}" in str(caught.value) and says in str(caught.value)


@pytest.mark.parametrize(
    ("fact", "value", "why"),
    [
        ("data.sampels", 1, "did you mean 'data.samples'"), ("data.samples", -5, "at least 0"), ("data.classes", 2.5, "whole number"),
        ("data.samples", True, "number"),
        ("compute.kind", "cpuu", "did you mean 'cpu'"), ("license.commercial", "yes", "true or false"),
        ("compute.device", "rtx 3061", "did you mean 'RTX 3060 12GB'"),
        ("setup.base_model", "resnet 51", "did you mean 'ResNet-50'"), ("model.id", "x", "comes from the candidate"),
        ("decision.loss", "x", "decided by the rules"),
        ("data.image_size", math.inf, "finite|whole"), ("limit.latency_ms", math.nan, "number"),
        ("data.image_size", 20_000, "at most 16384"),
    ],
)  # fmt: skip
def test_a_fact_that_cannot_be_is_an_error_at_its_place(intake, fact: str, value: object, why: str) -> None:
    with pytest.raises(RequestError, match=why) as caught:
        intake(facts={fact: value})
    assert caught.value.faults[0].place.path == f"facts.{fact}"


def test_every_fault_is_told_at_once(intake) -> None:
    with pytest.raises(RequestError) as caught:
        intake(
            data={"size": "lots"},
            constraints={
                "computeResources": "limited",
                "latencyRequirement": "fast",
                "accuracyTarget": "good",
                "modelSizeLimit": "tiny",
                "budget": "200",
            },
            facts={"data.sampels": 1},
        )
    assert [fault.place.path for fault in caught.value.faults] == [
        "facts.data.sampels", "data.size", "constraints.latencyRequirement", "constraints.accuracyTarget", "constraints.modelSizeLimit",
        "constraints.budget",
        "constraints.computeResources",
    ]  # fmt: skip


# --- the installed catalogue ---


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("computeResources", said)
        for said in (
            "8x V100",
            "32x V100",
            "1x Titan RTX",
            "4x TITAN 12GB",
            "8x A100 40GB",
            "single-GPU 48GB",
            "GTX 1080 Ti",
            "TPU v4-8",
            "M2 Max",
            "iPhone 14 Pro",
            "Google Pixel 8",
            "Samsung Galaxy S23",
        )
    ]
    + [("latencyRequirement", "<5 ms"), ("modelSizeLimit", "<20MB")],
)
def test_published_resources_are_understood_with_the_installed_catalogue(vocabulary: Mapping[str, FactSpec], field: str, said: str) -> None:
    request = Request.model_validate({"task": {"type": "classification", "domain": "CV"}, "constraints": {field: said}})
    facts = read_facts(request, vocabulary).facts
    assert (
        said
        in facts[
            "compute.kind" if field == "computeResources" else {"latencyRequirement": "limit.latency_ms"}.get(field, "limit.model_mb")
        ].detail
    )


def test_reading_is_fast_once_warm(vocabulary: Mapping[str, FactSpec]) -> None:
    request = Request.model_validate(FACTORY)
    catalogue = load_catalogue()
    read_facts(request, vocabulary, catalogue)
    seconds = []
    for _ in range(20):
        start = time.perf_counter()
        read_facts(request, vocabulary, catalogue)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.002


def test_a_volume_of_text_is_counted_in_tokens_by_an_assumption(intake) -> None:
    task = {"type": "generation", "domain": "NLP", "specificTask": "language-model pretraining, trained from scratch"}
    samples = intake(task=task, data={"size": "2 GB of text"}).facts["data.samples"]
    assert (samples.value, samples.origin) == (2_000_000_000 // 4 // 1024, Origin.ASSUMED)
    assert "at 4 bytes a token" in samples.detail


@pytest.mark.parametrize(
    ("size", "balance"),
    [
        ("60,000 comments, 8% positive", "imbalanced"),
        ("900 photos, 40 of them bad", "imbalanced"),
        ("900 photos, 440 of them bad", "balanced"),
        ("80,000 customers, 3 % cancel", "imbalanced"),
    ],
)
def test_how_many_are_of_one_kind_is_balance_and_no_number_of_samples(intake, size: str, balance: str) -> None:
    facts = intake(data={"size": size}).facts
    assert facts["data.balance"].value == balance
    assert facts["data.samples"].value == float(size.split(maxsplit=1)[0].replace(",", ""))


@pytest.mark.parametrize("size", ["5,000 images, 10% labelled", "5,000 images, 20% for testing", "5,000 images, 400 of them annotated"])
def test_parts_that_are_labelled_or_held_out_are_no_balance(intake, size: str) -> None:
    with pytest.raises(RequestError):
        intake(data={"size": size})


@pytest.mark.parametrize("size", ["2 million photos, no captions", "200k tickets, without labels"])
def test_samples_without_labels_are_none(intake, size: str) -> None:
    assert intake(data={"size": size}).facts["data.labels"].value == "none"


def test_words_beside_a_number_are_left_aside_in_words(intake) -> None:
    said = intake(data={"size": "5,000 images, taken lovingly"}, constraints={"latencyRequirement": "200 ms a page"})
    assert [notice.text for notice in said.notices if "'taken lovingly' is not understood" in notice.text or "'page' is not" in notice.text]

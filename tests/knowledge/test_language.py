"""What the reports on texts, speech and images with texts must say."""

from __future__ import annotations

from typing import Any

import pytest

from advisor import Report, Status, design
from advisor.reading import read_request
from tests.conftest import EXAMPLES

TEXT = ("token_classification", "question_answering", "text_regression", "ranking", "text_embedding", "preference_tuning",
        "masked_language_modeling")  # fmt: skip
AUDIO = ("speech_recognition", "audio_classification", "keyword_spotting")
TASKS = (*TEXT, *AUDIO, "contrastive_pretraining", "image_captioning", "visual_question_answering")
METRICS = {"token_classification": "entity_f1", "question_answering": "squad_f1", "ranking": "ndcg@10", "speech_recognition": "wer",
           "image_captioning": "cider", "masked_language_modeling": "perplexity"}  # fmt: skip
CHEAP = ("token_classification", "text_embedding", "keyword_spotting", "audio_classification")


def report_of(task: str, verify: Any = "none") -> Report:
    return design(EXAMPLES / f"{task}.yaml", verify)


def asked(domain: str, task: str, size: str, compute: str = "one RTX 4090 24GB", model: str | None = None, **task_fields: str) -> Report:
    setup = {"existingSetup": {"baseModel": model}} if model else {}
    request = {"task": {"type": "classification", "domain": domain, "specificTask": task} | task_fields, "data": {"size": size},
               "constraints": {"computeResources": compute}, **setup}  # fmt: skip
    return design(request, "none")


@pytest.mark.parametrize("task", TASKS)
def test_each_example_is_read_and_designed(task: str) -> None:
    assert read_request(EXAMPLES / f"{task}.yaml")
    report = report_of(task)
    assert report.status is Status.DESIGNED, report.headline
    assert report.recipe is not None and report.recipe.metric and report.recipe.loss
    assert len(report.candidates) >= 2
    assert {"modelDesign", "trainingStrategy", "debuggingGuidance", "engineeringPractice"} <= set(report.to_wire())


@pytest.mark.parametrize(("task", "metric"), METRICS.items())
def test_each_task_is_measured_as_its_field_measures_it(task: str, metric: str) -> None:
    report = report_of(task)
    assert report.recipe is not None and report.recipe.metric == metric


def test_preferences_move_a_4_bit_policy_gently() -> None:
    recipe = report_of("preference_tuning").recipe
    assert recipe is not None and recipe.model.adaptation == "qlora" and recipe.lora is not None
    assert recipe.loss[0].name == "dpo" and recipe.epochs == 1
    assert recipe.optimizer.learning_rate is not None and recipe.optimizer.learning_rate <= 1e-5


def test_full_preference_tuning_is_ten_times_gentler_than_with_adapters() -> None:
    full = asked("NLP", "preference alignment (DPO)", "60k preference pairs", "8x A100 80GB", type="generation").recipe
    assert full is not None and full.model.adaptation == "full"
    assert full.optimizer.learning_rate == 5e-7 and full.batch.effective == 128


def test_whisper_and_speech_encoders_get_recipes_of_their_own() -> None:
    whisper = report_of("speech_recognition").recipe
    encoder = asked("audio", "speech recognition", "3500 clips", "1x V100", "wav2vec2-large-xlsr-53", type="sequence-modeling").recipe
    assert whisper is not None and whisper.loss[0].name == "cross_entropy" and whisper.optimizer.learning_rate == 1e-5
    assert encoder is not None and encoder.loss[0].name == "ctc" and encoder.optimizer.learning_rate == 3e-4
    assert "freeze_feature_encoder" in {technique.name for technique in encoder.regularization}
    assert "freeze_feature_encoder" not in {technique.name for technique in whisper.regularization}


def test_a_small_device_listens_with_a_small_network_from_scratch() -> None:
    recipe = report_of("keyword_spotting").recipe
    assert recipe is not None and recipe.model.architecture_family == "cnn" and not recipe.model.pretrained


def test_general_sounds_start_from_a_model_that_heard_general_sounds() -> None:
    recipe = report_of("audio_classification").recipe
    assert recipe is not None and recipe.model.id.startswith("MIT/ast") and recipe.schedule is not None and recipe.schedule.name == "step"


def test_a_contrastive_batch_is_never_accumulated() -> None:
    recipe = report_of("text_embedding").recipe
    assert recipe is not None and recipe.batch.accumulation == 1
    assert any("accumulation" in warning.text for warning in report_of("text_embedding").warnings)


@pytest.mark.parametrize(("model", "rate"), [("roberta-large", 1e-5), ("bert-base-cased", 2e-5), ("distilbert-base-uncased", 5e-5)])
def test_larger_encoders_are_tuned_at_lower_rates(model: str, rate: float) -> None:
    recipe = asked("NLP", "named entity recognition", "14k sentences", model=model, type="sequence-modeling").recipe
    assert recipe is not None and recipe.optimizer.learning_rate == rate


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_each_example_passes_its_static_checks(task: str) -> None:
    report = report_of(task, "static")
    assert report.status is Status.DESIGNED, report.headline
    assert {check.name: check.detail for check in report.verification if check.status == "failed"} == {}
    assert next(check for check in report.verification if check.name == "build").status == "passed"


@pytest.mark.slow
@pytest.mark.parametrize("task", CHEAP)
def test_a_cheap_example_really_trains(task: str) -> None:
    report = report_of(task, "smoke")
    assert report.status is Status.DESIGNED, report.headline
    assert [check.detail for check in report.verification if check.status == "failed"] == []


def test_encoders_go_on_gently_and_from_scratch_at_the_published_rates() -> None:
    recipes = [asked("NLP", task, size, "8x A100 80GB", model=model, type="sequence-modeling").recipe for task, size, model in (
        ("masked language modeling", "75k reviews", "distilbert-base-uncased"),
        ("domain-adaptive pretraining", "30M documents", "roberta-base"),
        ("masked language modeling, from scratch", "5M documents", "roberta-base"),
        ("masked language modeling, from scratch", "40M documents", "ModernBERT-base"),
    )]  # fmt: skip
    got = [(each.model.adaptation, each.batch.effective, each.optimizer.learning_rate, each.epochs) for each in recipes if each]
    assert got == [("full", 32, pytest.approx(3.5e-5, rel=0.02), 5), ("full", 2048, 5e-4, 1), ("scratch", 1024, 3e-4, 30),
                   ("scratch", 4096, pytest.approx(7.5e-4, rel=0.02), 30)]  # fmt: skip
    hidden = [{each.name: each.value for each in recipe.regularization}["masking"] for recipe in recipes if recipe]
    assert hidden == [0.15, 0.15, 0.15, 0.3]


def test_the_model_that_is_named_tells_which_kind_of_answer_is_meant() -> None:
    for task, model, kind in (
        ("question generation from passages", "t5-base", "google-t5/t5-base"),
        ("medical question answering assistant", "meta-llama/Llama-2-7b-hf", "meta-llama/Llama-2-7b-hf"),
        ("instruction tuning on screenshots", "llava-hf/llava-1.5-7b-hf", "llava-hf/llava-1.5-7b-hf"),
        ("extractive QA", "bert-base-uncased", "google-bert/bert-base-uncased"),
    ):
        recipe = asked("NLP", task, "20k examples", model=model, type="generation").recipe
        assert recipe is not None and recipe.model.id == kind


def test_pretraining_a_named_encoder_is_masked_and_a_decoder_predicts_the_next_token() -> None:
    for model, family, is_masked in (("allenai/scibert_scivocab_uncased", "bert", True), ("gpt2", "gpt2", False)):
        recipe = asked("NLP", "continued pretraining on abstracts", "200k abstracts", model=model, type="generation").recipe
        assert recipe is not None and family in recipe.model.id
        assert ("masking" in {each.name for each in recipe.regularization}) is is_masked


@pytest.mark.parametrize(
    ("said", "loss"), [("KTO", "kto"), ("SimPO", "simpo"), ("IPO", "ipo"), ("GRPO", "grpo"), ("ORPO", "orpo"), ("DPO", "dpo")]
)
def test_the_objective_that_is_named_is_the_one_designed(said: str, loss: str) -> None:
    report = asked("NLP", f"preference alignment ({said})", "20k preference pairs", type="generation")
    assert report.recipe is not None and report.recipe.loss[0].name == loss
    assert any("verifier" in notice.text or "judges answers" in notice.text for notice in report.warnings) is (said == "GRPO")

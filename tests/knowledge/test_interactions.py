"""The interactions that people are known to begin with, each an example: what its report has to say, by rules alone."""

from __future__ import annotations

import functools
import json

import pytest

from advisor import Report, Status, design
from tests.conftest import EXAMPLES


@functools.cache
def report_of(name: str) -> Report:
    return design(EXAMPLES / f"{name}.yaml", "none")


def topics(report: Report) -> set[str]:
    return {practice.topic for practice in report.practices}


def departs(report: Report) -> str:
    return " ".join(departure.text for departure in report.departures) + " ".join(notice.text for notice in report.warnings)


def test_five_thousand_images_are_fine_tuned_with_care_for_small_evidence() -> None:
    report = report_of("few_images")
    assert report.recipe is not None and report.recipe.model.pretrained and report.recipe.model.adaptation == "layer_decay"
    assert report.recipe.augmentation and report.recipe.epochs and report.recipe.epochs <= 50
    said = departs(report)
    assert "mixup" in said and "10,000 samples" in said and "0.13 %" in said, "what common advice has wrong for so few images"


def test_a_custom_cnn_starts_from_a_published_one() -> None:
    report = report_of("custom_cnn")
    assert report.recipe is not None and report.recipe.model.pretrained
    assert {candidate.model.architecture_family for candidate in report.candidates} == {"cnn"}
    assert "architecture of one's own" in departs(report) and report.baselines


def test_a_large_model_trained_in_full_is_sharded_over_machines() -> None:
    report = report_of("fsdp")
    assert report.recipe is not None and report.recipe.distributed == "fsdp" and report.recipe.model.adaptation == "full"
    assert report.recipe.precision == "bf16" and report.recipe.activation_checkpointing
    practice = report.engineering_practice
    assert practice is not None and practice.distributed_training is not None and "FSDP2" in practice.distributed_training.configuration
    assert "multi node" in topics(report)


def test_a_network_for_tables_is_searched_as_its_authors_did() -> None:
    report = report_of("tabular_search")
    space = report.search_space
    assert space is not None and (space.sampler, space.trials) == ("tpe", 100)
    assert {one.name for one in space.parameters} >= {"learning_rate", "weight_decay", "attention_dropout", "ffn_dropout"}
    assert "trees" in space.text and "batch size is commonly searched" in departs(report).lower()


def test_a_custom_forecaster_is_held_against_the_naive_one() -> None:
    report = report_of("series_transformer")
    assert report.recipe is not None and report.recipe.model.architecture_family == "transformer" and report.recipe.split == "time"
    assert (report.recipe.input.sequence_length, report.recipe.input.horizon) == (168, 24)
    assert any("naive" in baseline.name.lower() for baseline in report.baselines)
    assert "architecture of one's own" in departs(report)
    assert "Backtest" in next(practice.text for practice in report.practices if practice.topic == "cross validation")


def test_a_distilled_model_fits_the_board_and_says_who_teaches_it() -> None:
    report = report_of("edge_distillation")
    assert report.recipe is not None and report.recipe.compression.quantization.startswith("int8")
    assert report.recipe.compression.distillation is not None and "Teacher" in report.recipe.compression.distillation
    assert all(candidate.model.id != "deit_base_patch16_224.fb_in1k" for candidate in report.candidates)
    assert "cloud" in topics(report), "a teacher is not trained on a board"
    assert "Four times is the size" in departs(report)


def test_contrast_gets_its_batch_and_a_probe() -> None:
    report = report_of("contrastive_pretraining")
    assert report.recipe is not None and report.recipe.loss[0].name == "contrastive" and report.recipe.batch.effective >= 256
    said = next(practice.text for practice in report.practices if practice.topic == "self supervised pretraining")
    assert "linear probe" in said and "temperature" in said


def test_a_small_card_gets_accumulation_for_what_it_is() -> None:
    report = report_of("small_memory")
    assert report.recipe is not None and report.recipe.precision == "bf16"
    said = departs(report)
    assert "no throughput, no accuracy" in said and "GradScaler" in said
    guidance = report.debugging_guidance
    assert guidance is not None and guidance.common_issues[0].issue == "Out of memory"


def test_a_published_result_is_reproduced_before_it_is_changed() -> None:
    report = report_of("reproduction")
    assert report.recipe is not None and report.recipe.model.id.startswith("deit_small") and report.recipe.model.pretrained
    said = next(practice.text for practice in report.practices if practice.topic == "reproduction")
    assert "authors' weights" in said and "one thing at a time" in said


def test_nan_is_helped_at_once_data_before_the_rate() -> None:
    report = report_of("nan")
    assert report.status is Status.NEEDS_INPUT and report.debugging_guidance is not None
    issue = next(issue for issue in report.debugging_guidance.common_issues if "NaN" in issue.issue)
    order = [
        next(index for index, step in enumerate(issue.solution) if word in step.lower())
        for word in ("batch that failed", "lengthen the warm-up", "clip the norm", "lower the")
    ]
    assert order == sorted(order), "the data, then warm-up, then clipping, the rate last"


@pytest.mark.parametrize(
    "name",
    ["few_images", "custom_cnn", "fsdp", "tabular_search", "series_transformer", "edge_distillation", "contrastive_pretraining",
     "small_memory", "reproduction"],
)  # fmt: skip
def test_every_word_of_an_interaction_is_understood(name: str) -> None:
    report = report_of(name)
    assert report.status is Status.DESIGNED
    assert [notice.text for notice in report.warnings if notice.kind in ("not understood", "ambiguous", "contradiction", "not used")] == []
    assert len(report.workflow) == 7 and sum(len(step.feedback) for step in report.workflow) >= 4
    assert json.dumps(report.to_wire())

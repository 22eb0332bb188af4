"""Models that the catalogue lacks, objectives that a request asks for, and kinds of sound: each gets the recipe of its own line."""

from __future__ import annotations

import pytest

from advisor import Report, Status, design


def report_on(type_: str, domain: str, task: str, size: str, base: str | None = None) -> Report:
    request = {
        "task": {"type": type_, "domain": domain, "specificTask": task},
        "data": {"size": size},
        "constraints": {"computeResources": "one RTX 3090 24GB"},
        "existingSetup": {"baseModel": base},
    }
    return design(request, "none")


@pytest.mark.parametrize(
    ("base", "task", "loss"),
    [
        ("DLinear", "probabilistic forecasting of many series, trained from scratch", "student_t_nll"),
        ("DLinear", "forecasting with GluonTS, trained from scratch", "student_t_nll"),
        ("DLinear", "long-horizon forecasting, trained from scratch", "mse"),
        ("SimpleFeedForward", "forecasting of many series, trained from scratch", "student_t_nll"),
    ],
)
def test_a_distribution_that_is_asked_for_is_trained_on_its_likelihood(base: str, task: str, loss: str) -> None:
    recipe = report_on("sequence-modeling", "time-series", task, "1,000 daily series of 1,000 steps", base).recipe
    assert recipe and recipe.loss[0].name == loss


def test_speakers_are_told_apart_with_a_margin_and_judged_by_equal_error_rate() -> None:
    report = report_on("classification", "audio", "speaker verification, trained from scratch", "1.2M utterances", "ECAPA-TDNN")
    recipe = report.recipe
    assert recipe and (recipe.loss[0].name, recipe.metric) == ("additive_angular_margin", "eer")
    assert (recipe.optimizer.name, recipe.optimizer.learning_rate, recipe.optimizer.weight_decay) == ("adam", 0.001, 2e-6)
    assert (recipe.epochs, recipe.batch.effective) == (10, 32)
    assert "noise_and_reverberation" in [one.name for one in recipe.augmentation]


def test_slices_with_transunet_are_segmented_in_two_dimensions_by_its_recipe() -> None:
    recipe = report_on("segmentation", "CV", "multi-organ segmentation of CT slices", "2,211 slices, 9 classes", "TransUNet").recipe
    assert recipe and recipe.model.id == "unet_resnet34"
    assert (recipe.optimizer.name, recipe.epochs, recipe.schedule and recipe.schedule.name) == ("sgd", 150, "poly")


@pytest.mark.parametrize(
    ("task", "line"),
    [
        ("speech emotion recognition", "hubert"),
        ("spoken language identification", "hubert"),
        ("environmental sound classification", "ast"),
        ("music genre classification", "ast"),
    ],
)
def test_speech_goes_to_speech_encoders_and_other_sounds_to_models_of_sounds(task: str, line: str) -> None:
    recipe = report_on("classification", "audio", task, "6,000 clips, 8 classes").recipe
    assert recipe and line in recipe.model.id.lower()


def test_full_fine_tuning_of_a_vision_language_decoder_is_done_where_it_is_asked_for() -> None:
    task = "visual question answering, full fine-tuning"
    recipe = report_on("generation", "multimodal", task, "22k question-image pairs", "google/paligemma-3b-pt-224").recipe
    assert recipe and recipe.model.adaptation == "full"
    assert recipe.optimizer.learning_rate == pytest.approx(2e-5, rel=0.7)


def test_offline_rl_as_sequences_is_trained_as_a_small_language_model() -> None:
    recipe = report_on("RL", "RL", "offline RL, D4RL Hopper", "1M transitions", "Decision Transformer").recipe
    assert recipe and recipe.model.id == "decision_transformer"
    assert (recipe.optimizer.name, recipe.optimizer.learning_rate, recipe.batch.effective) == ("adamw", 1e-4, 64)
    assert recipe.gradient_clip_norm == 0.25
    assert "behaviour_constraint" not in [one.name for one in recipe.regularization]


def test_a_distribution_over_many_series_is_forecast_by_networks_made_for_it() -> None:
    recipe = report_on(
        "sequence-modeling", "time-series", "probabilistic forecasting, trained from scratch", "1,000 daily series of 1,000 steps"
    ).recipe
    assert recipe and recipe.model.id == "deepar_forecaster"


@pytest.mark.parametrize(("base", "line"), [("TD3", "td3"), ("DQN", "dqn"), ("Rainbow", "dqn")])
def test_between_tasks_that_type_and_domain_may_mean_the_base_model_decides(base: str, line: str) -> None:
    recipe = report_on("RL", "RL", "portfolio allocation", "200k env steps", base).recipe
    assert recipe and line in recipe.model.id


def test_what_a_named_model_alone_can_do_outranks_a_data_set_and_a_hint() -> None:
    links = report_on("classification", "graph", "missing links in PubMed", "19,717 nodes", "VGAE").recipe
    assert links and links.metric == "mrr"
    assert report_on("RL", "RL", "walking robot", "200k env steps", "DQN").recipe


def test_an_image_network_reads_spectrograms_where_it_is_named() -> None:
    recipe = report_on("classification", "audio", "bird call identification", "60k recordings", "efficientnet_b0").recipe
    assert recipe and recipe.model.id == "efficientnet_b0.ra_in1k" and recipe.input.kind == "audio" and recipe.schedule.name == "cosine"


@pytest.mark.parametrize(
    ("task", "base", "size", "expected"),
    [
        ("speaker verification, trained from scratch", "x-vector", "1.2M utterances", ("adam", 1e-3, 256)),
        ("speaker recognition, trained from scratch", "TitaNet", "1.2M utterances", ("sgd", 0.08, 256)),
        ("environmental sound classification", "BEATs", "2,000 clips", ("adamw", 4.1e-5, 32)),
    ],
)
def test_audio_models_bring_their_own_recipes(task: str, base: str, size: str, expected: tuple[str, float, int]) -> None:
    recipe = report_on("classification", "audio", task, size, base).recipe
    assert recipe and (recipe.optimizer.name, recipe.optimizer.learning_rate, recipe.batch.effective) == expected


def test_a_base_model_for_several_of_the_tasks_decides_nothing() -> None:
    assert report_on("RL", "RL", "a business simulator", "200k env steps", "PPO").status is Status.NEEDS_INPUT


@pytest.mark.parametrize(
    ("base", "recipe"),
    [
        ("repvgg_a0", ("sgd", "cosine", 120)),
        ("HRNet-W18", ("sgd", "step", 100)),
        ("resnet50.a3_in1k", ("lamb", "cosine", 100)),
        ("resnest50d", ("sgd", "cosine", 300)),
        ("levit_256", ("adamw", "cosine", 1000)),
    ],
)
def test_a_network_that_timm_knows_trains_from_scratch_by_the_recipe_of_its_line(base: str, recipe: tuple[str, str, int]) -> None:
    report = report_on("classification", "CV", "image-classification, trained from scratch", "1.28M images, 1000 classes", base)
    assert report.recipe and report.recipe.schedule
    assert (report.recipe.optimizer.name, report.recipe.schedule.name, report.recipe.epochs) == recipe


def test_a_name_of_two_lines_takes_the_recipe_of_the_one_that_serves_the_task() -> None:
    pixels = report_on("segmentation", "CV", "semantic segmentation of streets", "2,975 images, 19 classes", "HRNet-W48").recipe
    assert pixels and pixels.schedule and (pixels.model.id, pixels.schedule.name) == ("deeplabv3_resnet50", "poly")


def test_weights_that_a_name_of_timm_says_bring_the_recipe_of_their_pretraining() -> None:
    task, size = "image-classification", "1.28M images, 1000 classes"
    masked = report_on("classification", "CV", task, size, "vit_large_patch16_224.mae").recipe
    labelled = report_on("classification", "CV", task, size, "vit_large_patch16_224.augreg_in21k").recipe
    assert masked and labelled and (masked.epochs, labelled.epochs) == (100, 30)
    assert (masked.optimizer.learning_rate or 0) > 10 * (labelled.optimizer.learning_rate or 0)


@pytest.mark.parametrize(
    ("task", "base", "model", "rate"),
    [
        ("ControlNet training (conditional text-to-image)", "ControlNet SD1.5", "controlnet_sd15", 1e-5),
        ("train a ControlNet on depth maps", "stabilityai/stable-diffusion-xl-base-1.0", "controlnet_sdxl", 1e-5),
        ("textual inversion of one concept", "stable-diffusion-v1-5", "textual_inversion_sd15", 1e-3),
    ],
)
def test_what_trains_beside_a_frozen_denoiser_has_its_own_rate(task: str, base: str, model: str, rate: float) -> None:
    recipe = report_on("generation", "CV", task, "5 images" if "inversion" in task else "50k image-condition pairs", base).recipe
    assert recipe and (recipe.model.id, recipe.model.adaptation) == (model, "freeze")
    assert recipe.optimizer.learning_rate == pytest.approx(rate)


def test_a_word_in_the_size_does_not_outweigh_the_named_model() -> None:
    report = report_on("generation", "CV", "a house style", "30 images with captions", "black-forest-labs/FLUX.1-dev")
    assert report.recipe and report.recipe.model.id == "black-forest-labs/FLUX.1-dev"


def test_fine_tuning_after_pretraining_is_no_pretraining() -> None:
    task = "image-classification, fine-tuning after masked image modelling"
    report = report_on("classification", "CV", task, "1.28M images, 1000 classes", "swin_base_patch4_window7_224")
    assert report.recipe and report.recipe.model.pretrained and report.recipe.model.adaptation == "layer_decay"

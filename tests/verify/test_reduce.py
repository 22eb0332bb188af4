"""Reduced copies: the same architecture, small enough, what was cut in words; and nothing cut that fits."""

from __future__ import annotations

from typing import Any

import pytest

from advisor.catalogue import models
from advisor.errors import CheckError
from advisor.verify.build import build_model
from advisor.verify.evidence import Build, Job, SmokeEvidence, Target
from advisor.verify.reduce import GIB, Limits, _shallow, operations, reduce_job, weight_bytes
from advisor.verify.smoke import run_smoke, stand_in
from tests.verify.jobs import TINY_BERT, bert_job, decoder_job, make_recipe, mlp_job, timm_job

AMPLE = Limits(1000 * GIB, 1e18)
BASE = {"batch": {"per_device": 64, "effective": 64}}
EIGHT_BILLION = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "bos_token_id": 128000,
    "eos_token_id": 128001,
}


def eight_billion() -> Job:
    return decoder_job(
        EIGHT_BILLION,
        model={"adaptation": "qlora", "pretrained": True},
        precision="bf16",
        activation_checkpointing=True,
        lora={"rank": 16, "alpha": 32, "base_precision": "nf4"},
        input={"kind": "text", "sequence_length": 2048},
        optimizer={"name": "paged_adamw_8bit", "learning_rate": 2e-4, "weight_decay": 0.0},
        batch={"per_device": 4, "accumulation": 4, "effective": 16},
    )


@pytest.mark.parametrize("job", [mlp_job(), bert_job(TINY_BERT), timm_job("resnet18", 224)], ids=["mlp", "bert", "resnet"])
def test_what_fits_is_left_alone(job: Job) -> None:
    assert reduce_job(job, AMPLE) == (job, [])


def test_the_batch_is_cut_first_and_only_as_far_as_needed() -> None:
    job = timm_job("resnet18", 224, **BASE)
    small, said = reduce_job(job, Limits(1000 * GIB, 3.1 * operations(job) * 16))
    assert said == ["batch 16 instead of 64"]
    assert small.recipe.input == job.recipe.input
    assert small.build == job.build


def test_images_are_cut_next_to_a_size_that_the_model_takes() -> None:
    job = timm_job("swin_tiny_patch4_window7_224", 224, **BASE)
    small, said = reduce_job(job, Limits(1000 * GIB, 3 * operations(job)))
    assert said[:2] == ["batch 4 instead of 64", "images of 96 x 96 instead of 224 x 224 pixels"]
    assert small.recipe.input.image_size == 96
    assert build_model(small, "meta").patch_embed.img_size == (96, 96)


@pytest.mark.parametrize(("name", "fewer"), [("resnet50", 8.1e6), ("convnext_tiny", 9e6), ("vit_base_patch16_224", 20e6)])
def test_a_vision_model_keeps_its_stages_and_loses_blocks(name: str, fewer: float) -> None:
    small, said = reduce_job(timm_job(name, 224, **BASE), Limits(1000 * GIB, 1e8))
    assert weight_bytes(small) / 4 < fewer
    assert said[-1] in ("one block a stage", "2 blocks")
    assert type(build_model(small, "meta")) is type(build_model(timm_job(name, 224), "meta"))


@pytest.mark.parametrize(
    ("kind", "class_"),
    [
        ({"model_type": "distilbert"}, "DistilBertForSequenceClassification"),
        ({"model_type": "modernbert"}, "ModernBertForSequenceClassification"),
        ({"model_type": "deberta-v2"}, "DebertaV2ForSequenceClassification"),
        ({"model_type": "gpt2"}, "GPT2ForSequenceClassification"),
    ],
)
def test_a_text_model_of_any_make_is_cut_in_layers_vocabulary_and_width(kind: dict[str, str], class_: str) -> None:
    small, said = reduce_job(bert_job(kind, **BASE), Limits(1000 * GIB, 5e8))
    assert any(line.startswith("layers: 2 instead of") for line in said)
    assert type(build_model(small, "meta")).__name__ == class_
    assert operations(small) < operations(bert_job(kind)) / 10


def test_both_towers_of_a_model_of_two_are_cut_in_layers_vocabulary_and_width() -> None:
    vision = {
        "hidden_size": 512,
        "intermediate_size": 1024,
        "num_hidden_layers": 6,
        "num_attention_heads": 8,
        "image_size": 96,
        "patch_size": 16,
    }
    text = {"hidden_size": 1024, "intermediate_size": 2048, "num_hidden_layers": 6, "num_attention_heads": 8, "vocab_size": 9000}
    config = {"model_type": "clip", "projection_dim": 64, "text_config": text, "vision_config": vision}
    recipe = make_recipe({"kind": "image_text", "image_size": 96, "channels": 3, "sequence_length": 16}, model={"library": "transformers"})
    build = Build(library="transformers", factory="CLIPModel", config=config)
    job = Job(check="smoke", task="contrastive_pretraining", build=build, recipe=recipe, target=Target(kind="cpu"))
    small, cut = reduce_job(job, Limits(2**40, 1e6))
    assert cut[-3:] == [
        "2 layers in each tower",
        "a vocabulary of 2048 instead of 9000 tokens",
        "width 512 and 256 instead of 1024 and 512",
    ]
    built = small.build.config
    assert [built[tower]["num_hidden_layers"] for tower in ("text_config", "vision_config")] == [2, 2]
    assert (built["text_config"]["vocab_size"], built["text_config"]["hidden_size"], built["vision_config"]["hidden_size"]) == (
        2048,
        512,
        256,
    )


def test_a_large_vocabulary_is_cut_for_what_its_update_costs() -> None:
    wide = {**TINY_BERT, "vocab_size": 60_000}
    limits = Limits(1000 * GIB, 3.1 * 8 * operations(bert_job(wide)))
    assert "a vocabulary of 2048 instead of 60000 tokens" in reduce_job(bert_job(wide), limits)[1]
    assert reduce_job(bert_job(wide, model={"adaptation": "lora"}, lora={"rank": 4, "alpha": 8}), limits)[1] == []


def test_the_text_beside_an_image_is_cut_with_it() -> None:
    recipe = make_recipe(
        {"kind": "image_text", "image_size": 224, "channels": 3, "sequence_length": 512}, model={"library": "transformers"}
    )
    build = Build(library="transformers", factory="BlipForConditionalGeneration", config={"model_type": "blip"})
    job = Job(check="smoke", task="image_captioning", build=build, recipe=recipe, target=Target(kind="cpu"))
    small, cut = reduce_job(job, Limits(2**40, 1e9))
    assert "images of 96 x 96 instead of 224 x 224 pixels and sequences of 32 instead of 512 tokens" in cut
    assert (small.recipe.input.image_size, small.recipe.input.sequence_length) == (96, 32)


@pytest.mark.parametrize(
    ("task", "library", "factory", "config", "words"),
    [
        ("video_classification", "torchvision", "mvit_v2_s", {}, "patches of 8 x 14 x 14 instead of 2 x 4 x 4 frames and pixels"),
        ("video_classification", "torchvision", "r2plus1d_18", {},
            "images of 64 x 64 instead of 224 x 224 pixels and 8 instead of 16 frames"),
        ("object_detection", "transformers", "RfDetrForObjectDetection", {"model_type": "rf_detr", "backbone_config": {
            "model_type": "rf_detr_dinov2", "hidden_size": 384, "num_hidden_layers": 4, "image_size": 320, "patch_size": 16,
            "num_windows": 2, "out_indices": [1, 2, 3, 4]}, "num_labels": 5, "num_queries": 300},
            "one group of 64 queries instead of 13 of 300"),
    ],
)  # fmt: skip
def test_what_makes_a_step_dear_and_shows_nothing_more_is_cut(
    task: str, library: str, factory: str, config: dict[str, Any], words: str
) -> None:
    kind = "video" if task.startswith("video") else "image"
    size, outputs = 224 if kind == "video" else 320, 5
    sample = {"kind": kind, "image_size": size, "channels": 3, "outputs": outputs, "sequence_length": 16 if kind == "video" else None}
    build = Build(library=library, factory=factory, config=config)
    job = Job(check="smoke", task=task, build=build, recipe=make_recipe(sample, model={"library": library}), target=Target(kind="cpu"))
    small, cut = reduce_job(job, Limits(2**40, 1e9))
    assert words in cut
    frozen = [name for name, parameter in build_model(small, "meta").named_parameters() if not parameter.requires_grad]
    assert all("blocks.15.attn." in name for name in frozen) and len(frozen) == (4 if factory.startswith("mvit") else 0), (
        "what answers never read"
    )


def test_a_backbone_that_is_tapped_keeps_as_many_layers_as_taps() -> None:
    assert _shallow({"num_hidden_layers": 12, "out_indices": [3, 6, 9, 12]}) == {"num_hidden_layers": 4, "out_indices": [1, 2, 3, 4]}
    assert _shallow({"num_hidden_layers": 12, "out_indices": [12]}) == {"num_hidden_layers": 2, "out_indices": [2]}
    assert _shallow({"num_hidden_layers": 12}) == {"num_hidden_layers": 2}
    assert _shallow({"depth": 24, "deepstack_visual_indexes": [5, 11, 17]}) == {"depth": 3, "deepstack_visual_indexes": [0, 1, 2]}
    assert _shallow({"depths": [3, 3, 9, 3], "hidden_sizes": [96, 192, 384, 768]}) == {"depths": [1, 1, 1, 1]}


def test_a_segmenter_with_queries_keeps_as_many_places_as_it_has_queries() -> None:
    entry = models()["Roboflow/rf-detr-seg-medium"]
    recipe = make_recipe(
        {"kind": "image", "image_size": 432, "outputs": 3},
        model={"id": entry.id, "library": "transformers", "architecture_family": "transformer"},
        loss=[{"name": "hungarian_set_loss_with_masks"}],
        batch={"per_device": 16, "effective": 16},
    )
    job = Job(check="smoke", task="instance_segmentation", build=entry.build, recipe=recipe, target=Target(kind="cpu"))
    small, said = reduce_job(job, Limits(1000 * GIB, 1e9))
    size, grid = small.recipe.input.image_size or 0, 24  # two windows of patches of 12 pixels
    assert size % grid == 0 and (size // 12) ** 2 >= small.build.config["num_queries"] == 64
    assert small.build.config["group_detr"] == 1 and "one group of 64 queries instead of 13 of 200" in said


def test_a_speech_model_that_pads_every_clip_is_given_places_for_the_shorter_one() -> None:
    config = {"model_type": "whisper", "d_model": 64, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2,
              "decoder_attention_heads": 2, "encoder_ffn_dim": 128, "decoder_ffn_dim": 128, "vocab_size": 300,
              "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 3}  # fmt: skip
    recipe = make_recipe({"kind": "audio", "seconds": 30.0}, model={"library": "transformers"})
    build = Build(library="transformers", factory="WhisperForConditionalGeneration", config=config)
    job = Job(check="smoke", task="speech_recognition", build=build, recipe=recipe, target=Target(kind="cpu"))
    small, cut = reduce_job(job, Limits(2**40, 1e6))
    assert "clips of 1 instead of 30 s" in cut
    assert small.build.config["max_source_positions"] == 50
    assert operations(small) < operations(job) / 20


def test_what_cannot_be_cut_small_enough_for_the_memory_is_refused() -> None:
    with pytest.raises(CheckError, match="more memory than is free"):
        reduce_job(mlp_job(), Limits(1000.0, 1e18))


def test_an_8b_decoder_is_reduced_to_one_of_the_same_kind() -> None:
    import torch

    job, _ = stand_in(eight_billion(), torch.device("cpu"))
    small, said = reduce_job(job, Limits(16 * GIB, 1e10))
    model = build_model(small, "meta")
    assert type(model).__name__ == "LlamaForCausalLM"
    assert model.config.num_attention_heads % model.config.num_key_value_heads == 0
    assert "layers: 2 instead of 32" in said
    assert "a vocabulary of 2048 instead of 128256 tokens" in said
    assert small.recipe.lora == job.recipe.lora


@pytest.mark.slow
def test_an_8b_decoder_with_adapters_smoke_trains_in_seconds() -> None:
    evidence = run_smoke(eight_billion())
    assert_trained(evidence)
    assert evidence.reduced
    assert evidence.inference == {}
    assert "GiB to be had" in evidence.latency_unmeasured or "s were left" in evidence.latency_unmeasured


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet50", "convnext_tiny"])
def test_a_vision_model_of_25_million_parameters_smoke_trains_in_seconds(name: str) -> None:
    job = timm_job(name, 224, model={"adaptation": "full"}, batch={"per_device": 32, "effective": 32})
    evidence = run_smoke(job.model_copy(update={"time_limit_s": 180.0}))  # so long that other tests beside it leave time for latency
    assert_trained(evidence)
    assert evidence.inference["median"].value > 0


def assert_trained(evidence: SmokeEvidence) -> None:
    """It learnt, by every assertion of the training; the runs that are repeated after it are left out where time is short."""
    status = {check.name: check.status for check in evidence.checks}
    trained = {"finite", "stable_rate", "overfits", "optimizer_covers", "every_trainable_moves", "every_trainable_gets_gradient"}
    assert {status[name] for name in trained} == {"passed"}, evidence.checks
    assert "failed" not in status.values(), evidence.checks

"""Predicted training memory: what it holds can be worked out by hand, and each technique moves it the right way."""

from __future__ import annotations

from typing import Any

import pytest

from advisor.errors import CheckError
from advisor.recipe import LoraSettings
from advisor.verify.evidence import Job, Memory, Target
from advisor.verify.memory import CONTEXT, USABLE_SHARE, predict_training_memory
from tests.verify.jobs import TINY_DECODER, bert_job, decoder_job, mlp_job, timm_job

GPU = Target(kind="gpu", memory_gib=24.0, compute_capability="8.6")
BERT_PARAMETERS = 109_483_778
LORA = LoraSettings(rank=16, alpha=32)
MIB = 1 << 20


def on_gpu(job: Job, target: Target = GPU) -> Job:
    return job.model_copy(update={"target": target})


def bert(batch: int = 8, **changes: Any) -> Job:
    return on_gpu(bert_job({}, batch={"per_device": batch, "effective": batch}, **changes))


def vit(**changes: Any) -> Job:
    return on_gpu(timm_job("vit_small_patch16_224", 224, batch={"per_device": 16, "effective": 16}, **changes))


def memory_of(job: Job) -> Memory:
    memory, _ = predict_training_memory(job)
    assert memory is not None
    return memory


def test_weights_gradients_and_states_follow_the_parameters() -> None:
    categories = memory_of(bert()).categories
    assert categories["weights"] == pytest.approx(4 * BERT_PARAMETERS, rel=0.001)
    assert categories["optimizer_state"] == pytest.approx(8 * BERT_PARAMETERS, rel=0.001)
    assert categories["gradients"] == pytest.approx(4 * BERT_PARAMETERS, rel=0.001)
    assert categories["temporaries"] >= 4 * BERT_PARAMETERS  # a small batch peaks in foreach AdamW, which copies a list of tensors
    assert memory_of(bert()).peak_at.startswith("optimizer")


@pytest.mark.parametrize("job", [bert(), vit(precision="bf16"), on_gpu(mlp_job())], ids=["bert", "vit", "mlp"])
def test_the_categories_add_up_and_the_interval_holds_the_total(job: Job) -> None:
    memory = memory_of(job)
    assert sum(memory.categories.values()) == memory.total
    assert memory.low <= memory.total <= memory.high
    assert memory.categories["context"] == CONTEXT


def test_mixed_precision_saves_activations_and_no_states() -> None:
    full, mixed = memory_of(vit()), memory_of(vit(precision="bf16"))
    assert 0.5 < mixed.categories["activations"] / full.categories["activations"] < 0.75
    assert mixed.categories["optimizer_state"] == full.categories["optimizer_state"]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_checkpointing_trades_activations_away(precision: str) -> None:
    kept, again = memory_of(vit(precision=precision)), memory_of(vit(precision=precision, activation_checkpointing=True))
    assert again.total < 0.7 * kept.total


def test_a_frozen_backbone_keeps_neither_gradients_nor_activations() -> None:
    full = memory_of(vit())
    probe = memory_of(vit(model={"adaptation": "linear_probe"}))
    assert probe.categories["activations"] < 0.1 * full.categories["activations"]
    assert probe.categories.get("gradients", 0) < MIB


def test_lora_keeps_states_of_the_adapters_alone() -> None:
    memory, trainable = predict_training_memory(bert(64, model={"adaptation": "lora"}, lora=LORA, precision="bf16"))
    assert memory is not None
    assert trainable < 0.03 * BERT_PARAMETERS
    assert memory.categories["optimizer_state"] == pytest.approx(8 * trainable, rel=0.01)
    assert memory.categories["weights"] == pytest.approx(2 * BERT_PARAMETERS + 4 * trainable, rel=0.01)


def test_eight_bit_states_take_a_quarter() -> None:
    plain, small = memory_of(bert(64)), memory_of(bert(64, optimizer={"name": "adamw_8bit", "learning_rate": 1e-4}))
    assert small.categories["optimizer_state"] == pytest.approx(plain.categories["optimizer_state"] / 4, rel=0.03)
    assert any("a byte an element" in note for note in small.notes)


def test_accumulated_gradients_live_through_the_next_forward_pass() -> None:
    once = memory_of(bert(512))
    often = memory_of(on_gpu(bert_job({}, batch={"per_device": 512, "accumulation": 4, "effective": 2048})))
    assert once.peak_at.startswith(("forward", "backward"))
    assert often.total - once.total == pytest.approx(4 * BERT_PARAMETERS, rel=0.2)


def test_a_moving_average_is_one_more_copy_of_the_weights() -> None:
    difference = memory_of(bert(ema=0.999)).categories["optimizer_state"] - memory_of(bert()).categories["optimizer_state"]
    assert difference == pytest.approx(4 * BERT_PARAMETERS, rel=0.001)


def test_shards_shrink_what_the_strategy_shards() -> None:
    batch = {"per_device": 8, "devices": 4, "effective": 32}
    ddp, zero2, fsdp = (memory_of(on_gpu(bert_job({}, batch=batch, distributed=name), Target(kind="multi_gpu", memory_gib=24.0)))
                        for name in ("ddp", "zero2", "fsdp"))  # fmt: skip
    assert ddp.categories["gradients"] == pytest.approx(8 * BERT_PARAMETERS, rel=0.001)  # and their buckets
    assert zero2.categories["optimizer_state"] == pytest.approx(2 * BERT_PARAMETERS, rel=0.001)
    assert fsdp.categories["weights"] == pytest.approx(BERT_PARAMETERS, rel=0.001)
    assert fsdp.total < zero2.total < ddp.total


def test_what_is_offloaded_leaves_the_device_but_for_the_units_at_hand() -> None:
    whole = memory_of(on_gpu(bert_job({}, batch={"per_device": 8, "effective": 8})))
    offloaded = memory_of(on_gpu(bert_job({}, batch={"per_device": 8, "effective": 8}, distributed="fsdp_offload")))
    assert not {"weights", "gradients", "optimizer_state"} & {kind for kind, size in offloaded.categories.items() if size > MIB}
    assert offloaded.total < whole.total - 12 * BERT_PARAMETERS


def test_paged_states_wait_in_the_host_as_far_as_the_card_is_full() -> None:
    states = 2 * BERT_PARAMETERS
    names = ("adamw_8bit", "paged_adamw_8bit")
    roomy = [memory_of(on_gpu(bert_job({}, optimizer={"name": name, "learning_rate": 1e-5}))) for name in names]
    assert roomy[0].total == roomy[1].total
    tight = Target(kind="gpu", memory_gib=(roomy[0].high - states // 2) / 2**30)
    held, paged = (memory_of(on_gpu(bert_job({}, optimizer={"name": name, "learning_rate": 1e-5}), tight)) for name in names)
    assert held.high > tight.memory_gib * 2**30 >= paged.high - 1  # type: ignore[operator]
    assert any("wait in the host's memory" in note for note in paged.notes)


def test_a_device_without_cuda_has_neither_context_nor_segments() -> None:
    memory = memory_of(on_gpu(mlp_job(), Target(kind="cpu")))
    assert not {"context", "allocator_slack", "workspace"} & memory.categories.keys()


def test_convolutions_widen_the_interval() -> None:
    convolutional, other = memory_of(on_gpu(timm_job("resnet18", 64))), memory_of(bert())
    assert convolutional.high / convolutional.total > 1.2
    assert other.high < 1.02 * other.total + 500 * MIB


def test_a_tight_card_gives_cached_segments_back() -> None:
    job = on_gpu(timm_job("resnet50", 224, batch={"per_device": 32, "effective": 32}))
    free = memory_of(job)
    usable = free.total - free.categories["allocator_slack"] // 2
    tight = memory_of(on_gpu(job, Target(kind="gpu", memory_gib=usable / USABLE_SHARE / (1024 * MIB))))
    assert tight.total < free.total
    assert any("given back" in note for note in tight.notes)


def test_an_eight_billion_decoder_is_predicted_without_its_weights() -> None:
    import resource

    llama = {"vocab_size": 128256, "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
             "num_key_value_heads": 8, "intermediate_size": 14336}  # fmt: skip
    lora = LORA.model_copy(update={"base_precision": "nf4"})
    job = on_gpu(decoder_job(llama, model={"adaptation": "qlora"}, lora=lora, precision="bf16", activation_checkpointing=True,
                             batch={"per_device": 1, "effective": 1}))  # fmt: skip
    memory = memory_of(job)
    in_bits = 32 * (4096 * 4096 * 2 + 4096 * 1024 * 2 + 3 * 4096 * 14336) * 0.516
    in_16_bits = 2 * 128256 * 4096 * 2
    adapters = 4 * 41_943_040  # rank 16 on all seven linear layers of 32 blocks
    assert memory.categories["weights"] == pytest.approx(in_bits + in_16_bits + adapters, rel=0.01)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2 << 20  # KiB


def test_nothing_trained_is_no_training_memory() -> None:
    job = mlp_job(model={"adaptation": "zero_shot"}, optimizer={"name": "none"})
    assert predict_training_memory(job) == (None, 0)


def test_a_model_without_checkpointing_of_its_own_is_named() -> None:
    with pytest.raises(CheckError, match="no activation checkpointing"):
        predict_training_memory(mlp_job(activation_checkpointing=True))


def test_the_logits_of_a_language_model_are_told_apart() -> None:
    job = on_gpu(decoder_job({**TINY_DECODER, "vocab_size": 50_000}, batch={"per_device": 16, "effective": 16}))
    logits = 4 * 16 * 32 * 50_000
    assert memory_of(job).categories["logits_and_loss"] >= 2 * logits


def test_adafactor_takes_no_copy_of_the_parameters() -> None:
    """torch chooses the multi-tensor form, which copies, for every optimizer but this one."""
    memory = memory_of(bert(optimizer={"name": "adafactor", "learning_rate": 1e-3}))
    assert memory.categories.get("optimizer_state", 0) < 0.02 * 4 * BERT_PARAMETERS
    assert memory.categories["temporaries"] < 4 * BERT_PARAMETERS

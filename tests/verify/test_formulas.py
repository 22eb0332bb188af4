"""The published closed forms against traces of the real models, and against the figures that their papers print."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from advisor.verify.evidence import Target
from advisor.verify.formulas import (
    STATE_BYTES,
    Transformer,
    activations,
    adapter_elements,
    gpt_activations,
    key_value_cache,
    llama_activations,
    low_rank_states,
    mixed_precision_states,
    shard_states,
)
from advisor.verify.inference import cache_bytes
from advisor.verify.memory import trace_model
from advisor.verify.trace import FREE, Trace
from advisor.verify.workload import Workload
from tests.verify.jobs import make_recipe

GPU = Target(kind="gpu", compute_capability="8.6")
LANGUAGE = Workload(lambda n: {}, lambda model, batch: model(**batch, use_cache=False), lambda outputs, _: outputs.loss)


def gpt(layers: int, hidden: int, heads: int) -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(n_layer=layers, n_embd=hidden, n_head=heads, vocab_size=512, activation_function="gelu")
    with torch.device("meta"):
        return GPT2LMHeadModel(config)


def llama(layers: int, hidden: int, heads: int, key_heads: int) -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(num_hidden_layers=layers, hidden_size=hidden, num_attention_heads=heads, num_key_value_heads=key_heads,
                         intermediate_size=3 * hidden, vocab_size=512)  # fmt: skip
    with torch.device("meta"):
        return LlamaForCausalLM(config)


def saved(trace: Trace) -> int:
    """Bytes that are alive as the first backward pass begins, of those that the forward pass made."""
    starts = {name: first for first, name in reversed(trace.phases)}
    alive: dict[int, int] = {}
    for number, size in trace.events:
        if size != FREE and number >= starts["backward"]:
            break
        alive.pop(number) if size == FREE else alive.__setitem__(number, size)
    return sum(size for number, size in alive.items() if number >= starts["forward"])


def traced_layer(make: Any, sequence: int, batch: int) -> float:
    """Saved bytes of one layer in 16 bits: what four layers save more than two, so that embedding and logits fall out."""
    ids = {name: torch.empty(batch, sequence, dtype=torch.long, device="meta") for name in ("input_ids", "labels")}
    sizes = []
    for layers in (2, 4):
        model = make(layers).to(torch.bfloat16).train()
        trace, _ = trace_model(model, LANGUAGE, make_recipe({"kind": "text"}), GPU, shapes=[ids])
        sizes.append(saved(trace))
    return (sizes[1] - sizes[0]) / 2


@pytest.mark.parametrize(("hidden", "heads", "sequence", "batch"), [(256, 4, 128, 4), (512, 8, 256, 2), (768, 12, 64, 8)])
def test_a_gpt_layer_saves_what_korthikanti_counts(hidden: int, heads: int, sequence: int, batch: int) -> None:
    shape = Transformer(1, hidden, heads, heads, 4 * hidden, 512)
    traced = traced_layer(lambda layers: gpt(layers, hidden, heads), sequence, batch)
    assert traced == pytest.approx(gpt_activations(shape, sequence, batch), rel=0.06)


@pytest.mark.parametrize(("hidden", "heads", "key_heads", "sequence"), [(256, 4, 4, 128), (512, 8, 2, 256), (1024, 16, 4, 64)])
def test_a_llama_layer_saves_what_its_closed_form_counts(hidden: int, heads: int, key_heads: int, sequence: int) -> None:
    shape = Transformer(1, hidden, heads, key_heads, 3 * hidden, 512, gated=True)
    traced = traced_layer(lambda layers: llama(layers, hidden, heads, key_heads), sequence, 4)
    assert traced == pytest.approx(llama_activations(shape, sequence, 4), rel=0.10)


def test_attention_that_writes_its_scores_grows_with_the_square_of_the_sequence() -> None:
    shape = Transformer(1, 1024, 16, 16, 4096, 512)
    assert gpt_activations(shape, 1024, 1, flash=False) == 1024 * 1024 * (34 + 5 * 16 * 1024 / 1024)  # equation 1, h = 4f
    assert gpt_activations(shape, 1024, 1) == 1024 * 1024 * 34


def test_full_recomputation_keeps_an_input_a_layer_and_one_layer() -> None:
    shape = Transformer(48, 1600, 25, 25, 6400, 50257)
    kept = activations(shape, 1024, 4, checkpointing=True)
    assert kept == 48 * 2 * 1024 * 4 * 1600 + gpt_activations(shape, 1024, 4)


@pytest.mark.parametrize(("stage", "expected"), [(0, 120.0), (1, 31.4), (2, 16.6), (3, 1.9)])
def test_sharded_states_are_those_of_the_zero_paper(stage: Any, expected: float) -> None:
    """Figure 1 of arXiv:1910.02054: 7.5 billion parameters on 64 devices, in GB."""
    assert mixed_precision_states(7_500_000_000, 64, stage) / 1e9 == pytest.approx(expected, abs=0.05)


def test_no_shard_is_lost_to_rounding() -> None:
    assert shard_states(10, 10, 10, 4, 3) == (3, 3, 3)
    assert shard_states(10, 10, 10, 4, 1) == (10, 10, 3)


def test_a_quantized_base_takes_a_little_more_than_half_a_byte_a_weight() -> None:
    assert low_rank_states(7_000_000_000, 0, bits=4) / 7e9 == pytest.approx(0.5159, abs=1e-4)
    assert low_rank_states(0, adapter_elements(4096, 4096, 16)) == 16 * 16 * 8192


def test_eight_bit_states_take_a_quarter_and_scales() -> None:
    assert STATE_BYTES["adamw_8bit"] == pytest.approx(STATE_BYTES["adamw"] / 4, rel=0.02)


def test_the_cache_of_grouped_heads_is_that_of_the_real_model() -> None:
    model, shape = llama(4, 512, 8, 2), Transformer(4, 512, 8, 2, 1536, 512, gated=True)
    assert key_value_cache(shape, 1000, 1) == cache_bytes(model, 1000, torch.float16)
    assert key_value_cache(shape, 1000, 1, window=100) == cache_bytes(model, 100, torch.float16)


def test_parameters_of_a_shape_are_those_of_the_model() -> None:
    counted = sum(p.numel() for p in llama(4, 512, 8, 2).parameters())
    assert Transformer(4, 512, 8, 2, 1536, 2 * 512, gated=True).parameters == pytest.approx(counted, rel=0.01)

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from advisor.verify.caching import cached_elements
from advisor.verify.formulas import Transformer, key_value_cache

TOKENS = 1000


def _decoder(kind: str, **settings: Any) -> nn.Module:
    config = AutoConfig.for_model(kind, vocab_size=64, **settings)
    with torch.device("meta"):
        model: nn.Module = AutoModelForCausalLM.from_config(config).eval()
    return model


def test_keys_and_values_are_those_of_the_closed_form() -> None:
    settings = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 96}
    model = _decoder("llama", num_key_value_heads=2, **settings)
    shape = Transformer(layers=3, hidden=64, heads=4, key_heads=2, feed_forward=96, vocabulary=64, gated=True)
    assert cached_elements(model, TOKENS) == key_value_cache(shape, TOKENS, 1, itemsize=1)


def test_only_the_layers_with_a_window_forget() -> None:
    model = _decoder("gemma2", hidden_size=64, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
                     intermediate_size=96, sliding_window=100)  # fmt: skip
    assert cached_elements(model, TOKENS) == pytest.approx(2 * 2 * 16 * (2 * TOKENS + 2 * 100), abs=4)


def test_one_head_of_keys_for_all_queries_is_one() -> None:
    model = _decoder("falcon", hidden_size=64, num_hidden_layers=2, num_attention_heads=4, multi_query=True)
    assert cached_elements(model, TOKENS) == 2 * 2 * 16 * TOKENS


def test_a_latent_is_what_multi_head_latent_attention_keeps() -> None:
    model = _decoder("deepseek_v3", hidden_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4, q_lora_rank=16,
                     kv_lora_rank=8, qk_rope_head_dim=4, qk_nope_head_dim=8, v_head_dim=8, intermediate_size=32, moe_intermediate_size=16,
                     n_routed_experts=4, first_k_dense_replace=2, num_experts_per_tok=2, n_group=2, topk_group=1)  # fmt: skip
    assert cached_elements(model, TOKENS) == 2 * (8 + 4) * TOKENS


def test_the_state_of_a_state_space_model_does_not_grow() -> None:
    model = _decoder("mamba", hidden_size=32, num_hidden_layers=2, state_size=8)
    assert cached_elements(model, TOKENS) == cached_elements(model, 10 * TOKENS) == 2 * (64 * 8 + 64 * 4)


def test_what_is_no_decoder_has_no_cache() -> None:
    assert cached_elements(nn.Linear(2, 2, device="meta"), TOKENS) is None

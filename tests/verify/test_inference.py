"""File sizes follow the formats' own arithmetic; a decoder's memory holds its cache."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from advisor.recipe import Compression
from advisor.verify.build import build_model
from advisor.verify.evidence import Job, Memory, Target
from advisor.verify.inference import cache_bytes, deployed_format, file_bytes, predict_inference_memory
from tests.verify.jobs import TINY_BERT, TINY_DECODER, bert_job, decoder_job, mlp_job, timm_job


def memory_of(job: Job) -> Memory:
    return predict_inference_memory(job, build_model(job, "meta"))


def test_a_linear_layer_takes_its_weights_scales_and_bias() -> None:
    sizes = file_bytes(nn.Linear(256, 128))
    count = 256 * 128
    assert sizes == {
        "fp32": 4 * (count + 128), "fp16": 2 * (count + 128), "int8": count + 4 * 128 + 4 * 128,
        "int4": count // 2 + 2 * count // 128 + 2 * 128, "nf4": count // 2 + count // 64 + 4 * count // 64 // 256 + 2 * 128,
    }  # fmt: skip


def test_the_fp32_file_is_what_torch_saves() -> None:
    model = build_model(timm_job("resnet18", 64), "cpu")
    counters = 8 * sum("num_batches_tracked" in name for name in model.state_dict())
    saved = sum(tensor.nbytes for tensor in model.state_dict().values())
    assert file_bytes(model)["fp32"] == saved - counters // 2  # BatchNorm's counters are int64


def test_shared_weights_count_once_and_embeddings_stay_whole() -> None:
    tied = build_model(decoder_job({**TINY_DECODER, "tie_word_embeddings": True}), "meta")
    sizes = file_bytes(tied)
    embeddings = 200 * 64
    assert sizes["fp32"] == 4 * sum(parameter.numel() for parameter in tied.parameters())
    assert sizes["int8"] > 4 * embeddings


@pytest.mark.parametrize(("quantization", "expected"), [("none", "fp32"), ("bf16", "fp16"), ("int8-dynamic", "int8"),
                                                        ("int4-weight-only", "int4"), ("nf4", "nf4")])  # fmt: skip
def test_the_deployed_format_is_the_recipes_quantization(quantization: str, expected: str) -> None:
    job = mlp_job(compression=Compression.model_validate({"quantization": quantization}))
    assert deployed_format(job) == expected


def test_the_cache_holds_keys_and_values_of_every_layer() -> None:
    model = build_model(decoder_job(TINY_DECODER), "meta")
    assert cache_bytes(model, 32, torch.float16) == 2 * 2 * 2 * 16 * 32 * 2
    assert cache_bytes(build_model(mlp_job(), "meta"), 32, torch.float16) == 0


def test_a_classifier_takes_weights_activations_and_context() -> None:
    job = bert_job(TINY_BERT).model_copy(update={"target": Target(kind="gpu", memory_gib=8.0)})
    memory = memory_of(job)
    assert memory.categories["weights"] == file_bytes(build_model(job, "meta"))["fp32"]
    assert memory.categories["activations"] > 0
    assert sum(memory.categories.values()) == memory.total
    assert memory.low < memory.total < memory.high
    assert "context" not in memory_of(bert_job(TINY_BERT)).categories


def test_a_decoder_keeps_its_cache_and_one_row_of_logits() -> None:
    memory = memory_of(decoder_job({**TINY_DECODER, "vocab_size": 100_000}))
    assert memory.categories["kv_cache"] == 2 * 2 * 2 * 16 * 32 * 4
    assert memory.categories["activations"] < 4 * 32 * 100_000

"""A trace with repeated blocks is the trace of all blocks, event by event; and blocks that do other things than their like are run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from advisor.recipe import LoraSettings
from advisor.verify import memory
from advisor.verify.blocks import find_blocks
from advisor.verify.build import apply_adaptation, build_model, set_training_mode
from advisor.verify.evidence import Job, Target
from advisor.verify.loop import ZeroGrad, checkpoint_activations
from advisor.verify.places import Place, watched
from advisor.verify.repeated import Unlike
from advisor.verify.trace import Trace
from advisor.verify.workload import Workload, workload_of
from tests.verify.jobs import TINY_BERT, TINY_DECODER, bert_job, decoder_job, make_recipe, timm_job

GPU = Target(kind="gpu", memory_gib=24.0, compute_capability="8.6")
DEEP = {"num_hidden_layers": 10}
GPT2 = {"model_type": "gpt2", "n_embd": 64, "n_layer": 10, "n_head": 4, "vocab_size": 200}
LORA: dict[str, Any] = {"model": {"adaptation": "lora"}, "lora": LoraSettings(rank=4, alpha=8)}
QLORA: dict[str, Any] = {"model": {"adaptation": "qlora"}, "lora": LoraSettings(rank=4, alpha=8, base_precision="nf4")}


def traced(job: Job, *, is_repeating: bool, zero_grad: ZeroGrad = "before_forward") -> Trace:
    model = set_training_mode(apply_adaptation(build_model(job, "meta"), job.recipe), job.recipe)
    if job.recipe.activation_checkpointing:
        checkpoint_activations(model)
    return memory._trace(model, workload_of(job), job.recipe, GPU, (), zero_grad, is_repeating=is_repeating)[0]


JOBS = {
    "bert": bert_job({**TINY_BERT, **DEEP}),
    "bert in bf16": bert_job({**TINY_BERT, **DEEP}, precision="bf16"),
    "bert, accumulated": bert_job({**TINY_BERT, **DEEP}, batch={"per_device": 2, "accumulation": 4, "effective": 8}),
    "bert, checkpointed": bert_job({**TINY_BERT, **DEEP}, precision="bf16", activation_checkpointing=True),
    "bert with adapters": bert_job({**TINY_BERT, **DEEP}, precision="bf16", **LORA),
    "bert, 8-bit states": bert_job({**TINY_BERT, **DEEP}, optimizer={"name": "adamw_8bit", "learning_rate": 1e-4}),
    "bert, layer-wise decay": bert_job(
        {**TINY_BERT, **DEEP},
        optimizer={"name": "adamw", "learning_rate": 1e-4, "parameter_groups": [{"name": "layer_decay", "learning_rate_scale": 0.9}]},
    ),
    "bert, frozen": bert_job({**TINY_BERT, **DEEP}, model={"adaptation": "linear_probe"}),
    "bert, clipped and averaged": bert_job({**TINY_BERT, **DEEP}, gradient_clip_norm=1.0, ema=0.99),
    "llama": decoder_job({**TINY_DECODER, **DEEP}, precision="bf16"),
    "llama, quantized, checkpointed": decoder_job({**TINY_DECODER, **DEEP}, precision="bf16", activation_checkpointing=True, **QLORA),
    "gpt2": decoder_job(GPT2, precision="bf16"),
    "vit": timm_job("vit_tiny_patch16_224", 224, batch={"per_device": 2, "effective": 2}, precision="bf16"),
    "resnet": timm_job("resnet50", 64),
    "convnext": timm_job("convnext_atto", 64),  # the gradient that enters the last block of a stage is a view, as no other's is
    "eva": timm_job("eva02_tiny_patch14_224", 224),  # biases of query and value are joined, and get parts of one gradient
}


@pytest.mark.parametrize("name", JOBS)
def test_repeated_blocks_give_the_events_of_all_blocks(name: str) -> None:
    whole, repeated = traced(JOBS[name], is_repeating=False), traced(JOBS[name], is_repeating=True)
    assert vars(repeated) == vars(whole)


@pytest.mark.parametrize("zero_grad", ["before_backward", "after_step"])
def test_the_place_of_zero_grad_makes_no_difference(zero_grad: ZeroGrad) -> None:
    whole, repeated = (traced(JOBS["bert"], is_repeating=repeats, zero_grad=zero_grad) for repeats in (False, True))
    assert vars(repeated) == vars(whole)


class Layer(nn.Module):
    runs = 0
    odd: nn.Module | None = None  # one that differs, and cannot be told from the others

    def __init__(self, layer_idx: int, odd_one: int | None) -> None:
        super().__init__()
        self.layer_idx, self.odd_one = layer_idx, odd_one
        self.norm, self.up, self.down = nn.LayerNorm(8), nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: Tensor) -> Tensor:
        type(self).runs += 1
        out = self.down(torch.relu(self.up(self.norm(x))))
        is_odd = self is self.odd or (self.odd_one is not None and self.layer_idx == self.odd_one)
        return x + (torch.tanh(out) if is_odd else out)


class Stack(nn.Module):
    def __init__(self, odd_one: int | None = None, depth: int = 12) -> None:
        super().__init__()
        self.embedding = nn.Linear(4, 8)
        self.layers = nn.ModuleList(Layer(i, odd_one) for i in range(depth))
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embedding(x)
        for layer in self.layers:
            x = layer(x)
        out: Tensor = self.head(x)
        return out


WORKLOAD = Workload(
    batch=lambda size: {"x": torch.empty(size, 4, device="meta")},
    forward=lambda model, batch: model(batch["x"]),
    loss=lambda outputs, batch: outputs.sum(),
)


def stacked(odd_one: int | None, *, is_repeating: bool) -> Trace:
    with torch.device("meta"):
        model = Stack(odd_one)
    return memory._trace(model, WORKLOAD, make_recipe({"kind": "series"}), GPU, (), "before_forward", is_repeating=is_repeating)[0]


def test_two_blocks_at_either_end_are_run_and_all_others_repeated() -> None:
    Layer.runs = 0
    repeated = stacked(None, is_repeating=True)
    assert Layer.runs == 4
    assert vars(repeated) == vars(stacked(None, is_repeating=False))


@pytest.mark.parametrize("odd_one", [0, 1, 5, 11])
def test_blocks_that_look_at_their_number_are_all_run(odd_one: int) -> None:
    Layer.runs = 0
    repeated = stacked(odd_one, is_repeating=True)
    assert Layer.runs == 2 * 12
    assert vars(repeated) == vars(stacked(odd_one, is_repeating=False))


@pytest.mark.parametrize("use", [
    lambda place: place == 3, lambda place: place > 2, lambda place: place % 2, lambda place: 7 - place, bool, hash, int, float, str,
    lambda place: [0, 1, 2, 3][place], lambda place: {3: 1}[place], lambda place: f"{place:02}", lambda place: torch.arange(4)[place],
    lambda place: place.bit_length(),
])  # fmt: skip
def test_a_number_that_is_looked_at_says_so_and_answers_as_itself(use: Callable[[Any], Any]) -> None:
    asked: list[int] = []
    assert use(Place(3, lambda: asked.append(1))) == use(3)
    assert asked


def test_a_number_that_is_handed_on_says_nothing() -> None:
    asked: list[int] = []
    place = Place(3, lambda: asked.append(1))
    assert isinstance(place, int)
    assert place is not None
    assert not asked


def test_numbers_are_as_before_once_a_trace_is_made() -> None:
    layer = Layer(3, None)
    with watched(layer, lambda: None):
        assert type(layer.layer_idx) is Place
    assert type(layer.layer_idx) is int


def test_a_trace_that_could_not_be_repeated_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.device("meta"):
        model = Stack()
    recipe = make_recipe({"kind": "series"})
    monkeypatch.setattr(Layer, "odd", model.layers[11])
    with pytest.raises(Unlike):
        memory._trace(model, WORKLOAD, recipe, GPU, (), "before_forward", is_repeating=True)
    trace, _ = memory.trace_model(model, WORKLOAD, recipe, GPU)
    monkeypatch.setattr(Layer, "odd", None)
    assert vars(trace) == vars(stacked(11, is_repeating=False))


def test_blocks_are_told_apart_by_their_settings() -> None:
    model = Stack()
    assert [block.count for block in find_blocks(model)] == [12] * 12
    model.layers[3].up.requires_grad_(False)
    model.layers[4].norm.eps = 1e-3
    assert sorted(block.count for block in find_blocks(model)) == [1, 1, *[10] * 10]


def test_blocks_that_share_weights_are_left_alone() -> None:
    model = Stack()
    model.layers[3].up.weight = model.layers[5].up.weight
    assert len(find_blocks(model)) == 10

"""`advisor.estimate`: real models in the sandbox; what they take, what fits, and clear words for what makes no sense."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import advisor
from advisor.errors import UsageError
from advisor.estimating.answer import Estimate
from advisor.estimating.devices import find_device
from advisor.verify.verifier import Verifier

FACTORY = """
import torch
from torch import nn

def tiny(width=16):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, width), nn.ReLU(), nn.Linear(width, 4))

def broken():
    raise ValueError("no such checkpoint")

def number():
    return 3

def leaves():
    raise SystemExit(3)

class Repeated(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        for _ in range(2 + int(x.abs().max() > 0)):
            x = self.layer(x)
        return x

class Undecided(nn.Module):
    def __init__(self, bound):
        super().__init__()
        self.layer = nn.Linear(8, 8)
        self.bound = bound

    def forward(self, x):
        return self.layer(x[x > self.bound].view(-1, 8))

def undecided():
    return Undecided(-100.0)  # random numbers are all above

def never():
    return Undecided(0.0)
"""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verifier]:
    folder: Path = tmp_path_factory.mktemp("factories")
    (folder / "my_models.py").write_text(FACTORY, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        with Verifier() as verifier:
            verifier.prepare(("timm", "torchvision", "transformers"))
            yield verifier


@pytest.fixture
def ask(sandbox: Verifier) -> Any:
    def asked(model: str, **options: Any) -> Estimate:
        return advisor.estimate(model, verifier=sandbox, **options)

    return asked


def test_a_network_is_counted_priced_and_timed(ask: Any) -> None:
    answer = ask("resnet18", on="RTX 4090", batch=32, samples=50_000, precision="bf16")
    assert answer.parameters == 11_689_512
    assert answer.flops_forward == pytest.approx(2 * 1.82e9, rel=0.01)  # torchvision publishes 1.81 GMACs
    assert 1.8 < answer.flops_backward / answer.flops_forward < 2
    memory = answer.training_memory
    assert memory.low <= memory.total <= memory.high
    assert sum(memory.categories.values()) == memory.total
    assert answer.fits
    for time in (answer.step_time, answer.throughput, answer.training_time, answer.energy, answer.latency):
        assert time.low < time.value < time.high
    assert answer.file_bytes["fp16"] == pytest.approx(2 * answer.parameters, rel=0.001)


def test_the_largest_batch_fits_and_a_tenth_more_does_not_fit_at_ease(ask: Any) -> None:
    answer = ask("resnet18", on="T4", batch=8)
    assert answer.largest_batch > 8
    assert ask("resnet18", on="T4", batch=answer.largest_batch).fits
    more = ask("resnet18", on="T4", batch=int(1.1 * answer.largest_batch))
    assert not more.fits or any("given back" in note for note in more.training_memory.notes)


def test_a_decoder_tells_memory_by_context(ask: Any) -> None:
    answer = ask("Qwen/Qwen3-0.6B", on="M2 Max", inference=True, precision="int8")
    assert answer.training_memory is None
    assert [context.tokens for context in answer.contexts] == [2048, 8192, 32768]
    assert all(b.kv_cache == 4 * a.kv_cache < b.total for a, b in itertools.pairwise(answer.contexts))
    assert answer.contexts[0].kv_cache == 2 * 28 * 8 * 128 * 2048 * 2


def test_quantized_adapters_train_little_and_store_less(ask: Any) -> None:
    full = ask("Qwen/Qwen3-0.6B", precision="bf16", batch=2, sequence_length=128)
    light = ask("Qwen/Qwen3-0.6B", precision="nf4", lora_rank=16, batch=2, sequence_length=128)
    assert light.trainable_parameters < 0.03 * light.parameters
    assert light.training_memory.total < 0.5 * full.training_memory.total
    assert light.flops_backward < 0.7 * full.flops_backward


def test_sharded_training_needs_less_on_each_device(ask: Any) -> None:
    ddp, zero1, fsdp = (ask("bert-base-uncased", on="8xA100-80G", batch=8, sharding=sharding).training_memory
                        for sharding in ("ddp", "zero1", "fsdp"))  # fmt: skip
    assert zero1.categories["optimizer_state"] == pytest.approx(ddp.categories["optimizer_state"] / 8, rel=0.01)
    assert fsdp.categories["weights"] == pytest.approx(ddp.categories["weights"] / 8, rel=0.01)
    assert fsdp.total < zero1.total < ddp.total


def test_a_factory_of_ones_own_runs_in_the_sandbox(ask: Any) -> None:
    answer = ask("python:my_models:tiny", inputs=["3x8x8"], config={"width": 32}, batch=4)
    assert answer.parameters == 192 * 32 + 32 + 32 * 4 + 4
    assert answer.flops_forward == 2 * (192 * 32 + 32 * 4)
    with pytest.raises(ModuleNotFoundError):
        __import__("my_models")


def test_a_model_that_decides_by_values_is_answered_more_widely_and_says_why(ask: Any) -> None:
    answer = ask("python:my_models:undecided", inputs=["8"], batch=64, on="RTX 4090")
    assert answer.flops_forward == 2 * 8 * 8
    assert any("decides by the values" in warning and "wider" in warning for warning in answer.warnings)
    memory = answer.training_memory
    assert memory.low < memory.total < memory.high
    assert answer.step_time.low < answer.step_time.value < answer.step_time.high


def test_a_loop_that_values_decide_the_length_of_is_counted_as_it_runs(ask: Any) -> None:
    answer = ask("python:my_models:Repeated", inputs=["8"])
    assert answer.flops_forward == 3 * 2 * 8 * 8
    assert any("decides by the values" in warning for warning in answer.warnings)
    memory = answer.training_memory
    assert memory.low < 0.6 * memory.total < memory.total < 0.6 * memory.high  # the context alone: 0.13 to 0.62 GiB


def test_settings_of_the_model_are_heeded(ask: Any) -> None:
    assert ask("resnet18").parameters - ask("resnet18", config={"num_classes": 10}).parameters == 990 * 513
    assert ask("torchvision:r3d_18", sequence_length=8, image_size=112).flops_forward == pytest.approx(2 * 20.3e9, rel=0.02)


def test_devices_that_train_together_take_their_time_to_talk(ask: Any) -> None:
    """ResNet-18 at batch 1: 94 MB of gradients over PCIe take longer than the step itself."""
    alone, together = (ask("resnet18", on=on) for on in ("RTX 4090", "4x RTX 4090"))
    assert alone.communication_share is None
    assert together.communication_share.value > 50
    assert together.step_time.value > 1.5 * alone.step_time.value


def test_a_precision_that_the_device_lacks_is_said(ask: Any) -> None:
    assert any("no rate in bf16" in warning for warning in ask("resnet18", on="T4", precision="bf16").warnings)


def test_more_adapters_than_model_is_said(ask: Any) -> None:
    answer = ask("Qwen/Qwen3-0.6B", config={"num_hidden_layers": 1}, lora_rank=9999, sequence_length=32)
    assert any("train it in full" in warning for warning in answer.warnings)
    assert "not known" not in answer.training_memory.peak_at


def test_an_optimizer_is_known_in_any_case(ask: Any) -> None:
    assert ask("resnet18", optimizer="AdamW").training_memory.total == ask("resnet18").training_memory.total


def test_a_known_card_has_a_tight_interval_and_an_unknown_one_a_wider(ask: Any) -> None:
    widths = {name: (time := ask("resnet18", on=name, batch=256, precision="bf16").step_time).high / time.low
              for name in ("RTX 3090", "RTX 3080", "RX 7900 XTX")}  # fmt: skip
    assert widths["RTX 3090"] < 2.5 < widths["RX 7900 XTX"]
    assert widths["RTX 3090"] < widths["RTX 3080"] < widths["RX 7900 XTX"] < 8


def test_a_published_training_throughput_lies_in_the_interval(ask: Any) -> None:
    """timm trains vit_small_patch16_224 at 1,053 images/s on an RTX 3090 (benchmark-train-amp-nchw-pt112, batch 384)."""
    answer = ask("timm:vit_small_patch16_224", on="RTX 3090", batch=384, precision="fp16", optimizer="sgd_momentum")
    assert answer.throughput.low < 1052.92 < answer.throughput.high


@pytest.mark.parametrize(("model", "options", "words"), [
    ("resnet51", {}, "no model 'resnet51'; did you mean 'resnet51q'"),
    ("transformers:LlamaForCausalLN", {}, "did you mean 'LlamaForCausalLM'"),
    ("resnet18", {"library": "timn"}, "no library 'timn'; did you mean 'timm'"),
    ("resnet18", {"on": "RTX 4091"}, "nearest is 'NVIDIA GeForce RTX 4090'"),
    ("resnet18", {"optimizer": "adamx"}, "did you mean 'adamax'"),
    ("resnet18", {"batch": 0}, "--batch 0"),
    ("resnet18", {"lora_rank": 8}, "no linear layers"),
    ("resnet18", {"precision": "nf4"}, "add --lora r=16"),
    ("resnet18", {"sharding": "fsdp"}, "add --devices 2"),
    ("resnet18", {"sequence_length": 8}, "takes no sequence"),
    ("resnet18", {"bach": 8}, "did you mean 'batch'"),
    ("resnet18", {"inference": True, "checkpointing": True}, "--inference asks for the use alone"),
    ("resnet18", {"inference": True, "lora_rank": 8}, "--lora: says how to train"),
    ("resnet18", {"samples": 1000}, "name it with --on"),
    ("resnet18", {"on": "4x RTX 4090", "devices": 2}, "says 4; leave one of them out"),
    ("resnet18", {"inputs": ["3x64x64"], "image_size": 64}, "--input says already"),
    ("resnet18", {"inputs": ["1x28x28"]}, "does not take --input 1x28x28"),
    ("resnet18", {"image_size": 16}, "use --batch 2 or a larger image"),
    ("Qwen/Qwen3-0.6B", {"config": {"hiden_size": 512}}, "did you mean 'hidden_size'"),
    ("python:my_models:tiny", {"inputs": ["3x8x8"], "config": {"widht": 32}}, "unexpected keyword argument 'widht'"),
    ("python:my_models:leaves", {"inputs": ["8"]}, "raises SystemExit: 3"),
    ("bert-base-uncased", {"sequence_length": 1000}, "longer than google-bert/bert-base-uncased's 512 positions"),
    ("bert-base-uncased", {"image_size": 224}, "takes no images"),
    ("torchvision:vgg11", {"image_size": 8}, "does not take an image of 8 pixels"),
    ("python:my_models:tiny", {}, "say what one sample is"),
    ("python:my_models:tiny", {"inputs": ["3x8x9"]}, "does not take"),
    ("python:my_models:tiny", {"inputs": ["three"]}, "is not understood"),
    ("python:my_models:tinny", {"inputs": ["3x8x8"]}, "has no 'tinny'; did you mean 'tiny'"),
    ("python:my_models:broken", {"inputs": ["3x8x8"]}, "raises ValueError: no such checkpoint"),
    ("python:my_models:number", {"inputs": ["3x8x8"]}, "returns a int, not a torch.nn.Module"),
    ("python:my_models:never", {"inputs": ["999"]}, "does not take"),
    ("python:no_such_module:f", {"inputs": ["8"]}, "cannot be imported"),
])  # fmt: skip
def test_what_makes_no_sense_is_said_with_the_way_out(ask: Any, model: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as raised:
        ask(model, **options)
    assert words in str(raised.value)


@pytest.mark.parametrize(("said", "id_", "count", "memory"), [
    ("RTX 4090", "rtx-4090", 1, 24), ("4090 24GB", "rtx-4090", 1, 24), ("A100", "a100-sxm4-40gb", 1, 40),
    ("8xA100-80G", "a100-sxm4-80gb", 8, 80), ("M2 Max", "apple-m2-max", 1, 32), ("Pi 5", "raspberry-pi-5", 1, 4),
])  # fmt: skip
def test_devices_go_by_the_names_that_people_use(said: str, id_: str, count: int, memory: float) -> None:
    chosen = find_device(said)
    assert (chosen.entry.id, chosen.count, chosen.memory_gib) == (id_, count, memory)


@pytest.mark.parametrize(("model", "sample"), [
    ("torchvision:r3d_18", "16 frames of 224 x 224 pixels"),
    ("torchvision:keypointrcnn_resnet50_fpn", "800 x 800 pixels"),
    ("unet3d_small", "128 x 128 x 128 voxels"),
    ("ds_cnn_small", "1 seconds of sound"),
    ("lstm_classifier", "128 time steps of 9 features"),
    ("gcn_graph", "a graph of 26 nodes"),
    ("sac", "an observation of 17 features"),
    ("convolution_autoencoder", "100 time steps of 38 features"),
    ("moco_v2_resnet18", "224 x 224 pixels"),
])  # fmt: skip
def test_every_task_has_a_usual_sample(ask: Any, model: str, sample: str) -> None:
    answer = ask(model, batch=2)
    assert answer.sample == sample
    assert answer.training_memory.low <= answer.training_memory.total <= answer.training_memory.high


@pytest.mark.slow
@pytest.mark.parametrize(("model", "sample"), [
    ("openai/clip-vit-base-patch16", "224 x 224 pixels and 77 tokens"),
    ("microsoft/git-base", "224 x 224 pixels and 32 tokens"),
    ("facebook/wav2vec2-base", "30 seconds of sound"),
    ("openai/whisper-tiny", "30 seconds of sound"),
    ("cross-encoder/ms-marco-MiniLM-L6-v2", "512 tokens"),
    ("longformer", "512 tokens"),
    ("sam", "pixel_values=3x1024x1024"),
])  # fmt: skip
def test_every_task_of_transformers_has_a_usual_sample(ask: Any, model: str, sample: str) -> None:
    answer = ask(model, batch=1)
    assert answer.sample == sample
    assert (answer.flops_per_token is None) == ("tokens" not in answer.sample or "pixels" in answer.sample)


def test_a_network_that_takes_two_pictures_wants_to_be_told_so(ask: Any) -> None:
    with pytest.raises(UsageError, match="say what one sample is: --input"):
        ask("torchvision:raft_small")


def test_a_class_without_positions_of_its_own_configuration_has_those_of_its_kind(ask: Any) -> None:
    with pytest.raises(UsageError, match="longer than openai-community/gpt2-xl's 1024 positions"):
        ask("openai-community/gpt2-xl", sequence_length=2048)


@pytest.mark.slow
def test_a_model_that_goes_token_by_token_is_estimated_in_pieces(ask: Any) -> None:
    settings = {"hidden_size": 64, "num_hidden_layers": 24, "state_size": 8, "vocab_size": 1000}
    in_pieces, whole = (
        ask("MambaForCausalLM", config=settings, sequence_length=length, batch=batch) for length, batch in ((512, 1), (32, 16))
    )
    assert "one by one" in " ".join(in_pieces.warnings)
    assert not whole.warnings
    assert in_pieces.flops_forward == 16 * whole.flops_forward
    assert in_pieces.training_memory.total == whole.training_memory.total
    assert in_pieces.training_memory.high > whole.training_memory.high


def test_a_picture_of_another_size_makes_another_network_of_torchvision(ask: Any) -> None:
    assert ask("torchvision:vit_b_16", image_size=384).parameters > ask("torchvision:vit_b_16").parameters
    with pytest.raises(UsageError, match="does not take an image of 200 pixels"):
        ask("torchvision:vit_b_16", image_size=200)


def test_adapters_beside_a_quantized_vision_transformer_are_priced(ask: Any) -> None:
    answer = ask("timm:vit_tiny_patch16_224", lora_rank=4, precision="nf4", batch=2)
    assert answer.trainable_parameters < answer.parameters
    assert answer.flops_backward > answer.flops_forward / 2


def test_a_sequence_that_is_described_as_an_input_has_the_models_limit_too(ask: Any) -> None:
    with pytest.raises(UsageError, match="longer than openai-community/gpt2-xl's 1024 positions"):
        ask("openai-community/gpt2-xl", inputs=["input_ids=int64:1025"])


def test_what_is_said_to_be_the_largest_batch_fits_and_one_more_does_not(ask: Any) -> None:
    options = {"on": "RTX 3060", "optimizer": "sgd"}
    largest = ask("torchvision:resnet18", batch=16, **options).largest_batch
    assert ask("torchvision:resnet18", batch=largest, **options).fits
    assert not ask("torchvision:resnet18", batch=largest + 1, **options).fits

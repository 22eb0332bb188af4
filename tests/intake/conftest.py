"""The fact vocabulary as it is shipped, and a few catalogue entries of the tests' own."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from advisor.catalogue.entries import DatasetEntry, DeviceEntry, ModelEntry, Sourced
from advisor.engine.vocabulary import FactSpec
from advisor.intake import Catalogue, Intake, read_facts
from advisor.located import parse_yaml
from advisor.request import Request
from advisor.resources import data_folder
from advisor.verify.evidence import Build

DAY = datetime.date(2026, 11, 1)


def _device(
    id_: str, name: str, kind: Any, memory: float | None, *aliases: str, capability: str | None = None, **tflops: float
) -> DeviceEntry:
    return DeviceEntry(
        id=id_,
        name=name,
        kind=kind,
        aliases=list(aliases),
        memory_gib=memory,
        compute_capability=capability,
        tflops=tflops,
        source="test",
        checked=DAY,
    )


DEVICES = (
    _device("v100-16gb", "V100 16GB", "gpu", 16, "V100", "Tesla V100", capability="7.0"),
    _device("v100-32gb", "V100 32GB", "gpu", 32, "V100 32GB", capability="7.0"),
    _device("a100-40gb", "A100 40GB", "gpu", 40, "A100", capability="8.0"),
    _device("a100-80gb", "A100 80GB", "gpu", 80, "A100 80GB", capability="8.0"),
    _device("h100", "H100", "gpu", 80, "H100 SXM", capability="9.0"),
    _device("a10g", "A10G", "gpu", 24, capability="8.6"),
    _device("t4", "T4", "gpu", 16, "Tesla T4", capability="7.5"),
    _device("rtx-3060-12gb", "RTX 3060 12GB", "gpu", 12, "RTX 3060", "3060", capability="8.6"),
    _device("rtx-3090", "RTX 3090", "gpu", 24, "3090", capability="8.6"),
    _device("rtx-4090", "RTX 4090", "gpu", 24, "4090", capability="8.9"),
    _device("tpu-v4", "TPU v4", "tpu", 32, bf16=275),
    _device("tpu-v5e", "TPU v5e", "tpu", 16, bf16=197),
    _device("tpu-v5p", "TPU v5p", "tpu", 95, bf16=459),
    _device("apple-m2", "Apple M2", "apple", 24, "M2", fp16=7),
    _device("apple-m2-max", "Apple M2 Max", "apple", 96, "M2 Max", fp16=27),
    _device("jetson-orin-nano", "Jetson Orin Nano", "edge", 8, "Orin Nano", capability="8.7"),
    _device("raspberry-pi-5", "Raspberry Pi 5", "edge", 8, "Pi 5"),
    _device("laptop-cpu", "Laptop CPU", "cpu", 16, "laptop"),
)


def _model(id_: str, name: str, line: str, parameters: float, *aliases: str, pretrained: bool = True) -> ModelEntry:
    return ModelEntry(
        id=id_, name=name, family="transformer", line=line, tasks=["text_classification"], tier="default",
        build=Build(library="timm", factory="create_model"),
        source="none", pretrained=pretrained, license="apache-2.0", license_class="permissive",
        parameters=Sourced(value=parameters, source="test", checked=DAY), aliases=list(aliases),
    )  # fmt: skip


MODELS = (
    _model("resnet50.a1_in1k", "ResNet-50", "resnet", 25.6e6, "resnet50"),
    _model("google-bert/bert-base-uncased", "BERT base", "bert", 110e6, "bert-base"),
    _model("meta-llama/Llama-3.1-8B", "Llama 3.1 8B", "llama", 8.03e9),
    _model("openai-community/gpt2", "GPT-2", "gpt2", 124e6),
    _model("gru-classifier", "GRU classifier", "gru", 1e6, pretrained=False),
)


def _dataset(id_: str, name: str, task: str, samples: int, classes: int | None = None, *aliases: str) -> DatasetEntry:
    return DatasetEntry(id=id_, name=name, task=task, samples=samples, classes=classes, aliases=list(aliases), source="test", checked=DAY)


DATASETS = (
    _dataset("cifar-10", "CIFAR-10", "image_classification", 50_000, 10),
    _dataset("imagenet-1k", "ImageNet-1k", "image_classification", 1_281_167, 1000, "ImageNet"),
    _dataset("coco", "COCO", "object_detection", 118_287, 80),
    _dataset("coco-captions", "COCO Captions", "image_captioning", 113_287),
    _dataset("mnli", "MultiNLI", "text_pair_classification", 392_702, 3, "MNLI"),
    _dataset("openwebtext", "OpenWebText", "text_generation", 8_013_769),
)

Reader = Callable[..., Intake]


@pytest.fixture(scope="session")
def vocabulary() -> Mapping[str, FactSpec]:
    document = parse_yaml((data_folder("rules") / "facts.yaml").read_text(encoding="utf-8"), "facts.yaml")
    assert not document.faults
    return {name: FactSpec.model_validate({**entry, "name": name}) for name, entry in document.data.items()}


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return Catalogue({entry.id: entry for entry in DEVICES}, {entry.id: entry for entry in MODELS}, {entry.id: entry for entry in DATASETS})


@pytest.fixture(scope="session")
def intake(vocabulary: Mapping[str, FactSpec], catalogue: Catalogue) -> Reader:
    """Reads a request given as its sections: `intake(data={"size": "5,000 images"})`; the task is image classification unless said."""

    def read(task: dict[str, Any] | None = None, **sections: Any) -> Intake:
        request = Request.model_validate({"task": task or {"type": "classification", "domain": "CV"}, **sections})
        return read_facts(request, vocabulary, catalogue)

    return read

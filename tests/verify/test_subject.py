from __future__ import annotations

import pytest
import torch
import transformers

from advisor.verify.build import _untie
from advisor.verify.shapes import WithoutInitialization
from advisor.verify.subject import architectures, resolve


@pytest.mark.parametrize(("name", "library", "found"), [
    ("VGG16", "torchvision", "vgg16"),
    ("RegNetX-400MF", "torchvision", "regnet_x_400mf"),
    ("MobileNetV2", "torchvision", "mobilenet_v2"),
    ("ConvNeXtBase", "torchvision", "convnext_base"),
    ("Inception-V4", "timm", "inception_v4"),
    ("Qwen/Qwen3-4B-Instruct-2507", "transformers", "Qwen/Qwen3-4B"),
    ("EleutherAI/pythia-160m-deduped", "transformers", "EleutherAI/pythia-160m"),
    ("codet5p-220m", None, "Salesforce/codet5p-220m"),
])  # fmt: skip
def test_names_are_found_as_other_people_write_them(name: str, library: str | None, found: str) -> None:
    subject = resolve(name, library)
    assert found in (subject.name, subject.build.config.get("name"), subject.build.factory)


@pytest.mark.parametrize(("name", "positions"), [
    ("openai-community/gpt2-xl", 1024),  # its class's
    ("cerebras/Cerebras-GPT-111M", 2048),  # its configuration's
    ("bigscience/bloom-560m", None),  # ALiBi has no limit
])  # fmt: skip
def test_the_longest_sequence_is_the_configurations_or_its_classs(name: str, positions: int | None) -> None:
    assert resolve(name).positions == positions


@pytest.mark.slow
@pytest.mark.parametrize("name", architectures())
def test_a_published_configuration_has_the_published_number_of_parameters(name: str) -> None:
    entry = architectures()[name]
    settings = dict(entry["config"])
    config = transformers.AutoConfig.for_model(settings.pop("model_type"), **settings)
    with torch.device("meta"), WithoutInitialization():
        model = getattr(transformers, entry["factory"]).from_config(config)
        if settings.get("tie_word_embeddings") is False:
            _untie(model)
    assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(float(entry["parameters"]), rel=2e-3)

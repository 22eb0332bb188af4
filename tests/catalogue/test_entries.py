"""The shipped entries agree with each other, with the fact vocabulary, and with what is true of every entry."""

from __future__ import annotations

import re

import pytest

from advisor.catalogue import datasets, devices, models
from advisor.catalogue.entries import DeviceEntry
from advisor.engine.loading import load_vocabulary
from advisor.intake.names import NameIndex

CLASS_OF_LICENSE = {
    "apache-2.0": "permissive", "mit": "permissive", "bsd-3-clause": "permissive", "cc-by-4.0": "permissive",
    "llama2": "restricted", "llama3.1": "restricted", "llama3.2": "restricted", "llama3.3": "restricted", "gemma": "restricted",
    "dinov3-license": "restricted", "fastvit-license": "restricted", "mobileone-license": "restricted", "cc-by-sa-3.0": "copyleft",
    "stabilityai-ai-community": "restricted",
    "qwen-research": "noncommercial", "cc-by-nc-4.0": "noncommercial", "nvidia-source-code-license": "noncommercial",
    "creativeml-openrail-m": "restricted", "openrail++": "restricted", "flux-1-dev-non-commercial-license": "noncommercial",
}  # fmt: skip
PROPOSED_TASKS = ["image_classification", "text_classification", "text_pair_classification", "instruction_tuning", "forecasting",
                  "tabular_classification", "tabular_regression"]  # fmt: skip
LESS_IS_BETTER = {"mae", "rmse", "mape", "mase", "wer", "cer", "perplexity"}
SOURCELESS = re.compile(r"^\W*$|/work|/tmp|\.csv$")


@pytest.mark.parametrize("entries", [models(), devices(), datasets()], ids=["models", "devices", "datasets"])
def test_every_name_leads_to_one_entry(entries: dict[str, DeviceEntry]) -> None:
    index = NameIndex(entries)
    astray = {name: index.exact(name) for entry in entries.values() for name in (entry.id, entry.name, *entry.aliases)
              if index.exact(name) != (entry.id,)}  # fmt: skip
    assert not astray


@pytest.mark.parametrize(
    ("written", "device"),
    [
        ("3060", "rtx-3060-12gb"), ("RTX3060", "rtx-3060-12gb"), ("4090 24GB", "rtx-4090"), ("A100-80G", "a100-sxm4-80gb"),
        ("A100", "a100-sxm4-40gb"), ("Pi 5", "raspberry-pi-5"), ("M2 Max", "apple-m2-max"), ("Titan RTX", "titan-rtx"),
        ("NVIDIA GeForce RTX 4060 Ti", "rtx-4060-ti-8gb"), ("Tesla V100-SXM2-32GB", "v100-sxm2-32gb"),
        ("NVIDIA H100 80GB HBM3", "h100-sxm"), ("GTX 1080 Ti", "gtx-1080-ti"),
    ],
)  # fmt: skip
def test_what_people_and_drivers_write_names_a_device(written: str, device: str) -> None:
    assert NameIndex(devices()).exact(written) == (device,)


@pytest.mark.parametrize(
    ("written", "model"),
    [
        ("ResNet-50", "resnet50.a1_in1k"), ("resnet50", "resnet50.a1_in1k"), ("BERT base", "google-bert/bert-base-uncased"),
        ("bert-base-cased", "google-bert/bert-base-cased"),
        ("Llama 3.1 8B", "meta-llama/Llama-3.1-8B"), ("llama-3-8b", "meta-llama/Llama-3.1-8B"),
        ("ViT-B/16", "vit_base_patch16_224.augreg_in21k_ft_in1k"), ("microsoft/deberta-v3-large", "microsoft/deberta-v3-large"),
        ("gpt2", "openai-community/gpt2"), ("LSTM", "lstm_forecaster"), ("TabICL", "tabicl"),
    ],
)  # fmt: skip
def test_what_people_write_names_a_model(written: str, model: str) -> None:
    assert NameIndex(models()).exact(written) == (model,)


def test_a_licence_is_classed_alike_everywhere() -> None:
    assert {entry.id: entry.license_class for entry in models().values()} == {
        entry.id: CLASS_OF_LICENSE[entry.license] for entry in models().values()
    }


def test_tasks_are_those_of_the_vocabulary() -> None:
    kinds = set(load_vocabulary()["task.kind"].values)
    assert {task for entry in models().values() for task in entry.tasks} | {entry.task for entry in datasets().values()} <= kinds


@pytest.mark.parametrize("task", PROPOSED_TASKS)
def test_a_task_that_is_designed_for_has_a_light_and_a_default_model_free_for_all(task: str) -> None:
    free = {entry.tier for entry in models().values() if task in entry.tasks and entry.license_class == "permissive"}
    assert {"edge", "default"} <= free


def test_a_weightless_model_is_not_called_pretrained() -> None:
    assert all((entry.source == "none") == (not entry.pretrained) for entry in models().values())


def test_scores_name_a_known_benchmark_and_are_fractions() -> None:
    for entry in models().values():
        for score in entry.scores:
            assert score.benchmark in datasets(), (entry.id, score.benchmark)
            assert 0 < score.value <= 1 or score.metric.endswith(("perplexity", "fid")), (entry.id, score)


def test_a_ceiling_can_be_held_against_an_accuracy_target() -> None:
    metrics = set(load_vocabulary()["limit.accuracy_metric"].values) - LESS_IS_BETTER
    for entry in datasets().values():
        for ceiling in entry.ceilings:
            assert ceiling.metric in metrics and 0 < ceiling.value < 1, (entry.id, ceiling)
        assert len({ceiling.metric for ceiling in entry.ceilings}) == len(entry.ceilings)


def test_no_model_here_beats_the_ceiling_of_its_benchmark() -> None:
    ceilings = {(entry.id, ceiling.metric): ceiling.value for entry in datasets().values() for ceiling in entry.ceilings}
    for entry in models().values():
        for score in entry.scores:
            assert score.value <= ceilings.get((score.benchmark, score.metric), 1e9), (entry.id, score)


def test_every_figure_names_a_source_that_others_can_look_up() -> None:
    figures = [figure for entry in models().values() for figure in (entry.parameters, entry.gmacs, *entry.scores) if figure]
    sources = [figure.source for figure in figures] + [entry.source for entry in (*devices().values(), *datasets().values())]
    assert not [source for source in sources if SOURCELESS.search(source)]


def test_a_device_is_no_slower_at_a_shorter_format() -> None:
    for device in devices().values():
        peaks = [device.tflops[name] for name in ("fp32", "tf32", "fp16", "fp8") if name in device.tflops]  # type: ignore[index]
        assert peaks == sorted(peaks), device.id


def test_an_nvidia_device_says_what_it_can_compute() -> None:
    for device in devices().values():
        if device.name.startswith("NVIDIA"):
            assert device.compute_capability and re.fullmatch(r"\d+\.\d", device.compute_capability), device.id
            assert ("bf16" in device.tflops) == (float(device.compute_capability) >= 8.0), device.id
            assert ("fp8" in device.tflops) == (float(device.compute_capability) >= 8.9), device.id
        else:
            assert device.compute_capability is None, device.id


def test_no_count_of_parameters_is_from_memory() -> None:
    assert not [entry.id for entry in models().values() if "memory" in entry.parameters.source]

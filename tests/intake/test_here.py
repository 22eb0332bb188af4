"""`this machine` as the target is what is really there, and is said to be detected."""

from __future__ import annotations

import pytest

from advisor import catalogue
from advisor.engine.facts import Origin
from advisor.engine.loading import load_knowledge, rule_paths
from advisor.intake import read_facts
from advisor.intake.catalogue import load_catalogue
from advisor.intake.here import means_here, read_here
from advisor.reading import read_request
from advisor.verify.hardware import Gpu, Hardware, detect

DESCRIBED = {
    "task": {"type": "classification", "domain": "NLP", "specificTask": "ticket classification"},
    "data": {"size": "2,000 texts", "distribution": "5 categories", "labelAvailability": "fully-supervised"},
}


def here(*gpus: Gpu) -> tuple[str | None, str | None, int | None, float | None]:
    found = read_here(load_catalogue().device_names, catalogue.devices(), Hardware("EPYC", 2, 23.5, 20, gpus, gpu_reason="no driver"))
    return found.kind, found.device, found.devices, found.memory_gib


def test_a_machine_without_a_gpu_is_its_processor_and_memory() -> None:
    assert here() == ("cpu", None, 1, 23.5)


def test_gpus_are_found_in_the_catalogue_by_name_and_memory() -> None:
    card = Gpu("GPU-1", "NVIDIA GeForce RTX 3060", 12.0, 10.0, "8.6")
    assert here(card) == ("gpu", "rtx-3060-12gb", 1, 12.0)
    assert here(card, card) == ("multi_gpu", "rtx-3060-12gb", 2, 12.0)
    assert here(card, Gpu("GPU-2", "NVIDIA T400", 2.0, 2.0, "7.5")) == ("gpu", "rtx-3060-12gb", 1, 12.0)
    assert here(Gpu("GPU-3", "NVIDIA Never Sold 9", 31.0, 30.0, "99.0")) == ("gpu", None, 1, 31.0)


@pytest.mark.parametrize("said", ["this machine", "This computer", "on this machine", "localhost", "the local host"])
def test_what_means_this_machine(said: str) -> None:
    assert means_here(said)


@pytest.mark.parametrize("said", ["CPU", "this machine with 2 GPUs", "a machine", "one machine"])
def test_what_does_not(said: str) -> None:
    assert not means_here(said)


def test_the_facts_are_detected_and_the_report_says_what_was_found() -> None:
    knowledge = load_knowledge(rule_paths(()))
    intake = read_facts(read_request({**DESCRIBED, "constraints": {"computeResources": "this machine"}}), knowledge.vocabulary)
    assert intake.facts["compute.kind"].origin is Origin.DETECTED
    assert any(detect().cpu in notice.text for notice in intake.notices) or detect().gpus

"""Looking at the machine: what is there is reported, what is missing is a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from advisor.verify.hardware import GIB, detect

CARD = {"uuid": "GPU-1111-22", "name": "NVIDIA RTX 3060", "total": 12 * GIB, "free": 10 * GIB}


class Driver:
    """The module `pynvml` over a list of cards; a card that is an integer raises that error."""

    NVMLError = pynvml.NVMLError
    NVML_ERROR_GPU_IS_LOST = pynvml.NVML_ERROR_GPU_IS_LOST
    NVML_ERROR_LIBRARY_NOT_FOUND = pynvml.NVML_ERROR_LIBRARY_NOT_FOUND
    NVML_ERROR_DRIVER_NOT_LOADED = pynvml.NVML_ERROR_DRIVER_NOT_LOADED

    def __init__(self, cards: list[Any], init_error: int | None = None, users: list[int] | None = None) -> None:
        self.cards, self.init_error, self.users, self.is_open = cards, init_error, users or [], False

    def nvmlInit(self) -> None:
        if self.init_error is not None:
            raise pynvml.NVMLError(self.init_error)
        self.is_open = True

    def nvmlShutdown(self) -> None:
        self.is_open = False

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.12"

    def nvmlDeviceGetCount(self) -> int:
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:
        if isinstance(self.cards[index], int):
            raise pynvml.NVMLError(self.cards[index])
        return self.cards[index]

    def nvmlDeviceGetUUID(self, card: Any) -> str:
        return card["uuid"]

    def nvmlDeviceGetName(self, card: Any) -> str:
        return card["name"]

    def nvmlDeviceGetMemoryInfo(self, card: Any) -> Any:
        return SimpleNamespace(total=card["total"], free=card["free"])

    def nvmlDeviceGetCudaComputeCapability(self, card: Any) -> tuple[int, int]:
        return (8, 6)

    def nvmlDeviceGetUtilizationRates(self, card: Any) -> Any:
        if "busy" not in card:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return SimpleNamespace(gpu=card["busy"])

    def nvmlDeviceGetComputeRunningProcesses(self, card: Any) -> list[Any]:
        return [SimpleNamespace(pid=pid) for pid in self.users]


def test_a_card_is_described_with_its_memory_capability_and_users() -> None:
    driver = Driver([CARD], users=[os.getpid(), 2**30])
    found = detect(driver, {})
    (gpu,) = found.gpus
    assert (gpu.name, gpu.memory_gib, gpu.free_gib, gpu.compute_capability) == ("NVIDIA RTX 3060", 12.0, 10.0, "8.6")
    assert f"({os.getpid()})" in gpu.used_by[0]
    assert gpu.used_by[1] == f"process ({2**30})"
    assert found.gpu_reason is None
    assert not driver.is_open
    said = f"; NVIDIA RTX 3060 (10.0 of 12.0 GiB free, compute capability 8.6, used by {gpu.used_by[0]}, process ({2**30})); driver 580.12"
    assert found.summary.endswith(said)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "no NVIDIA driver is installed"),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "not loaded"),
        (pynvml.NVML_ERROR_UNKNOWN, "the NVIDIA driver answered"),
    ],
)
def test_a_driver_that_does_not_start_is_a_sentence(code: int, words: str) -> None:
    found = detect(Driver([CARD], init_error=code), {})
    assert not found.gpus
    assert words in (found.gpu_reason or "")


def test_a_driver_without_a_device_is_a_sentence() -> None:
    found = detect(Driver([]), {})
    assert found.gpu_reason == "the NVIDIA driver is there but finds no GPU"
    assert "no GPU (the NVIDIA driver is there but finds no GPU)" in found.summary
    assert found.driver == "580.12"


def test_a_lost_card_is_named_and_the_other_still_used() -> None:
    found = detect(Driver([pynvml.NVML_ERROR_GPU_IS_LOST, CARD]), {})
    assert len(found.gpus) == 1
    assert (found.gpu_reason or "").startswith("GPU 0: the GPU was lost")


def test_how_busy_a_card_is_counts_as_idle_where_the_driver_does_not_tell() -> None:
    assert [gpu.busy_percent for gpu in detect(Driver([{**CARD, "busy": 87}, CARD]), {}).gpus] == [87.0, 0.0]


def test_a_card_lost_while_it_is_asked_is_named() -> None:
    class Failing(Driver):
        def nvmlDeviceGetMemoryInfo(self, card: Any) -> Any:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)

    found = detect(Failing([CARD]), {})
    assert (found.gpus, found.driver) == ((), "580.12")
    assert (found.gpu_reason or "").startswith("GPU 0: the GPU was lost")


@pytest.mark.parametrize(("visible", "count"), [("0", 1), ("0,1", 2), ("GPU-1111", 2), ("GPU-2", 0), ("", 0), ("-1", 0)])
def test_hidden_cards_are_left_out(visible: str, count: int) -> None:
    found = detect(Driver([CARD, CARD]), {"CUDA_VISIBLE_DEVICES": visible})
    assert len(found.gpus) == count
    assert bool(found.gpu_reason) == (count == 0)


def test_this_machine_is_described_without_torch() -> None:
    code = (
        "import sys, time; from advisor.verify.hardware import detect; start = time.process_time(); found = detect();"
        "assert time.process_time() - start < 0.5; assert found.cpus > 0 and 0 < found.available_gib <= found.memory_gib;"
        "assert found.cpu and found.summary; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

"""What a run takes: its peak alone, and of a GPU all that the process holds."""

from __future__ import annotations

import sys

import pytest
import torch

from advisor.verify.measuring import PeakMemory

MIB = 2**20
GPU = torch.device("cuda")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process begin its peak anew")
def test_what_was_needed_before_a_restart_is_no_part_of_the_peak() -> None:
    memory = PeakMemory(torch.device("cpu"))
    built = torch.ones(100 * MIB)  # 400 MiB, above what the allocator keeps for itself
    assert memory.bytes() > 390 * MIB
    kept = built[: 25 * MIB].clone()
    del built
    memory.restart()
    assert 90 * MIB < memory.bytes() < 300 * MIB, kept.shape
    assert memory.device_bytes(1e9) is None


def test_a_gpu_holds_segments_and_a_context_beside_what_is_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    restarted = []
    monkeypatch.setattr("torch.cuda.empty_cache", lambda: restarted.append("cache"))
    monkeypatch.setattr("torch.cuda.reset_peak_memory_stats", lambda device: restarted.append("peak"))
    monkeypatch.setattr("torch.cuda.max_memory_allocated", lambda device: 900 * MIB)
    monkeypatch.setattr("torch.cuda.max_memory_reserved", lambda device: 1000 * MIB)
    monkeypatch.setattr("torch.cuda.memory_reserved", lambda device: 800 * MIB)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (3000 * MIB, 8000 * MIB))
    memory = PeakMemory(GPU)
    assert restarted == ["cache", "peak"]
    assert memory.bytes() == 900 * MIB
    assert memory.device_bytes(free_before=4100 * MIB) == 1300 * MIB, "of 1100 MiB that are gone 800 are segments: 300 are the context"
    assert memory.device_bytes(free_before=3000 * MIB) == 1000 * MIB, "another program gave memory back meanwhile"

"""The largest batch: two traces tell it, its own trace agrees, and it does not depend on the batch that was asked about."""

from __future__ import annotations

import pytest

from advisor.verify.build import build_model
from advisor.verify.evidence import Job, Memory, Target
from advisor.verify.largest import LARGEST, _search, largest_batch
from advisor.verify.memory import price, trace_model
from advisor.verify.peak import live_peak
from advisor.verify.scaling import Scaled
from advisor.verify.trace import Trace
from advisor.verify.workload import workload_of
from tests.verify.jobs import timm_job

GPU = Target(kind="gpu", memory_gib=8.0, compute_capability="8.6")
MIB = 2**20


class Traced:
    """A net's traces by batch, and how many were made."""

    def __init__(self, job: Job) -> None:
        self.job, self.model, self.workload = job, build_model(job, "meta").train(), workload_of(job)
        self.batches: list[int] = []

    def __call__(self, batch: int) -> Trace:
        self.batches.append(batch)
        return trace_model(self.model, self.workload, self.job.recipe, GPU, shapes=[self.workload.batch(batch)] * 2)[0]

    def priced(self, trace: Trace) -> Memory:
        return price(trace, live_peak(trace), self.job.recipe, GPU)

    def largest(self, start: int, room: int) -> int | None:
        first = self(start)
        return largest_batch(self, self.priced, room, start, (first, self.priced(first)))


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224"])
def test_two_traces_tell_the_largest_batch_wherever_they_start(name: str) -> None:
    traced = Traced(timm_job(name, 224))
    room = 2500 * MIB
    found = {start: traced.largest(start, room) for start in (8, 100)}
    assert len(traced.batches) == 2 * len(found)
    assert len(set(found.values())) == 1
    [batch] = set(found.values())
    assert batch is not None
    assert traced.priced(traced(batch)).high <= room < traced.priced(traced(int(1.05 * batch))).high


def test_nothing_fits_where_one_sample_is_too_many() -> None:
    traced = Traced(timm_job("vit_tiny_patch16_224", 224))
    assert traced.largest(1, 300 * MIB) == 0
    assert traced.batches == [1]
    assert traced.largest(16, 300 * MIB) == 0


def test_a_worked_out_trace_is_that_of_its_batch() -> None:
    traced = Traced(timm_job("resnet18"))
    family = Scaled(traced(8), traced(24), 8, 24)
    assert family.is_determined
    assert family.trace(57).events == traced(57).events


def test_sizes_that_are_no_power_of_the_batch_leave_a_doubt() -> None:
    def padded(batch: int) -> Trace:
        return Trace(events=[(0, 100), (1, 64 * batch), (2, 8 * -(-batch // 8)), (1, -1), (2, -1)], starts=[1])

    assert not Scaled(padded(10), padded(20), 10, 20).is_determined


@pytest.mark.parametrize("wanted", [0, 1, 2, 37, 1000, LARGEST])
@pytest.mark.parametrize("step", [1.0, 1024.0])
def test_the_search_ends_at_the_limit_whatever_the_grain(wanted: int, step: float) -> None:
    def needs(batch: int) -> float:
        return 5000 + step * (100 * batch // step)

    found = _search(needs, int(needs(wanted)), 50, (7, needs(7)))
    assert needs(found) <= needs(wanted)
    assert found == LARGEST or needs(found + 1) > needs(wanted)

"""Two traces tell what every other size allocates."""

from __future__ import annotations

import pytest
import torch

from advisor.verify.allocator import reserved_peak
from advisor.verify.build import build_model
from advisor.verify.evidence import Job, Target
from advisor.verify.memory import trace_model
from advisor.verify.scaling import ChangedProgram, Scaled
from advisor.verify.trace import Trace
from advisor.verify.workload import Workload, workload_of
from tests.verify.jobs import TINY_DECODER, decoder_job, timm_job

GPU = Target(kind="gpu")
TEXTS = Workload(lambda n: {}, lambda model, batch: model(**batch), lambda outputs, _: outputs.loss)


def traced_texts(lengths: list[int]) -> Trace:
    job = decoder_job({**TINY_DECODER, "hidden_size": 128, "vocab_size": 5000})
    names = ("input_ids", "attention_mask", "labels")
    shapes = [{name: torch.empty(4, length, dtype=torch.long, device="meta") for name in names} for length in lengths]
    return trace_model(build_model(job, "meta").train(), TEXTS, job.recipe, GPU, shapes=shapes)[0]


def traced_images(job: Job, batch: int) -> Trace:
    workload = workload_of(job)
    return trace_model(build_model(job, "meta").train(), workload, job.recipe, GPU, shapes=[workload.batch(batch)] * 2)[0]


@pytest.mark.parametrize("lengths", [[128] * 4, [100, 128, 77, 90], [32, 64, 16, 128]])
def test_batches_of_changing_lengths_are_worked_out_from_two_lengths(lengths: list[int]) -> None:
    scaled = Scaled(traced_texts([128] * 3), traced_texts([64] * 2), 128, 64)
    direct = traced_texts(lengths)
    worked_out = scaled.at(lengths)
    assert reserved_peak(worked_out)[0] == pytest.approx(reserved_peak(direct.events)[0], rel=0.002)


@pytest.mark.parametrize("batch", [4, 24, 57])
def test_every_batch_is_worked_out_from_two(batch: int) -> None:
    job = timm_job("resnet18")
    scaled = Scaled(traced_images(job, 16), traced_images(job, 8), 16, 8)
    assert reserved_peak(scaled.at([batch] * 2)) == reserved_peak(traced_images(job, batch).events)


def test_another_program_is_noticed() -> None:
    with pytest.raises(ChangedProgram):
        Scaled(traced_images(timm_job("resnet18"), 8), traced_images(timm_job("resnet34"), 4), 8, 4)

"""A reduced copy of each line of models still runs forward and backward: a cut that breaks a model would reject a good design."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from advisor import catalogue, design
from advisor.verify.batches import compute_loss, make_batch
from advisor.verify.build import build_model
from advisor.verify.evidence import Job, Refusal
from advisor.verify.reduce import Limits, reduce_job

TINY = Limits(memory_bytes=4e9, step_flops=2e9)
REQUESTS: dict[str, dict[str, Any]] = {
    "image_classification": {"task": {"type": "classification", "domain": "CV"}, "data": {"size": "5,000 images, 10 classes"}},
    "text_classification": {"task": {"type": "classification", "domain": "NLP"}, "data": {"size": "5,000 texts, 5 classes"}},
    "instruction_tuning": {
        "task": {"type": "generation", "domain": "NLP", "specificTask": "instruction tuning"},
        "data": {"size": "50k instructions"},
    },
}
LINES = sorted({(task, entry.line): entry.id for entry in catalogue.models().values() for task in REQUESTS if task in entry.tasks}.items())


class Recording:
    """Takes the jobs that a design asks for, and answers none."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def static(self, job: Job) -> Refusal:
        self.jobs.append(job)
        return Refusal(status="skipped", reason="only the job is wanted")

    smoke = static


@pytest.mark.slow
@pytest.mark.parametrize(("key", "model"), LINES, ids=[f"{task}-{line}" for (task, line), _ in LINES])
def test_the_smallest_copy_of_a_line_runs_forward_and_backward(key: tuple[str, str], model: str) -> None:
    recording = Recording()
    design(
        {**REQUESTS[key[0]], "constraints": {"computeResources": "A100 80GB"}, "existingSetup": {"baseModel": model}},
        "static",
        checker=recording,
    )
    job = next(job for job in recording.jobs if job.recipe.model.id == model)
    small, cut = reduce_job(job, TINY)
    built = build_model(small, "cpu").train()
    loss = compute_loss(built, make_batch(small, 2, "cpu"), small)
    loss.backward()
    assert torch.isfinite(loss), cut

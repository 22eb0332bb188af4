"""Distillation: a student learns a teacher's softened outputs for some steps, and the teacher stays as it is."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from advisor.verify.case import Case
from advisor.verify.evidence import Job, Variant
from advisor.verify.reduce import FORWARD_AND_BACKWARD, Limits, reduce_job
from advisor.verify.served import class_axis, inputs_of, picks_places, serve, set_distilling_mode
from advisor.verify.techniques import DISTILLATION

TEMPERATURE = 2.0  # the lower end of the rules' 2 to 4; arXiv:1503.02531, section 2
RATE = 1e-3  # AdamW's default in torch.optim: random weights, one batch
DETECTORS_RATE = 2e-4  # RF-DETR's is 1e-4; at ten times that it takes more steps to come back than it is given
MOST_STEPS, FEWEST_STEPS, STEPS_S = 30, 5, 4.0
FALL = 0.1  # of the loss: a student that learns at all loses more of it on one batch
SAMPLES = 4
STEP_FLOPS = 10e9  # of a step's three forward-sized passes; a larger network is distilled as a reduced copy


def check_distillation(case: Case) -> Variant:
    """The student is the model as designed; the teacher, whose own weights nobody has yet, the same architecture with others."""
    small, reduced = reduce_job(_alone(case.job), Limits(torch.inf, FORWARD_AND_BACKWARD * STEP_FLOPS / 2))
    teacher, student = serve(small, small.seed + 1), serve(small)
    inputs = inputs_of(student, small, small.recipe.batch.per_device)
    with torch.no_grad():
        wanted = teacher(*inputs)
    before = [parameter.clone() for parameter in teacher.parameters()]
    set_distilling_mode(student, small)
    rate = DETECTORS_RATE if picks_places(small) else RATE
    losses = distil(student, teacher, inputs, class_axis(small, wanted), rate)
    faults = faults_of(losses, teacher, before)
    course = f"loss {losses[0]:.3g} to {losses[-1]:.3g} in {len(losses)} steps at temperature {TEMPERATURE:g}"
    detail = "; ".join([course, *faults, "the teacher is a stand-in with random weights", *(f"reduced: {words}" for words in reduced)])
    return Variant(name=DISTILLATION, status="failed" if faults else "made", detail=detail)


def distil(student: nn.Module, teacher: nn.Module, inputs: Sequence[Tensor], classes: int | None, rate: float = RATE) -> list[float]:
    """Train the student on the teacher's outputs for these inputs; the loss of each step."""
    optimizer = torch.optim.AdamW(student.parameters(), lr=rate)
    losses: list[float] = []
    end = time.monotonic() + STEPS_S
    while len(losses) < FEWEST_STEPS or (len(losses) < MOST_STEPS and time.monotonic() < end):
        with torch.no_grad():
            wanted = teacher(*inputs)
        loss = distillation_loss(student(*inputs), wanted, classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    return losses


def distillation_loss(given: Tensor, wanted: Tensor, classes: int | None) -> Tensor:
    """The divergence of the softened distributions, times the squared temperature; the squared error where there are no classes."""
    if classes is None:
        return F.mse_loss(given, wanted)
    soft, target = (outputs.movedim(classes, -1).flatten(0, -2) / TEMPERATURE for outputs in (given, wanted))
    return TEMPERATURE**2 * F.kl_div(soft.log_softmax(-1), target.log_softmax(-1), reduction="batchmean", log_target=True)


def faults_of(losses: Sequence[float], teacher: nn.Module, before: Sequence[Tensor]) -> list[str]:
    """What is wrong with how it went, if anything."""
    faults = []
    if not losses[-1] <= (1 - FALL) * losses[0]:  # not a number either
        faults.append("the loss did not fall")
    if any(parameter.grad is not None for parameter in teacher.parameters()):
        faults.append("the teacher got gradients")
    if any(not torch.equal(now, then) for now, then in zip(teacher.parameters(), before, strict=True)):
        faults.append("the teacher's weights moved")
    return faults


def _alone(job: Job) -> Job:
    """The job with the batch that is distilled on, and no optimizer's memory to count."""
    recipe = job.recipe
    batch = recipe.batch.model_copy(update={"per_device": SAMPLES, "accumulation": 1, "devices": 1, "effective": SAMPLES})
    return job.model_copy(
        update={"recipe": recipe.model_copy(update={"batch": batch, "optimizer": recipe.optimizer.model_copy(update={"name": "none"})})}
    )

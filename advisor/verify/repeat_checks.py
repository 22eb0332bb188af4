"""What the checks of the targets, the schedule and the repeats assert, each with its reason."""

from __future__ import annotations

import math
from itertools import takewhile

import torch
from torch.nn import functional as F

from advisor.recipe import Recipe
from advisor.verify.batches import Batch, compute_loss, forward, loss_of
from advisor.verify.build import transformers_config
from advisor.verify.evidence import Job, SmokeCheck
from advisor.verify.overfit import Subject, Trail, parts
from advisor.verify.repeats import TWICE_STEPS, Repeats, seed_generators
from advisor.verify.smoke_checks import counted, limit_of_divergence, skipped, some, verdict
from advisor.wire import Basis, Quantity

SAME_LOSS = {"cpu": 1e-5, "cuda": 1e-3}  # relative: sums in another order, which CUDA's atomic additions give from run to run
SAME_FORMULA = 1e-4  # relative: two ways to work out one cross-entropy in fp32
CONTROL_MARGIN = 0.1  # a model that ignores its input loses nothing at all when the targets are exchanged
FALLING = {"cosine": 0.2, "linear": 0.2, "poly": 0.25, "step": 0.02, "onecycle": 0.2}
"""The largest share of the rate that each may end with in a run of ten steps, of which up to five are warm-up."""
SAME_SHARE = 1e-6
HEIGHT_TOLERANCE = 0.1  # of a schedule's highest rate: steps need not fall on its very top
_TARGETS = (
    "targets", "labels", "classes", "boxes", "masks", "returns", "actions", "start_positions", "end_positions", "future_values",
)  # fmt: skip
_MATCHED = {
    "contrastive_pretraining": ("input_ids", "attention_mask"),  # the texts are the images' targets
    "two_view_pretraining": ("second",),  # the other view of the same image
}
_PAIRED = ("preference_tuning",)  # two answers to one prompt: exchanged, they would be answers to another
_NEXT_TOKEN = ("text_generation", "instruction_tuning")
_IGNORED = -100  # torch.nn.functional.cross_entropy, `ignore_index`


def targets_fit(subject: Subject) -> SmokeCheck | None:
    """Classes are within the model's outputs, and a language model's loss is that of the very next token: shifted once, by one.

    None where there are neither, so that any value may be a target.
    """
    job, name = subject.job, "targets_fit"
    labels = subject.batch.get("labels", subject.batch.get("targets"))
    outputs = job.recipe.input.outputs
    if job.task in _NEXT_TOKEN and job.build.library == "transformers":
        return _predicts_the_next_token(subject)
    if labels is None or labels.is_floating_point() or not outputs or not job.task.endswith("classification"):
        return None
    most, least = int(labels.max()), int(labels[labels != _IGNORED].min())
    return verdict(name, 0 <= least <= most < outputs, f"classes {least} to {most}, and {outputs} outputs")


def _predicts_the_next_token(subject: Subject) -> SmokeCheck:
    part = next(parts(subject.batch, subject.accumulation))
    with torch.no_grad(), subject.autocast():
        outputs = forward(subject.model, part, subject.job)
        loss = float(loss_of(outputs, part, subject.job))
    logits, tokens = outputs.logits.float(), part["input_ids"]
    if not transformers_config(subject.job).is_encoder_decoder:
        logits, tokens = logits[:, :-1], tokens[:, 1:]
    expected = float(F.cross_entropy(logits.flatten(0, 1), tokens.flatten()))
    detail = f"the loss is {loss:.6g}; of the next token it would be {expected:.6g}"
    return verdict("targets_fit", math.isclose(loss, expected, rel_tol=SAME_FORMULA), detail)


def beats_shuffled(subject: Subject, trail: Trail) -> SmokeCheck | None:
    """What was learnt is which target belongs to which sample: with the targets exchanged among the samples, the loss is higher.

    A model that cannot see its input may still lower its loss, by learning how the targets are distributed; it loses nothing here.
    None where a task's targets are alike, or cannot be exchanged among the samples.
    """
    name = "beats_shuffled"
    part = next(parts(subject.batch, subject.accumulation))
    if exchange_targets(part, subject.job) is None:
        return None
    if trail.faults or not trail.losses or trail.losses[-1] >= trail.losses[0]:
        return skipped(name, "the loss did not fall, so that there is nothing to compare")
    losses = _with_own_and_exchanged_targets(subject)
    assert losses is not None, "they can be exchanged"
    detail = f"loss {losses[0]:.4g} with its own targets, {losses[1]:.4g} with those of other samples"
    if _is_beaten(*losses, trail):
        return verdict(name, True, detail)
    return verdict(name, False, detail) if trail.is_exhausted else skipped(name, f"{detail}; no more steps fitted in the time")


def tells_samples_apart(subject: Subject, trail: Trail) -> bool:
    """Whether a run may end: the control is beaten, or there is none."""
    losses = _with_own_and_exchanged_targets(subject)
    return losses is None or _is_beaten(*losses, trail)


def _is_beaten(own: float, other: float, trail: Trail) -> bool:
    """By a share of the fall, or of the loss that can be lost at all, where the fall was mostly one of a wrong mean."""
    return other > own and other - own >= CONTROL_MARGIN * min(max(trail.losses[0] - own, 0.0), abs(other))


def _with_own_and_exchanged_targets(subject: Subject) -> tuple[float, float] | None:
    part = next(parts(subject.batch, subject.accumulation))
    exchanged = exchange_targets(part, subject.job)
    return None if exchanged is None else (_loss_now(subject, part), _loss_now(subject, exchanged))


def exchange_targets(batch: Batch, job: Job) -> Batch | None:
    """The batch with each sample's targets given to another; None where that changes nothing or makes no sense."""
    names = [name for name in _MATCHED.get(job.task, _TARGETS) if name in batch]
    if not names or job.task in _PAIRED:
        return None
    lengths = range(1, batch[names[0]].shape[0])
    changed = {by: sum(float((batch[name] != batch[name].roll(by, 0)).float().mean()) for name in names) for by in lengths}
    by = max(changed, key=lambda by: changed[by], default=0)
    if not by or not changed[by]:
        return None
    return {**batch, **{name: batch[name].roll(by, 0) for name in names}}


def _loss_now(subject: Subject, batch: Batch) -> float:
    """Without a step. The same dropout each time, so that two batches can be compared."""
    seed_generators(subject.job.seed)
    with torch.no_grad(), subject.autocast():
        return float(compute_loss(subject.model, batch, subject.job))


def schedule_ends(recipe: Recipe, trail: Trail, own_steps: int) -> SmokeCheck:
    """The rate reaches its height after the warm-up and ends where the schedule's name says, in each of the optimizer's groups."""
    name, schedule = "schedule_ends", recipe.schedule
    if schedule is not None and (fault := _too_long_a_warmup(recipe)):
        return verdict(name, False, fault)
    if trail.own_steps < own_steps:
        return skipped(name, f"{trail.own_steps} of its {own_steps} steps fitted in the time")
    apart = max(max(shares) - min(shares) for shares in trail.applied)
    if apart > SAME_SHARE:
        return verdict(name, False, "the optimizer's groups do not follow one schedule")
    course = [shares[0] for shares in trail.applied]
    kind = schedule.name if schedule else "constant"
    ends = course[-1] <= FALLING[kind] if kind in FALLING else course[-1] < 1 if kind == "inverse_sqrt" else course[-1] == 1
    detail = f"{kind}: highest at {max(course):.3g} of the rate, ends at {course[-1]:.3g} of it, over {len(course)} steps"
    return verdict(name, ends and math.isclose(max(course), 1.0, rel_tol=HEIGHT_TOLERANCE), detail)


def _too_long_a_warmup(recipe: Recipe) -> str | None:
    schedule = recipe.schedule
    assert schedule is not None
    stated = (("steps", schedule.warmup_steps, recipe.steps), ("epochs", schedule.warmup_epochs, recipe.epochs))
    for unit, warmup, run in (*stated, ("of the run", schedule.warmup_fraction, 1)):
        if warmup and run and warmup >= run:
            return f"the warm-up, {warmup:g} {unit}, is as long as the run, {run:g}: the rate never comes down"
    return None


def same_seed_agrees(repeats: Repeats, trail: Trail, device: str) -> SmokeCheck:
    """A second run from the same seed has the same losses."""
    name = "same_seed_agrees"
    if "again" in repeats.skipped:
        return skipped(name, repeats.skipped["again"])
    return verdict(name, _agree(repeats.again, trail.losses, device), f"losses {_shown(repeats.again, trail.losses)}")


def resumes(repeats: Repeats, trail: Trail, device: str) -> SmokeCheck:
    """A run that goes on from a checkpoint, in a model made anew, has the losses of the one that was not interrupted."""
    name, start = "resumes", len(repeats.again)
    if "resumed" in repeats.skipped:
        return skipped(name, repeats.skipped["resumed"])
    if not _agree(repeats.again, trail.losses, device):
        return skipped(name, "two runs from one seed differ already, so that there is nothing to compare with")
    if repeats.unrestored:
        return verdict(name, False, f"a checkpoint does not bring back {some(repeats.unrestored)}")
    going_on = trail.losses[start:]
    return verdict(name, _agree(repeats.resumed, going_on, device), f"losses after step {start}: {_shown(repeats.resumed, going_on)}")


def twice_the_rate(repeats: Repeats) -> SmokeCheck:
    """At twice the recommended rate the losses stay finite; how many times higher it could be before they run away."""
    name, faster = "twice_the_rate", repeats.faster
    if "faster" in repeats.skipped:
        return skipped(name, repeats.skipped["faster"])
    losses = faster.losses
    if len(losses) <= TWICE_STEPS:  # the loss after the last of these steps shows what that step did
        if not faster.faults:
            return skipped(name, f"only {counted(len(losses), 'step')} fitted in the time")
        return verdict(name, False, f"at twice the rate {faster.faults[0]}")
    multiples = [2.0 * 2**place for place in range(len(losses) - TWICE_STEPS)]
    limit = limit_of_divergence(losses[0])
    held = list(takewhile(lambda place: losses[TWICE_STEPS + place] <= limit, range(len(multiples))))
    margin = multiples[held[-1]] if held else 1.0
    ran_away = faster.faults or len(held) < len(multiples)
    words = f"it runs away above {margin:g} times" if ran_away else f"it holds at {margin:g} times, the highest that was tried,"
    figure = Quantity(value=margin, unit="times", basis=Basis.MEASURED, source="rates doubled from step to step, random weights")
    return SmokeCheck(
        name=name,
        status="passed",
        detail=f"loss {losses[0]:.3g} to {losses[TWICE_STEPS]:.3g} in {TWICE_STEPS} steps at twice the rate; {words} the rate",
        figures={"rate_margin": figure},
    )


def _agree(one: list[float], other: list[float], device: str) -> bool:
    tolerance = SAME_LOSS.get(device, SAME_LOSS["cuda"])
    return bool(one) and all(math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance) for a, b in zip(one, other, strict=False))


def _shown(one: list[float], other: list[float]) -> str:
    return f"{', '.join(f'{loss:.6g}' for loss in one)} against {', '.join(f'{loss:.6g}' for loss in other[: len(one)])}"

"""What a smoke-train asserts. Each check looks at what the run left behind and gives one verdict with its reason."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from advisor.verify.batches import Batch
from advisor.verify.evidence import Job, SmokeCheck
from advisor.verify.overfit import Trail, recent_loss

FALL = 0.2  # of the loss that can be lost: a working model loses nearly all of it on one batch, a broken one nothing
LEAST_TO_LEARN = 0.1  # nats: where the labels of a batch are nearly all the same, guessing is as good as learning
DIVERGED = 3.0  # times the first loss: an untrained model already guesses, and is not three times worse than that
FEWEST_STEPS = 4  # to say that a rate is stable
FEWEST_STEPS_TO_FAIL = 20  # to say that a loss does not fall: slow models are given fewer
MOST_SKIPPED = 0.5  # of float16's steps may overflow while the scaler looks for its scale
_NAMED = 3
_SMOOTHED_LOSSES = ("cross_entropy", "weighted_cross_entropy")


def something_trains(model: nn.Module) -> SmokeCheck:
    """Some parameter requires a gradient. (`module.requires_grad = True` sets an attribute and trains nothing.)"""
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    total = sum(parameter.numel() for parameter in model.parameters())
    return verdict("something_trains", trainable > 0, f"{trainable:,} of {total:,} parameters train")


def optimizer_covers(model: nn.Module, optimizer: torch.optim.Optimizer) -> SmokeCheck:
    """The optimizer holds every parameter that trains, and no other."""
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    left_out = [name for name, parameter in model.named_parameters() if parameter.requires_grad and id(parameter) not in held]
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad and id(parameter) in held]
    faults = [f"it lacks {some(left_out)}"] * bool(left_out) + [f"it holds the frozen {some(frozen)}"] * bool(frozen)
    return verdict(
        "optimizer_covers",
        not faults,
        "; ".join(faults) or f"{counted(len(held), 'tensor')} in {counted(len(optimizer.param_groups), 'group')}",
    )


def finite(trail: Trail) -> SmokeCheck:
    """No loss and no gradient was infinite or not a number."""
    if trail.faults:
        return verdict("finite", False, "; ".join(trail.faults))
    left_out, steps = trail.skipped_steps, len(trail.losses)
    if not steps:
        return skipped("finite", "not one step fitted in the time")
    detail = f"losses and gradients of {counted(steps, 'step')}" + (f", {left_out} left out by the loss scaler" if left_out else "")
    return verdict("finite", left_out <= MOST_SKIPPED * steps, detail)


def stable_rate(trail: Trail) -> SmokeCheck:
    """At the recommended rate, the loss does not run away."""
    own = trail.losses[: trail.own_steps]
    if len(own) < FEWEST_STEPS and not trail.faults:
        return skipped("stable_rate", f"only {counted(len(own), 'step')} fitted in the time")
    if not own:
        return verdict("stable_rate", False, "; ".join(trail.faults))
    detail = f"loss {own[0]:.3g} to {own[-1]:.3g} in {len(own)} steps at the recommended rate"
    return verdict("stable_rate", not trail.faults and own[-1] <= limit_of_divergence(own[0]), detail)


def overfits(trail: Trail) -> SmokeCheck:
    """The model learns one batch by heart, or is well on the way: the loss falls to the goal."""
    if trail.faults:
        return verdict("overfits", False, "; ".join(trail.faults))
    if not trail.losses:
        return skipped("overfits", "not one step fitted in the time")
    start, end = trail.losses[0], recent_loss(trail)
    rate = f" at the probe rate {trail.probe_rate:g}" if trail.probe_rate and len(trail.losses) > trail.own_steps else ""
    detail = f"loss {start:.4g} to {end:.4g} in {counted(len(trail.losses), 'step')}{rate}; {trail.goal:.4g} was asked for"
    if end > trail.goal and len(trail.losses) < FEWEST_STEPS_TO_FAIL:
        return skipped("overfits", f"{detail}, but no more steps fitted in the time")
    return verdict("overfits", end <= trail.goal, detail)


def enough_of_a_fall(job: Job, batch: Batch, start: float) -> float:
    """The loss at which a run that began at `start` has shown that it learns from what it sees.

    That is a fifth below the start, and a fifth below what can be had blindly, by guessing as the labels are distributed. The
    latter is not asked of adapters: their output layer is frozen, and a random one cannot be sure of anything. Label
    smoothing leaves a loss that stays; it does not count.
    """
    floor, blind = _floor(job), None if job.recipe.model.adaptation in ("lora", "qlora") else _loss_of_guessing(job, batch)
    before = min(start, blind) if blind is not None and blind - floor > LEAST_TO_LEARN else start
    return before - FALL * max(abs(before - floor), 1e-12)


def _loss_of_guessing(job: Job, batch: Batch) -> float | None:
    """The loss of the best constant answer; None for losses where nobody knows it."""
    labels = batch.get("labels", batch.get("targets"))
    names = {loss.name for loss in job.recipe.loss}
    if labels is None:
        return None
    if labels.is_floating_point():
        return float(labels.var(dim=0, correction=0).mean()) if "mse" in names else None
    if not names & set(_SMOOTHED_LOSSES):
        return None
    shares = labels.flatten().unique(return_counts=True)[1] / labels.numel()
    return float(-(shares * shares.log()).sum())


def every_trainable_gets_gradient(model: nn.Module, trail: Trail) -> SmokeCheck:
    """Each parameter that trains had a gradient that is not all zero, in some step: LoRA's A has none before B moves."""
    without = [name for name, parameter in model.named_parameters() if parameter.requires_grad and name not in trail.with_gradient]
    if without and len(trail.losses) < FEWEST_STEPS:
        return skipped("every_trainable_gets_gradient", f"only {counted(len(trail.losses), 'step')} fitted in the time")
    return verdict(
        "every_trainable_gets_gradient",
        not without,
        f"no gradient reaches {some(without)}" if without else counted(len(trail.with_gradient), "tensor"),
    )


def every_trainable_moves(model: nn.Module, trail: Trail) -> SmokeCheck:
    """Each parameter that trains is another after the run.

    Layer-wise decay can make a rate so low that a step is lost in rounding: a norm's weight of 1 stays 1 at a rate of 5e-8, or at
    5e-6 behind a scale that begins at 1e-6, as ConvNeXt's do. That is said and not held against the design.
    """
    moved = trail.moved
    still = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad and name not in moved}
    slow = [name for name in still if name in trail.with_gradient and _is_lost_in_rounding(still[name], trail.longest_step.get(name))]
    stuck = [name for name in still if name not in slow]
    if stuck and len(trail.losses) < FEWEST_STEPS:
        return skipped("every_trainable_moves", f"only {counted(len(trail.losses), 'step')} fitted in the time")
    detail = f"unchanged: {some(stuck)}" if stuck else "all of them moved"
    if slow:
        detail += f"; by steps below the resolution of their values: {some(slow)}"
    return verdict("every_trainable_moves", not stuck, detail)


def no_frozen_moves(model: nn.Module, trail: Trail) -> SmokeCheck:
    """Frozen parameters are the same to the bit, and so are the statistics of frozen normalization layers."""
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad] + list(_frozen_statistics(model))
    moved = sorted(trail.moved.intersection(frozen))
    still = f"{counted(len(frozen), 'frozen tensor')} unchanged" if frozen else "nothing is frozen"
    detail = f"changed though frozen: {some(moved)}" if moved else still
    return verdict("no_frozen_moves", not moved, detail)


def ema_follows(model: nn.Module, ema: AveragedModel) -> SmokeCheck:
    """The moving average is finite and no longer a plain copy."""
    pairs = [pair for pair in zip(ema.module.parameters(), model.parameters(), strict=True) if pair[1].requires_grad]
    is_finite = all(bool(average.isfinite().all()) for average, _ in pairs)
    lags = any(not torch.equal(average, current) for average, current in pairs)
    return verdict(
        "ema_follows",
        is_finite and lags,
        "finite, and behind the weights"
        if is_finite and lags
        else "it equals the weights: nothing is averaged"
        if is_finite
        else "the average is not finite",
    )


def predicts(predictions: Tensor, loss: float, asked: int) -> SmokeCheck:
    """For a model that is not trained: one finite prediction for each sample, in the shape that the loss takes."""
    shape = list(predictions.shape)
    is_right = asked in shape[:2] and bool(predictions.isfinite().all()) and math.isfinite(loss)
    return verdict(
        "predicts",
        is_right,
        f"outputs of shape {shape} for {asked} samples; random weights, so no claim about their quality"
        if is_right
        else f"outputs of shape {shape} for {asked} samples, loss {loss}",
    )


def _frozen_statistics(model: nn.Module) -> Iterable[str]:
    """Buffers of modules whose own parameters are all frozen."""
    for prefix, module in model.named_modules():
        own = [parameter.requires_grad for parameter in module.parameters(recurse=False)]
        if own and not any(own):
            for name, _ in module.named_buffers(recurse=False):
                yield f"{prefix}.{name}" if prefix else name


def _is_lost_in_rounding(parameter: Tensor, step: float | None) -> bool:
    """Whether a step is too short to change the parameter's smallest value."""
    return step is not None and step < torch.finfo(parameter.dtype).eps * float(parameter.detach().abs().min())


def _floor(job: Job) -> float:
    """The lowest loss there is: the entropy of the smoothed labels."""
    values = [loss.value for loss in job.recipe.loss if loss.name in (*_SMOOTHED_LOSSES, "label_smoothing") and loss.value]
    classes = job.recipe.input.outputs
    if not values or not classes or classes < 2:
        return 0.0
    off = values[0] / classes
    on = 1 - values[0] + off
    return -(on * math.log(on) + (classes - 1) * off * math.log(off))


def limit_of_divergence(start: float) -> float:
    """The loss at which a run that began at `start` has run away."""
    return start + (DIVERGED - 1) * abs(start)


def verdict(name: str, is_met: bool, detail: str) -> SmokeCheck:
    return SmokeCheck(name=name, status="passed" if is_met else "failed", detail=detail)


def skipped(name: str, why: str) -> SmokeCheck:
    return SmokeCheck(name=name, status="skipped", detail=why)


def counted(count: int, what: str) -> str:
    """`1 step`, `3 steps`."""
    return f"{count} {what}{'s' * (count != 1)}"


def some(names: list[str]) -> str:
    """The first few of them, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more

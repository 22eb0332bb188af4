"""Train on one batch until it is learnt by heart, and write down what happened to every parameter on the way."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from advisor.learning_rate import rate_factors
from advisor.verify.adapt import set_training_mode
from advisor.verify.batches import Batch, forward, loss_of
from advisor.verify.evidence import Job

STEPS_BETWEEN_LOOKS = 3  # a look at what was learnt takes two forward passes
ADAM_EPSILON = 1e-8  # torch.optim's default, added to the size of the gradient that a step is divided by
_FEW_ELEMENTS = 4096  # weighted by place before they are summed; in larger tensors changes do not cancel out
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass
class Subject:
    """A model with all that trains it. `half` is autocast's type, or None for fp32; a `scaler` comes with float16 alone."""

    job: Job
    model: nn.Module
    optimizer: torch.optim.Optimizer
    batch: Batch
    device: torch.device
    accumulation: int = 1
    half: torch.dtype | None = None
    scaler: torch.amp.GradScaler | None = None
    ema: AveragedModel | None = None

    def autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, self.half) if self.half else nullcontext()


@dataclass
class Trail:
    """What a run left behind.

    `longest_step` is about how far Adam moved an element of each parameter that the optimizer has; `applied` are the rates that
    its groups had after each step, as shares of the recipe's. `is_exhausted`: every step that was allowed has been taken.
    `before` and `after` are fingerprints of parameters and buffers; two are equal where no bit changed.
    """

    losses: list[float] = field(default_factory=list)
    own_steps: int = 0
    goal: float = -math.inf
    probe_rate: float | None = None
    faults: list[str] = field(default_factory=list)
    skipped_steps: int = 0
    longest_step: dict[str, float] = field(default_factory=dict)
    with_gradient: set[str] = field(default_factory=set)
    step_seconds: list[float] = field(default_factory=list)
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)
    applied: list[list[float]] = field(default_factory=list)
    is_exhausted: bool = False
    peak_bytes: int | None = None
    device_bytes: int | None = None

    @property
    def moved(self) -> set[str]:
        return {name for name, mark in self.before.items() if self.after[name] != mark}


def mark(model: nn.Module) -> dict[str, int]:
    """A fingerprint of each parameter and buffer: the sum of its bits, read as integers."""
    named = [*model.named_parameters(), *model.named_buffers()]
    return {name: _fingerprint(tensor.detach()) for name, tensor in named}


def _fingerprint(tensor: Tensor) -> int:
    if tensor.dtype == torch.bool or tensor.is_complex():
        tensor = torch.view_as_real(tensor) if tensor.is_complex() else tensor.to(torch.uint8)
    bits = tensor.contiguous().view(_INTEGERS[tensor.element_size()]).flatten()
    if bits.numel() <= _FEW_ELEMENTS:  # two biases that move apart by one step each would leave a plain sum as it was
        bits = bits.to(torch.int64) * torch.arange(1, bits.numel() + 1, device=bits.device)
    return int(bits.sum(dtype=torch.int64))


def overfit(
    subject: Subject,
    trail: Trail,
    *,
    own_steps: int,
    probe_steps: int,
    probe_rate: float,
    enough: Callable[[float], float],
    learnt: Callable[[Subject, Trail], bool] = lambda subject, trail: True,
    deadline: float,
    comfort_s: float = math.inf,
) -> None:
    """Train at the recipe's own rates and schedule; where that does not lower the loss enough, go on at `probe_rate` or above.

    `enough` says which loss is low enough, given the first; `learnt` looks, once it is, at what was learnt. The run stops at
    `deadline` (of time.monotonic), and at the first loss or gradient that is not finite; the steps beyond the recipe's own after
    `comfort_s` of processor time as well, which a busy machine does not use up while it does something else.
    """
    trail.before, begun = mark(subject.model), time.process_time()
    rates = base_rates(subject)
    train(subject, trail, rates, rate_factors(subject.job.recipe, own_steps), deadline)
    trail.own_steps = len(trail.applied)
    highest = max(rates)
    trail.goal = enough(trail.losses[0]) if trail.losses else -math.inf
    if not trail.faults and not _is_done(subject, trail, learnt):
        trail.probe_rate = max(highest, probe_rate)
        rates = [rate * trail.probe_rate / highest for rate in rates]
        for step in range(1, probe_steps + 1):
            if time.process_time() - begun > comfort_s or not _step(subject, trail, rates, deadline):
                break
            trail.is_exhausted = step == probe_steps
            if step % STEPS_BETWEEN_LOOKS == 0 and _is_done(subject, trail, learnt):
                break
    trail.after = mark(subject.model)


def _is_done(subject: Subject, trail: Trail, learnt: Callable[[Subject, Trail], bool]) -> bool:
    return recent_loss(trail) <= trail.goal and learnt(subject, trail)


def base_rates(subject: Subject) -> list[float]:
    """The recipe's rate of each of the optimizer's groups, before any step."""
    return [float(group["lr"]) for group in subject.optimizer.param_groups]


def train(subject: Subject, trail: Trail, rates: list[float], factors: Iterable[float], deadline: float) -> None:
    """One step for each factor of the groups' rates, until one shows a fault or the time is up."""
    set_training_mode(subject.model, subject.job.recipe)
    for factor in factors:
        if not _step(subject, trail, [rate * factor for rate in rates], deadline):
            break
        trail.applied.append([now / rate if rate else 0.0 for now, rate in zip(base_rates(subject), rates, strict=True)])


def recent_loss(trail: Trail) -> float:
    """The mean of the last losses: dropout makes single ones jump."""
    last = trail.losses[-3:]
    return sum(last) / len(last) if last else math.inf


def _step(subject: Subject, trail: Trail, rates: list[float], deadline: float) -> bool:
    """One optimizer step. False where there is no time for it, or where it showed something that ends the run."""
    start = time.monotonic()
    if start + (trail.step_seconds[-1] if trail.step_seconds else 0.0) > deadline:
        return False
    for group, rate in zip(subject.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    subject.optimizer.zero_grad(set_to_none=True)
    loss = _accumulate(subject)
    if not math.isfinite(loss):
        trail.faults.append(f"the loss is {loss} at step {len(trail.losses) + 1}")
        return False
    trail.losses.append(loss)
    _update(subject, trail)
    trail.step_seconds.append(time.monotonic() - start)
    return not trail.faults


def _accumulate(subject: Subject) -> float:
    """Forward and backward over the parts of the batch; returns the mean loss."""
    total = 0.0
    for part in parts(subject.batch, subject.accumulation):
        with subject.autocast():
            outputs = forward(subject.model, part, subject.job)  # a name, which lives through the backward pass as in a script
            loss = loss_of(outputs, part, subject.job) / subject.accumulation
        scaled = subject.scaler.scale(loss) if subject.scaler else loss
        scaled.backward()
        total += float(loss.detach())
    return total


def parts(batch: Batch, count: int) -> Iterator[Batch]:
    """The batch in `count` equal parts."""
    chunks = {name: value.chunk(count) for name, value in batch.items()}
    for index in range(count):
        yield {name: parts[index] for name, parts in chunks.items()}


def _update(subject: Subject, trail: Trail) -> None:
    if subject.scaler:
        subject.scaler.unscale_(subject.optimizer)
    sizes = _gradient_sizes(subject.model)
    trail.with_gradient.update(name for name, size in sizes.items() if size > 0)
    bad = [name for name, size in sizes.items() if not math.isfinite(size)]
    if bad and subject.scaler:
        trail.skipped_steps += 1  # how a scaler finds its scale: float16 overflows, the step is left out, the scale halves
    elif bad:
        trail.faults.append(f"gradients are not finite at step {len(trail.losses)}: {_some(bad)}")
        return
    if (norm := subject.job.recipe.gradient_clip_norm) is not None:
        total = float(nn.utils.clip_grad_norm_(subject.model.parameters(), norm))
        sizes = {name: size * min(1.0, norm / (total or 1.0)) for name, size in sizes.items()}
    _note_steps(subject, trail, sizes)
    if subject.scaler:
        subject.scaler.step(subject.optimizer)
        subject.scaler.update()
    else:
        subject.optimizer.step()
    if subject.ema is not None:
        subject.ema.update_parameters(subject.model)


def _gradient_sizes(model: nn.Module) -> dict[str, float]:
    """The largest element of each gradient."""
    named = [(name, parameter.grad) for name, parameter in model.named_parameters() if parameter.grad is not None]
    if not named:
        return {}
    largest = torch._foreach_norm([gradient for _, gradient in named], math.inf)
    return dict(zip((name for name, _ in named), torch.stack([value.float() for value in largest]).tolist(), strict=True))


def _note_steps(subject: Subject, trail: Trail, sizes: dict[str, float]) -> None:
    """How far Adam moves each parameter now: the rate, and less where its epsilon outweighs the gradient."""
    names = {id(parameter): name for name, parameter in subject.model.named_parameters()}
    for group in subject.optimizer.param_groups:
        for name in (names[id(parameter)] for parameter in group["params"] if id(parameter) in names):
            size = sizes.get(name, 0.0)
            trail.longest_step[name] = max(trail.longest_step.get(name, 0.0), group["lr"] * size / (size + ADAM_EPSILON))


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more

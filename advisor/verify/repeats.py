"""The training once more, a few steps at a time: from the same seed, from a checkpoint, and at rates that double step by step.

Each is compared with the run that went before, so that none of them trains for long. What there is no time or memory for is
`skipped`, in words.
"""

from __future__ import annotations

import io
import math
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from advisor.learning_rate import rate_factors
from advisor.verify.overfit import Subject, Trail, base_rates, mark, train
from advisor.verify.smoke_checks import counted

SEED_STEPS = 2  # the first loss shows the same weights and batch, the second the same step
RESUMED_STEPS = 2  # the first loss shows the restored weights, the second the restored state of the optimizer
TWICE_STEPS = 3  # at twice the rate
DOUBLINGS = 4  # after them, to see how much higher the rate could be, 16 times at most; a coarse range test (arXiv:1506.01186)
ERROR_CHARACTERS = 200
COPIES = 3  # of all state at once: as bytes, as loaded, and where it is put

Arm = Callable[[int], Subject]
"""Makes the subject anew; its random numbers begin at the seed."""


@dataclass
class Repeats:
    """What the repeats showed: losses, parameters and buffers that a checkpoint did not bring back, and why any were left out."""

    again: list[float] = field(default_factory=list)
    resumed: list[float] = field(default_factory=list)
    unrestored: list[str] = field(default_factory=list)
    faster: Trail = field(default_factory=Trail)
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """A run as a training script would save it, and what its parameters and buffers were."""

    data: bytes
    generators: tuple[Any, ...]
    marks: dict[str, int]


def repeat(arm: Arm, seed: int, trail: Trail, own_steps: int, memory_bytes: float, deadline: float) -> Repeats:
    """Repeat the beginning of the run of `own_steps` that left `trail`, as far as `deadline` (of time.monotonic) allows."""
    found = Repeats()
    began = time.monotonic()
    subject = arm(seed)
    step_s, build_s = statistics.median(trail.step_seconds), time.monotonic() - began
    factors = rate_factors(subject.job.recipe, own_steps)
    if len(trail.losses) < SEED_STEPS + RESUMED_STEPS:
        found.skipped |= dict.fromkeys(("again", "resumed"), f"only {counted(len(trail.losses), 'step')} fitted in the time before")
    elif not (late := _too_late(build_s + (SEED_STEPS + RESUMED_STEPS) * step_s, deadline)):
        rates = base_rates(subject)
        found.again = _losses(subject, rates, factors[:SEED_STEPS])
        if COPIES * state_bytes(subject) > memory_bytes:
            found.skipped["resumed"] = (
                f"{COPIES} copies of {state_bytes(subject) / 2**30:.2g} GiB of weights and states do not fit in memory"
            )
        else:
            checkpoint = save(subject)
            del subject  # one at a time
            subject = arm(seed + 1)
            found.unrestored = restore(subject, checkpoint)
            resume_generators(checkpoint)
            found.resumed = _losses(subject, rates, factors[SEED_STEPS : SEED_STEPS + RESUMED_STEPS])
    else:
        found.skipped |= dict.fromkeys(("again", "resumed"), late)
    if late := _too_late(build_s + (TWICE_STEPS + 1) * step_s, deadline):
        found.skipped["faster"] = late
    else:
        del subject
        speed_up(arm(seed), found.faster, deadline)
    return found


def speed_up(subject: Subject, trail: Trail, deadline: float) -> None:
    """Steps at twice the recipe's rates, then at rates that double from step to step, until something is not finite."""
    twice = [2 * factor for factor in rate_factors(subject.job.recipe, TWICE_STEPS)]
    rising = [2.0 * 2**doubling for doubling in range(1, DOUBLINGS + 1)]
    train(subject, trail, base_rates(subject), [*twice, *rising], deadline)


def _losses(subject: Subject, rates: list[float], factors: list[float]) -> list[float]:
    trail = Trail()
    train(subject, trail, rates, factors, math.inf)
    return trail.losses


def _too_late(needed_s: float, deadline: float) -> str | None:
    left = max(0.0, deadline - time.monotonic())
    return None if needed_s <= left else f"it would take about {needed_s:.2g} s here, and {left:.2g} s were left"


# --- seeds and checkpoints -------------------------------------------------------------------------------------------


def seed_generators(seed: int) -> None:
    """Every generator that a model or library may draw from, as a training script does."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)  # the GPUs' as well


def save(subject: Subject) -> Checkpoint:
    """Weights, optimizer, loss scale and average through torch's own format, and where the random numbers were."""
    file = io.BytesIO()
    torch.save({name: part.state_dict() for name, part in _parts_with_state(subject).items()}, file)
    cuda = torch.cuda.get_rng_state(subject.device) if subject.device.type == "cuda" else None
    generators = random.getstate(), np.random.get_state(), torch.get_rng_state(), cuda
    return Checkpoint(file.getvalue(), generators, mark(subject.model))


def restore(subject: Subject, checkpoint: Checkpoint) -> list[str]:
    """Put a checkpoint's state into a subject that was made anew; the names of what is not as it was, to the bit."""
    states = torch.load(io.BytesIO(checkpoint.data), map_location=subject.device, weights_only=True)
    for name, part in _parts_with_state(subject).items():
        try:
            part.load_state_dict(states[name])
        except (KeyError, RuntimeError, ValueError) as error:
            return [f"{name} ({' '.join(str(error).split())[:ERROR_CHARACTERS]})"]
    return [name for name, bits in mark(subject.model).items() if checkpoint.marks.get(name, bits) != bits]


def resume_generators(checkpoint: Checkpoint) -> None:
    """Go on with the random numbers that came next."""
    python, numpy, torch_state, cuda = checkpoint.generators
    random.setstate(python)
    np.random.set_state(numpy)
    torch.set_rng_state(torch_state)
    if cuda is not None:
        torch.cuda.set_rng_state(cuda)


def state_bytes(subject: Subject) -> int:
    """Bytes of all that a checkpoint holds."""
    tensors = [*subject.model.state_dict().values()]
    tensors += [value for state in subject.optimizer.state.values() for value in state.values() if isinstance(value, torch.Tensor)]
    copies = 1 + (subject.ema is not None)
    total: int = copies * sum(tensor.numel() * tensor.element_size() for tensor in tensors if isinstance(tensor, torch.Tensor))
    return total


def _parts_with_state(subject: Subject) -> dict[str, torch.nn.Module | torch.optim.Optimizer | torch.amp.GradScaler]:
    parts = {"model": subject.model, "optimizer": subject.optimizer, "scaler": subject.scaler, "ema": subject.ema}
    return {name: part for name, part in parts.items() if part is not None}

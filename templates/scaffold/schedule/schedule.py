"""The course of the learning rate over a run."""

from __future__ import annotations

import math

from settings import Settings


def rate_factor(step: int, total: int, schedule: Settings, epochs: float) -> float:
    """What the schedule makes of the learning rate at `step` of `total`: a linear warm-up, then its course."""
    share = schedule["warmupEpochs"] / epochs if schedule.get("warmupEpochs") else schedule.get("warmupFraction", 0.0)
    warmup = min(schedule.get("warmupSteps") or math.ceil(share * total), total // 2)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1, total - warmup)
    courses = {
        "cosine": (1 + math.cos(math.pi * progress)) / 2,
        "linear": 1 - progress,
        "poly": (1 - progress) ** 0.9,
        "step": 0.1 ** ((progress >= 0.5) + (progress >= 0.75)),
        "inverse_sqrt": (1 + (step - warmup) / max(1, warmup)) ** -0.5,
        "onecycle": max(0.04, (1 + math.cos(math.pi * abs(progress - 0.3) / (0.7 if progress >= 0.3 else 0.3))) / 2),
    }
    return courses.get(schedule["name"], 1.0)  # "plateau" is followed by the trainer, "constant" stays

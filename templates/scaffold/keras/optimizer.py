"""The recipe's optimizer, with a learning rate and a weight decay of its own for each variable, and its schedule."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from settings import Settings
from task import rate_scales

COUPLED = ("sgd", "adam", "rmsprop")  # add the decay to the gradient, as in PyTorch; the others shrink the weights beside the step


def make_optimizer(model: keras.Model, settings: Settings, factors: list[float]) -> keras.optimizers.Optimizer:
    """The optimizer; `factors` are what the schedule makes of the learning rate at each step."""
    recipe, optimizer = settings["recipe"], settings["recipe"]["optimizer"]
    name, accumulation = optimizer["name"], max(1, recipe["batch"]["effective"] // recipe["batch"]["perDevice"])
    options: dict[str, Any] = {"gradient_accumulation_steps": accumulation if accumulation > 1 else None}
    options |= {"global_clipnorm": recipe.get("gradientClipNorm")}
    options |= {"use_ema": True, "ema_momentum": recipe["ema"]} if recipe.get("ema") else {}
    if "betas" in optimizer:
        options |= {"beta_1": optimizer["betas"][0], "beta_2": optimizer["betas"][1]}
    if "momentum" in optimizer:
        options["momentum"] = optimizer["momentum"]
    if name in ("sgd", "rmsprop", "adafactor", "lion", "lamb"):
        base = {"sgd": "SGD", "rmsprop": "RMSprop", "adafactor": "Adafactor", "lion": "Lion", "lamb": "Lamb"}[name]
    else:
        base, options["epsilon"] = "Adam", 1e-8  # PyTorch's
    rate = optimizer["learningRate"]
    course = rate if recipe["schedule"]["name"] == "plateau" else Course(rate, factors, accumulation)
    return with_groups(getattr(keras.optimizers, base), rate_scales(model, settings), coupled=name in COUPLED)(course, **options)


class Course(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate at every step of the run, worked out beforehand."""

    def __init__(self, rate: float, factors: list[float], accumulation: int) -> None:
        self.rates, self.accumulation = rate * np.array(factors, dtype=np.float32), accumulation

    def __call__(self, step: Any) -> Any:
        number = keras.ops.cast(step, "int32") // self.accumulation
        return keras.ops.take(keras.ops.convert_to_tensor(self.rates), keras.ops.minimum(number, len(self.rates) - 1))

    def get_config(self) -> dict[str, Any]:
        return {"rates": self.rates.tolist(), "accumulation": self.accumulation}


def with_groups(base: type, scales: list[tuple[float, float]], coupled: bool) -> type:
    """`base`, whose steps know for each trained variable, in order, the scale of its learning rate and its weight decay."""

    class Grouped(base):  # type: ignore[misc]
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            scale, decay = scales[self._get_variable_index(variable)]
            rate = learning_rate * scale
            if decay and coupled:
                gradient = gradient + decay * keras.ops.convert_to_tensor(variable)
            elif decay:
                self.assign_sub(variable, keras.ops.cast(rate, variable.dtype) * decay * variable)
            super().update_step(gradient, variable, rate)

    return Grouped

"""The recipe's optimizer in optax, with a learning rate and a weight decay of its own for each parameter, and its schedule."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import optax
from flax import nnx
from jax import numpy as jnp

from settings import Settings
from task import rate_scale, trained


def make_optimizer(model: nnx.Module, settings: Settings, factors: list[float]) -> optax.GradientTransformationExtraArgs:
    """The optimizer; `factors` are what the schedule makes of the learning rate at each step."""
    recipe, optimizer = settings["recipe"], settings["recipe"]["optimizer"]
    name, momentum = optimizer["name"], optimizer.get("momentum", 0.0)
    first, second = optimizer.get("betas", (0.9, 0.99 if name == "lion" else 0.999))
    directions = {
        "sgd": optax.trace(momentum) if momentum else optax.identity(),
        "rmsprop": optax.scale_by_rms(0.99),
        "adafactor": optax.scale_by_factored_rms(),
        "lion": optax.scale_by_lion(first, second),
    }
    direction = directions.get(name, optax.scale_by_adam(first, second))
    own = jax.tree_util.tree_map_with_path(
        lambda path, one: rate_scale(jax.tree_util.keystr(path, simple=True, separator="."), one.ndim, settings),
        nnx.state(model, trained(settings)),
    )
    structure = jax.tree.structure(nnx.state(model, trained(settings)))
    scales, decays = jax.tree.transpose(structure, jax.tree.structure((0, 0)), own)
    decay = optax.stateless(lambda updates, weights: jax.tree.map(lambda one, weight, by: one + by * weight, updates, weights, decays))
    scale = optax.stateless(lambda updates, weights: jax.tree.map(lambda one, by: one * by, updates, scales))
    rates = jnp.asarray(optimizer["learningRate"] * np.array(factors, dtype=np.float32))
    steps = [decay, direction] if name in ("sgd", "adam", "rmsprop") else [direction, decay]  # the first add the decay to the gradient
    if name == "lamb":
        steps.append(optax.scale_by_trust_ratio())
    if norm := recipe.get("gradientClipNorm"):
        steps.insert(0, optax.clip_by_global_norm(norm))
    course = optax.scale_by_learning_rate(lambda step: rates[jnp.minimum(step, len(rates) - 1)])
    whole = optax.chain(*steps, scale, course, lowered())
    accumulation = max(1, recipe["batch"]["effective"] // recipe["batch"]["perDevice"])
    return optax.MultiSteps(whole, accumulation).gradient_transformation() if accumulation > 1 else whole


def lowered() -> optax.GradientTransformationExtraArgs:
    """Scales the step by what plateaus have left of the learning rate."""

    def update(updates: Any, state: Any, weights: Any = None, *, rate_scale: Any = 1.0, **_: Any) -> tuple[Any, Any]:
        return jax.tree.map(lambda one: one * rate_scale, updates), state

    return optax.GradientTransformationExtraArgs(lambda weights: optax.EmptyState(), update)

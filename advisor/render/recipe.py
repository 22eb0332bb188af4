"""The recipe in words: one line for the summary, one row a setting for the documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from advisor.recipe import Named, Recipe, RecipeOptimizer, RecipeSchedule
from advisor.render.numbers import format_amount, format_number, format_rate

_ADAPTATIONS = {
    "scratch": "trained from scratch",
    "full": "full fine-tuning",
    "layer_decay": "full fine-tuning with layer-wise learning rates",
    "freeze": "partly frozen fine-tuning",
    "linear_probe": "a new head on a frozen backbone (linear probe)",
    "adapter": "adapters on a frozen backbone",
    "lora": "LoRA",
    "qlora": "QLoRA",
    "in_context": "in-context, nothing trained",
    "zero_shot": "zero-shot, nothing trained",
}
_OPTIMIZERS = {
    "adamw": "AdamW",
    "adam": "Adam",
    "sgd": "SGD",
    "adamw_8bit": "8-bit AdamW",
    "paged_adamw_8bit": "paged 8-bit AdamW",
    "rmsprop": "RMSprop",
    "lamb": "LAMB",
    "lars": "LARS",
    "adafactor": "Adafactor",
    "lion": "Lion",
    "adagrad": "Adagrad",
    "radam": "RAdam",
}
_INPUT_UNITS = {  # of several, and of one
    "channels": ("channels", "channel"),
    "sequence_length": ("tokens or steps", "token or step"),
    "horizon": ("steps ahead", "step ahead"),
    "features": ("features", "feature"),
    "outputs": ("outputs", "output"),
}


def describe_adaptation(recipe: Recipe) -> str:
    """How much of the model is trained, with the adapters' settings where there are any."""
    words = _ADAPTATIONS[recipe.model.adaptation]
    if not recipe.lora:
        return words
    lora = recipe.lora
    dropout = f", dropout {format_rate(lora.dropout)}" if lora.dropout else ""
    return f"{words} (rank {lora.rank}, alpha {lora.alpha}{dropout}, {lora.target} layers, base in {lora.base_precision})"


def summarize_recipe(recipe: Recipe) -> str:
    """The numbers that a practitioner asks for first, in one line."""
    if recipe.optimizer.name == "none":
        return f"nothing is trained; {recipe.precision} inference"
    parts = [_optimizer(recipe.optimizer), _schedule(recipe.schedule), _length(recipe), f"batch {_batch(recipe)}", recipe.precision]
    return "; ".join(part for part in parts if part)


def describe_recipe(recipe: Recipe) -> list[tuple[str, str]]:
    """Every setting as (label, value), in the order in which a training script meets them; what is not set is left out."""
    return [(label, text) for label, text in _settings(recipe) if text]


def _settings(recipe: Recipe) -> Iterator[tuple[str, str]]:
    trained = recipe.optimizer.name != "none"
    yield "Model", f"{recipe.model.id} ({recipe.model.library}, {recipe.model.architecture_family})"
    yield "Weights", f"pretrained, licence {recipe.model.license}" if recipe.model.pretrained else "random initialization"
    yield "Adaptation", describe_adaptation(recipe)
    yield "Input", _input(recipe)
    yield "Split", recipe.split
    yield "Metric", recipe.metric
    yield "Loss", _named(recipe.loss)
    yield "Optimizer", _optimizer(recipe.optimizer)
    yield "Parameter groups", _groups(recipe.optimizer)
    yield "Schedule", _schedule(recipe.schedule)
    yield "Length", _length(recipe)
    yield "Batch", _batch(recipe)
    yield "Precision", recipe.precision
    yield "Gradient clipping", f"norm {format_rate(recipe.gradient_clip_norm)}" if recipe.gradient_clip_norm else ""
    yield "Weight averaging", f"exponential, decay {format_rate(recipe.ema)}" if recipe.ema else ""
    yield "Activation checkpointing", ("on" if recipe.activation_checkpointing else "off") if trained else ""
    yield "Augmentation", _named(recipe.augmentation)
    yield "Regularization", _named(recipe.regularization)
    yield "Quantization", recipe.compression.quantization
    yield "Pruning", recipe.compression.pruning or ""
    yield "Distillation", recipe.compression.distillation or ""
    yield "Export", ", ".join(recipe.export)
    yield "Distributed", recipe.distributed or ""


def _optimizer(optimizer: RecipeOptimizer) -> str:
    if optimizer.name == "none":
        return "none: nothing is trained"
    parts = [_OPTIMIZERS.get(optimizer.name, optimizer.name)]
    if optimizer.learning_rate is not None:
        parts[0] += f" at {format_rate(optimizer.learning_rate)}"
    if optimizer.weight_decay is not None:
        parts.append(f"weight decay {format_rate(optimizer.weight_decay)}")
    if optimizer.momentum is not None:
        parts.append(f"momentum {format_rate(optimizer.momentum)}")
    if optimizer.betas is not None:
        parts.append("betas " + "/".join(map(format_rate, optimizer.betas)))
    return ", ".join(parts)


def _groups(optimizer: RecipeOptimizer) -> str:
    def settings(scale: float, decay: float | None) -> Iterator[str]:
        if scale != 1:
            yield f"learning rate × {format_rate(scale)}"
        if decay is not None:
            yield f"weight decay {format_rate(decay)}"

    return "; ".join(
        f"{group.name}: {', '.join(settings(group.learning_rate_scale, group.weight_decay)) or 'as the rest'}"
        for group in optimizer.parameter_groups
    )


def _schedule(schedule: RecipeSchedule | None) -> str:
    if schedule is None:
        return ""
    if schedule.warmup_fraction:
        return f"{schedule.name} after {format_amount(schedule.warmup_fraction, 'fraction')} of warm-up"
    if schedule.warmup_steps or schedule.warmup_epochs:
        warmup = _plural(schedule.warmup_steps, "step") if schedule.warmup_steps else _plural(schedule.warmup_epochs or 0, "epoch")
        return f"{schedule.name} after {warmup} of warm-up"
    return schedule.name


def _length(recipe: Recipe) -> str:
    if recipe.epochs:
        return _plural(recipe.epochs, "epoch")
    return _plural(recipe.steps, "step") if recipe.steps else ""


def _plural(count: float, noun: str) -> str:
    return f"{format_number(count)} {noun}{'' if count == 1 else 's'}"


def _batch(recipe: Recipe) -> str:
    batch = recipe.batch
    factors = [f"{batch.per_device} a device"]
    factors += [f"{batch.accumulation} accumulated"] if batch.accumulation > 1 else []
    factors += [f"{batch.devices} devices"] if batch.devices > 1 else []
    return f"{batch.effective} ({' × '.join(factors)})" if len(factors) > 1 else str(batch.effective)


def _input(recipe: Recipe) -> str:
    given = recipe.input
    side = given.image_size
    cube = f"{side} × {side} × {side} voxels"
    size = [cube if given.kind == "volume" else f"{side} × {side} px"] if side else []
    known = [(value, units) for name, units in _INPUT_UNITS.items() if (value := getattr(given, name)) is not None]
    counts = [f"{value} {units[value == 1]}" for value, units in known]
    return ", ".join([given.kind, *size, *counts])


def _named(techniques: Iterable[Named]) -> str:
    def words(technique: Named) -> str:
        value = "" if technique.value is None else f" {format_rate(technique.value)}"
        return f"{technique.name.replace('_', ' ')}{value}" + (f" ({technique.detail})" if technique.detail else "")

    return ", ".join(map(words, techniques))

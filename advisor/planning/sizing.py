"""From decided slots to the recipe's numbers: the batch a device holds, the learning rate at that batch, the input."""

from __future__ import annotations

import math
from typing import TypeVar, cast

from advisor import choices as c
from advisor.catalogue.entries import ModelEntry
from advisor.engine.deciding import Outcomes
from advisor.engine.facts import Facts
from advisor.recipe import (
    Compression,
    Named,
    ParameterGroup,
    Recipe,
    RecipeBatch,
    RecipeInput,
    RecipeModel,
    RecipeOptimizer,
    RecipeSchedule,
)

SIGNIFICANT_DIGITS = 2  # a learning rate to more digits claims a precision that no recipe has
UNSTATED_OUTPUTS = 10  # for counting only, where nobody says how many classes there are; listed among the assumptions
OUTPUTS = {  # by task, where a request states none and the task itself says
    "text_regression": 1,
    "image_regression": 1,
    "ranking": 1,
    "speech_recognition": 32,  # letters, marks and the blank of CTC: the vocabulary of facebook/wav2vec2-large-960h
}
OneGraphTasks = ("node_classification", "link_prediction")  # a batch is so many of its nodes, at most all
TabularTasks = ("tabular_classification", "tabular_regression")

T = TypeVar("T", bound=c.Choice)


def make_recipe(candidate: ModelEntry, facts: Facts, outcomes: Outcomes) -> Recipe:
    """The recipe that the decided slots add up to."""
    adaptation = cast("c.Adaptation", _the(outcomes, "adaptation"))
    optimizer = cast("c.Optimizer", _the(outcomes, "optimizer"))
    length = cast("c.Length", _the(outcomes, "length"))
    most = number(facts, "data.samples", math.inf) if value(facts, "task.kind") in OneGraphTasks else math.inf
    batch = size_batch(cast("c.Batch", _the(outcomes, "batch")), int(number(facts, "compute.devices", 1)), most)
    schedule = cast("c.Schedule | None", _the(outcomes, "schedule"))
    clipping, ema = cast("c.Clipping | None", _the(outcomes, "clipping")), cast("c.Ema | None", _the(outcomes, "ema"))
    export, distributed = cast("c.Export | None", _the(outcomes, "export")), cast("c.Distributed | None", _the(outcomes, "distributed"))
    trains = optimizer.name != "none"
    return Recipe(
        model=RecipeModel(
            id=candidate.id,
            library=candidate.build.library,
            architecture_family=candidate.family,
            license=candidate.license,
            pretrained=candidate.pretrained and adaptation.name != "scratch",
            adaptation=adaptation.name,
        ),
        input=size_input(candidate, facts, _wanted_size(facts, outcomes)),
        loss=_losses(outcomes),
        metric=cast("c.Metric", _the(outcomes, "metric")).name,
        split=cast("c.Split", _the(outcomes, "split")).name,
        optimizer=_optimizer(optimizer, batch.effective),
        schedule=_schedule(schedule) if schedule and trains else None,
        batch=batch,
        epochs=length.epochs,
        steps=length.steps,
        precision=cast("c.PrecisionChoice", _the(outcomes, "precision")).name,
        gradient_clip_norm=clipping.norm if clipping and trains else None,
        ema=ema.decay if ema and trains else None,
        activation_checkpointing=cast("c.Checkpointing", _the(outcomes, "checkpointing")).enabled and trains,
        lora=adaptation.lora,
        regularization=_techniques(outcomes, "regularization"),
        augmentation=_techniques(outcomes, "augmentation"),
        compression=Compression(
            quantization=cast("c.Quantization", _the(outcomes, "quantization")).name,
            pruning=_text(outcomes, "pruning"),
            distillation=_text(outcomes, "distillation"),
        ),
        export=export.formats if export else [],
        distributed=distributed.name if distributed and distributed.name != "none" else None,
    )


def size_batch(choice: c.Batch, devices: int, most: float = math.inf) -> RecipeBatch:
    """Per-device batch and accumulation whose product with the devices is the effective batch, or the next above it.

    `most` is how many samples there are, where a batch takes all of them at once.
    """
    share = math.ceil(max(1, min(choice.effective, most)) / devices)
    per_device = min(share, choice.per_device or share)
    accumulation = math.ceil(share / per_device)
    return RecipeBatch(per_device=per_device, accumulation=accumulation, devices=devices, effective=per_device * accumulation * devices)


def scale_learning_rate(rate: c.LearningRate, batch: int) -> float:
    """The rate at another batch.

    Source: linear, arXiv:1706.02677 (Goyal et al.); square root for adaptive optimizers, arXiv:2205.10287 (Malladi et al.).
    """
    ratio = batch / rate.at_batch
    factor = {"none": 1.0, "sqrt": math.sqrt(ratio), "linear": ratio}[rate.scaling]
    return float(f"{rate.value * factor:.{SIGNIFICANT_DIGITS}g}")


def size_input(candidate: ModelEntry, facts: Facts, choice: c.Input) -> RecipeInput:
    """One sample: what the request states wins over what the rules suppose."""
    task = str(value(facts, "task.kind") or "")
    outputs = _count_outputs(task, facts)
    if choice.neighbours is not None:
        features = int(number(facts, "data.features", choice.features or 1))
        return RecipeInput(kind="graph", features=features, nodes=choice.nodes, neighbours=choice.neighbours, outputs=outputs)
    if task.startswith("reinforcement"):
        actions = int(number(facts, "data.classes", choice.outputs or 1))
        if choice.image_size is not None:
            return RecipeInput(kind="observation", image_size=choice.image_size, channels=choice.channels, outputs=actions)
        return RecipeInput(kind="observation", features=int(number(facts, "data.features", choice.features or 1)), outputs=actions)
    if choice.seconds is not None:
        return RecipeInput(kind="audio", seconds=choice.seconds, outputs=outputs)
    if choice.image_size is not None and choice.sequence_length is not None:
        length = min(choice.sequence_length, candidate.positions or choice.sequence_length)
        return RecipeInput(kind="image_text", image_size=choice.image_size, channels=3, sequence_length=length, outputs=outputs)
    if choice.volume_size is not None:
        return RecipeInput(kind="volume", image_size=choice.volume_size, channels=1, outputs=outputs)
    if choice.image_size is not None and choice.frames is not None:
        return RecipeInput(kind="video", image_size=choice.image_size, channels=3, sequence_length=choice.frames, outputs=outputs)
    if choice.image_size is not None:
        return RecipeInput(kind="image", image_size=choice.image_size, channels=3, outputs=outputs)
    if choice.context is not None:
        context, horizon = number(facts, "data.context", choice.context), number(facts, "data.horizon", choice.horizon or 1)
        features = int(number(facts, "data.features", choice.features or 1))
        return RecipeInput(kind="series", sequence_length=int(context), horizon=int(horizon), features=features, outputs=outputs)
    if task in TabularTasks:
        return RecipeInput(kind="table", features=int(number(facts, "data.features", choice.features or 1)), outputs=outputs or 1)
    length = choice.sequence_length or candidate.positions or 1
    return RecipeInput(kind="text", sequence_length=min(length, candidate.positions or length), outputs=outputs)


def _wanted_size(facts: Facts, outcomes: Outcomes) -> c.Input:
    """The decided size; that which the request asks for in its place, unless an edit had to be made to it."""
    choice, stated = cast("c.Input", _the(outcomes, "input")), value(facts, "setup.image_size")
    is_ruled = outcomes["input"].decided[0].rule is not None
    return choice.model_copy(update={"image_size": stated}) if stated is not None and choice.image_size is not None and is_ruled else choice


def _count_outputs(task: str, facts: Facts) -> int | None:
    """Classes where the task has any; of a task whose outputs are no classes of the data's, their number or none."""
    if task in OUTPUTS:
        return OUTPUTS[task]
    is_classifying = task.endswith(("classification", "_segmentation", "object_detection")) or task == "keyword_spotting"
    return int(number(facts, "data.classes", UNSTATED_OUTPUTS)) if is_classifying else None


def value(facts: Facts, name: str) -> object:
    fact = facts.get(name)
    return None if fact is None else fact.value


def number(facts: Facts, name: str, otherwise: float) -> float:
    found = value(facts, name)
    return float(found) if isinstance(found, int | float) else otherwise


def _optimizer(choice: c.Optimizer, effective_batch: int) -> RecipeOptimizer:
    if choice.name == "none" or choice.learning_rate is None:
        return RecipeOptimizer(name=choice.name)
    groups = [ParameterGroup(name=g.name, learning_rate_scale=g.learning_rate_scale, weight_decay=g.weight_decay) for g in choice.groups]
    return RecipeOptimizer(
        name=choice.name,
        learning_rate=scale_learning_rate(choice.learning_rate, effective_batch),
        betas=choice.betas,
        weight_decay=choice.weight_decay,
        momentum=choice.momentum,
        parameter_groups=groups,
    )


def _schedule(choice: c.Schedule) -> RecipeSchedule:
    return RecipeSchedule(
        name=choice.name, warmup_steps=choice.warmup_steps, warmup_epochs=choice.warmup_epochs, warmup_fraction=choice.warmup_fraction
    )


def _losses(outcomes: Outcomes) -> list[Named]:
    loss = cast("c.Loss", _the(outcomes, "loss"))
    smoothing = f"label smoothing {loss.label_smoothing:g}" if loss.label_smoothing else None
    return [Named(name=loss.name, value=loss.label_smoothing or None, detail=smoothing)]


def _techniques(outcomes: Outcomes, slot: str) -> list[Named]:
    chosen = [cast("c.Technique", decided.choice) for decided in outcomes[slot].decided] if slot in outcomes else []
    return [Named(name=technique.name, value=technique.value, detail=technique.text) for technique in chosen]


def _the(outcomes: Outcomes, slot: str) -> c.Choice | None:
    outcome = outcomes.get(slot)
    return outcome.choice if outcome else None


def _text(outcomes: Outcomes, slot: str) -> str | None:
    choice = _the(outcomes, slot)
    return choice.text if isinstance(choice, c.Text) else None

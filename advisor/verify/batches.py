"""Synthetic batches in the shapes of the task, and the recipe's loss over them.

The inputs carry the label's signal, so that a model that can learn at all learns a batch by heart. B is the batch size,
C, S, F, T, L, H are the recipe's channels, image size, features, time steps, tokens and horizon, V the vocabulary.

| task                                | library      | batch                                                                    |
| ----------------------------------- | ------------ | ------------------------------------------------------------------------ |
| image_*                             | timm         | inputs float [B, C, S, S] about N(0, 1), targets [B]                     |
| image_*                             | transformers | pixel_values, labels: the same                                           |
| text_*classification, -_regression  | transformers | input_ids int64 [B, L] in [8, V), attention_mask [B, L] ones, labels [B] |
| text_*classification                | torch        | inputs int64 [B, L] in [8, V), targets [B]                               |
| text_generation, instruction_tuning | transformers | input_ids, attention_mask, labels = input_ids, all int64 [B, L]          |
| text_generation                     | torch        | inputs int64 [B, L], targets [B, L]: the tokens one place on             |
| summarization, translation          | transformers | the same                                                                 |
| forecasting                         | torch        | inputs float [B, T, F] waves in [-1, 1] with noise, targets float [B, H] |
| forecasting                         | transformers | past_values [B, T, F], future_values [B, H, F]; of a language model over |
|                                     |              | quantized values: input_ids, attention_mask [B, T], labels [B, H]        |
| tabular_*                           | torch        | inputs float [B, F] about N(0, 1), targets [B]                           |
| tabular_*                           | tabular      | inputs float [1, L + B, F], context float [1, L]; targets [B]            |

What further tasks are tried with stands in `batches_<area>.py`, in the table at the top of each.

Targets and labels are int64 classes below the recipe's outputs, or floats in [0, 1) for regression. Of an in-context model,
L rows come with labels and B are asked about; without a stated length L is B.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from advisor.errors import CheckError, did_you_mean
from advisor.verify.build import transformers_config
from advisor.verify.evidence import Job
from advisor.verify.likelihood import student_t_nll
from advisor.verify.plain_forecasters import QUANTILES

Batch = dict[str, Tensor]

_GENERATIVE = ("text_generation", "instruction_tuning", "summarization", "translation")
_REGRESSION = ("tabular_regression", "image_regression", "text_regression")
_FIRST_WORD = 8  # below it lie the special tokens (padding, start, end) of the usual vocabularies
_MOTIF = 8  # tokens after which a generated text repeats itself
_PATCHES = 8  # an image's class shows in the brightness of 8 x 8 patches
LEVELS = 100  # values that a continuous target takes, evenly spread over [0, 1)
_MARGIN, _MARGIN_SCALE = 0.2, 30.0  # speechbrain, recipes/VoxCeleb/SpeakerRec/hparams/train_ecapa_tdnn.yaml
_NOISE = 0.5  # standard deviation of what hides the signal, whose own is about 0.7


def make_batch(job: Job, batch_size: int, device: str | torch.device, generator: torch.Generator | None = None) -> Batch:
    """One batch of the table above on `device`; on `meta`, its shapes alone. `generator` is one of the CPU's.

    Raises CheckError for a task that has no synthetic batch, or a recipe that lacks a size.
    """
    place = torch.device(device)
    source = _Source("meta" if place.type == "meta" else "cpu", None if place.type == "meta" else generator)
    made = _maker(job)(job, batch_size, source)
    return {name: value.to(place) for name, value in made.items()}


def forward(model: nn.Module, batch: Batch, job: Job) -> Any:
    """The model's output as its library gives it: a tensor, or a transformers output whose loss is set for generative tasks."""
    exercise = _exercises().get(job.task)
    if exercise and exercise.forward:
        return exercise.forward(model, batch, job)
    if job.build.library == "tabular":
        return model.train()._train_forward(batch["inputs"], batch["context"])
    if job.build.library in ("transformers", "chronos"):
        targets = () if _has_own_loss(job) else ("labels",)
        extras = {"use_cache": False} if job.task in _GENERATIVE else {}
        return model(**{name: value for name, value in batch.items() if name not in targets}, **extras)
    return model(batch["inputs"])


def loss_of(outputs: Any, batch: Batch, job: Job) -> Tensor:
    """The recipe's loss, a scalar; a generative or forecasting model of transformers brings its own."""
    exercise = _exercises().get(job.task)
    if exercise and exercise.loss:
        return exercise.loss(outputs, batch, job)
    if _has_own_loss(job):
        return own_loss(outputs, batch, job)
    predictions = getattr(outputs, "logits", outputs)
    targets = batch["labels"] if "labels" in batch else batch["targets"]
    if job.build.library == "tabular":
        predictions = predictions[0].mean(-1) if job.task in _REGRESSION else predictions[0]
    if job.build.library == "tabm":  # the mean of its members' losses, not the loss of their mean: arXiv:2410.24210, section 3.3
        targets, predictions = targets.repeat_interleave(predictions.shape[1]), predictions.flatten(0, 1)
    if targets.is_floating_point() and predictions.ndim > targets.ndim:
        predictions = predictions.squeeze(-1)
    name, smoothing = _loss_name(job)
    return _LOSSES[name](predictions, targets, smoothing)


def own_loss(outputs: Any, batch: Batch, job: Job) -> Tensor:
    """The loss that the library's class has worked out itself."""
    loss: Tensor = outputs.loss
    return loss


def compute_loss(model: nn.Module, batch: Batch, job: Job) -> Tensor:
    """A forward pass and the loss over it."""
    return loss_of(forward(model, batch, job), batch, job)


class _Source:
    """Where random numbers come from: one generator, or `meta` tensors that have none."""

    def __init__(self, device: str, generator: torch.Generator | None) -> None:
        self.settings: dict[str, Any] = {"device": device, "generator": generator}
        self.device = device

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, **self.settings)

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, max(low + 1, high), shape, **self.settings)

    def code(self, labels: Tensor, width: int) -> Tensor:
        """[B] labels to [B, width] values in [-1, 1] that differ from label to label."""
        return torch.sin((labels + 1).unsqueeze(-1) * torch.arange(1, width + 1, device=self.device))


def _images(job: Job, batch: int, source: _Source) -> Batch:
    channels, size = job.recipe.input.channels or 3, _size(job, "image_size")
    labels = source.integers(0, _kinds(job), batch)
    patches = source.code(labels, channels * _PATCHES**2).view(batch, channels, _PATCHES, _PATCHES)
    images = F.interpolate(patches, size=(size, size)) + _NOISE * source.normal(batch, channels, size, size)
    names = ("pixel_values", "labels") if job.build.library == "transformers" else ("inputs", "targets")
    return dict(zip(names, (images, _targets(job, labels)), strict=True))


def _classified_texts(job: Job, batch: int, source: _Source) -> Batch:
    length, words = _size(job, "sequence_length"), _vocabulary(job)
    labels = source.integers(0, _kinds(job), batch)
    tokens = source.integers(_FIRST_WORD, words, batch, length)
    tells = (torch.arange(length, device=source.device) % 2).bool()
    tokens = torch.where(tells, _FIRST_WORD + labels.unsqueeze(-1) % (words - _FIRST_WORD), tokens)
    return _read(job, tokens, _targets(job, labels))


def _generated_texts(job: Job, batch: int, source: _Source) -> Batch:
    length, words = _size(job, "sequence_length"), _vocabulary(job)
    motif = source.integers(_FIRST_WORD, words, batch, _MOTIF)
    tokens = motif.repeat(1, length // _MOTIF + 1)[:, :length].contiguous()
    return _read(job, tokens, tokens.roll(-1, 1) if job.build.library == "torch" else tokens.clone())


def _read(job: Job, tokens: Tensor, labels: Tensor) -> Batch:
    """Tokens with what is to be told of them, as the model's library takes them."""
    if job.build.library == "torch":
        return {"inputs": tokens, "targets": labels}
    return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "labels": labels}


def _vocabulary(job: Job) -> int:
    if job.build.library == "torch":
        return int(job.build.config["vocabulary"])
    return int(transformers_config(job).get_text_config().vocab_size)


def _series(job: Job, batch: int, source: _Source) -> Batch:
    context, horizon, features = _size(job, "sequence_length"), _size(job, "horizon"), job.recipe.input.features or 1
    if job.build.library == "transformers" and transformers_config(job).is_encoder_decoder:
        motif = source.integers(_FIRST_WORD, int(transformers_config(job).vocab_size), batch, _MOTIF)
        tokens = motif.repeat(1, (context + horizon) // _MOTIF + 1)
        past, future = tokens[:, :context].contiguous(), tokens[:, context : context + horizon].contiguous()
        return {"input_ids": past, "attention_mask": torch.ones_like(past), "labels": future}
    time = torch.arange(context + horizon, device=source.device).unsqueeze(-1)
    phase = source.normal(batch, 1, features)
    waves = torch.sin(2 * torch.pi * (time / (context / 2) + phase))
    past = waves[:, :context] + _NOISE / 10 * source.normal(batch, context, features)
    if job.build.library == "transformers" and transformers_config(job).model_type == "timesfm2_5":  # it reads one series at a time
        return {"past_values": past[..., 0].contiguous(), "future_values": waves[:, context:, 0].contiguous()}
    if job.build.library in ("transformers", "chronos"):
        return {"past_values": past, "future_values": waves[:, context:].contiguous()}
    return {"inputs": past, "targets": waves[:, context:, 0].contiguous()}


def _rows(job: Job, batch: int, source: _Source) -> Batch:
    context = (job.recipe.input.sequence_length or batch) if job.build.library == "tabular" else 0
    features = _size(job, "features")
    labels = source.integers(0, _kinds(job), context + batch)
    rows = source.code(labels, features) + _NOISE * source.normal(context + batch, features)
    targets = _targets(job, labels)
    if job.build.library == "tabular":
        return {"inputs": rows.unsqueeze(0), "context": targets[:context].float().unsqueeze(0), "targets": targets[context:]}
    return {"inputs": rows, "targets": targets}


def _kinds(job: Job) -> int:
    """How many labels are drawn from: the classes, or the levels that stand in for a continuous target."""
    return LEVELS if job.task in _REGRESSION else _size(job, "outputs")


def _targets(job: Job, labels: Tensor) -> Tensor:
    return labels / LEVELS if job.task in _REGRESSION else labels


_MAKERS: dict[str, Callable[[Job, int, _Source], Batch]] = {
    "image_classification": _images,
    "image_regression": _images,
    "text_classification": _classified_texts,
    "text_pair_classification": _classified_texts,
    "text_regression": _classified_texts,
    "text_generation": _generated_texts,
    "instruction_tuning": _generated_texts,
    "summarization": _generated_texts,
    "translation": _generated_texts,
    "forecasting": _series,
    "tabular_classification": _rows,
    "tabular_regression": _rows,
}


def _maker(job: Job) -> Callable[[Job, int, _Source], Batch]:
    if job.task in _exercises():
        return _exercises()[job.task].make
    if job.task not in _MAKERS:
        known = ", ".join((*_MAKERS, *_exercises()))
        raise CheckError(f"there is no synthetic batch for task {job.task!r}; there is for {known}")
    return _MAKERS[job.task]


@dataclass(frozen=True)
class Exercise:
    """How a further task is tried: its batch; and its forward pass and its loss, where the general ones do not suit it."""

    make: Callable[[Job, int, _Source], Batch]
    forward: Callable[[nn.Module, Batch, Job], Any] | None = None
    loss: Callable[[Any, Batch, Job], Tensor] | None = None


_AREAS = (
    "language",
    "audio",
    "multimodal",
    "dense",
    "graph",
    "rl",
    "series",
)  # batches_<area>.py with a dict EXERCISES by task; they import this module


@cache
def _exercises() -> dict[str, Exercise]:
    modules = [importlib.import_module(f"advisor.verify.batches_{area}") for area in _AREAS]
    return {task: exercise for module in modules for task, exercise in module.EXERCISES.items()}


def _has_own_loss(job: Job) -> bool:
    if job.build.library == "torch":
        return False
    return job.task in _GENERATIVE or (job.task == "forecasting" and job.build.library in ("transformers", "chronos"))


def _size(job: Job, name: str) -> int:
    value = getattr(job.recipe.input, name)
    if value is None:
        raise CheckError(f"recipe.input.{name} is needed for a batch of {job.task}, and is missing")
    return int(value)


def _cross_entropy(predictions: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    return F.cross_entropy(predictions, targets, label_smoothing=smoothing)


def _binary_cross_entropy(predictions: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    if predictions.shape == targets.shape:
        return F.binary_cross_entropy_with_logits(predictions, targets.to(predictions.dtype))
    wanted = F.one_hot(targets, predictions.shape[-1]).to(predictions.dtype)
    return F.binary_cross_entropy_with_logits(predictions, wanted * (1 - smoothing) + smoothing / predictions.shape[-1])


def _focal(predictions: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """arXiv:1708.02002 with its gamma of 2."""
    each = F.cross_entropy(predictions, targets, label_smoothing=smoothing, reduction="none")
    return ((1 - torch.exp(-each)) ** 2 * each).mean()


def _margin(predictions: Tensor, targets: Tensor, margin: float) -> Tensor:
    """The head's outputs as cosines, the right class's less by the margin, all times the scale of arXiv:1801.07698's recipes."""
    right = F.one_hot(targets, predictions.shape[-1]).to(predictions.dtype)
    return F.cross_entropy(_MARGIN_SCALE * (predictions.tanh() - (margin or _MARGIN) * right), targets)


def _pairwise_cosine(vectors: Tensor, targets: Tensor, _: float) -> Tensor:
    """Every pair of the batch towards a cosine of 1 within a class, 0 between two: sentence-transformers' CosineSimilarityLoss."""
    similarities = F.cosine_similarity(vectors.unsqueeze(0), vectors.unsqueeze(1), dim=-1)
    return F.mse_loss(similarities, (targets.unsqueeze(0) == targets.unsqueeze(1)).to(similarities.dtype))


def _pinball(predictions: Tensor, targets: Tensor, quantile: float) -> Tensor:
    """Of one quantile, or of all that a network gives for each value, in its last dimension."""
    levels = torch.tensor(QUANTILES if predictions.ndim > targets.ndim else [quantile or 0.5], device=predictions.device)
    miss = targets.unsqueeze(-1) - (predictions if predictions.ndim > targets.ndim else predictions.unsqueeze(-1))
    return torch.maximum(levels * miss, (levels - 1) * miss).mean()


_LOSSES: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "cross_entropy": _cross_entropy,
    "weighted_cross_entropy": _cross_entropy,  # the batch is balanced, so that every weight would be one
    "binary_cross_entropy": _binary_cross_entropy,
    "focal": _focal,
    "additive_angular_margin": _margin,
    "cosine_similarity": _pairwise_cosine,
    "mse": lambda predictions, targets, _: F.mse_loss(predictions, targets),
    "mae": lambda predictions, targets, _: F.l1_loss(predictions, targets),
    "huber": lambda predictions, targets, _: F.huber_loss(predictions, targets),
    "quantile": _pinball,
    "student_t_nll": lambda parameters, targets, _: student_t_nll(parameters, targets),
}


def _loss_name(job: Job) -> tuple[str, float]:
    """The loss, and its label smoothing (its quantile for `quantile`): the value it has, or that of an entry beside it."""
    named = [loss for loss in job.recipe.loss if loss.name in _LOSSES]
    if not named:
        given = job.recipe.loss[0].name if job.recipe.loss else "none"
        raise CheckError(f"there is no loss {given!r}{did_you_mean(given, _LOSSES)}; known are {', '.join(_LOSSES)}")
    beside = [loss.value for loss in job.recipe.loss if loss.name == "label_smoothing"]
    return named[0].name, next((value for value in [named[0].value, *beside] if value), 0.0)

"""A smaller copy of a design, of the same architecture, where the whole does not fit this machine or the time for a check."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any

from advisor.errors import CheckError
from advisor.verify.batches import make_batch
from advisor.verify.build import apply_adaptation, build_model, transformers_config
from advisor.verify.build_dense import fewer_queries, narrower
from advisor.verify.evidence import Build, Job
from advisor.verify.flops import count_flops
from advisor.verify.memory import predict_training_memory
from advisor.verify.two_views import narrower_heads

GIB = 2**30
FORWARD_AND_BACKWARD = 3  # the backward pass costs twice the forward: arXiv:2001.08361, section 2.1
BYTES_TO_BUILD = 4  # models are built in fp32
# AdamW reads weight, gradient and two averages, and writes three of them; clipping and zeroing touch the gradient again: some forty
# bytes a parameter, and a CPU moves about as many bytes as it does operations in a small training step.
UPDATE_FLOPS = 40
_FEW_TRAIN = ("lora", "qlora", "linear_probe")

# How small a copy may get: enough for every kind of layer to be there, and for a batch to have statistics.
SMALLEST_BATCH = 4
SMALLEST_IMAGE = 96
SMALLEST_BY_TASK = {"volume_segmentation": 64, "object_detection": 320}
# below which a U-Net of six stages normalizes over one voxel, and a detector has fewer places than the 300 it picks
SMALLEST_SEQUENCE = 32
SMALLEST_CLIP = 1.0  # seconds
SMALLEST_FRAMES, SMALLEST_CLIP_IMAGE = 8, 64  # of a video: R(2+1)D halves both four times
SMALLEST_DEPTH = 2
SMALLEST_VOCABULARY = 2048
SMALLEST_WIDTH = 256
_WHISPER_POSITIONS_A_SECOND = 50  # 1500 for 30 s: arXiv:2212.04356, section 2.2
_ANY_CLIP = ("r2plus1d",)  # of torchvision's networks for video, those that pool whatever map is left
_IMAGE_GRID = 32  # the usual product of a backbone's strides

_DEPTHS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers", "num_decoder_layers")
_WIDTHS = (
    "hidden_size",
    "out_hidden_size",
    "pooler_hidden_size",
    "embedding_size",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
    "n_embd",
    "n_inner",
    "n_head",
    "n_heads",
    "dim",
    "hidden_dim",
    "d_model",
    "d_ff",
    "num_heads",
    "encoder_attention_heads",
    "decoder_attention_heads",
    "encoder_ffn_dim",
    "decoder_ffn_dim",
)
_MAIN_WIDTHS = ("hidden_size", "n_embd", "dim", "d_model")
_HEADS = tuple(name for name in _WIDTHS if "head" in name)
_ONE_BLOCK_A_STAGE: tuple[dict[str, Any], ...] = ({"layers": (1, 1, 1, 1)}, {"depths": (1, 1, 1, 1)}, {"depth": SMALLEST_DEPTH})


@dataclass(frozen=True)
class Limits:
    """What a training run may use here: bytes of memory, and floating-point operations in one step."""

    memory_bytes: float
    step_flops: float


def reduce_job(job: Job, limits: Limits) -> tuple[Job, list[str]]:
    """The job, or the least reduced copy of it that fits, and what was cut in words. Batch first, then the sample, then the model.

    A copy that fits the memory but not the operations is still given: the run stops when its time is up. Raises CheckError
    where the smallest copy does not fit the memory.
    """
    cut: dict[str, str] = {}
    need = _excess(job, limits)
    cuts = (_cut_batch, _cut_sample, _cut_depth, _cut_vocabulary, _cut_width)
    if weight_bytes(job) > limits.memory_bytes:  # no batch is small enough: begin with the layers
        cuts = (_cut_depth, _cut_batch, _cut_sample, _cut_vocabulary, _cut_width)
    for step in cuts:
        if need <= 1:
            break
        for what, words, smaller in step(job, need):
            job, cut[what] = smaller, words
            need = _excess(job, limits)
            if need <= 1:
                break
    if need > 1 and max(weight_bytes(job), training_bytes(job)) > limits.memory_bytes:
        raise CheckError("even the smallest copy of this model needs more memory than is free here")
    return job, list(cut.values())


def _excess(job: Job, limits: Limits) -> float:
    """How many times too large the job is; at most 1 where it fits. The costly things are looked at only where the cheap ones fit."""
    need = weight_bytes(job) / limits.memory_bytes
    if need <= 1:
        need = (FORWARD_AND_BACKWARD * operations(job) * _samples(job) + _update(job)) / limits.step_flops
    return need if need > 1 else max(need, training_bytes(job) / limits.memory_bytes)


def _once(figure: Callable[[Job], float]) -> Callable[[Job], float]:
    """A figure of a job, worked out once a process: several cuts, and the look at another moment, ask for the same."""
    known: dict[str, float] = {}

    @wraps(figure)
    def remembered(job: Job) -> float:
        key = job.model_dump_json()
        if key not in known:
            known[key] = figure(job)
        return known[key]

    return remembered


@_once
def weight_bytes(job: Job) -> float:
    """Bytes of the model's parameters as it is built."""
    total: int = sum(parameter.numel() for parameter in build_model(job, "meta").parameters())
    return BYTES_TO_BUILD * total


@_once
def operations(job: Job) -> float:
    """FLOPs of the forward pass of one sample; 0 for a model that cannot run on `meta`, whose time is not known beforehand."""
    try:
        return float(count_flops(build_model(job, "meta"), make_batch(job, 1, "meta"), job)[0])
    except (RuntimeError, NotImplementedError, TypeError):
        return 0.0


@_once
def training_bytes(job: Job) -> float:
    """Predicted peak of training in bytes; 0 for a model that is not trained, or cannot run on `meta`."""
    if job.recipe.optimizer.name == "none":
        return 0.0
    try:
        predicted, _ = predict_training_memory(job)
    except (RuntimeError, NotImplementedError, TypeError):  # not on meta either
        return 0.0
    return predicted.total if predicted else 0.0


def _update(job: Job) -> float:
    """What changing every parameter costs in FLOPs: of a small batch and a large vocabulary it is the most."""
    if job.recipe.optimizer.name == "none" or job.recipe.model.adaptation in _FEW_TRAIN:
        return 0.0
    return UPDATE_FLOPS * weight_bytes(job) / BYTES_TO_BUILD


def _samples(job: Job) -> int:
    return job.recipe.batch.per_device * min(2, job.recipe.batch.accumulation)


Cuts = Iterator[tuple[str, str, Job]]


def _cut_batch(job: Job, need: float) -> Cuts:
    batch = job.recipe.batch
    for size in sorted({max(SMALLEST_BATCH, int(batch.per_device / need)), SMALLEST_BATCH}, reverse=True):
        if size < batch.per_device:
            smaller = batch.model_copy(update={"per_device": size, "effective": size * batch.accumulation * batch.devices})
            yield "batch", f"batch {size} instead of {batch.per_device}", _with_recipe(job, batch=smaller)


def _cut_sample(job: Job, need: float) -> Cuts:
    """Fewer pixels (voxels), fewer tokens, or shorter clips."""
    for words, changes in fewer_queries(job):  # of which an image has to have as many places
        job = _with_config(job, changes)
        yield "queries", words, job
    sample = job.recipe.input
    if sample.kind in ("image", "video", "volume", "image_text") and sample.image_size:
        is_volume = sample.kind == "volume"
        grid = _image_grid(job)
        wanted = int(sample.image_size / need ** (1 / (3 if is_volume else 2))) // grid * grid
        size = max(math.ceil(_smallest(job) / grid) * grid, wanted)
        if size < sample.image_size:
            words = f"images of {size} x {size} instead of {sample.image_size} x {sample.image_size} pixels"
            changes = {"image_size": size}
            length = sample.sequence_length or 0
            if sample.kind == "image_text" and length > SMALLEST_SEQUENCE:  # the text beside the image
                changes["sequence_length"] = max(SMALLEST_SEQUENCE, int(length / need))
                words += f" and sequences of {changes['sequence_length']} instead of {length} tokens"
            if sample.kind == "video" and job.build.factory.startswith(_ANY_CLIP) and length > SMALLEST_FRAMES:
                changes["sequence_length"] = max(SMALLEST_FRAMES, int(length / need))
                words += f" and {changes['sequence_length']} instead of {length} frames"
            smaller = _with_recipe(job, input=sample.model_copy(update=changes))
            if _builds(smaller):
                yield "sample", words, smaller
    if sample.kind == "audio" and sample.seconds and sample.seconds > SMALLEST_CLIP:
        clip = max(SMALLEST_CLIP, round(sample.seconds / need, 1))
        smaller = _with_recipe(job, input=sample.model_copy(update={"seconds": clip}))
        if job.build.config.get("model_type") == "whisper":  # it has places for a clip of one length, which others are padded to
            smaller = _with_config(smaller, {"max_source_positions": int(clip * _WHISPER_POSITIONS_A_SECOND)})
        yield "sample", f"clips of {clip:g} instead of {sample.seconds:g} s", smaller
    if sample.kind == "text" and sample.sequence_length:
        length = max(SMALLEST_SEQUENCE, int(sample.sequence_length / need))
        if length < sample.sequence_length:
            smaller = _with_recipe(job, input=sample.model_copy(update={"sequence_length": length}))
            yield "sample", f"sequences of {length} instead of {sample.sequence_length} tokens", smaller


def _image_grid(job: Job) -> int:
    """What an image's edge has to be a multiple of; where patches are merged two by two (Idefics says by how many), twice their edge.

    A backbone that attends within windows has as many patches along each of them.
    """
    if windows := _windowed(job).get("num_windows"):
        return int(windows * _windowed(job)["patch_size"])
    patch = job.build.config.get("vision_config", {}).get("patch_size") if job.recipe.input.kind == "image_text" else None
    merged: int = job.build.config.get("scale_factor", 2)
    return merged * (patch[0] if isinstance(patch, list) else patch) if patch else _IMAGE_GRID


def _smallest(job: Job) -> int:
    if job.task == "video_classification" and job.build.library == "torchvision":
        if job.build.factory.startswith(_ANY_CLIP):
            return SMALLEST_CLIP_IMAGE
        return job.recipe.input.image_size or SMALLEST_IMAGE  # these networks pool or attend over one size of map
    if windowed := _windowed(job):  # as many places as queries that are picked from them
        return math.ceil(math.sqrt(job.build.config.get("num_queries", 1))) * int(windowed["patch_size"])
    return SMALLEST_BY_TASK.get(job.task, SMALLEST_IMAGE)


def _windowed(job: Job) -> dict[str, Any]:
    """RF-DETR's backbone; nothing of other models."""
    backbone = job.build.config.get("backbone_config", {})
    return backbone if "num_windows" in backbone else {}


def _cut_depth(job: Job, need: float) -> Cuts:
    for words, changes in narrower(job):
        job = _with_config(job, changes)
        yield "parts", words, job
    if job.build.library == "timm":
        heads = narrower_heads(job.build.config)
        for shallow in _ONE_BLOCK_A_STAGE:
            smaller = _with_config(job, {**shallow, **heads})
            if _builds(smaller):
                words = "one block a stage" if len(shallow) and "depth" not in shallow else f"{SMALLEST_DEPTH} blocks"
                yield "depth", words + (", narrower projections" if heads else ""), smaller
                return
    elif job.build.library == "transformers":
        shallow_towers = {name: tower | _shallow(tower) for name, tower in _towers(job).items()}
        if shallow_towers:
            smaller = _with_config(job, shallow_towers)
            if _runs_as(job, smaller):  # what stands on a backbone may want as many of its layers as there were
                layers = [tower["num_hidden_layers"] for tower in shallow_towers.values() if "num_hidden_layers" in tower]
                yield "depth", f"{max(layers)} layers in each tower" if layers else "one block a stage of the backbone", smaller
        settings = transformers_config(job).to_dict()
        depths = {name: settings[name] for name in _DEPTHS if isinstance(settings.get(name), int) and settings[name] > SMALLEST_DEPTH}
        for divisor in (need, float("inf")):
            shallow = {name: max(SMALLEST_DEPTH, int(depth / divisor)) for name, depth in depths.items()}
            lists = {
                name: value[: min(shallow.values())]
                for name, value in settings.items()
                if isinstance(value, list) and len(value) in depths.values() and name.endswith("types")
            }
            smaller = _with_config(job, {**shallow, **lists})
            if shallow and _builds(smaller):
                words = " and ".join(f"{shallow[name]} instead of {depths[name]}" for name in depths)
                yield "depth", f"layers: {words}", smaller


def _cut_vocabulary(job: Job, need: float) -> Cuts:
    if job.build.library != "transformers":
        return
    changes, most = dict[str, Any](), 0
    for name, settings in _parts(job).items():
        words = settings.get("vocab_size")
        if isinstance(words, int) and words > SMALLEST_VOCABULARY:
            special = {
                token: index % SMALLEST_VOCABULARY
                for token, index in settings.items()
                if token.endswith("_token_id") and isinstance(index, int) and index >= SMALLEST_VOCABULARY
            }
            changes |= _at(job, name, {"vocab_size": SMALLEST_VOCABULARY, **special})
            most = max(most, words)
    if most:
        yield "vocabulary", f"a vocabulary of {SMALLEST_VOCABULARY} instead of {most} tokens", _with_config(job, changes)


def _cut_width(job: Job, need: float) -> Cuts:
    """Halve every width and number of heads together, as long as all of them stay whole."""
    if job.build.library != "transformers":
        return
    parts = {name: _widths(settings) for name, settings in _parts(job).items()}
    mains = [next(widths[main] for main in _MAIN_WIDTHS if main in widths) for widths in parts.values() if set(_MAIN_WIDTHS) & set(widths)]
    divisor = 2
    while mains and min(mains) // divisor >= SMALLEST_WIDTH:
        changes = dict[str, Any]()
        for name, widths in parts.items():
            changes |= _at(job, name, _narrow(widths, divisor))
        smaller = _with_config(job, changes)
        if _runs_as(job, smaller):  # a width that was missed shows in the forward pass
            now, before = (" and ".join(str(main // by) for main in dict.fromkeys(mains)) for by in (divisor, 1))
            yield "width", f"width {now} instead of {before}", smaller
        divisor *= 2


def _widths(settings: dict[str, Any]) -> dict[str, int]:
    return {name: settings[name] for name in _WIDTHS if isinstance(settings.get(name), int) and settings[name] > 0}


def _narrow(widths: dict[str, int], divisor: int) -> dict[str, int]:
    narrow = {name: width // divisor for name, width in widths.items() if name not in _HEADS or width % divisor == 0}
    return narrow | {name: 1 for name in widths if name in _HEADS and name not in narrow}


def _towers(job: Job) -> dict[str, dict[str, Any]]:
    """The configurations within the configuration, as the entry states them: an image's and a text's, or a backbone's."""
    return {
        name: tower
        for name, tower in job.build.config.items()
        if isinstance(tower, dict) and {"num_hidden_layers", "depths", "depth"} & set(tower)
    }


def _shallow(tower: dict[str, Any]) -> dict[str, Any]:
    """Two layers; or where a backbone is tapped at several, so many; or one block in each of its stages."""
    if "depths" in tower:
        return {"depths": [1] * len(tower["depths"])}
    if "depth" in tower:  # Qwen's: what some of its layers see goes into the text's layers
        seen = len(tower.get("deepstack_visual_indexes", ()))
        return {"depth": max(SMALLEST_DEPTH, seen)} | ({"deepstack_visual_indexes": list(range(seen))} if seen else {})
    taps = tower.get("out_indices", ())
    depth = max(SMALLEST_DEPTH, len(taps))
    return {"num_hidden_layers": depth} | ({"out_indices": list(range(depth - len(taps) + 1, depth + 1))} if taps else {})


def _parts(job: Job) -> dict[str, dict[str, Any]]:
    """Every setting of the configuration, defaults too, under "", and of each tower under its name."""
    settings = transformers_config(job).to_dict()
    return {"": settings, **{name: settings[name] for name in _towers(job) if isinstance(settings.get(name), dict)}}


def _at(job: Job, part: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Changes of one of the parts, as changes of the whole configuration."""
    return {part: {**job.build.config[part], **changes}} if part else changes


def _builds(job: Job) -> bool:
    try:
        apply_adaptation(build_model(job, "meta"), job.recipe)
    except Exception:  # whatever a library says to a setting that it does not take
        return False
    return True


def _runs_as(job: Job, smaller: Job) -> bool:
    """Whether the copy builds, and runs on `meta` where the original does."""
    return _builds(smaller) and bool(operations(smaller)) == bool(operations(job))


def _with_recipe(job: Job, **changes: Any) -> Job:
    return job.model_copy(update={"recipe": job.recipe.model_copy(update=changes)})


def _with_config(job: Job, changes: dict[str, Any]) -> Job:
    build = Build(library=job.build.library, factory=job.build.factory, config={**job.build.config, **changes})
    return job.model_copy(update={"build": build})

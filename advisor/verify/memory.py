"""Predicted peak memory of training, without the device: a trace of real steps, replayed through the allocator's model."""

from __future__ import annotations

import zlib
from array import array
from base64 import b64decode, b64encode
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from weakref import WeakSet

import torch
from pydantic import Field
from torch import nn

from advisor.recipe import Recipe
from advisor.verify.allocator import MIB, OutOfMemory, reserved_peak
from advisor.verify.batches import Batch
from advisor.verify.build import apply_adaptation, build_model, make_optimizer, parameter_groups, set_training_mode
from advisor.verify.cuda_choices import CudaChoices
from advisor.verify.evidence import Job, Memory, Target
from advisor.verify.formulas import OFFLOADED
from advisor.verify.loop import TrainingLoop, ZeroGrad, checkpoint_activations
from advisor.verify.peak import LivePeak, live_peak
from advisor.verify.priced import EightBitAdam
from advisor.verify.repeated import Repeater
from advisor.verify.sharding import shard_trace
from advisor.verify.trace import Recorder, Trace, trace_training
from advisor.verify.workload import Workload, workload_of
from advisor.wire import Wire

CONTEXT = 250 * MIB
"""A CUDA context with its kernels: 0.25 GiB was measured on an RTX 3090, 0.13 on an A2000 and 0.62 on an RTX 5090."""
CONTEXT_RANGE = (130 * MIB, 635 * MIB)

WORKSPACE = 8_519_680
"""cuBLAS's workspace in bytes, `:4096:2:16:8`: aten/src/ATen/cuda/CublasHandlePool.cpp; Hopper's follows."""
WORKSPACE_HOPPER = 32 * MIB

USABLE_SHARE = 0.968
"""What NVML shows of a card's nominal memory: 7.75 of 8 GiB on an RTX 4060, 11.76 of 12 on an RTX 3060."""

HIGH_FACTOR = 1.02
HIGH_FACTOR_CONVOLUTIONS = 1.05
HIGH_FACTOR_DEPTHWISE = 1.22
"""How far above the prediction a run may lie, by the kernels that cuDNN may choose. Of 17 measured runs of transformers with
fixed lengths none was beyond the first, of 9 of nets with full or grouped convolutions none beyond the second. Of 22 of nets
with depthwise convolutions 3 were 15 to 21 % above: there cuDNN's choice, and with it the workspace, changes with the batch."""
UNPRICED = 1.1
"""Further up where an operator takes temporaries that nobody knows: judgement, as `inference.INTERVAL` is for workspaces."""
_CONVOLUTIONAL = 2  # convolutions from which a model counts as convolutional: a patch embedding alone does not make one

_AUTOCAST = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
_METHOD_LIVE = "live bytes over every allocation of training steps on meta tensors, without the process itself"
_METHOD_CUDA = "every allocation of training steps on meta tensors, replayed through a model of CUDA's caching allocator, and a context"
_NO_FOREACH_OF_ITS_OWN = ("adafactor",)  # on CUDA torch.optim chooses foreach for all others: torch/optim/_adafactor.py, `adafactor`
_FASTEST = 1  # of zlib's levels
_UNLIKE: WeakSet[nn.Module] = WeakSet()  # models whose blocks turned out not to repeat: the next batch's trace does not try

Reserved = tuple[int, int, int]
"""Median, least and largest peak over several orders of addresses, in bytes: `allocator.reserved_peak`."""


def predict_training_memory(job: Job) -> tuple[Memory | None, int]:
    """Peak memory of training on one device of the target, and the number of trainable parameters.

    None where nothing is trained. The batch is the recipe's, a sequence has its full length. Raises CheckError where the
    model cannot be built, adapted, or checkpointed as the recipe says.
    """
    trained = trace_job(job)
    return price_job(trained, job), trained.trainable


class Trained(Wire):
    """What the training of a job's recipe allocates, on any device of the job's kind and generation; nothing where nothing is trained.

    `events` are those of a `Trace`, as numbers of 8 bytes, compressed, in base 64; `reserved` is what they reserve without a limit.
    """

    trainable: int
    is_trained: bool = True
    peak: tuple[int, dict[str, int], str] = (0, {}, "")
    phases: list[tuple[int, str]] = Field(default_factory=list)
    convolutions: int = 0
    depthwise: int = 0
    unpriced: list[str] = Field(default_factory=list)
    reserved: Reserved | None = None
    events: str = ""


def trace_job(job: Job) -> Trained:
    """The trace of the job's training, and what it reserves where there is a caching allocator. Raises CheckError as its prediction."""
    model = apply_adaptation(build_model(job, "meta"), job.recipe)
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    if job.recipe.optimizer.name == "none":
        return Trained(trainable=trainable, is_trained=False)
    set_training_mode(model, job.recipe)
    if job.recipe.activation_checkpointing:
        checkpoint_activations(model)
    trace, logits = trace_model(model, workload_of(job), job.recipe, job.target)
    peak, on_cuda = live_peak(trace, logits), job.target.has_cuda
    return Trained(
        trainable=trainable,
        peak=(peak.total, peak.categories, peak.place),
        phases=trace.phases,
        convolutions=trace.convolutions,
        depthwise=trace.depthwise,
        unpriced=sorted(trace.unpriced),
        reserved=reserved_peak(trace.events) if on_cuda else None,
        events=_packed(trace.events) if on_cuda else "",  # a CPU's have no more to tell
    )


def price_job(trained: Trained, job: Job) -> Memory | None:
    """What training takes on the job's very device; `trained` is of a job that differs from it in nothing else."""
    if not trained.is_trained:
        return None
    trace = Trace(
        events=_unpacked(trained.events),
        phases=trained.phases,
        convolutions=trained.convolutions,
        depthwise=trained.depthwise,
        unpriced=set(trained.unpriced),
    )
    return price(trace, LivePeak(*trained.peak), job.recipe, job.target, trained.reserved)


def _packed(events: Sequence[tuple[int, int]]) -> str:
    flat = array("q", [number for event in events for number in event])
    return b64encode(zlib.compress(flat.tobytes(), _FASTEST)).decode()


def _unpacked(text: str) -> list[tuple[int, int]]:
    flat = array("q", zlib.decompress(b64decode(text)) if text else b"")
    return list(zip(flat[::2], flat[1::2], strict=True))


def trace_model(
    model: nn.Module,
    workload: Workload,
    recipe: Recipe,
    target: Target,
    *,
    shapes: Sequence[Batch] = (),
    zero_grad: ZeroGrad = "before_forward",
) -> tuple[Trace, tuple[int, int]]:
    """The trace of two training steps, or as many as there are `shapes`; the last dimension and number of elements of the logits.

    `model` is on `meta`, adapted and in training mode. Each of `shapes` is a step's batch; without them it is the workload's,
    of the recipe's size. What an earlier trace left on the model is dropped first.
    """
    for parameter in model.parameters():
        parameter.grad = None
    try:
        return _trace(model, workload, recipe, target, shapes, zero_grad, is_repeating=model not in _UNLIKE)
    except Exception:  # `Unlike`, or what a model has against blocks that are not run: run whole, it has the last word
        if model in _UNLIKE:
            raise
        _UNLIKE.add(model)
        for parameter in model.parameters():
            parameter.grad = None
        return _trace(model, workload, recipe, target, shapes, zero_grad, is_repeating=False)


def _trace(
    model: nn.Module,
    workload: Workload,
    recipe: Recipe,
    target: Target,
    shapes: Sequence[Batch],
    zero_grad: ZeroGrad,
    *,
    is_repeating: bool,
) -> tuple[Trace, tuple[int, int]]:
    choices = CudaChoices(_AUTOCAST[recipe.precision], target.capability)
    loop = TrainingLoop(model, recipe, workload, choices, shapes or [workload.batch(recipe.batch.per_device)], zero_grad)

    def optimizer() -> torch.optim.Optimizer | None:
        groups = parameter_groups(model, recipe)
        if recipe.optimizer.name.endswith("8bit"):
            return EightBitAdam(groups)
        return make_optimizer(groups, recipe, foreach=recipe.optimizer.name not in _NO_FOREACH_OF_ITS_OWN)

    workspace = 0 if not target.has_cuda else WORKSPACE_HOPPER if choices.capability >= 9 else WORKSPACE

    def around(recorder: Recorder) -> AbstractContextManager[None]:
        return Repeater(model, recorder, choices).on() if is_repeating else nullcontext()

    trace = trace_training(model, loop, optimizer, workspace=workspace, steps=max(2, len(shapes)), around=around)
    logits = getattr(loop.outputs, "logits", loop.outputs)
    trace = shard_trace(trace, model, recipe)
    return trace, (logits.shape[-1], logits.numel()) if isinstance(logits, torch.Tensor) else (0, 0)


def price(trace: Trace, peak: LivePeak, recipe: Recipe, target: Target, reserved_without_limit: Reserved | None = None) -> Memory:
    """Add to the live bytes what the device takes beside them, and say how far off that may be."""
    is_shared = recipe.batch.devices > 1 or recipe.distributed == OFFLOADED
    notes = ["gradient buckets, shards and the units gathered are priced by formula"] if is_shared else []
    kinds = {**peak.categories}
    low, spread = peak.total, 0
    if target.has_cuda:
        reserved, spread, full = reserved_on(target, trace.events, reserved_without_limit, peak.total)
        notes += ["allocations fit the card only if cached segments are given back during training"] if full else []
        kinds |= {"allocator_slack": reserved - peak.total, "context": CONTEXT}
        low, spread = low + CONTEXT_RANGE[0], spread + CONTEXT_RANGE[1] - CONTEXT
    if recipe.optimizer.name.endswith("8bit"):
        notes.append(f"the states of {recipe.optimizer.name} are priced: a byte an element, and a scale a block")
    if trace.unpriced:
        notes.append(f"what {', '.join(sorted(trace.unpriced))} takes besides its outputs is not known: the upper end is raised")
    factor, reason = safety(trace)
    total = sum(kinds.values())
    high = int(total * factor) + spread
    if recipe.optimizer.name.startswith("paged") and target.memory_gib is not None:
        paged = min(kinds.get("optimizer_state", 0), max(0, high - int(target.memory_gib * 1024 * MIB)))
        kinds["optimizer_state"] = kinds.get("optimizer_state", 0) - paged
        notes += [f"{paged / MIB:,.0f} MiB of paged optimizer states wait in the host's memory"] if paged else []
        total, high, low = total - paged, high - paged, low - paged
    return Memory(
        total=total,
        low=min(low, total),
        high=high,
        categories=kinds,
        peak_at=peak.place,
        method=f"{_METHOD_CUDA if target.has_cuda else _METHOD_LIVE}; at most {factor:.3g} times that: {reason}",
        notes=notes,
    )


def safety(trace: Trace) -> tuple[float, str]:
    """The factor to the upper end of the interval, and why it is that."""
    factor, reason = _safety_of_kernels(trace)
    return (factor * UNPRICED, f"{reason}, and some operators have no price") if trace.unpriced else (factor, reason)


def _safety_of_kernels(trace: Trace) -> tuple[float, str]:
    passes = sum(name == "forward" for _, name in trace.phases)
    if trace.depthwise >= _CONVOLUTIONAL * passes:
        return HIGH_FACTOR_DEPTHWISE, "which kernels and workspaces cuDNN takes for depthwise convolutions cannot be foreseen"
    if trace.convolutions >= _CONVOLUTIONAL * passes:
        return HIGH_FACTOR_CONVOLUTIONS, "which convolution workspaces cuDNN takes cannot be foreseen"
    return HIGH_FACTOR, "shapes are fixed, and there are no convolutions"


def reserved_on(
    target: Target, events: Sequence[tuple[int, int]], without_limit: Reserved | None = None, live: int = 0
) -> tuple[int, int, bool]:
    """Bytes reserved at the peak; their spread over address orders; whether they fit only by giving segments back.

    `without_limit` is `reserved_peak` of the events, and `live` their most bytes at once, where these are known.
    """
    median, least, most = without_limit or reserved_peak(events)
    if target.memory_gib is not None:
        capacity = int(target.memory_gib * USABLE_SHARE * 1024 * MIB) - CONTEXT
        if median > capacity >= live:
            try:
                return reserved_peak(events, capacity)[0], 0, True
            except OutOfMemory:
                pass
    return median, most - least, False

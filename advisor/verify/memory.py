"""Predicted peak memory of training, without the device: a trace of real steps, replayed through the allocator's model."""

from __future__ import annotations

import torch
from torch import nn

from advisor.verify.allocator import MIB, OutOfMemory, reserved_peak
from advisor.verify.build import apply_adaptation, build_model, make_optimizer, parameter_groups, set_training_mode
from advisor.verify.cuda_choices import CudaChoices
from advisor.verify.evidence import Job, Memory, Target
from advisor.verify.loop import TrainingLoop, checkpoint_activations
from advisor.verify.peak import LivePeak, live_peak
from advisor.verify.priced import EightBitAdam
from advisor.verify.trace import Trace, trace_training

CONTEXT = 250 * MIB
"""A CUDA context with its kernels: 0.25 GiB was measured on an RTX 3090, 0.13 on an A2000 and 0.62 on an RTX 5090."""
CONTEXT_RANGE = (130 * MIB, 635 * MIB)

WORKSPACE = 8_519_680
"""cuBLAS's workspace in bytes, `:4096:2:16:8`: aten/src/ATen/cuda/CublasHandlePool.cpp; Hopper's follows."""
WORKSPACE_HOPPER = 32 * MIB

USABLE_SHARE = 0.968
"""What NVML shows of a card's nominal memory: 7.75 of 8 GiB on an RTX 4060, 11.76 of 12 on an RTX 3060."""

HIGH_FACTOR = 1.02
HIGH_FACTOR_CONVOLUTIONS = 1.22
"""How far above the prediction a run may lie. Of 25 measured runs of transformers at most 1 of fixed length was beyond the
first; of 31 of convolutional nets 3 were 15 to 21 % above, where cuDNN chose kernels with large workspaces, none more."""
_CONVOLUTIONAL = 2  # convolutions from which a model counts as convolutional: a patch embedding alone does not make one

_AUTOCAST = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
_CUDA = ("gpu", "multi_gpu")
_METHOD_LIVE = "live bytes over every allocation of training steps on meta tensors, without the process itself"
_METHOD_CUDA = "every allocation of training steps on meta tensors, replayed through a model of CUDA's caching allocator, and a context"
_BUCKET = 25 * MIB  # DistributedDataParallel's and FSDP's default unit of communication


def predict_training_memory(job: Job) -> tuple[Memory | None, int]:
    """Peak memory of training on one device of the target, and the number of trainable parameters.

    None where nothing is trained. The batch is the recipe's, a sequence has its full length. Raises CheckError where the
    model cannot be built, adapted, or checkpointed as the recipe says.
    """
    model = apply_adaptation(build_model(job, "meta"), job.recipe)
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    if job.recipe.optimizer.name == "none":
        return None, trainable
    set_training_mode(model, job.recipe)
    if job.recipe.activation_checkpointing:
        checkpoint_activations(model)
    trace, logits = _trace_job(model, job)
    peak = live_peak(trace, logits)
    return _price(job, trace, peak), trainable


def _trace_job(model: nn.Module, job: Job) -> tuple[Trace, tuple[int, int]]:
    """The trace of two steps, and the last dimension and number of elements of the model's logits."""
    recipe = job.recipe
    choices = CudaChoices(_AUTOCAST[recipe.precision], compute_capability(job.target))
    loop = TrainingLoop(model, job, choices)

    def optimizer() -> torch.optim.Optimizer | None:
        groups = parameter_groups(model, recipe)
        return EightBitAdam(groups) if recipe.optimizer.name.endswith("8bit") else make_optimizer(groups, recipe, foreach=True)

    workspace = 0 if job.target.kind not in _CUDA else WORKSPACE_HOPPER if choices.capability >= 9 else WORKSPACE
    with choices:
        trace = trace_training(model, loop, optimizer, workspace=workspace)
    logits = getattr(loop.outputs, "logits", loop.outputs)
    return trace, (logits.shape[-1], logits.numel()) if isinstance(logits, torch.Tensor) else (0, 0)


def compute_capability(target: Target) -> float:
    """The target's compute capability as a number; Ampere's where it is unknown."""
    return float(target.compute_capability or 8.0)


def _price(job: Job, trace: Trace, peak: LivePeak) -> Memory:
    """Add to the live bytes what the device takes beside them, and say how far off that may be."""
    notes = ["gradient buckets, shards and the units gathered are priced by formula"] if job.recipe.batch.devices > 1 else []
    kinds = {**peak.categories}
    low, spread = peak.total, 0
    if job.target.kind in _CUDA:
        slack, spread, full = _allocator_slack(job.target, trace, peak.total)
        notes += ["allocations fit the card only if cached segments are given back during training"] if full else []
        kinds |= {"allocator_slack": slack, "context": CONTEXT}
        low, spread = low + CONTEXT_RANGE[0], spread + CONTEXT_RANGE[1] - CONTEXT
    if job.recipe.batch.devices > 1:
        low = int(low * _shard(kinds, job))
    if job.recipe.optimizer.name.endswith("8bit"):
        notes.append(f"the states of {job.recipe.optimizer.name} are priced: a byte an element, and a scale a block")
    factor, reason = _safety(trace)
    total = sum(kinds.values())
    return Memory(
        total=total,
        low=min(low, total),
        high=int(total * factor) + spread,
        categories=kinds,
        peak_at=peak.place,
        method=f"{_METHOD_CUDA if job.target.kind in _CUDA else _METHOD_LIVE}; at most {factor} times that: {reason}",
        notes=notes,
    )


def _safety(trace: Trace) -> tuple[float, str]:
    """The factor to the upper end of the interval, and why it is that."""
    passes = sum(name == "forward" for _, name in trace.phases)
    if trace.convolutions >= _CONVOLUTIONAL * passes:
        return HIGH_FACTOR_CONVOLUTIONS, "which convolution workspaces cuDNN takes cannot be foreseen"
    return HIGH_FACTOR, "shapes are fixed, and there are no convolutions"


def _allocator_slack(target: Target, trace: Trace, live: int) -> tuple[int, int, bool]:
    """Bytes reserved above the live ones; their spread over address orders; whether they fit only by giving segments back."""
    median, least, most = reserved_peak(trace.events)
    if target.memory_gib is not None:
        capacity = int(target.memory_gib * USABLE_SHARE * 1024 * MIB) - CONTEXT
        if median > capacity:
            try:
                return reserved_peak(trace.events, capacity)[0] - live, 0, True
            except OutOfMemory:
                pass
    return median - live, most - least, False


def _shard(kinds: dict[str, int], job: Job) -> float:
    """Change the categories to what one of several devices holds; returns the share of the bytes that is left.

    ZeRO (arXiv:1910.02054): stage 1 shards optimizer states, 2 gradients too, 3 (as FSDP) weights too, gathering a unit at
    a time. Plain data parallelism copies the gradients into buckets.
    """
    before, devices = sum(kinds.values()), job.recipe.batch.devices
    strategy = (job.recipe.distributed or "ddp").lower()
    stage = 3 if "fsdp" in strategy or "zero3" in strategy else 2 if "zero2" in strategy else 1 if "zero1" in strategy else 0
    sharded = ("optimizer_state", "gradients", "weights")[:stage]
    for name in sharded:
        kinds[name] = -(-kinds.get(name, 0) // devices)
    kinds["temporaries"] = kinds.get("temporaries", 0) + (0 if stage == 0 else 2 * _BUCKET)
    if stage == 0:
        kinds["gradients"] = 2 * kinds.get("gradients", 0)
    return sum(kinds.values()) / before

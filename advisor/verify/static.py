"""Everything that can be known of a design without training: parameters, FLOPs, memory, file size."""

from __future__ import annotations

import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from torch import nn

from advisor.verify.adapt import apply_adaptation
from advisor.verify.batches import make_batch
from advisor.verify.build import build_model
from advisor.verify.evidence import Job, StaticEvidence
from advisor.verify.flops import count_flops, cross_check_flops
from advisor.verify.inference import file_bytes, predict_inference_memory
from advisor.verify.memory import predict_training_memory
from advisor.verify.operators import operators_at
from advisor.verify.workload import workload_of

_PACKAGES = {"timm": ("torch", "timm"), "transformers": ("torch", "transformers"), "torch": ("torch",), "tabular": ("torch", "tabicl")}


def check_static(job: Job) -> StaticEvidence:
    """Build the job's model on `meta` and count what it is and takes; nothing of the model's size is allocated.

    Only `job.cross_check` runs the model on real tensors; it leaves memory and operators out, which the check without it has
    found. Raises CheckError, naming what is wrong, where the model cannot be built, fed or adapted as the recipe says.
    """
    start = time.perf_counter()
    model = build_model(job, "meta")
    flops, uncounted = count_flops(model, make_batch(job, 1, "meta"), job)
    counts = StaticEvidence(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        trainable_parameters=0,
        buffers=sum(buffer.numel() for buffer in model.buffers()),
        flops_forward=flops,
        flops_uncounted=uncounted,
        file_bytes=file_bytes(model),
        versions=versions(job),
    )
    found = _counted_again(job, model) if job.cross_check else _priced(job, model)
    return counts.model_copy(update={**found, "seconds": time.perf_counter() - start})


def _priced(job: Job, model: nn.Module) -> dict[str, Any]:
    works = operators_at(model, workload_of(job), job.recipe.precision)
    training, trainable = predict_training_memory(job)
    inference = predict_inference_memory(job, model)
    return {"trainable_parameters": trainable, "training_memory": training, "inference_memory": inference, "operators": works}


def _counted_again(job: Job, model: nn.Module) -> dict[str, Any]:
    checked, detail = cross_check_flops(job)
    trainable = sum(parameter.numel() for parameter in apply_adaptation(model, job.recipe).parameters() if parameter.requires_grad)
    return {"trainable_parameters": trainable, "flops_cross_check": checked, "flops_cross_check_detail": detail}


def versions(job: Job) -> dict[str, str]:
    """The installed versions of what builds the job's model."""
    names = (*_PACKAGES.get(job.build.library, ("torch", job.build.library)), *(("peft",) if job.recipe.lora else ()))
    found: dict[str, str] = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found

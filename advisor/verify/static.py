"""Everything that can be known of a design without training: parameters, FLOPs, memory, file size."""

from __future__ import annotations

import time
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from torch import nn

from advisor.verify.adapt import apply_adaptation
from advisor.verify.batches import forward, make_batch
from advisor.verify.build import build_model
from advisor.verify.evidence import Job, StaticEvidence
from advisor.verify.flops import count_flops, cross_check_flops
from advisor.verify.inference import Served, deployed_format, file_bytes, price_serving, trace_serving
from advisor.verify.memory import Trained, price_job, trace_job
from advisor.verify.operators import operators_at
from advisor.verify.pieces import OLDEST_GENERATION, Pieces, generation, model_job, training_job
from advisor.verify.shapes import MetaOperators
from advisor.verify.work import Work
from advisor.verify.workload import workload_of
from advisor.wire import Wire

_PACKAGES = {"timm": ("torch", "timm"), "transformers": ("torch", "transformers"), "torch": ("torch",), "tabular": ("torch", "tabicl")}


class Counted(Wire):
    """What a model is, whatever it is trained with and on."""

    parameters: int
    buffers: int
    flops_forward: int
    flops_uncounted: list[str]
    file_bytes: dict[str, int]


class Operators(Wire):
    """`operators_at` one precision."""

    works: list[tuple[Work, int]]


def check_static(job: Job, pieces: Pieces | None = None) -> StaticEvidence:
    """Build the job's model on `meta` and count what it is and takes; nothing of the model's size is allocated.

    What `pieces` holds of it is not found out again. Only `job.cross_check` runs the model on real tensors; it leaves memory and
    operators out, which the check without it has found. Raises CheckError, naming what is wrong, where the model cannot be built,
    fed or adapted as the recipe says.
    """
    start = time.perf_counter()
    pieces, plain = pieces or Pieces(), model_job(job)
    model = _Model(plain)
    counted = pieces.get(Counted, plain, model.count)
    counts = StaticEvidence(
        parameters=counted.parameters,
        trainable_parameters=0,
        buffers=counted.buffers,
        flops_forward=counted.flops_forward,
        flops_uncounted=counted.flops_uncounted,
        file_bytes=counted.file_bytes,
        versions=versions(job),
    )
    found = _counted_again(job) if job.cross_check else _priced(job, plain, model, pieces)
    return counts.model_copy(update={**found, "seconds": time.perf_counter() - start})


def _priced(job: Job, plain: Job, model: _Model, pieces: Pieces) -> dict[str, Any]:
    precision, format_, wanted = job.recipe.precision, deployed_format(job), training_job(job)
    read = pieces.get(Operators, plain, lambda: Operators(works=operators_at(model.met, workload_of(plain), precision)), also=precision)
    trained = pieces.get(Trained, wanted, lambda: trace_job(wanted))
    capability, is_newer = wanted.target.capability, generation(job.target) > OLDEST_GENERATION
    served = pieces.get(Served, plain, lambda: trace_serving(plain, model.met, format_, capability), also=[format_, is_newer])
    return {
        "trainable_parameters": trained.trainable,
        "training_memory": price_job(trained, job),
        "inference_memory": price_serving(served, format_, job),
        "operators": read.works,
    }


def _counted_again(job: Job) -> dict[str, Any]:
    checked, detail = cross_check_flops(job)
    model = apply_adaptation(build_model(job, "meta"), job.recipe)
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return {"trainable_parameters": trainable, "flops_cross_check": checked, "flops_cross_check_detail": detail}


class _Model:
    """A job's model on `meta`, built when it is first asked for."""

    def __init__(self, job: Job) -> None:
        self._job = job

    @cached_property
    def _built(self) -> nn.Module:
        return build_model(self._job, "meta")

    @cached_property
    def met(self) -> nn.Module:
        """After its first forward pass, in which some models work out tables that they keep: the later ones are what users wait for."""
        with MetaOperators():
            forward(self._built, make_batch(self._job, 1, "meta"), self._job)
        return self._built

    def count(self) -> Counted:
        model = self._built
        flops, uncounted = count_flops(model, make_batch(self._job, 1, "meta"), self._job)
        self.met = model
        return Counted(
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            buffers=sum(buffer.numel() for buffer in model.buffers()),
            flops_forward=flops,
            flops_uncounted=uncounted,
            file_bytes=file_bytes(model),
        )


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

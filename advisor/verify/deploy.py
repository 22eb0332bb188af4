"""Compression and export that really happen: each recommended technique applied to the model and compared with what it replaces.

The weights are random and the inputs synthetic, so that agreement is about arithmetic and not about accuracy. Everything runs on
the CPU: a GPU's engines and a phone's are others. Nothing is decided here; whether a technique is kept, the report says.
"""

from __future__ import annotations

import contextlib
import logging
import platform
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from advisor.errors import CheckError
from advisor.verify import techniques
from advisor.verify.case import Case
from advisor.verify.compress import check_half
from advisor.verify.compress_distill import check_distillation
from advisor.verify.compress_onnx import check_dynamic, check_static, check_weights
from advisor.verify.compress_prune import check_pruning
from advisor.verify.confine import refuse
from advisor.verify.evidence import DeployEvidence, Job, Variant
from advisor.verify.export_onnx import check_onnx
from advisor.verify.export_torch import check_torch_export
from advisor.verify.hardware import detect
from advisor.verify.measuring import settle_threads
from advisor.verify.reduce import FORWARD_AND_BACKWARD, Limits, reduce_job

COMFORTABLE_S = 15.0  # of processor time, after which no further technique is begun: someone waits for this check
SHARE = 0.5  # of the time limit, after which none is begun either
SAMPLES = 8  # that outputs are compared on; a heavy model is compared on fewer
WEIGHTS_BYTES = (128 * 2**20, 384 * 2**20)  # wanted, and at most: several copies are made, written and loaded; larger models are reduced
# Wanted where a GPU is to serve: its sizes and times are not judged by what is measured here, so that what is left to see is whether the
# arithmetic survives; and every further layer costs the exporters seconds.
WANTED_FOR_GPU_BYTES = 64 * 2**20
COMPARED_FLOPS = 40e9  # of a forward pass over the samples: a second or two on two processors

_CHECKS: dict[str, Callable[[Case, str], Variant]] = {
    "compress.bf16": check_half,
    "compress.fp16": check_half,
    "compress.int8_dynamic": check_dynamic,
    "compress.int8_static": check_static,
    "compress.int8_weight_only": check_weights,
    "compress.int4_weight_only": check_weights,
    techniques.ONNX: lambda case, _: check_onnx(case),
    techniques.TORCH_EXPORT: lambda case, _: check_torch_export(case),
    techniques.PRUNING: lambda case, _: check_pruning(case),
    techniques.DISTILLATION: lambda case, _: check_distillation(case),
}


def run_deploy(job: Job) -> DeployEvidence:
    """Apply and compare what the recipe recommends. Meant for a process of its own, in a folder of its own."""
    start, begun = time.monotonic(), time.process_time()
    settle_threads()
    threads = torch.get_num_threads()
    small, reduced = _reduce(_alone(job))
    cut = [words for words in reduced if not words.startswith("batch ")]
    deadline = start + SHARE * job.time_limit_s
    with _silence():
        case = Case(small, small.recipe.batch.per_device, Path.cwd(), reduced=bool(cut))
        variants = [_attempt(case, name, begun, deadline) for name in techniques.techniques(job.recipe)]
    return DeployEvidence(
        device=f"{detect().cpu}, {threads} thread{'s' * (threads > 1)}",
        threads=threads,
        reduced=cut,
        variants=variants,
        seconds=time.monotonic() - start,
        versions={"torch": str(torch.__version__), "python": platform.python_version()},
    )


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """What libraries log and warn of is no news of this model; some of them turn logging up for the whole process."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _attempt(case: Case, name: str, begun: float, deadline: float) -> Variant:
    """One technique; what goes wrong with it is its own result."""
    if time.process_time() - begun > COMFORTABLE_S or time.monotonic() > deadline:
        return Variant(name=name, status="skipped", detail="not reached: the techniques before it took the time that there was")
    if name not in _CHECKS:
        return Variant(name=name, status="skipped", detail="nf4 is a format to train on, in bitsandbytes; nothing here serves it")
    try:
        return _CHECKS[name](case, name)
    except Exception as error:
        refusal = refuse(error)
        return Variant(name=name, status=refusal.status, detail=refusal.reason)


def _reduce(job: Job) -> tuple[Job, list[str]]:
    """The job as it is small enough to be copied and written several times, and what was cut."""
    for weights in (WANTED_FOR_GPU_BYTES, *WEIGHTS_BYTES) if job.target.has_cuda else WEIGHTS_BYTES:
        with contextlib.suppress(CheckError):
            return reduce_job(job, Limits(weights, FORWARD_AND_BACKWARD * COMPARED_FLOPS))
    raise CheckError("even the smallest copy of this model is too large to be compressed and exported here")


def _alone(job: Job) -> Job:
    """The job as it is only predicted with: no optimizer's memory, and as many samples as are compared."""
    recipe = job.recipe
    batch = recipe.batch.model_copy(update={"per_device": SAMPLES, "accumulation": 1, "devices": 1, "effective": SAMPLES})
    optimizer = recipe.optimizer.model_copy(update={"name": "none"})
    return job.model_copy(update={"recipe": recipe.model_copy(update={"batch": batch, "optimizer": optimizer})})

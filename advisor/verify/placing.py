"""Where a smoke-train runs: the best of what is free on this machine just then, and whether another moment would have had more."""

from __future__ import annotations

import os

import torch

from advisor.verify.evidence import Job
from advisor.verify.hardware import Gpu, Hardware
from advisor.verify.reduce import Limits, reduce_job

GIB = 2**30
SMALLEST_FREE_GPU_GIB = 2.0  # a CUDA context with its libraries takes about half a GiB
SHARE_AT_REST = 0.75  # of its memory that a machine has free when nothing much runs: a desktop and a browser take a quarter of 16 GiB


def choose_device(job: Job, hardware: Hardware) -> tuple[torch.device, str, float, list[str]]:
    """Where to run: the GPU with most free memory, unless the design is for a CPU or that GPU is in use; its free bytes."""
    threads = torch.get_num_threads()
    processor = torch.device("cpu"), f"{hardware.cpu}, {threads} thread{'s' * (threads > 1)}", hardware.available_gib * GIB
    if job.memory_limit_gib is not None:
        processor = (*processor[:2], min(processor[2], job.memory_limit_gib * GIB))
    if job.target.kind in ("cpu", "edge"):
        return *processor, []
    best = max(hardware.gpus, key=lambda gpu: gpu.free_gib, default=None)
    reason = _why_not(best, hardware)
    if best is None or reason:
        return *processor, [f"it ran on this machine's CPU: {reason}"]
    return torch.device("cuda"), best.name, best.free_gib * GIB, []


def _why_not(gpu: Gpu | None, hardware: Hardware) -> str | None:
    """Why the GPU is not used; makes it the one that CUDA shows where it is."""
    if gpu is None:
        return hardware.gpu_reason or "it has no GPU"
    if gpu.free_gib < SMALLEST_FREE_GPU_GIB:
        users = f", used by {', '.join(gpu.used_by)}" if gpu.used_by else ""
        return f"its {gpu.name} has only {gpu.free_gib:.1f} GiB free{users}"
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu.uuid
    return None if torch.cuda.is_available() else f"the installed torch {torch.__version__} cannot use its {gpu.name}"


def is_makeshift(job: Job, reduced: list[str], limits: Limits, device: torch.device, hardware: Hardware) -> bool:
    """Whether the run would have been another, had other programs not held the memory."""
    gpu = max(hardware.gpus, key=lambda one: one.free_gib, default=None)
    if gpu and device.type == "cpu" and job.target.kind not in ("cpu", "edge") and gpu.free_gib < SMALLEST_FREE_GPU_GIB:
        return True
    total, free = (gpu.memory_gib, gpu.free_gib) if gpu and device.type == "cuda" else (hardware.memory_gib, hardware.available_gib)
    if not reduced or free >= SHARE_AT_REST * total:
        return False
    at_rest = Limits(limits.memory_bytes * SHARE_AT_REST * total / free, limits.step_flops)
    return reduce_job(job, at_rest)[1] != reduced

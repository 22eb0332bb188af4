"""Where a smoke-train runs: the best of what is free on this machine just then, and whether another moment would have had more."""

from __future__ import annotations

import os

import torch
from torch import nn

from advisor.verify.build import build_model
from advisor.verify.evidence import Job
from advisor.verify.hardware import Gpu, Hardware
from advisor.verify.reduce import Limits, reduce_job, training_bytes

GIB = 2**30
SMALLEST_FREE_GPU_GIB = 2.0  # a CUDA context with its libraries takes about half a GiB
SHARE_AT_REST = 0.75  # of its memory that a machine has free when nothing much runs: a desktop and a browser take a quarter of 16 GiB


def choose_device(job: Job, hardware: Hardware) -> tuple[torch.device, str, float, list[str]]:
    """Where to run: the least loaded GPU that holds the job, unless the design is for a CPU or no GPU is free; its free bytes."""
    threads = torch.get_num_threads()
    processor = torch.device("cpu"), f"{hardware.cpu}, {threads} thread{'s' * (threads > 1)}", hardware.available_gib * GIB
    if job.memory_limit_gib is not None:
        processor = (*processor[:2], min(processor[2], job.memory_limit_gib * GIB))
    if job.target.kind in ("cpu", "edge"):
        return *processor, []
    best = choose_gpu(job, hardware)
    reason = _why_not(best, hardware)
    if best is None or reason:
        return *processor, [f"it ran on this machine's CPU: {reason}"]
    return torch.device("cuda"), best.name, best.free_gib * GIB, []


def choose_gpu(job: Job, hardware: Hardware) -> Gpu | None:
    """Of the GPUs that hold the job as designed the least busy, then the one with most free memory; where none does, the latter."""
    needed = training_bytes(job) / GIB if len(hardware.gpus) > 1 else 0.0
    fitting = [gpu for gpu in hardware.gpus if gpu.free_gib >= max(needed, SMALLEST_FREE_GPU_GIB)]
    if fitting:
        return min(fitting, key=lambda gpu: (gpu.busy_percent, len(gpu.used_by), -gpu.free_gib))
    return max(hardware.gpus, key=lambda gpu: gpu.free_gib, default=None)


def _why_not(gpu: Gpu | None, hardware: Hardware) -> str | None:
    """Why the GPU is not used; makes it the one that CUDA shows where it is."""
    if gpu is None:
        return hardware.gpu_reason or "it has no GPU"
    if gpu.free_gib < SMALLEST_FREE_GPU_GIB:
        users = f", used by {', '.join(gpu.used_by)}" if gpu.used_by else ""
        return f"its {gpu.name} has only {gpu.free_gib:.1f} GiB free{users}"
    if torch.cuda._is_in_bad_fork():
        return f"a library that was imported for another check has started CUDA, and its {gpu.name} is lost to this one"
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu.uuid
    return None if torch.cuda.is_available() else f"the installed torch {torch.__version__} cannot use its {gpu.name}"


def is_makeshift(job: Job, reduced: list[str], limits: Limits, device: torch.device, hardware: Hardware) -> bool:
    """Whether the run would have been another, had other programs not held the memory."""
    gpu = choose_gpu(job, hardware)
    if gpu and device.type == "cpu" and job.target.kind not in ("cpu", "edge") and gpu.free_gib < SMALLEST_FREE_GPU_GIB:
        return True
    total, free = (gpu.memory_gib, gpu.free_gib) if gpu and device.type == "cuda" else (hardware.memory_gib, hardware.available_gib)
    if not reduced or free >= SHARE_AT_REST * total:
        return False
    at_rest = Limits(limits.memory_bytes * SHARE_AT_REST * total / free, limits.step_flops)
    return reduce_job(job, at_rest)[1] != reduced


def is_on_target(job: Job, device: torch.device, hardware: Hardware) -> bool:
    """Whether the run is on the very device that the design is for: this machine, if the request says so, or a GPU of that name."""
    target = job.target
    if device.type == "cpu":
        return target.is_here and target.kind == "cpu"
    gpu = choose_gpu(job, hardware)
    if gpu is None or not target.has_cuda:
        return False
    return target.is_here or (target.name is not None and _words(gpu.name) <= _words(target.name))


def _words(name: str) -> set[str]:
    return set(name.lower().split())


def convolves_in_depth(job: Job) -> bool:
    """Whether some 3D convolution reaches over the first and last frame or slice, as those of a video or a volume do.

    Of these, oneDNN 3.13's gradients in bf16 hold memory that nothing wrote, where there are fewer slices than the kernel is deep
    (a kernel of 3 over 2 slices, AVX-512): not numbers, or wrong ones.
    """
    if job.recipe.input.kind not in ("video", "volume"):
        return False
    convolutions = (module for module in build_model(job, "meta").modules() if isinstance(module, nn.Conv3d))
    return any(each.kernel_size[0] > 1 and each.padding != "valid" and each.padding[0] != 0 for each in convolutions)

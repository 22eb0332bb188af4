"""The smoke-train: the recommended recipe, for real, on one synthetic batch, within a time limit, on the hardware that is here.

It shows that the recipe runs, learns, trains what it should and nothing else. The weights are random and the data synthetic,
so it says nothing about the accuracy to come. Whatever differs from the recipe stands in `deviations`, whatever was made
smaller in `reduced`.
"""

from __future__ import annotations

import platform
import resource
import statistics
import time
from functools import partial
from typing import Any

import psutil
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from advisor.errors import CheckError
from advisor.verify import smoke_checks
from advisor.verify.batches import forward, loss_of, make_batch
from advisor.verify.build import apply_adaptation, build_model, make_optimizer, optimizer_deviation, parameter_groups
from advisor.verify.evidence import Job, SmokeCheck, SmokeEvidence
from advisor.verify.hardware import detect
from advisor.verify.latency import FEWEST_RUNS, WARM_RUNS, measure_latency
from advisor.verify.loop import checkpoint_activations
from advisor.verify.overfit import Subject, Trail, overfit
from advisor.verify.placing import choose_device, is_makeshift
from advisor.verify.reduce import Limits, operations, reduce_job, weight_bytes
from advisor.wire import Quantity

GIB = 2**30
OWN_STEPS = 10  # at the recipe's rate: enough for a warm-up, a course, and a rate that is too high to show
PROBE_STEPS = 200  # a step may take a millisecond; time ends the run of larger models
COMFORTABLE_S = 10.0  # for the steps at the recipe's rate, and again for those at the probe rate: someone waits for this check
TRAINING_SHARE = 0.75  # of the time limit; the rest is for building, checking and the latency
MEMORY_SHARE = 0.8  # of what is free
SPEED_SIZE = 512  # of the square matrices whose product tells how fast this machine is
SPEED_RUNS = 7
EFFICIENCY = 0.25  # of the speed of that product: what a training step of a small batch reaches
MOST_ACCUMULATION = 2  # two parts show all that more would

# Rates at which these optimizers train from scratch: the defaults of torch.optim and timm.optim, ten times higher for SGD.
PROBE_RATES = {"sgd": 1e-2, "rmsprop": 1e-3, "lion": 1e-4, "adagrad": 1e-2, "lamb": 5e-3, "adafactor": 1e-2}
PROBE_RATE = 1e-3
FEW_PARAMETERS = 10.0  # times higher where a small part learns alone: adapters and heads take higher rates (arXiv:2106.09685, D.4)
FEWEST_FORWARDS = WARM_RUNS + FEWEST_RUNS
_PARTIAL = ("lora", "qlora", "linear_probe", "freeze")
_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def run_smoke(job: Job) -> SmokeEvidence:
    """Train, or for a model that is not trained, predict; check; measure. Meant for a process of its own."""
    start = time.monotonic()
    torch.manual_seed(job.seed)
    _settle_threads()
    hardware = detect()
    device, name, free, deviations = choose_device(job, hardware)
    runnable, substitutions = stand_in(job, device)
    seconds = min(job.time_limit_s * TRAINING_SHARE, COMFORTABLE_S)
    limits = Limits(free * MEMORY_SHARE, _speed(device) * EFFICIENCY * seconds / OWN_STEPS)
    small, reduced = reduce_job(runnable, limits)
    deadline = start + min(job.time_limit_s * TRAINING_SHARE, 2 * COMFORTABLE_S)
    before = _resident_bytes()
    if job.recipe.optimizer.name == "none":
        trail, checks = Trail(), [_infer(small, device)]
    else:
        trail, checks, more = _train(small, device, deadline)
        substitutions += more
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else max(0, _peak_resident_bytes() - before)
    latency, unmeasured = _latency(runnable, limits, device, name, start + job.time_limit_s)
    versions = {"torch": str(torch.__version__), "python": platform.python_version()}
    return SmokeEvidence(
        device=name,
        reduced=reduced,
        deviations=[*deviations, *substitutions],
        checks=checks,
        losses=trail.losses,
        batch=small.recipe.batch.per_device,
        step_seconds=statistics.median(trail.step_seconds) if trail.step_seconds else None,
        peak_bytes=peak,
        latency_ms=latency,
        latency_unmeasured=unmeasured,
        seconds=time.monotonic() - start,
        versions=versions,
        is_makeshift=is_makeshift(runnable, reduced, limits, device, hardware),
    )


def stand_in(job: Job, device: torch.device) -> tuple[Job, list[str]]:
    """The job as this machine can run it, and where that differs from the recipe."""
    recipe, said, changes = job.recipe, [], dict[str, Any]()
    if recipe.precision == "fp16" and device.type == "cpu":
        changes["precision"] = "bf16"
        said.append("bf16 instead of fp16: CPUs do not train in float16")
    if recipe.precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        changes["precision"] = "fp32"
        said.append("fp32 instead of bf16, which this GPU does not compute")
    if recipe.lora and recipe.lora.base_precision in ("nf4", "int8"):
        changes["lora"] = recipe.lora.model_copy(update={"base_precision": "bf16"})
        said.append(f"a bf16 base instead of {recipe.lora.base_precision}: the adapters train the same way, memory and speed differ")
    accumulation = min(recipe.batch.accumulation, MOST_ACCUMULATION)
    if (accumulation, 1) != (recipe.batch.accumulation, recipe.batch.devices):
        batch = recipe.batch
        samples = batch.per_device * accumulation
        changes["batch"] = batch.model_copy(update={"accumulation": accumulation, "devices": 1, "effective": samples})
        said.append(f"{samples} samples a step instead of {batch.effective}, at the recommended learning rate")
    if recipe.model.pretrained:
        said.append("random weights instead of the pretrained ones, which are not downloaded")
    if recipe.regularization or recipe.augmentation:
        said.append("one synthetic batch, without augmentation")
    if (other := optimizer_deviation(recipe)) is not None:
        said.append(other)
    return job.model_copy(update={"recipe": recipe.model_copy(update=changes)}), said


def _train(job: Job, device: torch.device, deadline: float) -> tuple[Trail, list[SmokeCheck], list[str]]:
    """Build, overfit one batch, and judge."""
    model, said = build_for_training(job, device)
    trail, trains = Trail(), smoke_checks.something_trains(model)
    if trains.status == "failed":
        return trail, [trains], said
    subject = prepare(job, model, device)
    overfit(
        subject,
        trail,
        own_steps=OWN_STEPS,
        probe_steps=PROBE_STEPS,
        probe_rate=_probe_rate(job),
        enough=partial(smoke_checks.enough_of_a_fall, job, subject.batch),
        deadline=deadline,
    )
    if trail.probe_rate:
        said.append(
            f"{trail.own_steps} steps at the recommended rate {job.recipe.optimizer.learning_rate:g} and its schedule; these did "
            f"not move random weights far enough, so {len(trail.losses) - trail.own_steps} more at a constant {trail.probe_rate:g}"
        )
    checks = [
        trains,
        smoke_checks.optimizer_covers(model, subject.optimizer),
        smoke_checks.finite(trail),
        smoke_checks.stable_rate(trail),
        smoke_checks.overfits(trail),
        smoke_checks.every_trainable_gets_gradient(model, trail),
        smoke_checks.every_trainable_moves(model, trail),
        smoke_checks.no_frozen_moves(model, trail),
    ]
    if subject.ema is not None and len(trail.losses) > 1:  # the first step's weights are copied, not averaged
        checks.append(smoke_checks.ema_follows(model, subject.ema))
    return trail, checks, said


def build_for_training(job: Job, device: torch.device) -> tuple[nn.Module, list[str]]:
    """The model, adapted as the recipe says; and what of that it cannot do."""
    said = []
    model = apply_adaptation(build_model(job, str(device)), job.recipe)
    if job.recipe.activation_checkpointing:
        try:
            checkpoint_activations(model)
        except CheckError as error:
            said.append(f"no activation checkpointing: {error}")
    return model, said


def prepare(job: Job, model: nn.Module, device: torch.device) -> Subject:
    """The model with what trains it and the batch it trains on."""
    optimizer = make_optimizer(parameter_groups(model, job.recipe), job.recipe)
    assert optimizer is not None, "a recipe without an optimizer is not trained"
    accumulation = job.recipe.batch.accumulation
    batch = make_batch(job, job.recipe.batch.per_device * accumulation, device, torch.Generator().manual_seed(job.seed))
    scaler = torch.amp.GradScaler(device.type) if job.recipe.precision == "fp16" else None
    return Subject(job, model, optimizer, batch, device, accumulation, _HALF.get(job.recipe.precision), scaler, _average(job, model))


def _average(job: Job, model: nn.Module) -> AveragedModel | None:
    decay = job.recipe.ema
    return None if decay is None else AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))


def _infer(job: Job, device: torch.device) -> SmokeCheck:
    """One prediction with a model that is used as it is."""
    model = apply_adaptation(build_model(job, str(device)), job.recipe)
    batch = make_batch(job, job.recipe.batch.per_device, device, torch.Generator().manual_seed(job.seed))
    half = _HALF.get(job.recipe.precision)
    with torch.inference_mode(), torch.autocast(device.type, half, enabled=half is not None):
        outputs = forward(model, batch, job)
        loss = float(loss_of(outputs, batch, job))
    predictions = getattr(outputs, "logits", outputs[0] if isinstance(outputs, tuple) else outputs)
    return smoke_checks.predicts(predictions, loss, job.recipe.batch.per_device)


def _probe_rate(job: Job) -> float:
    rate = PROBE_RATES.get(job.recipe.optimizer.name, PROBE_RATE)
    return rate * FEW_PARAMETERS if job.recipe.model.adaptation in _PARTIAL else rate


def _latency(job: Job, limits: Limits, device: torch.device, name: str, deadline: float) -> tuple[dict[str, Quantity], str | None]:
    """Of the model as designed, whatever was reduced for training; or why not, where it does not fit or would take too long."""
    weights, left = weight_bytes(job) / GIB, max(0.0, deadline - time.monotonic())
    if weights > limits.memory_bytes / GIB:
        return {}, f"the model as designed, {weights:.3g} GiB, is larger than the {limits.memory_bytes / GIB:.3g} GiB to be had"
    seconds = operations(job) / (_speed(device) * EFFICIENCY) * FEWEST_FORWARDS
    if seconds > left:
        return {}, f"{FEWEST_FORWARDS} forward passes would take about {seconds:.0f} s here, and {left:.0f} s were left"
    measured = measure_latency(job, device, _HALF.get(job.recipe.precision), f"random weights, {name}", deadline)
    return measured, None if measured else f"fewer than {FEWEST_RUNS} forward passes were done in half of the {left:.0f} s that were left"


def _speed(device: torch.device) -> float:
    """Floating-point operations a second of a matrix product in fp32."""
    left = torch.rand(SPEED_SIZE, SPEED_SIZE, device=device)
    times = []
    for _ in range(SPEED_RUNS):
        start = time.perf_counter()
        float((left @ left)[0, 0])  # reading a value waits for a GPU
        times.append(time.perf_counter() - start)
    return 2 * SPEED_SIZE**3 / statistics.median(times)


def _settle_threads() -> None:
    """Go on with one thread where that is faster: two of them on a processor that others use wait for each other all the time."""
    together = _speed(torch.device("cpu"))
    many = torch.get_num_threads()
    torch.set_num_threads(1)
    if _speed(torch.device("cpu")) < together:
        torch.set_num_threads(many)


def _resident_bytes() -> int:
    return psutil.Process().memory_info().rss


def _peak_resident_bytes() -> int:
    """The most this process ever held. `ru_maxrss` is in KiB on Linux, in bytes on macOS."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if platform.system() == "Darwin" else 1024)

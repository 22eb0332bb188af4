"""The smoke-train: the recommended recipe, for real, on one synthetic batch, within a time limit, on the hardware that is here.

It shows that the recipe runs, learns, trains what it should and nothing else. The weights are random and the data synthetic,
so it says nothing about the accuracy to come. Whatever differs from the recipe stands in `deviations`, whatever was made
smaller in `reduced`.
"""

from __future__ import annotations

import platform
import statistics
import time
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from advisor.errors import CheckError
from advisor.verify import repeat_checks, smoke_checks
from advisor.verify.batches import forward, loss_of, make_batch
from advisor.verify.build import apply_adaptation, build_model, make_optimizer, optimizer_deviation, parameter_groups
from advisor.verify.conditioned import CONTROLLED
from advisor.verify.distributed import check_distributed
from advisor.verify.evidence import Job, SmokeCheck, SmokeEvidence
from advisor.verify.hardware import detect
from advisor.verify.latency import FEWEST_RUNS, WARM_RUNS, Place, measure_inference
from advisor.verify.loop import checkpoint_activations
from advisor.verify.measuring import PeakMemory, settle_threads, speed
from advisor.verify.overfit import Subject, Trail, overfit
from advisor.verify.placing import choose_device, convolves_in_depth, is_makeshift, is_on_target
from advisor.verify.quantized_base import check_quantized_base
from advisor.verify.reduce import Limits, operations, reduce_job, weight_bytes
from advisor.verify.repeats import repeat, seed_generators
from advisor.verify.two_views import TwoViews, deviation
from advisor.wire import Basis, Quantity

GIB = 2**30
OWN_STEPS = 10  # at the recipe's rate: enough for a warm-up, a course, and a rate that is too high to show
PROBE_STEPS = 200  # a step may take a millisecond; time ends the run of larger models
COMFORTABLE_S = 10.0  # planned for the steps at the recipe's rate, and twice that of processor time for all: someone waits for this check
ELSEWHERE = 0.3  # of that is planned where another machine is meant: a smaller copy shows as well that the recipe runs
REPEATS_S = 15.0  # of processor time for all repeats of the first steps together, which are as many again and half as many
LEAST_S = 1e-3  # of processor time, so that a ratio can be had
TRAINING_SHARE = 0.75  # of the time limit; the rest is for building, checking and the latency
DISTRIBUTED_SHARE = 0.3  # of the time limit, where several GPUs are to train together
MEMORY_SHARE = 0.8  # of what is free
EFFICIENCY = 0.25  # of the speed of that product: what a training step of a small batch reaches
MOST_ACCUMULATION = 2  # two parts show all that more would

# Rates at which these optimizers train from scratch: the defaults of torch.optim and timm.optim, ten times higher for SGD.
PROBE_RATES = {"sgd": 1e-2, "rmsprop": 1e-3, "lion": 1e-4, "adagrad": 1e-2, "lamb": 5e-3, "lars": 1.0, "adafactor": 1e-2}
PROBE_RATE = 1e-3
FEW_PARAMETERS = 10.0  # times higher where a small part learns alone: adapters and heads take higher rates (arXiv:2106.09685, D.4)
FEWEST_FORWARDS = WARM_RUNS + FEWEST_RUNS
_PARTIAL = ("lora", "qlora", "linear_probe", "freeze")
_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def run_smoke(job: Job) -> SmokeEvidence:
    """Train, or for a model that is not trained, predict; check; measure. Meant for a process of its own."""
    start = time.monotonic()
    hardware = detect()
    together = check_distributed(job, hardware, start + job.time_limit_s * DISTRIBUTED_SHARE)  # it forks: nothing is computed before
    settle_threads()
    device, name, free, deviations = choose_device(job, hardware)
    runnable, substitutions = stand_in(job, device)
    seconds = min(job.time_limit_s * TRAINING_SHARE, COMFORTABLE_S) * (1.0 if job.target.is_here else ELSEWHERE)
    limits = Limits(free * MEMORY_SHARE, speed(device) * EFFICIENCY * seconds / OWN_STEPS)
    small, reduced = reduce_job(runnable, limits)
    if job.recipe.optimizer.name == "none":
        trail, checks = Trail(), [_infer(small, device)]
    else:
        end, now = start + job.time_limit_s, time.monotonic()  # on a busy machine, reducing may have taken most of it
        deadline = max(start + job.time_limit_s * TRAINING_SHARE, (now + end) / 2)
        trail, checks, more = _train(small, device, limits, deadline, free)
        substitutions += more
    quantized = check_quantized_base(job.recipe, small, device)
    checks += [check for check in (together, quantized) if check]
    place = Place(device, _HALF.get(runnable.recipe.precision), name)
    inference, unmeasured = _inference(runnable, limits, place, start + job.time_limit_s)
    batch = small.recipe.batch
    copy = ", reduced copy" if reduced else ""
    return SmokeEvidence(
        device=name,
        machine=hardware.summary,
        reduced=reduced,
        deviations=[*deviations, *substitutions],
        checks=checks,
        losses=trail.losses,
        batch=batch.per_device,
        samples=batch.per_device * batch.accumulation,
        step_time=_step_time(trail, f"measured on {name}{copy}, batch {batch.per_device}"),
        peak_bytes=trail.peak_bytes,
        device_bytes=trail.device_bytes,
        inference=inference,
        latency_unmeasured=unmeasured,
        seconds=time.monotonic() - start,
        versions={"torch": str(torch.__version__), "python": platform.python_version()},
        is_makeshift=is_makeshift(runnable, reduced, limits, device, hardware),
        is_on_target=is_on_target(job, device, hardware),
        is_as_designed=_is_same_training(job, small),
        is_full_batch=batch.per_device == job.recipe.batch.per_device,
    )


def stand_in(job: Job, device: torch.device) -> tuple[Job, list[str]]:
    """The job as this machine can run it, and where that differs from the recipe."""
    recipe, said, changes = job.recipe, [], dict[str, Any]()
    if recipe.precision in _HALF and device.type == "cpu" and convolves_in_depth(job):
        changes["precision"] = "fp32"
        said.append(f"fp32 instead of {recipe.precision}: in 16 bits, gradients of 3D convolutions come out of this CPU's kernels wrong")
    elif recipe.precision == "fp16" and device.type == "cpu":
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


def _is_same_training(job: Job, small: Job) -> bool:
    """Whether a step of the small job is one of the designed job, but for the batch and its accumulation."""
    changed = {"batch": job.recipe.batch}
    return (job.build, job.recipe) == (small.build, small.recipe.model_copy(update=changed)) and optimizer_deviation(job.recipe) is None


def _train(
    job: Job, device: torch.device, limits: Limits, deadline: float, free_before: float
) -> tuple[Trail, list[SmokeCheck], list[str]]:
    """Build, overfit one batch, judge, and begin once more. `free_before` are the device's bytes that were free at the start."""
    seed_generators(job.seed)
    trail, memory = Trail(), PeakMemory(device)
    model, said = build_for_training(job, device)
    trains = smoke_checks.something_trains(model)
    if trains.status == "failed":
        return trail, [trains], said
    subject = prepare(job, model, device)
    fit = repeat_checks.targets_fit(subject)
    if fit and fit.status == "failed":
        return trail, [trains, fit], said
    seed_generators(job.seed)
    memory.restart()
    begun, used = time.monotonic(), time.process_time()
    overfit(
        subject,
        trail,
        own_steps=OWN_STEPS,
        probe_steps=PROBE_STEPS,
        probe_rate=_probe_rate(job),
        enough=partial(smoke_checks.enough_of_a_fall, job, subject.batch),
        learnt=repeat_checks.tells_samples_apart,
        deadline=deadline,
        comfort_s=2 * COMFORTABLE_S,
    )
    slowness = max(1.0, (time.monotonic() - begun) / max(time.process_time() - used, LEAST_S))
    trail.peak_bytes, trail.device_bytes = memory.bytes(), memory.device_bytes(free_before)
    if trail.probe_rate and (more := len(trail.losses) - trail.own_steps):
        own = smoke_checks.counted(trail.own_steps, "step")
        said.append(
            f"{own} at the recommended rate {job.recipe.optimizer.learning_rate:g} and its schedule; these did not move random weights "
            f"far enough, so {more} more at a constant {trail.probe_rate:g}"
        )
    checks = [trains, *([fit] if fit else []), *_judged(subject, trail)]
    del model, subject
    until = min(deadline, time.monotonic() + REPEATS_S * slowness)
    return trail, [*checks, *_repeated(job, device, trail, limits, until)], said


def _judged(subject: Subject, trail: Trail) -> list[SmokeCheck]:
    """What the run itself showed."""
    model = subject.model
    checks = [
        smoke_checks.optimizer_covers(model, subject.optimizer),
        smoke_checks.finite(trail),
        smoke_checks.stable_rate(trail),
        repeat_checks.schedule_ends(subject.job.recipe, trail, OWN_STEPS),
        smoke_checks.overfits(trail),
        smoke_checks.every_trainable_gets_gradient(model, trail),
        smoke_checks.every_trainable_moves(model, trail),
        smoke_checks.no_frozen_moves(model, trail),
    ]
    if subject.ema is not None and len(trail.losses) > 1:  # the first step's weights are copied, not averaged
        checks.append(smoke_checks.ema_follows(model, subject.ema))
    shuffled = repeat_checks.beats_shuffled(subject, trail)
    return [*checks, *([shuffled] if shuffled else [])]


def _repeated(job: Job, device: torch.device, trail: Trail, limits: Limits, deadline: float) -> list[SmokeCheck]:
    """What its first steps show when they are taken again. A run that broke down is not repeated."""
    if trail.faults or not trail.losses:
        why = "the first run broke down" if trail.faults else "not one step fitted in the time"
        return [smoke_checks.skipped(name, why) for name in ("same_seed_agrees", "resumes", "twice_the_rate")]

    def arm(seed: int) -> Subject:
        seed_generators(seed)
        subject = prepare(job, build_for_training(job, device)[0], device)
        seed_generators(seed)
        return subject

    repeats = repeat(arm, job.seed, trail, OWN_STEPS, limits.memory_bytes, deadline)
    return [
        repeat_checks.same_seed_agrees(repeats, trail, device.type),
        repeat_checks.resumes(repeats, trail, device.type),
        repeat_checks.twice_the_rate(repeats),
    ]


def build_for_training(job: Job, device: torch.device) -> tuple[nn.Module, list[str]]:
    """The model, adapted as the recipe says; and what of that it cannot do."""
    said = [words for words in (deviation(job),) if words]
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
    average = _average(job, model)
    if average is not None and isinstance(model, TwoViews):
        model.follow(average.module)
    return Subject(job, model, optimizer, batch, device, accumulation, _HALF.get(job.recipe.precision), scaler, average)


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
    few = job.recipe.model.adaptation in _PARTIAL and job.build.factory != CONTROLLED  # whose trained copy is a whole encoder
    return rate * FEW_PARAMETERS if few else rate


def _inference(job: Job, limits: Limits, place: Place, deadline: float) -> tuple[dict[str, Quantity], str | None]:
    """Of the model as designed, whatever was reduced for training; or why not, where it does not fit or would take too long."""
    weights, left = weight_bytes(job) / GIB, max(0.0, deadline - time.monotonic())
    if weights > limits.memory_bytes / GIB:
        return {}, f"the model as designed, {weights:.3g} GiB, is larger than the {limits.memory_bytes / GIB:.3g} GiB to be had"
    seconds = operations(job) / (speed(place.device) * EFFICIENCY) * FEWEST_FORWARDS
    if seconds > left:
        return {}, f"{FEWEST_FORWARDS} forward passes would take about {seconds:.0f} s here, and {left:.0f} s were left"
    measured = measure_inference(job, place, limits.memory_bytes - weights * GIB, deadline)
    return measured, None if measured else f"fewer than {FEWEST_RUNS} forward passes were done in the {left:.0f} s that were left"


def _step_time(trail: Trail, where: str) -> Quantity | None:
    """Of the steps after the first, which prepares kernels; with few steps, of all."""
    times = trail.step_seconds[1:] or trail.step_seconds
    if not times:
        return None
    return Quantity(value=statistics.median(times), low=min(times), high=max(times), unit="s", basis=Basis.MEASURED, source=where)

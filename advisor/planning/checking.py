"""A design's evidence held against the request's limits: one `Check` a question, each with its number and its limit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from advisor.catalogue.entries import DeviceEntry
from advisor.engine.facts import Facts
from advisor.planning.plan import Design
from advisor.planning.sizing import number, value
from advisor.planning.timing import estimate_latency, estimate_training_hours
from advisor.report import Check
from advisor.verify.evidence import Memory, Refusal, StaticEvidence
from advisor.wire import Basis, Quantity

GIB = 2**30
MB = 1e6
PUBLISHED_TOLERANCE = 0.02  # a published count is rounded; beyond this the model built is not the model named
HOURS_A_DAY = 24.0
FORMAT_OF = {"none": "fp32", "bf16": "fp16", "fp16": "fp16", "int8-dynamic": "int8", "int8-static": "int8", "int8-weight-only": "int8",
             "int4-weight-only": "int4", "nf4": "int4"}  # fmt: skip
DECODERS = ("instruction_tuning", "text_generation", "preference_tuning")


@dataclass(frozen=True)
class Assessment:
    """What is known about a design: the evidence, the checks that follow, and its figures for comparison."""

    design: Design
    evidence: StaticEvidence | None
    checks: tuple[Check, ...]
    figures: Mapping[str, Quantity] = field(default_factory=dict)

    @property
    def failed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.status == "failed")


def assess(design: Design, evidence: StaticEvidence | Refusal | None, devices: Mapping[str, DeviceEntry]) -> Assessment:
    """Hold the evidence against the limits. Without evidence (`--verify none`) catalogue figures serve, and say so."""
    if isinstance(evidence, Refusal):
        refused = Check(name="build", status=evidence.status, detail=evidence.reason, method="instantiate without weights")
        return Assessment(design, None, (refused,), {})
    device = target_device(design.facts, devices)
    figures = _figures(design, evidence, device)
    checks = [
        _build(design, evidence),
        _flops(evidence),
        _memory("training_memory", evidence.training_memory if evidence else None, design.facts, devices),
        _memory("inference_memory", evidence.inference_memory if evidence else None, design.facts, devices),
        _size(design.facts, figures),
        _latency(design.facts, figures, device),
        _budget(design.facts, figures),
    ]
    return Assessment(design, evidence, tuple(check for check in checks if check is not None), figures)


def target_device(facts: Facts, devices: Mapping[str, DeviceEntry]) -> DeviceEntry | None:
    """The catalogue's entry for the request's device, if it names one that is known."""
    return devices.get(str(value(facts, "compute.device")))


# --- figures ---------------------------------------------------------------------------------------------------------


def _figures(design: Design, evidence: StaticEvidence | None, device: DeviceEntry | None) -> dict[str, Quantity]:
    entry, recipe = design.candidate, design.recipe
    counted, source = evidence is not None, entry.parameters.source
    parameters = evidence.parameters if evidence else entry.parameters.value
    figures = {"parameters": Quantity(value=parameters, unit="parameters", basis=Basis.COMPUTED if counted else Basis.PUBLISHED, source=None if counted else source)}
    flops = evidence.flops_forward if evidence else 2e9 * entry.gmacs.value if entry.gmacs else None
    if evidence:
        figures["trainable_parameters"] = Quantity(value=evidence.trainable_parameters, unit="parameters", basis=Basis.COMPUTED)
    if flops is not None:
        figures["flops"] = Quantity(value=flops, unit="FLOPs", basis=Basis.COMPUTED if counted else Basis.PUBLISHED, source=None if entry.gmacs is None or counted else entry.gmacs.source)
    size = _file_bytes(design, evidence, parameters)
    figures["file_size"] = Quantity(value=size / MB, unit="MB", basis=Basis.COMPUTED if counted else Basis.ESTIMATED)
    for name, memory in (("training_memory", evidence.training_memory), ("inference_memory", evidence.inference_memory)) if evidence else ():
        if memory is not None:
            figures[name] = memory_quantity(memory)
    figures.update(_times(design, flops, size, device))
    for score in entry.scores[:2]:
        figures[f"{score.benchmark} {score.metric}"] = Quantity(value=score.value, unit=score.metric, basis=Basis.PUBLISHED, source=score.source)
    del recipe
    return figures


def memory_quantity(memory: Memory) -> Quantity:
    """Bytes as GiB, with the interval."""
    return Quantity(value=memory.total / GIB, low=memory.low / GIB, high=memory.high / GIB, unit="GiB", basis=Basis.ESTIMATED, source=memory.method)


def _file_bytes(design: Design, evidence: StaticEvidence | None, parameters: float) -> float:
    file_format = FORMAT_OF[design.recipe.compression.quantization]
    if evidence and file_format in evidence.file_bytes:
        return evidence.file_bytes[file_format]
    return parameters * {"fp32": 4.0, "fp16": 2.0, "int8": 1.0, "int4": 0.5}[file_format]


def _times(design: Design, flops: float | None, size: float, device: DeviceEntry | None) -> dict[str, Quantity]:
    if flops is None or device is None:
        return {}
    recipe, task = design.recipe, str(value(design.facts, "task.kind"))
    # A decoder answers token by token: one token costs the forward pass of one position, and reads every weight.
    sample = flops / (recipe.input.sequence_length or 1) if task in DECODERS else flops
    times = {"latency": estimate_latency(sample, size, device, recipe.precision)}
    samples = number(design.facts, "data.samples", math.nan) * (recipe.epochs or 0) if recipe.steps is None else recipe.steps * recipe.batch.effective
    if recipe.optimizer.name != "none" and samples and math.isfinite(samples):
        times["training_time"] = estimate_training_hours(flops, samples, device, recipe.batch.devices, recipe.precision)
    return {name: time for name, time in times.items() if time is not None}


# --- checks ----------------------------------------------------------------------------------------------------------


def _build(design: Design, evidence: StaticEvidence | None) -> Check:
    method = "the real class on the meta device, no weights"
    if evidence is None:
        return _skipped("build", "verification was not asked for")
    published = design.candidate.parameters.value
    off = abs(evidence.parameters - published) / published if published else 0.0
    detail = f"{evidence.parameters:,} parameters, {evidence.trainable_parameters:,} of them trained; published {published:,.0f}"
    # The head is the task's own, so only a larger difference than a head explains means another model.
    head = design.recipe.input.outputs is not None or bool(design.recipe.lora)
    status = "passed" if off <= PUBLISHED_TOLERANCE or head else "failed"
    return Check(name="build", status=status, value=evidence.parameters, unit="parameters", method=method, detail=detail)


def _flops(evidence: StaticEvidence | None) -> Check:
    if evidence is None:
        return _skipped("flops", "verification was not asked for")
    uncounted = f"; not counted: {', '.join(evidence.flops_uncounted)}" if evidence.flops_uncounted else ""
    figures = {}
    detail = f"one sample, forward; 1 multiply-add = 2 FLOPs{uncounted}"
    if evidence.flops_cross_check is not None:
        figures["fvcore"] = Quantity(value=evidence.flops_cross_check, unit="FLOPs", basis=Basis.COMPUTED, source="fvcore on real tensors")
        detail += f"; fvcore counts {evidence.flops_cross_check / max(evidence.flops_forward, 1):.3f} times as many"
    elif evidence.flops_cross_check_detail:
        detail += f"; {evidence.flops_cross_check_detail}"
    return Check(name="flops", status="passed", value=evidence.flops_forward, unit="FLOPs", method="torch FlopCounterMode on meta", detail=detail, figures=figures)


def _memory(name: str, memory: Memory | None, facts: Facts, devices: Mapping[str, DeviceEntry]) -> Check:
    if memory is None:
        return _skipped(name, "verification was not asked for")
    device = target_device(facts, devices)
    limit = number(facts, "compute.memory_gib", math.nan)
    total, high = memory.total / GIB, memory.high / GIB
    figures = {kind: Quantity(value=size / GIB, unit="GiB", basis=Basis.ESTIMATED) for kind, size in memory.categories.items()}
    shown = {"value": round(total, 3), "unit": "GiB", "method": memory.method, "device": device.name if device else None, "figures": figures}
    if math.isnan(limit):
        return Check(name=name, status="skipped", detail=f"the device's memory is not stated; {_suffice(high, devices)}", **shown)
    status = "passed" if high <= limit else "failed"
    # An upper bound above the device is no proof that it fails, but a recommendation must not gamble with it.
    detail = f"{memory.low / GIB:.2f} to {high:.2f} GiB, the peak {memory.peak_at}; the device has {limit:g} GiB"
    return Check(name=name, status=status, limit=limit, detail=detail, **shown)


def _suffice(needed_gib: float, devices: Mapping[str, DeviceEntry]) -> str:
    enough = sorted((device.memory_gib, device.name) for device in devices.values() if device.kind == "gpu" and device.memory_gib and device.memory_gib >= needed_gib)
    names = [f"{name} ({memory:g} GiB)" for memory, name in enough[:3]]
    return f"at most {needed_gib:.1f} GiB are needed: {', '.join(names)} and larger suffice" if names else f"{needed_gib:.1f} GiB are needed, more than any known device has"


def _size(facts: Facts, figures: Mapping[str, Quantity]) -> Check:
    size, limit = figures["file_size"], number(facts, "limit.model_mb", math.inf)
    if math.isinf(limit):
        return Check(name="model_size", status="skipped", value=round(size.value, 2), unit="MB", detail="no limit on the model's size is stated")
    return Check(name="model_size", status="passed" if size.value <= limit else "failed", value=round(size.value, 2), limit=limit, unit="MB",
                 method="bytes of parameters and buffers in the recommended format", detail=f"{size.basis}: weights as exported")  # fmt: skip


def _latency(facts: Facts, figures: Mapping[str, Quantity], device: DeviceEntry | None) -> Check:
    limit, latency = number(facts, "limit.latency_ms", math.inf), figures.get("latency")
    if latency is None:
        return _skipped("latency", "the target device has no figures in the catalogue" if device is None else "nothing to estimate it from")
    shown = {"value": latency.value, "unit": "ms", "method": latency.source, "device": device.name if device else None, "figures": {"latency": latency}}
    span = f"{latency.low:g} to {latency.high:g} ms for one sample, an estimate"
    if math.isinf(limit):
        return Check(name="latency", status="skipped", detail=f"no limit on latency is stated; {span}", **shown)
    if latency.high is not None and latency.high <= limit:
        return Check(name="latency", status="passed", limit=limit, detail=span, **shown)
    if latency.low is not None and latency.low > limit:
        return Check(name="latency", status="failed", limit=limit, detail=span, **shown)
    return Check(name="latency", status="skipped", limit=limit, detail=f"{span}, cannot decide: measure it on the device", **shown)


def _budget(facts: Facts, figures: Mapping[str, Quantity]) -> Check | None:
    limits = {"limit.gpu_hours": number(facts, "compute.devices", 1), "limit.days": 1 / HOURS_A_DAY}
    stated = [(name, number(facts, name, math.inf), factor) for name, factor in limits.items() if math.isfinite(number(facts, name, math.inf))]
    if not stated:
        return None
    time = figures.get("training_time")
    if time is None or time.low is None or time.high is None:
        return _skipped("budget", "the training time cannot be estimated")
    name, limit, factor = stated[0]
    unit = "GPU-hours" if name == "limit.gpu_hours" else "days"
    status = "passed" if time.high * factor <= limit else "failed" if time.low * factor > limit else "skipped"
    detail = f"{time.low * factor:.3g} to {time.high * factor:.3g} {unit}, an estimate" + (", cannot decide: a pilot run will tell" if status == "skipped" else "")
    return Check(name="budget", status=status, value=time.value * factor, limit=limit, unit=unit, method=time.source, detail=detail)


def _skipped(name: str, why: str) -> Check:
    return Check(name=name, status="skipped", detail=why)

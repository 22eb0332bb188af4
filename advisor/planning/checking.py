"""A design's evidence held against the request's limits: one `Check` a question, each with its number and its limit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from advisor.catalogue.entries import DeviceEntry
from advisor.engine.facts import Facts
from advisor.planning.figures import GIB, design_figures
from advisor.planning.plan import Design
from advisor.planning.sizing import number, value
from advisor.report import Check
from advisor.verify.evidence import Memory, Refusal, StaticEvidence
from advisor.verify.formulas import FULL, OFFLOADED, STATE_BYTES
from advisor.wire import Basis, Quantity

SPENDING = (("training_time", "limit.days", 24.0), ("budget", "limit.gpu_hours", 1.0), ("cost", "limit.cost_usd", 1.0))
"""Checks of what training takes, the fact that limits each, and the fact's unit in the check's: days in hours."""
NOT_ASKED = "verification was not asked for"


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
    figures = design_figures(design, evidence, device)
    checks = [
        _build(design, evidence),
        _flops(evidence),
        _memory("training_memory", evidence.training_memory if evidence else None, design, devices, checked=evidence is not None),
        _memory("inference_memory", evidence.inference_memory if evidence else None, design, devices, checked=evidence is not None),
        *_host_memory(design, evidence),
        _size(design.facts, figures),
        _latency(design.facts, figures, device),
        *spending_checks(design.facts, figures),
    ]
    return Assessment(design, evidence, tuple(checks), figures)


def needed(check: Check, figures: Mapping[str, Quantity]) -> float:
    """The least limit under which a check passes, or of an estimate whose interval spans the limit, under which it does not fail."""
    figure = figures.get(check.name)
    return figure.high if check.name.endswith("_memory") and figure is not None and figure.high is not None else check.value or 0.0


def target_device(facts: Facts, devices: Mapping[str, DeviceEntry]) -> DeviceEntry | None:
    """The catalogue's entry for the request's device, if it names one that is known."""
    return devices.get(str(value(facts, "compute.device")))


# --- checks ----------------------------------------------------------------------------------------------------------


def _build(design: Design, evidence: StaticEvidence | None) -> Check:
    if evidence is None:
        return _skipped("build", NOT_ASKED)
    published = f"published with its own head: {design.candidate.parameters.value:,.0f}"
    detail = f"{evidence.parameters:,} parameters, {evidence.trainable_parameters:,} of them trained; {published}"
    method = "the real class on the meta device, no weights"
    return Check(name="build", status="passed", value=evidence.parameters, unit="parameters", method=method, detail=detail)


def _flops(evidence: StaticEvidence | None) -> Check:
    if evidence is None:
        return _skipped("flops", NOT_ASKED)
    uncounted = f"; not counted: {', '.join(evidence.flops_uncounted)}" if evidence.flops_uncounted else ""
    figures = {}
    detail = f"one sample, forward; 1 multiply-add = 2 FLOPs{uncounted}"
    if evidence.flops_cross_check is not None:
        figures["fvcore"] = Quantity(value=evidence.flops_cross_check, unit="FLOPs", basis=Basis.COMPUTED, source="fvcore on real tensors")
        detail += f"; fvcore counts {evidence.flops_cross_check / max(evidence.flops_forward, 1):.3f} times as many"
    elif evidence.flops_cross_check_detail:
        detail += f"; {evidence.flops_cross_check_detail}"
    return Check(
        name="flops",
        status="passed",
        value=evidence.flops_forward,
        unit="FLOPs",
        method="torch FlopCounterMode on meta",
        detail=detail,
        figures=figures,
    )


def _memory(name: str, memory: Memory | None, design: Design, devices: Mapping[str, DeviceEntry], *, checked: bool) -> Check:
    if memory is None:
        return _skipped(name, "nothing is trained" if checked else NOT_ASKED)
    facts = design.facts
    device = target_device(facts, devices)
    limit, high = number(facts, "compute.memory_gib", math.nan), memory.high / GIB
    shown = Check(
        name=name,
        status="skipped",
        value=round(memory.total / GIB, 3),
        unit="GiB",
        method=memory.method,
        device=device.name if device else None,
        figures={kind: Quantity(value=size / GIB, unit="GiB", basis=Basis.ESTIMATED) for kind, size in memory.categories.items()},
    )
    if math.isnan(limit):
        return shown.model_copy(
            update={"detail": f"the device's memory is not stated; {_suffice(high, str(value(facts, 'compute.kind')), devices)}"}
        )
    # An upper bound above the device is no proof that training fails, but a recommendation must not gamble with it.
    status = "passed" if high <= limit else "failed"
    detail = f"{memory.low / GIB:.2f} to {high:.2f} GiB, with the peak in {memory.peak_at}; the device has {limit:g} GiB"
    return shown.model_copy(update={"status": status, "limit": limit, "detail": detail})


def _host_memory(design: Design, evidence: StaticEvidence | None) -> list[Check]:
    """What is offloaded, against the memory of one machine."""
    recipe, facts = design.recipe, design.facts
    limit = number(facts, "compute.host_memory_gib", math.nan)
    if recipe.distributed != OFFLOADED or evidence is None or math.isnan(limit):
        return []
    each = 2 * FULL + STATE_BYTES.get(recipe.optimizer.name, STATE_BYTES["adamw"])
    size = round(each * evidence.parameters / number(facts, "compute.nodes", 1) / GIB, 3)
    detail = f"weights, gradients and optimizer states at {each:g} bytes a parameter; the system needs some beside them"
    status = "passed" if size <= limit else "failed"
    return [Check(name="host_memory", status=status, value=size, limit=limit, unit="GiB", method="closed form", detail=detail)]


def _suffice(needed_gib: float, kind: str, devices: Mapping[str, DeviceEntry]) -> str:
    """Which devices hold so much: by name for accelerators, in GiB for a machine's own memory."""
    if kind not in ("gpu", "multi_gpu"):
        return f"at most {needed_gib:.2g} GiB are needed"
    enough = sorted(
        (device.memory_gib, device.name)
        for device in devices.values()
        if device.kind == "gpu" and device.memory_gib and device.memory_gib >= needed_gib
    )
    if not enough:
        return f"{needed_gib:.1f} GiB are needed, more than any known device has"
    names = [f"{name} ({memory:g} GiB)" for memory, name in enough[:3]]
    return f"at most {needed_gib:.1f} GiB are needed: {', '.join(names)} and larger suffice"


def _size(facts: Facts, figures: Mapping[str, Quantity]) -> Check:
    size, limit = figures["file_size"], number(facts, "limit.model_mb", math.inf)
    if math.isinf(limit):
        return Check(
            name="model_size", status="skipped", value=round(size.value, 2), unit="MB", detail="no limit on the model's size is stated"
        )
    return Check(
        name="model_size",
        status="passed" if size.value <= limit else "failed",
        value=round(size.value, 2),
        limit=limit,
        unit="MB",
        method="bytes of parameters and buffers in the recommended format",
        detail=f"{size.basis}: weights as exported",
    )


def _latency(facts: Facts, figures: Mapping[str, Quantity], device: DeviceEntry | None) -> Check:
    limit, latency = number(facts, "limit.latency_ms", math.inf), figures.get("latency")
    if latency is None:
        return _skipped("latency", "the target device has no figures in the catalogue" if device is None else "nothing to estimate it from")
    shown = {
        "value": latency.value,
        "unit": "ms",
        "method": latency.source,
        "device": device.name if device else None,
        "figures": {"latency": latency},
    }
    span = f"{latency.low:g} to {latency.high:g} ms for one sample, an estimate"
    if math.isinf(limit):
        return Check(name="latency", status="skipped", detail=f"no limit on latency is stated; {span}", **shown)
    if latency.high is not None and latency.high <= limit:
        return Check(name="latency", status="passed", limit=limit, detail=span, **shown)
    if latency.low is not None and latency.low > limit:
        return Check(name="latency", status="failed", limit=limit, detail=span, **shown)
    return Check(name="latency", status="skipped", limit=limit, detail=f"{span}, cannot decide: measure it on the device", **shown)


def spending_checks(facts: Facts, figures: Mapping[str, Quantity]) -> list[Check]:
    """The stated limits on training: hours, GPU-hours, money."""
    return [
        _spent(name, number(facts, fact, math.inf) * factor, figures.get(name))
        for name, fact, factor in SPENDING
        if math.isfinite(number(facts, fact, math.inf))
    ]


def _spent(name: str, limit: float, spent: Quantity | None) -> Check:
    if spent is None or spent.low is None or spent.high is None:
        return Check(name=name, status="skipped", limit=limit, detail="what the training takes cannot be estimated")
    status = "passed" if spent.high <= limit else "failed" if spent.low > limit else "skipped"
    undecided = ", cannot decide: a pilot run will tell" if status == "skipped" else ""
    detail = f"{spent.low:.3g} to {spent.high:.3g} {spent.unit}, an estimate{undecided}"
    return Check(name=name, status=status, value=spent.value, limit=limit, unit=spent.unit, method=spent.source, detail=detail)


def _skipped(name: str, why: str) -> Check:
    return Check(name=name, status="skipped", detail=why)

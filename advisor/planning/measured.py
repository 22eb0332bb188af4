"""What was measured on the very device that a design is for: it replaces the estimate, and says whether the prediction held."""

from __future__ import annotations

import math
from dataclasses import replace

from advisor.planning.checking import Assessment, spending_checks
from advisor.planning.figures import DECODERS, GIB, spending, training_samples
from advisor.planning.sizing import number, value
from advisor.report import Check
from advisor.verify.evidence import SmokeEvidence
from advisor.wire import Basis, Quantity

SECONDS_AN_HOUR = 3600.0
METHOD = "measured on the device that the design is for"


def hold_measured(assessment: Assessment, smoke: SmokeEvidence) -> tuple[Assessment, tuple[Check, ...]]:
    """The assessment with measured figures where they were taken on the target; and how the predictions did.

    Training counts where at most the batch was reduced, its memory where not even that; inference is of the model as designed.
    """
    if not smoke.is_on_target:
        return assessment, ()
    measured = _measured(assessment, smoke)
    quantization = assessment.design.recipe.compression.quantization
    predictions = tuple(
        _prediction(name, assessment.figures[name], measured[name], smoke.device)
        for name in ("training_memory", "latency", "training_time")
        if name in measured and name in assessment.figures and (name != "latency" or quantization == "none")
    )
    figures = {**assessment.figures, **measured}
    facts = assessment.design.facts
    latency = _latency(number(facts, "limit.latency_ms", math.inf), measured, smoke, quantization)
    redone = {check.name: check for check in (latency, *spending_checks(facts, figures)) if check is not None}
    checks = tuple(redone.get(check.name, check) for check in assessment.checks)
    return replace(assessment, checks=checks, figures=figures), predictions


def _measured(assessment: Assessment, smoke: SmokeEvidence) -> dict[str, Quantity]:
    design, found = assessment.design, dict[str, Quantity]()
    if smoke.peak_bytes and smoke.is_as_designed and smoke.is_full_batch:
        held = smoke.device_bytes or smoke.peak_bytes  # a GPU's prediction is of all that the process takes
        found["training_memory"] = Quantity(value=held / GIB, unit="GiB", basis=Basis.MEASURED, source=smoke.device)
    if "median" in smoke.inference and value(design.facts, "task.kind") not in DECODERS:  # which answer token by token: that was not timed
        found["latency"] = smoke.inference["median"]
    samples = training_samples(design)
    if smoke.step_time is not None and smoke.is_as_designed and math.isfinite(samples):
        hours = found["training_time"] = _extrapolated(smoke.step_time, samples / smoke.samples, smoke)
        found |= {name: spent for name, spent in spending(design, hours, None).items() if spent is not None}
    return found


def _extrapolated(step: Quantity, steps: float, smoke: SmokeEvidence) -> Quantity:
    """Hours of so many steps, each as long as the shortest and the longest that were measured. Loading data comes on top.

    A smaller batch than the recipe's takes longer a sample, if anything, so that such a time is no less than it will be.
    """
    hours = steps / SECONDS_AN_HOUR
    return Quantity(
        value=step.value * hours,
        low=(step.low or step.value) * hours,
        high=(step.high or step.value) * hours,
        unit="h",
        basis=Basis.ESTIMATED,
        source=f"{len(smoke.losses)} steps measured on {smoke.device}, batch {smoke.batch}, extrapolated to {steps:.3g}",
    )


def _prediction(name: str, predicted: Quantity, measured: Quantity, device: str) -> Check:
    """Whether what was measured lies within what was predicted."""
    low, high = predicted.low or predicted.value, predicted.high or predicted.value
    figure, unit = measured.value, predicted.unit
    held = low <= figure <= high
    miss = "" if held else f"; it missed by a factor of {max(low / max(figure, 1e-12), figure / max(high, 1e-12)):.3g}"
    return Check(
        name=f"prediction.{name}",
        status="passed" if held else "failed",
        value=figure,
        unit=unit,
        method=METHOD,
        device=device,
        detail=f"predicted {low:.3g} to {high:.3g} {unit}, measured {figure:.3g} {unit}{miss}",
        figures={"predicted": predicted, "measured": measured},
    )


def _latency(limit: float, measured: dict[str, Quantity], smoke: SmokeEvidence, quantization: str) -> Check | None:
    """A limit on latency holds where 95 of 100 answers keep it, and is broken where half of them do not.

    What was timed is not quantized: where it keeps the limit there is no need, where it does not, the quantized model may.
    """
    median = measured.get("latency")
    if median is None:
        return None
    p95 = smoke.inference["p95"]
    shown = Check(
        name="latency",
        status="skipped",
        value=median.value,
        unit="ms",
        method=METHOD,
        device=smoke.device,
        figures={"latency": median, "p95": p95},
    )
    span = f"median {median.value:.3g} ms, 95th percentile {p95.value:.3g} ms for one sample"
    if math.isinf(limit):
        return shown.model_copy(update={"detail": f"no limit on latency is stated; {span}"})
    status = "passed" if p95.value <= limit else "failed" if median.value > limit and quantization == "none" else "skipped"
    span += "" if quantization == "none" else f", before quantization to {quantization}"
    undecided = "; too slow for the limit, at least one time in twenty" if status == "skipped" else ""
    return shown.model_copy(update={"status": status, "limit": limit, "detail": span + undecided})

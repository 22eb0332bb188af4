"""What compression and export came to, in the report's words: each technique's figures, and whether it is kept.

A quantized or pruned model is kept if it helps what was asked: a smaller file where the size binds, less time where the latency
does. Time counts only on a CPU like the target's and with the model as designed; a GPU's or a phone's time is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from advisor import choices as c
from advisor.planning.designing import Tried
from advisor.planning.figures import MB
from advisor.planning.plan import Design
from advisor.planning.sizing import number, value
from advisor.report import Check
from advisor.verify.evidence import Agreement, DeployEvidence, Refusal, Timing, Variant
from advisor.verify.techniques import techniques
from advisor.wire import Basis, Quantity

MARGIN = 0.1  # by which one time must differ from the other to count: medians of runs in turns scatter by a few per cent


@dataclass(frozen=True)
class Asked:
    """What compression is for: limits in ms and MB (infinite where none is stated), what the model takes without it, and the target."""

    latency_ms: float
    size_mb: float
    original_mb: float
    target: str

    @property
    def size_binds(self) -> bool:
        return self.original_mb > self.size_mb


def deploy_checks(best: Tried) -> list[Check]:
    """One check a technique that was tried, and one a runtime that nothing here can try, with the command that converts."""
    found, design = best.deploy, best.assessment.design
    checks: list[Check] = []
    if isinstance(found, Refusal):
        checks = [Check(name=name, status=found.status, detail=found.reason) for name in techniques(design.recipe)]
    elif found is not None:
        checks = [describe_variant(variant, found, _asked(best)) for variant in found.variants]
    return [*checks, *_conversions(design)]


def _asked(best: Tried) -> Asked:
    facts, evidence = best.assessment.design.facts, best.assessment.evidence
    return Asked(
        number(facts, "limit.latency_ms", math.inf),
        number(facts, "limit.model_mb", math.inf),
        evidence.file_bytes.get("fp32", 0) / MB if evidence else 0.0,
        str(value(facts, "compute.kind")),
    )


def _conversions(design: Design) -> Iterator[Check]:
    """Runtimes that the recipe's exports name and that are not here."""
    outcome = design.outcomes.get("conversion")
    for decided in outcome.decided if outcome else ():
        runtime = decided.choice
        assert isinstance(runtime, c.Conversion), "the slot's type"
        if any(runtime.name.lower() in form.lower() for form in design.recipe.export):
            name = f"export.{runtime.name.lower().replace(' ', '_')}"
            yield Check(
                name=name, status="skipped", method=runtime.command, detail=f"not checked here; it converts with: {runtime.command}"
            )


def describe_variant(variant: Variant, evidence: DeployEvidence, asked: Asked) -> Check:
    """A technique's check: its figures, how it compares, and the verdict."""
    if variant.agreement is None:
        status = "passed" if variant.status == "made" else variant.status
        return Check(name=variant.name, status=status, detail=variant.detail, device=evidence.device)
    agreement, is_export = variant.agreement, variant.name.startswith("export.")
    helps, compared = _compare(variant, evidence, asked)
    passed = agreement.is_close and (is_export or helps)
    verdict = "" if is_export else "kept: " if passed else "not kept: "
    fault = "" if agreement.is_close else f"{_disagreement(agreement)}; "
    extent = f"a reduced copy ({'; '.join(evidence.reduced)})" if evidence.reduced else "the model as designed"
    value, limit, unit = _main_figure(variant, evidence, asked)
    return Check(
        name=variant.name,
        status="passed" if passed else "failed",
        value=value,
        limit=limit,
        unit=unit,
        method=variant.detail,
        device=evidence.device + (", a reduced copy" if evidence.reduced else ""),
        detail=f"{verdict}{fault}{compared}; {extent}, random weights",
        figures=dict(_figures(variant, evidence)),
    )


def _compare(variant: Variant, evidence: DeployEvidence, asked: Asked) -> tuple[bool, str]:
    """Whether the technique helps what was asked, and its size and time beside what it would replace, in words."""
    assert variant.bytes and variant.original_bytes, "a version that was made has a size"
    size, time, counts = variant.bytes / variant.original_bytes, _pace(variant), _time_counts(variant, evidence, asked)
    is_smaller, is_faster, is_slower = size < 1 - MARGIN, counts and time < 1 - MARGIN, counts and time > 1 + MARGIN
    helps = is_smaller if asked.size_binds else is_faster or (is_smaller and not is_slower)
    words = f"{_times(size, 'smaller', 'larger')} and {_times(time, 'faster', 'slower')} than {variant.against}"
    if not counts:
        words += " (the time is that of a reduced copy)" if asked.target == "cpu" else " (a time on this CPU says nothing of the target)"
    return helps, words + (f"; the limit of {asked.size_mb:g} MB needs a smaller file" if asked.size_binds else "")


def _pace(variant: Variant) -> float:
    """The time as a multiple of what it is compared with; not a number where it was not timed."""
    if variant.latency is None or variant.original_latency is None:
        return math.nan
    return variant.latency.median_ms / variant.original_latency.median_ms


def _times(ratio: float, less: str, more: str) -> str:
    if math.isnan(ratio):
        return f"not timed here: not known to be {less}"
    if abs(ratio - 1) <= MARGIN:
        return f"no {less}"
    return f"{1 / ratio:.3g} times {less}" if ratio < 1 else f"{ratio:.3g} times {more}"


def _time_counts(variant: Variant, evidence: DeployEvidence, asked: Asked) -> bool:
    return asked.target == "cpu" and not evidence.reduced and variant.latency is not None


def _disagreement(agreement: Agreement) -> str:
    if agreement.relative_error is None or math.isinf(agreement.relative_error):
        return "the outputs are no numbers, or of another shape"
    return f"the outputs differ by {agreement.relative_error:.2g} of their size, and {agreement.limit:g} is the most that rounding explains"


def _main_figure(variant: Variant, evidence: DeployEvidence, asked: Asked) -> tuple[float | None, float | None, str]:
    """The figure that the verdict hangs on, its limit, and its unit."""
    assert variant.agreement and variant.bytes and variant.original_bytes, "a version that was made has them"
    if variant.name.startswith("export.") or not variant.agreement.is_close:
        error = _finite(variant.agreement.relative_error)
        return None if error is None else float(f"{error:.2g}"), variant.agreement.limit, "relative error"
    time, old = variant.latency, variant.original_latency
    if time and old and _time_counts(variant, evidence, asked) and math.isfinite(asked.latency_ms) and not asked.size_binds:
        return time.median_ms, old.median_ms, "ms"
    limit = asked.size_mb if asked.size_binds and not evidence.reduced else variant.original_bytes / MB
    return round(variant.bytes / MB, 3), round(limit, 3), "MB"


def _figures(variant: Variant, evidence: DeployEvidence) -> Iterator[tuple[str, Quantity]]:
    """What was measured of the version and of what it would replace."""
    extent = "a reduced copy" if evidence.reduced else "the model as designed"
    for whose, size, time in (("", variant.bytes, variant.latency), ("original_", variant.original_bytes, variant.original_latency)):
        if size is not None:
            yield f"{whose}size", _measured(size / MB, "MB", extent)
        if isinstance(time, Timing):
            source = f"{time.runs} runs in turns, batch 1, {extent}, {evidence.device}"
            yield f"{whose}latency", _measured(time.median_ms, "ms", source)
            yield f"{whose}latency_p95", _measured(time.p95_ms, "ms", source)
    if (found := variant.agreement) is not None:
        source = f"{found.samples} synthetic samples, random weights, {extent}"
        errors = {"largest_error": (found.max_error, "of the outputs"), "mean_error": (found.mean_error, "of the outputs")}
        errors |= {"relative_error": (found.relative_error, "fraction"), "top-1_agreement": (found.top1, "fraction")}
        for name, (error, unit) in errors.items():
            if (known := _finite(error)) is not None:
                yield name, _measured(known, unit, source)


def _measured(value: float, unit: str, source: str) -> Quantity:
    return Quantity(value=value, unit=unit, basis=Basis.MEASURED, source=source)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None

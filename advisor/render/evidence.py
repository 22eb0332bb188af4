"""What the checks found, put so that nobody takes a prediction for a result: value, limit, and what it rests on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from advisor.render.numbers import format_amount, format_basis, format_quantity
from advisor.report import Baseline, Check, Decision, Report, Source
from advisor.wire import Basis, Quantity

ROUNDING = 0.01  # a check may show its figure rounded to a hundredth
UNMEASURED = "not measured"
STATUS_WORDS = {"passed": "PASSED", "failed": "FAILED", "repaired": "REPAIRED", "skipped": "SKIPPED"}


@dataclass(frozen=True)
class CheckRow:
    """A check in words. `found` carries the interval where the figure is not exact; a part belongs to the check before it."""

    name: str
    status: str
    found: str
    limit: str
    basis: str
    method: str
    detail: str
    is_part: bool = False


@dataclass(frozen=True)
class Expectation:
    """A figure to expect, never a result: what it rests on, and where that was read."""

    label: str
    text: str
    basis: str
    sources: tuple[Source, ...] = ()


def describe_checks(report: Report) -> list[CheckRow]:
    """Every check of the report in words."""
    return [describe_check(check, report) for check in report.verification]


def describe_check(check: Check, report: Report) -> CheckRow:
    """One check with its figure in the unit that suits it and what that figure rests on.

    A check names the device that it is about, which is the target for a prediction and this machine for a measurement:
    only a figure whose own basis says so counts as measured.
    """
    main, unit = _main_figure(check, report), unit_of(check.name, check.unit)
    found = "" if check.value is None else format_amount(check.value, unit)
    if main and check.value is not None:
        found = format_amount(check.value, unit, main.low, main.high)
    basis = (format_basis(main.basis) if main else UNMEASURED) if found else ""
    if check.device:
        ran_there = not found or (main is not None and main.basis is Basis.MEASURED)
        basis = f"{basis} {'on' if ran_there else 'for'} {check.device}".strip()
    limit = "" if check.limit is None else format_amount(check.limit, unit)
    return CheckRow(
        label_of(check.name),
        STATUS_WORDS.get(check.status, check.status.upper()),
        found,
        limit,
        basis,
        check.method or "",
        check.detail or "",
        is_part=check.name.startswith("smoke."),
    )


def describe_figures(check: Check) -> list[tuple[str, str, str, str]]:
    """A check's figures, largest first within a unit: (name, value with interval, basis, source); none where one says it all."""
    if [(figure.value, figure.unit) for figure in check.figures.values()] == [(check.value, check.unit)]:
        return []
    figures = sorted(check.figures.items(), key=lambda item: (item[1].unit, -item[1].value))
    return [
        (label_of(name), format_quantity(_in_unit(name, figure)), format_basis(figure.basis), figure.source or "")
        for name, figure in figures
    ]


def describe_candidate_figures(figures: dict[str, Quantity]) -> str:
    """A candidate's figures in one line: name, value with interval, basis."""
    return "; ".join(
        f"{label_of(name)} {format_quantity(_in_unit(name, figure))}, {format_basis(figure.basis)}" for name, figure in figures.items()
    )


def list_expectations(report: Report) -> list[Expectation]:
    """What the design may be expected to reach, each with its basis: the rule's sources or the check that predicts it."""
    expected = report.expected_performance
    if expected is None:
        return []
    fields = (
        ("Accuracy", expected.accuracy, "accuracy"),
        ("Training time", expected.training_time, "trainingTime"),
        ("Inference latency", expected.inference_latency, "inferenceLatency"),
    )
    return [_expectation(report, label, text, f"expectedPerformance.{name}") for label, text, name in fields if text]


def count_checks(report: Report) -> str:
    """`4 passed, 1 repaired, 1 skipped`, in the order of the statuses."""
    counts = {status: sum(check.status == status for check in report.verification) for status in STATUS_WORDS}
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count)


def join_baselines(baselines: Iterable[Baseline]) -> list[Baseline]:
    """Neighbours that share their reason as one, so that it is said once."""
    together = [list(alike) for _, alike in groupby(baselines, lambda baseline: (baseline.why, baseline.sources))]
    return [alike[0].model_copy(update={"name": "; or ".join(baseline.name for baseline in alike)}) for alike in together]


def label_of(name: str) -> str:
    """A check's or figure's name in words: `smoke.overfits_batch` is `smoke: overfits batch`."""
    return name.replace("_", " ").replace(".", ": ")


def unit_of(name: str, unit: str | None) -> str | None:
    """Bytes of a file are counted in MB of 10^6, bytes of memory in GiB; a unit that the name already says is left out."""
    if unit in {"bytes", "B"} and ("file" in name or "size" in name):
        return "file bytes"
    return None if unit and name.endswith(f" {unit}") else unit


def memory_check(report: Report) -> Check | None:
    """The check that compares training memory with the device's, else any memory check with a value."""
    checks = [check for check in report.verification if "memory" in check.name and check.value is not None]
    return next((check for check in checks if "training" in check.name), checks[0] if checks else None)


def _expectation(report: Report, label: str, text: str, path: str) -> Expectation:
    ruled: Decision | None = next((decision for decision in report.decisions if decision.path == path), None)
    if ruled:
        return Expectation(label, text, f"{format_basis(ruled.basis)}, {ruled.rule_id}", tuple(ruled.sources))
    return Expectation(label, text, "estimated")


def _main_figure(check: Check, report: Report) -> Quantity | None:
    """The figure that the check's value was taken from, its own or the chosen candidate's: it alone knows interval and basis."""
    chosen = next((candidate.figures for candidate in report.candidates if candidate.verdict == "chosen"), {})
    value = check.value
    if value is None:
        return None
    known = [
        (name, figure)
        for figures in (check.figures, chosen)
        for name, figure in figures.items()
        if figure.unit == check.unit and math.isclose(figure.value, value, rel_tol=ROUNDING)
    ]
    return next((figure for name, figure in known if name == check.name), known[0][1] if known else None)


def _in_unit(name: str, figure: Quantity) -> Quantity:
    return figure.model_copy(update={"unit": unit_of(name, figure.unit)})

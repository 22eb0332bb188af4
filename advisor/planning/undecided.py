"""Limits that an estimate leaves open: its middle is above the limit, its lower end is not. What to measure, and what helps if need be."""

from __future__ import annotations

from advisor import report as r
from advisor.engine.loading import Knowledge
from advisor.planning.checking import Assessment
from advisor.planning.editing import allowed, cost_of, repair_of

KIND = "undecided_limit"


def undecided_notices(knowledge: Knowledge, assessment: Assessment) -> list[r.Notice]:
    """One for each such limit, with the cheapest edit that helps it. The design is left as it is: the limit may well hold."""
    return [
        r.Notice(kind=KIND, text=f"{_told(check)} {_way_out(knowledge, assessment, check.name)}")
        for check in assessment.checks
        if check.status == "skipped" and check.limit is not None and check.value is not None and check.value > check.limit
    ]


def _told(check: r.Check) -> str:
    name, unit = check.name.replace("_", " "), check.unit or ""
    value, limit = (f"{figure:,.4g}" for figure in (check.value or 0.0, check.limit or 0.0))
    return f"The {name} is more likely above its limit of {limit} {unit} than below: the middle of the estimate is {value} {unit}."


def _way_out(knowledge: Knowledge, assessment: Assessment, name: str) -> str:
    helping = [rule for rule in allowed(knowledge, assessment.design) if name in repair_of(rule).helps]
    if not helping:
        return "Measure it first; no edit of this design would help it."
    rule = min(helping, key=cost_of)
    points = repair_of(rule).quality
    loss = f"an expected loss of {points:g} points" if points else "no expected loss"
    edit = f"{rule.title[0].lower()}{rule.title[1:]} ({rule.id}, {loss})"
    return f"Measure it first; if it does not hold, the cheapest edit that helps is {edit}."

"""The report for people, as GitHub-flavoured Markdown."""

from __future__ import annotations

from typing import Any

from advisor.render.environment import render_markdown_template
from advisor.render.evidence import (
    count_checks,
    describe_candidate_figures,
    describe_check,
    describe_checks,
    describe_figures,
    label_of,
    list_expectations,
    memory_check,
)
from advisor.render.numbers import format_amount
from advisor.render.recipe import describe_adaptation, describe_recipe, summarize_recipe
from advisor.render.search import describe_parameters, describe_search
from advisor.render.summary import answer_option, why_asked
from advisor.report import Report
from advisor.request import Request


def render_markdown(report: Report, request: Request | None = None) -> str:
    """The whole report, whatever its status, the answer first; without the request, less the user's words."""
    return render_markdown_template("report.md.j2", **document_values(report, request))


def document_values(report: Report, request: Request | None) -> dict[str, Any]:
    """What the documents' templates are given: the report, the user's words, and both put into words."""
    recipe, memory, space = report.recipe, memory_check(report), report.search_space
    return {
        "report": report,
        "said": _what_was_said(request) if request else [],
        "task": _task(report, request),
        "checks": describe_checks(report),
        "figures": [(label_of(check.name), rows) for check in report.verification if (rows := describe_figures(check))],
        "check_counts": count_checks(report),
        "memory": describe_check(memory, report) if memory else None,
        "expectations": list_expectations(report),
        "recipe_rows": describe_recipe(recipe) if recipe else [],
        "recipe_line": summarize_recipe(recipe) if recipe else "",
        "adaptation": describe_adaptation(recipe) if recipe else "",
        "search": describe_search(space) if space else "",
        "searched": describe_parameters(space) if space else [],
        "candidates": [(candidate, describe_candidate_figures(candidate.figures)) for candidate in report.candidates],
        "questions": [(question, why_asked(question), answer_option(question)) for question in report.clarifications],
        "seconds": [(name, format_amount(value, "s")) for name, value in report.provenance.seconds.items()],
    }


def _task(report: Report, request: Request | None) -> str:
    if request:
        return request.task.specific_task or f"{request.task.type} ({request.task.domain})"
    return next((str(fact.value).replace("_", " ") for fact in report.facts if fact.fact == "task.kind"), "a deep-learning task")


def _what_was_said(request: Request) -> list[tuple[str, str]]:
    """The request's stated fields as (path on the wire, text)."""
    wire = request.to_wire()
    said = [
        (f"{section}.{field}", value)
        for section in ("task", "data", "constraints", "existingSetup")
        for field, value in wire[section].items()
    ]
    said += [("challenges", wire["challenges"])] if wire.get("challenges") else []
    return said + [(f"facts.{name}", value) for name, value in wire["facts"].items()]

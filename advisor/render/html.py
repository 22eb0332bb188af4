"""The report for people, as one HTML file that needs nothing else: no network, no script."""

from __future__ import annotations

from html import escape
from typing import Any

from advisor.render.candidates_plot import find_benchmark, letter, plot_candidates
from advisor.render.curves import plot_loss, plot_schedule
from advisor.render.environment import environment
from advisor.render.markdown import document_values
from advisor.render.memory_plot import memory_budgets, plot_memory
from advisor.report import Decision, Report, Sensitivity
from advisor.request import Request

_DESIGN_SLOTS = {"adaptation", "capacity"}  # they decide the design although they show at no place of their own
_DESIGN_PARTS = ("recipe", "trainingStrategy", "engineeringPractice")


def render_html(report: Report, request: Request | None = None) -> str:
    """The whole report, whatever its status, the answer first; without the request, less the user's words."""
    return environment(html=True).get_template("report.html.j2").render(**_values(report, request))


def render_frame(report: Report) -> str:
    """The report in a frame that runs nothing and keeps its style to itself, for a notebook's cell."""
    page = escape(render_html(report))
    return f'<iframe title="Design report" sandbox srcdoc="{page}" style="width:100%;height:40rem;border:1px solid #8888"></iframe>'


def _values(report: Report, request: Request | None) -> dict[str, Any]:
    design = [decision for decision in report.decisions if _is_of_the_design(decision)]
    return {
        **document_values(report, request),
        "letter": letter,
        "benchmark": find_benchmark(report.candidates),
        "candidate_plots": plot_candidates(report),
        "memory_plot": plot_memory(report),
        "budgets": memory_budgets(report),
        "loss_plot": plot_loss(report),
        "schedule_plot": plot_schedule(report),
        "design_decisions": design,
        "other_decisions": [decision for decision in report.decisions if decision not in design],
        "changes": _changes(report.sensitivity),
        "source_code": report.model_design.code_framework if report.model_design else None,
    }


def _is_of_the_design(decision: Decision) -> bool:
    return decision.slot in _DESIGN_SLOTS or (decision.path or "").startswith(_DESIGN_PARTS)


def _changes(sensitivity: list[Sensitivity]) -> dict[str, list[Sensitivity]]:
    """What would change a decision, by its slot."""
    return {slot: [item for item in sensitivity if item.slot == slot] for slot in {item.slot for item in sensitivity}}

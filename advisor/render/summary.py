"""The answer on one screen: what to build, whether it was found to fit, and what to know before starting."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable
from io import StringIO
from typing import TYPE_CHECKING

from advisor.render.escape import clean
from advisor.render.evidence import (
    UNMEASURED,
    CheckRow,
    describe_check,
    describe_checks,
    join_baselines,
    label_of,
    list_expectations,
    memory_check,
)
from advisor.render.numbers import format_amount, format_value
from advisor.render.recipe import describe_adaptation, summarize_recipe
from advisor.report import Clarification, Edit, Report, Status

if TYPE_CHECKING:
    from rich.console import Console

LINE_LIMIT = 400
ROWS = 6
MOST_SLOTS = 10  # that a question names; beyond them their number says as much
BAR_CELLS = 24
_SENTENCE_END = re.compile(r"(?<=[a-z)%]\.)\s+(?=[A-Z])|;\s")
_HEADINGS = {
    Status.DESIGNED: ("DESIGNED", "green"),
    Status.NEEDS_INPUT: ("NEEDS INPUT", "yellow"),
    Status.NOT_APPLICABLE: ("NOT APPLICABLE", "yellow"),
    Status.INFEASIBLE: ("INFEASIBLE", "red"),
}
_STATUS_STYLES = {"PASSED": "green", "REPAIRED": "cyan", "SKIPPED": "yellow", "FAILED": "bold red"}

Row = tuple[str, str]


def render_summary(report: Report, *, width: int = 80, color: bool) -> str:
    """The report in brief, no line wider than `width`; without `color`, or where NO_COLOR is set, free of escape codes."""
    from rich.console import Console
    from rich.text import Text

    color = color and not os.environ.get("NO_COLOR")
    out = StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        no_color=not color,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    word, style = _HEADINGS[report.status]
    console.print(Text.assemble((word, f"bold {style}"), "  ", (_line(report.headline), "bold")), overflow="fold")
    {Status.DESIGNED: _design, Status.NEEDS_INPUT: _questions, Status.NOT_APPLICABLE: _instead, Status.INFEASIBLE: _limits}[report.status](
        console, report
    )
    _debugging(console, report)
    _notices(console, report)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _design(console: Console, report: Report) -> None:
    if recipe := report.recipe:
        origin = f"pretrained, {recipe.model.license}" if recipe.model.pretrained else "random weights"
        rows = [
            ("Model", f"{recipe.model.id} ({recipe.model.library}, {recipe.model.architecture_family}; {origin})"),
            ("Adaptation", describe_adaptation(recipe)),
            ("Recipe", summarize_recipe(recipe)),
        ]
        rows += [(item.label, f"{_first_sentence(item.text)} [{item.basis}]") for item in list_expectations(report)]
        _section(console, "Design", rows)
    _checks(console, report)
    _memory(console, report)
    chosen = next((candidate for candidate in report.candidates if candidate.verdict == "chosen"), None)
    _section(console, "Repaired", [("", _edited(edit)) for edit in chosen.repairs] if chosen else [])
    runners = [
        ("", f"{candidate.model.id} ({candidate.verdict}): {candidate.reason}")
        for candidate in report.candidates
        if candidate.verdict != "chosen"
    ]
    _section(console, "Also considered", runners)
    _section(console, "To beat", [("", f"{baseline.name}: {_first_sentence(baseline.why)}") for baseline in report.baselines])


def _edited(edit: Edit) -> str:
    """What an edit changed, what it did to the figure that it was made for, and what it costs."""
    before, after = (format_amount(value, edit.unit) for value in (edit.value_before, edit.value_after))
    cost = f"{edit.quality_points:g} points, {edit.time_factor:g} times the time"
    return f"{edit.slot} {edit.before} → {edit.after}: {label_of(edit.figure)} {before} → {after} ({cost}; {edit.rule_id})"


def _checks(console: Console, report: Report) -> None:
    from rich.table import Table
    from rich.text import Text

    if not report.verification:
        return
    _title(console, "Checks")
    table = Table.grid(padding=(0, 2, 0, 0), expand=False)
    table.add_column(no_wrap=True, min_width=10)
    table.add_column(overflow="fold", max_width=22)
    table.add_column(overflow="fold", ratio=1)
    # The parts of a check that passed say nothing that the check itself does not.
    for row in (row for row in describe_checks(report) if row.status != "PASSED" or not row.is_part):
        table.add_row(Text(f"  {row.status}", _STATUS_STYLES.get(row.status, "")), _line(row.name), _line(_finding(row)))
    console.print(table)


def _finding(row: CheckRow) -> str:
    """The figure against its limit; and where the check did not simply pass, or has no figure, what happened."""
    basis = f" [{row.basis}]" if row.basis not in {"", UNMEASURED} else ""
    figure = f"{row.found}{f' against {row.limit}' if row.limit else ''}{basis}"
    if not row.found:
        return f"{row.detail}{basis}"
    return figure if row.status == "PASSED" or not row.detail else f"{figure}; {row.detail}"


def _memory(console: Console, report: Report) -> None:
    from rich.text import Text

    check = memory_check(report)
    if check is None or not check.limit or check.value is None:
        return
    row, share = describe_check(check, report), check.value / check.limit
    filled = min(BAR_CELLS, round(share * BAR_CELLS))
    bar = "█" * filled + "░" * (BAR_CELLS - filled)
    console.print(Text(f"  {bar} {share:.0%} of {row.limit} ({_line(row.name)})", overflow="fold"))


def _questions(console: Console, report: Report) -> None:
    for title, critical in (("No design without these answers", True), ("These would sharpen it", False)):
        asked = [question for question in report.clarifications if question.critical is critical]
        if asked:
            _title(console, title)
        for question in asked:
            _question(console, question)


def _question(console: Console, question: Clarification) -> None:
    from rich.padding import Padding
    from rich.text import Text

    console.print(Padding(Text(_line(question.question), "bold", overflow="fold"), (0, 0, 0, 2)))
    console.print(Padding(Text(_line(why_asked(question)), overflow="fold"), (0, 0, 0, 4)))
    console.print(Padding(Text(_line(answer_option(question)), "cyan", overflow="fold"), (0, 0, 0, 4)))


def why_asked(question: Clarification) -> str:
    """What a fact means, and what its answer decides."""
    slots = question.decisions
    if len(slots) > MOST_SLOTS:
        return f"{question.why} It decides {len(slots)} parts of the design."
    return f"{question.why} It decides: {', '.join(slots)}." if slots else question.why


def answer_option(question: Clarification) -> str:
    """The option that answers a question, ready for a shell: `--set facts.data.samples=5000`."""
    answer = question.examples[0] if question.examples else "VALUE"
    return f"--set {shlex.quote(f'facts.{question.fact}={answer}')}"


def _instead(console: Console, report: Report) -> None:
    from rich.padding import Padding
    from rich.text import Text

    _title(console, "Use instead")
    for baseline in join_baselines(report.baselines):
        console.print(Padding(Text(_line(baseline.name), "bold", overflow="fold"), (0, 0, 0, 2)))
        console.print(Padding(Text(clean(baseline.why), overflow="fold"), (0, 0, 0, 4)))


def _limits(console: Console, report: Report) -> None:
    _checks(console, report)
    binding = {change.fact: change for relaxation in report.relaxations for change in relaxation.changes}
    limits = [(fact, f"{format_value(change.limit)} {change.unit or ''}") for fact, change in binding.items()]
    _section(console, "Limits that bind", limits)
    options = [
        (f"{number}.", f"{relaxation.text} [{'verified' if relaxation.verified else 'not verified'}]")
        for number, relaxation in enumerate(report.relaxations, 1)
    ]
    _section(console, "Any one of these would make it feasible", options)
    _section(console, "Considered", [("", f"{candidate.model.id}: {candidate.reason}") for candidate in report.candidates])


def _debugging(console: Console, report: Report) -> None:
    """Help with stated training issues; within a design it is part of the full report."""
    if report.debugging_guidance and report.status is not Status.DESIGNED:
        for issue in report.debugging_guidance.common_issues:
            steps = [(f"{number}.", step) for number, step in enumerate(issue.solution, 1)]
            _section(console, f"Meanwhile: {_line(issue.issue)}", [("", issue.diagnosis), *steps])


def _notices(console: Console, report: Report) -> None:
    # What was read from the request stands whole, because it quotes; what rules add is named, and stands whole in the report.
    ruled = {decision.value["text"] for decision in report.decisions if decision.slot == "notice"}
    warnings = [(notice.kind, _first_sentence(notice.text) if notice.text in ruled else notice.text) for notice in report.warnings]
    _section(console, "Warnings", warnings)
    assumed = [f"{assumption.fact} {format_value(assumption.value)}" for assumption in report.assumptions]
    _section(console, "Assumed, because the request does not say", [("", "; ".join(assumed))] if assumed else [])
    if report.status is Status.DESIGNED:
        asked = [("", line) for question in report.clarifications for line in (question.question, answer_option(question))]
        _section(console, "Would sharpen it", asked)


def _title(console: Console, title: str) -> None:
    from rich.text import Text

    console.print()
    console.print(Text(title, "bold"), overflow="fold")


def _section(console: Console, title: str, rows: Iterable[Row]) -> None:
    """A heading with at most `ROWS` labelled lines under it, and how many are left to the full report; nothing if empty."""
    from rich.padding import Padding
    from rich.table import Table

    rows = list(rows)
    if not rows:
        return
    _title(console, title)
    labelled = any(label for label, _ in rows)
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    if labelled:
        table.add_column(style="cyan", overflow="fold", max_width=min(28, console.width // 3))
    table.add_column(overflow="fold", ratio=1)
    for label, text in rows[:ROWS]:
        table.add_row(*([_line(label)] if labelled else []), _line(text))
    if len(rows) > ROWS:
        table.add_row(*([""] if labelled else []), f"and {len(rows) - ROWS} more in the full report")
    console.print(Padding(table, (0, 0, 0, 2)))


def _first_sentence(text: str) -> str:
    first, *rest = _SENTENCE_END.split(text, maxsplit=1)
    return f"{first} …" if rest else first


def _line(text: str) -> str:
    return clean(text, LINE_LIMIT) if text else ""

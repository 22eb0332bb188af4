from __future__ import annotations

from collections.abc import Callable

import pytest
from rich.cells import cell_len

from advisor.render import render_summary
from advisor.report import Baseline, Notice, Report
from advisor.request import Request

Pair = tuple[Report, Request]
ESCAPE = "\x1b"


@pytest.mark.parametrize("name", ["designed", "needs_input", "not_applicable", "infeasible"])
def test_the_summary_is_as_it_was_reviewed(name: str, made: Callable[[str], Pair], golden: Callable[[str, str], None]) -> None:
    golden(f"{name}.summary.txt", render_summary(made(name)[0], color=False))


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_asked(width: int, every: Pair) -> None:
    lines = render_summary(every[0], width=width, color=False).splitlines()
    assert max(map(cell_len, lines)) <= width


def test_without_colour_there_are_no_escape_codes(every: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert ESCAPE not in render_summary(every[0], color=False)


def test_colour_adds_codes_and_no_words(designed: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert ESCAPE in render_summary(designed[0], color=True)


def test_no_color_is_honoured(designed: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert ESCAPE not in render_summary(designed[0], color=True)


def test_each_question_comes_with_the_option_that_answers_it(made: Callable[[str], Pair]) -> None:
    text = render_summary(made("needs_input")[0], color=False)
    assert "--set facts.data.samples=5000\n" in text
    assert "--set facts.compute.kind=gpu\n" in text
    assert text.index("data.samples") < text.index("data.tokens"), "what blocks the design is asked first"


def test_an_option_with_a_space_is_quoted_for_the_shell(made: Callable[[str], Pair]) -> None:
    report = made("needs_input")[0]
    question = report.clarifications[0].model_copy(update={"examples": ["a b; rm"]})
    text = render_summary(report.model_copy(update={"clarifications": [question]}), color=False)
    assert "--set 'facts.data.samples=a b; rm'" in text


def test_a_skipped_check_says_why(designed: Pair) -> None:
    assert "SKIPPED   accuracy         needs a pilot run" in render_summary(designed[0], color=False)


def test_long_lists_are_cut_and_say_so(designed: Pair) -> None:
    report = designed[0].model_copy(update={"warnings": designed[0].warnings * 5})
    assert "and 9 more in the full report" in render_summary(report, color=False)


def test_a_rule_warning_is_cut_to_its_first_sentence_and_what_quotes_the_request_is_not(designed: Pair) -> None:
    text = "Look twice. Then look again."
    notices = [Notice(kind="advice", text=text), Notice(kind="read as", text='data.size: "10k images. Mostly cats." is read as 10,000')]
    ruled = designed[0].decisions[0].model_copy(update={"slot": "notice", "value": {"name": "advice", "text": text}})
    shown = render_summary(designed[0].model_copy(update={"warnings": notices, "decisions": [ruled]}), color=False)
    assert "Look twice. …" in shown and "look again" not in shown
    assert "Mostly cats" in shown


def test_a_reason_that_alternatives_share_is_said_once_and_whole(made: Callable[[str], Pair]) -> None:
    report = made("not_applicable")[0]
    why = "One reason. " * 60 + "Its end."
    shared = [Baseline(name="first", why=why), Baseline(name="second", why=why), Baseline(name="third", why="Another.")]
    shown = " ".join(render_summary(report.model_copy(update={"baselines": shared}), width=200, color=False).split())
    assert shown.count("Its end.") == 1
    assert shown.index("first; or second") < shown.index("One reason.") < shown.index("third") < shown.index("Another.")

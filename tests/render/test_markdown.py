from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from advisor.render import render_markdown, render_model_card
from advisor.report import Report
from advisor.request import Request

Pair = tuple[Report, Request]
Renderer = Callable[[Report, Request], str]
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HARMLESS = {"text", "text_special", "code_inline", "strong_open", "strong_close", "em_open", "em_close", "softbreak"}


def body(text: str) -> list[Token]:
    """The tokens of a document after its front matter."""
    return MARKDOWN.parse(text.split("\n---\n", 1)[1] if text.startswith("---\n") else text)


@pytest.fixture(params=[render_markdown, render_model_card])
def render(request: pytest.FixtureRequest) -> Renderer:
    return request.param


def test_hostile_text_does_not_change_the_structure_of_a_document(render: Renderer, designed: Pair, hostile: Pair) -> None:
    assert [token.type for token in body(render(*hostile))] == [token.type for token in body(render(*designed))]


def count_emphasis(text: str) -> int:
    return sum(child.type in {"em_open", "strong_open"} for token in body(text) for child in token.children or [])


def test_hostile_text_makes_no_link_image_html_or_emphasis(render: Renderer, designed: Pair, hostile: Pair) -> None:
    inline = {child.type for token in body(render(*hostile)) for child in token.children or []}
    assert inline <= HARMLESS
    assert count_emphasis(render(*hostile)) == count_emphasis(render(*designed))


def test_hostile_text_is_shown_and_not_evaluated(render: Renderer, hostile: Pair) -> None:
    text = render(*hostile)
    assert "<script" not in text.split("\n````python")[0]
    assert "7\\*7" in text
    assert not any(mark in text for mark in "\x1b\x07\u202e\u2066\u200b")


def test_every_status_renders_with_its_headline_and_no_gaps(every: Pair) -> None:
    text = render_markdown(*every)
    outside_code = text.split("\n## Code")[0]
    assert text.startswith("# ") and text.endswith("\n")
    assert "\n\n\n" not in outside_code
    assert every[0].headline in text or "Owned" in text


def test_every_table_row_has_as_many_cells_as_its_header(render: Renderer, hostile: Pair) -> None:
    tables = [block.splitlines() for block in render(*hostile).split("\n\n") if block.startswith("|")]
    assert len(tables) >= 8
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table}) == 1, table[0]


def test_each_status_leads_with_what_its_reader_needs(made: Callable[[str], Pair]) -> None:
    first = {
        name: next(token.content for token in body(render_markdown(*made(name)))[5:] if token.type == "inline")
        for name in ("designed", "needs_input", "not_applicable", "infeasible")
    }
    assert first == {
        "designed": "The answer",
        "needs_input": "What to answer",
        "not_applicable": "Use instead",
        "infeasible": "What would make it feasible",
    }


def test_the_debugging_guidance_is_there_before_there_is_a_design(made: Callable[[str], Pair]) -> None:
    text = render_markdown(*made("needs_input"))
    assert "**The loss becomes NaN.**" in text
    assert "4. Lower the learning rate tenfold" in text


def test_a_hundred_thousand_characters_are_cut(designed: Pair) -> None:
    report, request = designed
    task = request.task.model_copy(update={"specific_task": "x" * 100_000})
    text = render_markdown(report, request.model_copy(update={"task": task}))
    assert "more characters left out" in text
    assert len(text) < 20_000

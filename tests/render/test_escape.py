from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from advisor.render.escape import CELL_LIMIT, TEXT_LIMIT, clean, code_block, code_span, escape_cell, escape_text, link_source
from advisor.render.numbers import ABSENT

# What means something to Markdown comes up often enough, beside letters, for its combinations to be tried.
MARKS = [
    "*",
    "**",
    "_",
    "__",
    "`",
    "```",
    "~~",
    "[",
    "](x)",
    "![",
    "<",
    "<b>",
    ">",
    "&lt;",
    "&#65;",
    "\\",
    "|",
    "$",
    "{{",
    "{%",
    "#",
    "# ",
    "- ",
    "+ ",
    "1. ",
    "1) ",
    "===",
    "---",
    "https://",
    "www.",
    "\n",
    "\n\n    ",
    "\t",
    " ",
    "!",
    ":",
    "a",
    "b1",
    "\u202e",
    "\x1b",
]
TEXT = st.lists(st.one_of(st.sampled_from(MARKS), st.characters(codec="utf-8")), max_size=12).map("".join)
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def shown(tokens: list[Token]) -> list[str]:
    """The visible text of each inline part; any inline token that is not text shows up in its place."""
    return [
        "".join(child.content if child.type in {"text", "text_special"} else f"<{child.type}>" for child in token.children or [])
        for token in tokens
        if token.type == "inline"
    ]


@settings(deadline=None)
@given(TEXT)
def test_escaped_text_is_one_paragraph_that_reads_as_it_was_written(text: str) -> None:
    tokens = MARKDOWN.parse(escape_text(text))
    assert [token.type for token in tokens] in (["paragraph_open", "inline", "paragraph_close"], [])
    assert shown(tokens) == [clean(text)] * bool(clean(text))


@settings(deadline=None)
@given(TEXT, TEXT)
def test_an_escaped_cell_stays_one_cell_and_reads_as_it_was_written(left: str, right: str) -> None:
    tokens = MARKDOWN.parse(f"| a | b |\n| --- | --- |\n| {escape_cell(left)} | {escape_cell(right)} |")
    assert shown(tokens) == ["a", "b", clean(left) or ABSENT, clean(right) or ABSENT]


@settings(deadline=None)
@given(TEXT)
def test_a_code_span_or_what_stands_for_it_reads_as_it_was_written(text: str) -> None:
    inline = MARKDOWN.parseInline(code_span(text))[0].children or []
    assert "".join(token.content for token in inline) == (clean(text) or ABSENT)
    assert {token.type for token in inline} <= {"text", "text_special", "code_inline"}


def test_control_bidirectional_and_private_characters_are_dropped() -> None:
    assert clean("a\x1b[31m\x07\u202eb\u2066\u200b\ue000c\ud800") == "a[31mbc"


def test_joiners_that_scripts_and_emoji_need_are_kept() -> None:
    assert clean("می\u200cخواهم 👩\u200d🔬") == "می\u200cخواهم 👩\u200d🔬"


def test_a_long_text_is_cut_and_says_so() -> None:
    assert escape_text("x" * 100_000) == "x" * TEXT_LIMIT + " … (98,000 more characters left out)"
    assert len(escape_cell("x" * 100_000)) < CELL_LIMIT + 50


def test_addresses_in_free_text_are_not_turned_into_links() -> None:
    assert "://" not in escape_text("see https://evil.example now")
    assert "www." not in escape_text("see www.evil.example now")


def test_template_syntax_is_broken_up() -> None:
    assert not {"{{", "{%", "{#"} & {escape_text("{{ 7*7 }} {% x %} {# y #}")[at : at + 2] for at in range(40)}


def test_mathematics_and_dollars_stay_text() -> None:
    assert escape_text("$200 or $300") == r"\$200 or \$300"


def test_a_source_becomes_a_link_only_where_it_is_plainly_an_address() -> None:
    assert link_source("arXiv:1810.04805") == "[arXiv:1810.04805](https://arxiv.org/abs/1810.04805)"
    assert link_source("https://pytorch.org/docs/stable/") == "<https://pytorch.org/docs/stable/>"
    assert link_source("javascript:alert(1)") == "javascript:alert(1)"
    assert link_source("https://a.example/x>y") == "https&#58;//a.example/x>y"
    assert link_source("He et al., 2016") == "He et al., 2016"


def test_a_code_block_cannot_be_closed_from_within() -> None:
    tokens = MARKDOWN.parse(code_block("x = 1\n```\n# not a heading\n\x1b[31m"))
    assert [token.type for token in tokens] == ["fence"]
    assert tokens[0].content == "x = 1\n```\n# not a heading\n[31m\n"

"""Making text harmless: what a user, a rule or a source says is shown as it stands and never acts.

The text becomes one line without control, bidirectional or private characters, is cut visibly where it is too long,
and keeps no meaning for Markdown (CommonMark with GitHub's extensions), HTML, mathematics or a template engine.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

from advisor.render.numbers import ABSENT, format_value

if TYPE_CHECKING:
    from markupsafe import Markup

TEXT_LIMIT = 2_000
CELL_LIMIT = 600
CODE_LIMIT = 20_000

_JOINERS = {"\u200c", "\u200d"}  # Persian and Indic scripts, and emoji, are misspelt without them
_DROPPED = {"Cc", "Cf", "Cs", "Co"}

_SPECIAL = re.compile(r"[\\`*\[\]|~$]")
_ENTITY = re.compile(r"&(?=#?\w+;)")
_OUTER_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_TEMPLATE = re.compile(r"(?<=\{)[{%#]")
_BARE_LINK = re.compile(r":(?=//)|(?<=www)\.", re.IGNORECASE)
_LINE_START = re.compile(r"^(?:(?=[#>+=:-])|(\d{1,9})(?=[.)](?:\s|$)))")

_PLAIN_CODE = re.compile(r"[\w .:/=,+@%()'-]{1,200}", re.ASCII)
_ARXIV = re.compile(r"arxiv:\s*(\d{4}\.\d{4,5}(?:v\d+)?)", re.IGNORECASE)
_LINKABLE = re.compile(r"https://[A-Za-z0-9.-]+(?:/[A-Za-z0-9._~/%+,=?&#-]*)?")


def clean(value: Any, limit: int = TEXT_LIMIT) -> str:
    """One line of visible characters, cut at `limit` with a count of what is left out."""
    kept = " ".join("".join(filter(_is_kept, format_value(value))).split())
    if len(kept) <= limit:
        return kept
    shown = kept[:limit].rpartition(" ")[0] or kept[:limit]
    return f"{shown} … ({len(kept) - len(shown):,} more characters left out)"


def _is_kept(char: str) -> bool:
    return char.isspace() or char in _JOINERS or unicodedata.category(char) not in _DROPPED


def escape_text(value: Any, limit: int = TEXT_LIMIT) -> str:
    """Filter `md`: running text, safe at the start of a line and within one."""
    text = _escape_inline(clean(value, limit))
    return _LINE_START.sub(lambda match: f"{match[1] or ''}\\", text)


def escape_cell(value: Any) -> str:
    """Filter `cell`: the content of a table cell, never empty."""
    return _escape_inline(clean(value, CELL_LIMIT)) or ABSENT


def code_span(value: Any) -> str:
    """Filter `code`: an identifier or a command in a code span; anything that is neither is escaped as text."""
    text = clean(value, CELL_LIMIT)
    return f"`{text}`" if _PLAIN_CODE.fullmatch(text) else escape_text(text) or ABSENT


def code_block(value: str) -> str:
    """Filter `fence`: source code in a fence longer than any within it."""
    text = _visible_lines(value)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}python\n{text}\n{fence}"


def link_source(ref: str) -> str:
    """Filter `source`: a link for an arXiv number or a plain https address, escaped text for all else."""
    text, address = clean(ref, CELL_LIMIT), find_address(ref)
    if address and address != text:
        return f"[arXiv:{address.rpartition('/')[2]}]({address})"
    return f"<{text}>" if address else _escape_inline(text) or ABSENT


def find_address(ref: str) -> str | None:
    """Where a source is read: an arXiv number's page or a plain https address; None for all else."""
    text = clean(ref, CELL_LIMIT)
    if found := _ARXIV.fullmatch(text):
        return f"https://arxiv.org/abs/{found[1]}"
    return text if _LINKABLE.fullmatch(text) else None


def link_html(ref: str) -> Markup:
    """Filter `source` where HTML is made."""
    from markupsafe import Markup

    text, address = clean(ref, CELL_LIMIT), find_address(ref)
    if address is None:
        return Markup("{}").format(text)
    return Markup('<a href="{}" rel="noopener noreferrer">{}</a>').format(address, text.removeprefix("https://"))


def escape_lines(value: str) -> Markup:
    """Filter `lines`: source code where HTML is made, its lines kept."""
    from markupsafe import escape

    return escape(_visible_lines(value))


def _visible_lines(value: str) -> str:
    return "\n".join("".join(filter(_is_kept, line)) for line in str(value)[:CODE_LIMIT].splitlines())


def _escape_inline(text: str) -> str:
    text = _SPECIAL.sub(r"\\\g<0>", text)
    text = _ENTITY.sub("&amp;", text).replace("<", "&lt;")
    text = _OUTER_UNDERSCORE.sub(r"\\_", text)
    text = _TEMPLATE.sub(r"\\\g<0>", text)
    return _BARE_LINK.sub(lambda match: f"&#{ord(match[0])};", text)

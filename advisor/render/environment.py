"""The template engine: sandboxed, strict about names, and with the filters that make text harmless."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from advisor.render.escape import clean, code_block, code_span, escape_cell, escape_lines, escape_text, link_html, link_source
from advisor.render.evidence import join_baselines, label_of
from advisor.render.numbers import format_amount, format_basis, format_quantity, format_rate
from advisor.resources import data_folder

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment


@cache
def environment(*, html: bool = False) -> SandboxedEnvironment:
    """The environment for the templates in `templates/`. An unknown name in a template is an error.

    With `html` every value that is not markup already is made clean and escaped as it is written, asked for or not.
    """
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    made = SandboxedEnvironment(
        loader=FileSystemLoader(data_folder("templates")),
        undefined=StrictUndefined,
        autoescape=html,
        finalize=_clean_unless_markup if html else None,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(
        amount=format_amount, quantity=format_quantity, basis=format_basis, rate=format_rate, clean=clean, joined=join_baselines
    )
    if html:
        made.filters.update(source=link_html, lines=escape_lines, label=label_of)
    else:
        made.filters.update(md=escape_text, cell=escape_cell, code=code_span, fence=code_block, source=link_source)
    return made


def _clean_unless_markup(value: Any) -> Any:
    return value if hasattr(value, "__html__") else clean(value)


def render_markdown_template(name: str, **values: Any) -> str:
    """A template's text, with the blank lines that absent sections leave behind closed up outside code blocks."""
    kept: list[str] = []
    fenced = False
    for line in environment().get_template(name).render(**values).splitlines():
        fenced ^= line.startswith("```")
        if line.strip() or fenced or (kept and kept[-1]):
            kept.append(line.rstrip() if not fenced else line)
    return "\n".join(kept).strip() + "\n"

"""`advisor design`: one request, one report."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.cli.progress import show_progress
from advisor.errors import UsageError
from advisor.files import write_whole

if TYPE_CHECKING:
    from advisor.report import Report
    from advisor.request import Request
    from advisor.verify.verifier import Verifier


def run(arguments: argparse.Namespace) -> int:
    """Read, design, print, and write the files that were asked for; the exit status says what the report is."""
    folder = _output_folder(arguments.output)
    with open_checker(arguments.verify, use_cache=arguments.use_cache) as verifier, show_progress(verifier) as checker:
        from advisor.cli.main import NO_DESIGN, OK
        from advisor.pipeline import design
        from advisor.reading import read_request

        request = read_request(arguments.request, settings=arguments.settings)
        report = design(request, arguments.verify, rules=arguments.rules, checker=checker, budget=arguments.budget)
    print(_printed(report, request, arguments.format), end="")
    if folder is not None:
        for path in write_files(report, request, folder):
            print(f"wrote {path}", file=sys.stderr)
    return OK if report.status == "designed" else NO_DESIGN


@contextlib.contextmanager
def open_checker(depth: str, *, use_cache: bool = True) -> Iterator[Verifier | None]:
    """The sandbox, started first: its imports take seconds, and run while the request is read and the rules decide."""
    if depth == "none":
        yield None
        return
    from advisor.cache import EvidenceCache
    from advisor.verify.verifier import Verifier

    with Verifier(cache=EvidenceCache() if use_cache else None) as verifier:
        verifier.start()
        yield verifier


def _output_folder(name: str | None) -> Path | None:
    if name is None:
        return None
    folder = Path(name)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"-o {name}: is a file; name a folder")
    return folder


def _printed(report: Report, request: Request, form: str) -> str:
    if form == "json":
        return report_json(report)
    if form == "md":
        from advisor.render.markdown import render_markdown

        return render_markdown(report, request)
    if form == "html":
        from advisor.render.html import render_html

        return render_html(report, request)
    from advisor.render.summary import render_summary

    on_terminal = sys.stdout.isatty()
    width = min(os.get_terminal_size().columns, 100) if on_terminal else 80
    return render_summary(report, width=width, color=on_terminal and "NO_COLOR" not in os.environ)


def report_json(report: Report) -> str:
    """The wire form: camelCase, nulls left out, strict JSON."""
    return report.model_dump_json(by_alias=True, exclude_none=True, indent=2) + "\n"


def write_files(report: Report, request: Request, folder: Path) -> list[Path]:
    """`report.json` and `report.html` always, `model_card.md` where there is a design. Each appears whole or not at all."""
    from advisor.render.html import render_html
    from advisor.render.model_card import has_card, render_model_card

    texts = {"report.json": report_json(report), "report.html": render_html(report, request)}
    if has_card(report):
        texts["model_card.md"] = render_model_card(report, request)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [write_whole(folder / name, text) for name, text in texts.items()]
    except OSError as error:
        raise UsageError(f"-o {folder}: cannot be written: {error.strerror or error}") from error

"""`advisor batch`: NDJSON in, NDJSON out."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

from advisor.cli.designing import open_checker
from advisor.errors import Fault, Place, RequestError, UsageError


def run(arguments: argparse.Namespace) -> int:
    """Answer every line; the exit status says whether some rows are errors."""
    from advisor.batch.stream import answer_lines
    from advisor.cli.main import OK, SOME_ROWS_FAILED

    counts: Counter[str] = Counter()
    with _source(arguments.input) as lines, _sink(arguments.output) as out, open_checker(arguments.verify) as checker:
        for row in answer_lines(lines, arguments.verify, rules=arguments.rules, checker=checker):
            out.write(row.to_json() + "\n")
            out.flush()
            counts[row.status] += 1
    summary = ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "no lines"
    print(f"advisor: {summary}", file=sys.stderr)
    return SOME_ROWS_FAILED if counts["error"] else OK


@contextlib.contextmanager
def _source(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        file = Path(name).open("rb")
    except OSError as error:
        raise RequestError([Fault(Place(name), f"cannot be read: {error.strerror or error}")]) from error
    with file:
        yield file


@contextlib.contextmanager
def _sink(name: str) -> Iterator[TextIO]:
    if name == "-":
        yield sys.stdout
        return
    try:
        file = Path(name).open("w", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"-o {name}: cannot be written: {error.strerror or error}") from error
    with file:
        yield file

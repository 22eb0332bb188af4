"""`advisor batch`: NDJSON in, NDJSON out."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from advisor.errors import Fault, Place, RequestError, UsageError

if TYPE_CHECKING:
    from advisor.batch.lines import Line
    from advisor.batch.output import Finished
    from advisor.batch.rows import Row, Settings

STANDARD = "-"  # input or output


def run(arguments: argparse.Namespace) -> int:
    """Answer every line; the exit status says whether some rows are errors."""
    from advisor.batch.engines import open_engine
    from advisor.batch.lines import read_lines
    from advisor.batch.output import Output
    from advisor.batch.rows import Settings
    from advisor.batch.stream import answer_all
    from advisor.batch.summary import Summary
    from advisor.batch.tasks import TaskReader
    from advisor.cli.main import OK, SOME_ROWS_FAILED

    _check_usage(arguments)
    summary, settings = Summary(), Settings(arguments.verify, tuple(arguments.rules), arguments.budget)
    with (
        _source(arguments.input) as source,
        open_engine(settings, arguments.jobs, arguments.engine, use_cache=arguments.use_cache) as engine,
        _sink(arguments, settings) as (sink, finished),
    ):
        output, tasks = Output(sink, arguments.output), TaskReader().from_lines(_lines(read_lines(source), arguments.input))
        if finished is not None:
            tasks, summary.kept = finished.skip(tasks), finished.statuses
        with _progress(source, arguments.output) as show:
            for row in answer_all(tasks, engine, ordered=not arguments.unordered):
                output.write(row)
                summary.add(row)
                show(row)
        with contextlib.suppress(OSError):  # nobody reads it: the rows are answered all the same
            for line in summary.lines(engine.counts()):
                print(f"advisor: {line}", file=sys.stderr, flush=True)
    return SOME_ROWS_FAILED if summary.has_errors else OK


def _check_usage(arguments: argparse.Namespace) -> None:
    if arguments.resume and arguments.output == STANDARD:
        raise UsageError("--resume goes on from an output file: name one with -o")
    if arguments.recompute and not arguments.resume:
        raise UsageError("--recompute says what --resume does with rows that are out of date; without --resume all is computed")
    paths = Path(arguments.input), Path(arguments.output)
    if all(path.exists() for path in paths) and paths[0].samefile(paths[1]):
        raise UsageError(f"-o {arguments.output}: is the input")


@contextlib.contextmanager
def _source(name: str) -> Iterator[BinaryIO]:
    if name == STANDARD:
        if sys.stdin is None:  # closed by the caller: `<&-`
            raise UsageError("-: standard input is closed")
        yield sys.stdin.buffer
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115 - what is caught is the opening only
    except OSError as error:
        raise _unreadable(name, error) from error
    with file:
        yield file


def _lines(lines: Iterator[Line], name: str) -> Iterator[Line]:
    """The lines, and a plain word where the input breaks off."""
    try:
        yield from lines
    except OSError as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: OSError) -> RequestError:
    return RequestError([Fault(Place(name), f"cannot be read: {error.strerror or error}")])


@contextlib.contextmanager
def _sink(arguments: argparse.Namespace, settings: Settings) -> Iterator[tuple[BinaryIO, Finished | None]]:
    """Where rows go, and what is there already."""
    from advisor.batch.output import Finished, open_output

    if arguments.output == STANDARD:
        if sys.stdout is None:
            raise UsageError("standard output is closed: name a file with -o")
        yield sys.stdout.buffer, None
        return
    path = Path(arguments.output)
    with open_output(path, keep=arguments.resume) as file:
        if not arguments.resume:
            yield file, None
            return
        yield file, Finished(file, path, settings, recompute=arguments.recompute, ordered=not arguments.unordered)


@contextlib.contextmanager
def _progress(source: BinaryIO, output: str) -> Iterator[Callable[[Row], None]]:
    """On a terminal that does not show the rows themselves: a bar with the rate and the time left, by bytes of the input."""
    if not sys.stderr.isatty() or (output == STANDARD and sys.stdout.isatty()):
        yield lambda row: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    size = os.fstat(source.fileno()).st_size  # 0 for a pipe: no end in sight
    columns = (BarColumn(), TextColumn("{task.fields[rows]:,} rows, {task.fields[rate]:,.0f} a second"), TimeElapsedColumn())
    with Progress(*columns, TextColumn("left:"), TimeRemainingColumn(), console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=size or None, rows=0, rate=0.0)

        def show(row: Row) -> None:
            task = progress.tasks[bar]
            rows = task.fields["rows"] + 1
            progress.update(bar, completed=row.end, rows=rows, rate=rows / max(task.elapsed or 0.0, 0.001))

        yield show

"""The output file: every row whole or not there, and what a batch that was cut short has left of it.

The rows themselves are the record of what is done: each holds its line's number and hash, and the hash of what the advice depends
on. There is no second file that could disagree with them.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from advisor.batch.rows import Row, Settings
from advisor.batch.table import Table
from advisor.batch.tasks import Task
from advisor.errors import UsageError

_BEGINNING = b'{"schemaVersion":'  # of every row


class Output:
    """Rows as lines of a file, each written at once."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name = file, name

    def write(self, row: Row) -> None:
        """Raises UsageError where the disk is full, or the file can no longer be written for another reason."""
        data = memoryview(row.data + b"\n")
        try:
            while data:
                data = data[self._file.write(data) :]
            self._file.flush()
        except BrokenPipeError:  # the reader, such as `head`, has had enough
            raise
        except OSError as error:
            raise UsageError(f"-o {self._name}: cannot be written: {error.strerror or error}") from error


def open_output(path: Path, *, keep: bool) -> FileIO:
    """The file, unbuffered, at its beginning and empty unless `keep`, and nobody else's for as long as it is open.

    Raises:
        UsageError: it cannot be written, another batch is writing it, or it is no file that could be kept.
    """
    try:
        file = FileIO(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644), "wb")
    except OSError as error:
        raise UsageError(f"-o {path}: cannot be written: {error.strerror or error}") from error
    if path.is_file():
        try:
            _lock(file)
        except BlockingIOError as error:
            file.close()
            raise UsageError(f"-o {path}: another batch is writing it") from error
        if not keep:
            file.truncate(0)
    elif keep:
        file.close()
        raise UsageError(f"-o {path}: is no file, and so holds nothing that --resume could go on from")
    return file


def _lock(file: FileIO) -> None:
    """Released by the system when the process ends, however that happens. Raises BlockingIOError where another holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a file system without locks
        return


@dataclass(frozen=True)
class _Written:
    """A row of the file: where it ends, and what it says of itself."""

    end: int
    line: int
    line_hash: str
    advice_hash: str
    status: str


class Finished:
    """The rows that an earlier run has written. Lines and hashes are kept on disk, not in memory."""

    def __init__(self, file: FileIO, path: Path, settings: Settings, *, recompute: bool, ordered: bool) -> None:
        """Read the rows, cut off a torn last one, and leave the file at its end.

        Raises:
            UsageError: the file holds something else, or rows that other rules, another version or another depth gave.
        """
        self._name, self._ordered = str(path), ordered
        self._rows = Table("rows (line integer primary key, hash text)")
        self.statuses: Counter[str] = Counter()
        self._last = end = 0
        for row in self._read(path):
            if row.advice_hash != settings.advice_hash:
                if recompute:
                    break  # what follows was made by the same earlier run, or before it
                raise UsageError(f"-o {path}: line {row.line} was answered by another version, rule set, catalogue or --verify; "
                                 "--recompute answers it and all after it again")  # fmt: skip
            self._add(row)
            end = row.end
        file.truncate(end)
        file.seek(end)

    def skip(self, tasks: Iterable[Task]) -> Iterator[Task]:
        """The tasks that have no row yet.

        Raises:
            UsageError: a line is not the one that its row answers, or rows answer lines that are not there.
        """
        matched = 0
        for task in tasks:
            found = self._rows.execute("select hash from rows where line = ?", task.line).fetchone()
            if found is None:
                if self._ordered and task.line < self._last:
                    raise UsageError(f"-o {self._name}: its rows are not in order (line {task.line} is missing); add --unordered")
                yield task
            elif found[0] != task.line_hash:
                raise UsageError(f"line {task.line} of the input has changed since it was answered; start over without --resume")
            else:
                matched += 1
        unmatched = self.statuses.total() - matched
        if unmatched:
            raise UsageError(f"-o {self._name}: {unmatched} of its rows answer lines that the input no longer has")

    def _add(self, row: _Written) -> None:
        if not self._rows.execute("insert or ignore into rows (line, hash) values (?, ?)", row.line, row.line_hash).rowcount:
            raise UsageError(f"-o {self._name}: line {row.line} has two rows")
        self.statuses[row.status] += 1
        self._last = max(self._last, row.line)

    def _read(self, path: Path) -> Iterator[_Written]:
        end = 0
        with path.open("rb") as file:
            for text in file:
                try:
                    if not text.endswith(b"\n"):
                        raise ValueError("the last line is torn")
                    row = json.loads(text)
                    yield _Written(end + len(text), row["line"], row["lineHash"], row["adviceHash"], row["status"])
                except (ValueError, TypeError, KeyError, RecursionError) as error:
                    if file.read(1) or not _may_be_torn(text):
                        raise UsageError(f"-o {self._name}: byte {end:,} begins a line that is no row of a batch") from error
                    return  # torn by whatever ended the run
                end += len(text)


def _may_be_torn(text: bytes) -> bool:
    """Whether it can be what a run that was cut short has left of a row, and not somebody's notes."""
    return text.startswith(_BEGINNING) or _BEGINNING.startswith(text) or not text.strip(b"\0\n")

"""What a batch has to remember of every line, in a temporary database on disk, so that memory does not grow with the lines."""

from __future__ import annotations

import sqlite3

from advisor.errors import UsageError

MEMORY_KIB = 2048  # of it; the rest lies on disk


class Table:
    """One table, in a file without a name that is gone when the process ends. May be used from another thread than it was made in."""

    def __init__(self, definition: str) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute(f"pragma cache_size = -{MEMORY_KIB}")
        self._database.execute(f"create table {definition}")
        self._database.execute("begin")

    def execute(self, statement: str, *values: bytes | str | int) -> sqlite3.Cursor:
        """Raises UsageError where the disk is full."""
        try:
            return self._database.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise UsageError(f"the folder for temporary files cannot be written: {error}; TMPDIR names another") from error

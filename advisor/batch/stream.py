"""A stream of requests, answered one a line, in order, in constant memory. A bad line is an error row and stops nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from advisor.engine.loading import load_knowledge, rule_paths
from advisor.errors import AdvisorError
from advisor.located import MAX_BYTES, parse_json
from advisor.pipeline import design
from advisor.planning.designing import Checker, Depth
from advisor.reading import read_request
from advisor.report import SCHEMA_VERSION

ID_LENGTH = 16  # of the hash that names a request without an id


@dataclass(frozen=True)
class Row:
    """One answer: an output object, and whether it is an error."""

    content: dict[str, Any]

    @property
    def status(self) -> str:
        return str(self.content["status"])

    def to_json(self) -> str:
        return json.dumps(self.content, ensure_ascii=False, allow_nan=False)


class _RowError(Exception):
    def __init__(self, code: str, message: str, path: str = "") -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message, "path": path}


def answer_lines(
    lines: Iterable[bytes], depth: Depth = "static", *, rules: Iterable[str] = (), checker: Checker | None = None
) -> Iterator[Row]:
    """One row for each line that is not blank. Ids that were given explicitly must differ."""
    packs, seen = tuple(rules), set[bytes]()
    load_knowledge(rule_paths(packs))  # a faulty pack is the caller's fault, not every row's
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _answer(line, number, seen, depth, packs, checker)


def _answer(line: bytes, number: int, seen: set[bytes], depth: Depth, packs: tuple[str, ...], checker: Checker | None) -> Row:
    row: dict[str, Any] = {"schemaVersion": SCHEMA_VERSION, "id": None, "line": number}
    try:
        row["id"], request = _parsed(line, seen, row)
        report = design(read_request(request), depth, rules=packs, checker=checker)
        return Row({**row, "status": report.status.value, "report": report.to_wire()})
    except _RowError as error:
        return Row({**row, "status": "error", "error": error.error})
    except AdvisorError as error:
        first = error.faults[0]
        message = "; ".join(fault.message for fault in error.faults)
        return Row({**row, "status": "error", "error": {"code": error.code, "message": message, "path": first.place.path}})
    except Exception as error:
        return Row({**row, "status": "error", "error": {"code": "defect", "message": f"{type(error).__name__}: {error}", "path": ""}})


def _parsed(line: bytes, seen: set[bytes], row: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The row's id and request: an envelope, or a bare request whose id is its hash."""
    if len(line) > MAX_BYTES:
        raise _RowError("too_large", f"the line is longer than {MAX_BYTES:,} bytes")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _RowError("bad_encoding", f"the line is not UTF-8 at byte {error.start}") from error
    document = parse_json(text, "")
    if document.faults:
        raise _RowError("bad_json", document.faults[0].message)
    if not isinstance(document.data, dict):
        raise _RowError("bad_request", "a line must be a JSON object")
    if "request" not in document.data:
        return hashlib.sha256(json.dumps(document.data, sort_keys=True).encode()).hexdigest()[:ID_LENGTH], document.data
    if not isinstance(document.data["request"], dict):
        raise _RowError("bad_request", "a request must be a JSON object", "request")
    given = document.data.get("id")
    row["id"] = name = _named(given, document.data)
    if given is not None:
        key = hashlib.sha256(name.encode()).digest()[:ID_LENGTH]
        if key in seen:
            raise _RowError("duplicate_id", f"the id {name!r} stood on an earlier line", "id")
        seen.add(key)
    extra = sorted(set(document.data) - {"id", "request"})
    if extra:
        raise _RowError("bad_request", f"unknown field {extra[0]!r}; a line has id and request", extra[0])
    return name, document.data["request"]


def _named(given: object, data: dict[str, Any]) -> str:
    if given is None:
        return hashlib.sha256(json.dumps(data["request"], sort_keys=True).encode()).hexdigest()[:ID_LENGTH]
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise _RowError("bad_request", "an id is text or a whole number", "id")
    return str(given)

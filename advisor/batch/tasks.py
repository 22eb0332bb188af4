"""From a line to a task: its id and its request, or the fault that keeps it from being answered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from advisor.batch.lines import BYTE_ORDER_MARK, HASH_CHARACTERS, Line
from advisor.batch.table import Table
from advisor.located import MAX_BYTES, MAX_DEPTH
from advisor.request import Request

KEY_BYTES = 16  # of the hash that stands for an explicit id: two of a billion ids meet with a chance of 1e-21

Id = str | int


@dataclass(frozen=True)
class RowFault:
    """Why a row has no report: an error's code, its words, and where it stands: a path inside the line, or of a check that broke down
    the place that its result would have had in the report, such as `verification.smoke_train`.
    """

    code: str
    message: str
    path: str = ""


@dataclass(frozen=True)
class Task:
    """One line to be answered: a request, or a fault."""

    line: int
    line_hash: str
    id: Id | None
    request: Mapping[str, Any] | None = None
    fault: RowFault | None = None
    end: int = 0


class TaskReader:
    """Makes tasks of lines. Explicit ids must differ; they are kept on disk."""

    def __init__(self) -> None:
        self._ids = Table("ids (id blob primary key) without rowid")

    def from_lines(self, lines: Iterable[Line]) -> Iterator[Task]:
        """A task for each line that is not blank."""
        return (self.from_line(line) for line in lines if not line.is_blank)

    def from_line(self, line: Line) -> Task:
        found: dict[str, Any] = {"id": None}
        try:
            self._read(_parsed(line), found)
        except _Fault as error:
            found["fault"] = error.fault
        return Task(line.number, line.hash, **found, end=line.end)

    def from_requests(self, requests: Iterable[Request | Mapping[str, Any]]) -> Iterator[Task]:
        """A task for each request, bare or with its id: {"id": …, "request": {…}}."""
        for number, request in enumerate(requests, 1):
            yield self.from_request(number, request)

    def from_request(self, number: int, request: Request | Mapping[str, Any]) -> Task:
        try:
            content = json.dumps(request, allow_nan=False, default=_plain).encode()
        except (TypeError, ValueError, RecursionError) as error:
            return Task(number, "", None, fault=RowFault("bad_request", f"is no JSON: {error}"))
        return self.from_line(Line(number, content, hashlib.sha256(content).hexdigest()[:HASH_CHARACTERS]))

    def _read(self, data: Any, found: dict[str, Any]) -> None:
        """Fill in the id as soon as it is known, then the request: an envelope's, or a bare one named by its hash."""
        if not isinstance(data, dict):
            raise _Fault("bad_request", "a line must be a JSON object")
        if "request" not in data and "id" in data:
            found["id"] = self._new(data["id"])
            raise _Fault("bad_request", 'is missing: a line with an id is written {"id": …, "request": {…}}', "request")
        if "request" not in data:
            found.update(id=_content_hash(data), request=data)
            return
        request, given = data["request"], data.get("id")
        if given is not None:
            found["id"] = self._new(given)
        if not isinstance(request, dict):
            raise _Fault("bad_request", "a request must be a JSON object", "request")
        extra = sorted(set(data) - {"id", "request"})
        if extra:
            raise _Fault("bad_request", f"unknown field {extra[0]!r}; a line has id and request", extra[0])
        found["request"] = request
        if given is None:
            found["id"] = _content_hash(request)

    def _new(self, given: object) -> Id:
        if isinstance(given, bool) or not isinstance(given, str | int):
            raise _Fault("bad_request", "an id is text or a whole number", "id")
        shown = json.dumps(given)
        key = hashlib.blake2b(shown.encode(), digest_size=KEY_BYTES).digest()
        if not self._ids.execute("insert or ignore into ids values (?)", key).rowcount:
            raise _Fault("duplicate_id", f"the id {shown} stood on an earlier line", "id")
        return given


class _Fault(Exception):
    def __init__(self, code: str, message: str, path: str = "") -> None:
        super().__init__(message)
        self.fault = RowFault(code, message, path)


def _parsed(line: Line) -> Any:
    """The line's JSON, strictly read: UTF-8, no NaN, no key twice, no half of a surrogate pair, not too deep."""
    if line.content is None:
        raise _Fault("too_large", f"the line is longer than {MAX_BYTES:,} bytes")
    content = line.content.removeprefix(BYTE_ORDER_MARK) if line.number == 1 else line.content
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _Fault("bad_encoding", f"the line is not UTF-8 at byte {error.start}") from error
    try:
        data = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_each_key_once)
        if "\\u" in text:
            json.dumps(data, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise _Fault("bad_json", f"is not valid JSON at character {error.pos + 1}: {error.msg}") from error
    except UnicodeEncodeError as error:
        raise _Fault("bad_json", "holds half of a surrogate pair, which is no character") from error
    except RecursionError as error:
        raise _Fault("bad_json", f"is nested deeper than {MAX_DEPTH} levels") from error
    except ValueError as error:
        raise _Fault("bad_json", str(error)) from error
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_deeper(data, MAX_DEPTH):
        raise _Fault("bad_json", f"is nested deeper than {MAX_DEPTH} levels")
    return data


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r} stands in one object twice")
    return data


def _is_deeper(data: Any, levels: int) -> bool:
    inside = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return levels < 0 or any(_is_deeper(part, levels - 1) for part in inside)


def _plain(part: object) -> Any:
    """A `Request`, by itself or beside its id, or a mapping of another kind, as JSON has it."""
    if isinstance(part, Request):
        return part.to_wire()
    if isinstance(part, Mapping):
        return dict(part)
    raise TypeError(f"Object of type {type(part).__name__} is not JSON serializable")


def _content_hash(request: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:HASH_CHARACTERS]

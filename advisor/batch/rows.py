"""From a task to its row: one line of strict JSON, whatever happens on the way."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from advisor import __version__
from advisor.batch.checks import Strict
from advisor.batch.lines import HASH_CHARACTERS
from advisor.batch.tasks import Id, RowFault, Task
from advisor.errors import AdvisorError
from advisor.report import SCHEMA_VERSION, Report

if TYPE_CHECKING:
    from advisor.planning.designing import Checker, Depth

ERROR = "error"
MOST_FAULTS = 20  # told of one request; a line of 5 MB may hold a hundred thousand


@dataclass(frozen=True)
class Settings:
    """What all rows of a batch have in common."""

    depth: Depth = "static"
    rules: tuple[str, ...] = ()
    budget_s: float | None = None

    @cached_property
    def advice_hash(self) -> str:
        """Of all that a report depends on but its request: version, rules and packs, catalogue, depth, budget.

        Raises:
            KnowledgeError: a rule folder is faulty.
        """
        return _advice_hash(self.depth, self.rules, self.budget_s)


@dataclass(frozen=True)
class Row:
    """One answer. `data` is its line of output in UTF-8, without the newline, up to 100 kB that are made as bytes and stay so until they
    are written; `seconds` is what it took, `end` as in its `Line`.
    """

    line: int
    status: str
    data: bytes
    seconds: float = 0.0
    end: int = 0

    @cached_property
    def content(self) -> dict[str, Any]:
        """The row as plain data."""
        content: dict[str, Any] = json.loads(self.data)
        return content

    @property
    def id(self) -> Id | None:
        given: Id | None = self.content["id"]
        return given

    @property
    def report(self) -> Report | None:
        """The report; None for an error."""
        return None if self.status == ERROR else Report.model_validate(self.content["report"])

    @property
    def error(self) -> RowFault | None:
        """The error; None where there is a report."""
        return RowFault(**self.content["error"]) if self.status == ERROR else None


def answer(task: Task, settings: Settings, checker: Checker | None) -> Row:
    """Design for the task's request. Never raises: what goes wrong is in the row."""
    from advisor.pipeline import draft

    started = time.perf_counter()
    try:
        if task.fault is not None or task.request is None:
            return error_row(task, settings, task.fault or RowFault("defect", "the task has no request"))
        strict = Strict(checker) if checker else None
        made = draft(task.request, settings.depth, rules=settings.rules, checker=strict, budget=settings.budget_s)
        status = made.report.status.value
        data = b'%s,"report":%s}' % (_head(task, settings, status), made.to_json())
        return Row(task.line, status, data, time.perf_counter() - started, task.end)
    except AdvisorError as error:
        first = error.faults[0]
        told, more = list(map(str, error.faults[:MOST_FAULTS])), len(error.faults) - MOST_FAULTS
        said = first.message if len(told) == 1 else "; ".join(told)  # the row has the first path alone
        said += f"; and {more:,} more" if more > 0 else ""
        return error_row(task, settings, RowFault(error.code, said, first.place.path), time.perf_counter() - started)
    except Exception as error:
        fault = RowFault("defect", f"{type(error).__name__}: {error}")
        return error_row(task, settings, fault, time.perf_counter() - started)


def error_row(task: Task, settings: Settings, fault: RowFault, seconds: float = 0.0) -> Row:
    """The row of a task that has no report."""
    data = b'%s,"error":%s}' % (_head(task, settings, ERROR), json.dumps(asdict(fault)).encode())
    return Row(task.line, ERROR, data, seconds, task.end)


def _head(task: Task, settings: Settings, status: str) -> bytes:
    """The fields of every row, up to where its report or its error begins."""
    fields = {
        "schemaVersion": SCHEMA_VERSION,
        "id": task.id,
        "line": task.line,
        "lineHash": task.line_hash,
        "adviceHash": settings.advice_hash,
        "status": status,
    }
    return json.dumps(fields, separators=(",", ":"))[:-1].encode()


@cache
def _advice_hash(depth: str, rules: tuple[str, ...], budget_s: float | None) -> str:
    from advisor.engine.loading import load_knowledge, rule_paths
    from advisor.resources import data_folder

    digest = hashlib.sha256(json.dumps([__version__, depth, budget_s, load_knowledge(rule_paths(rules)).rules.digest]).encode())
    for path in sorted(data_folder("catalogue").rglob("*.yaml")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:HASH_CHARACTERS]

"""A row of a batch's output as types: what its JSON Schema is made from. `rows` writes rows as text, without these types."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, RootModel

from advisor.batch.tasks import Id
from advisor.report import Report, Status
from advisor.wire import Wire


class _Head(Wire):
    schema_version: str = Field(description="of the row and of the report in it")
    id: Id | None = Field(description="as given; the content's hash where none was; null where a line cannot be read so far")
    line: int = Field(description="of the input, from 1", ge=1)
    line_hash: str = Field(description="of the line's bytes: what `--resume` knows it by")
    advice_hash: str = Field(description="of all that a report depends on but its request: version, rules, catalogue, depth")


class AnsweredRow(_Head):
    """A request with its report."""

    status: Status = Field(description="the report's")
    report: Report


class RowError(Wire):
    """Why there is no report."""

    code: str = Field(
        description="bad_json, bad_encoding, bad_request, too_large, duplicate_id: the line; verification_crashed, "
        "verification_timeout, verification_memory: a check broke down; worker_lost, other_version: what worked on it; defect: ours"
    )
    message: str
    path: str = Field(description="inside the line; `verification.CHECK` where a check broke down; empty: the line as a whole")


class ErrorRow(_Head):
    """A request without a report."""

    status: Literal["error"]
    error: RowError


class BatchRow(RootModel[AnsweredRow | ErrorRow]):
    """One line of the output of `advisor batch`."""

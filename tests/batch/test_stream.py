"""A stream of requests: every line answered, in order; a bad line is a row and stops nothing."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from advisor.batch.stream import answer_lines
from advisor.cli import main as cli
from advisor.errors import KnowledgeError

GOOD: dict[str, Any] = {
    "task": {"type": "classification", "domain": "CV"},
    "data": {"size": "5,000 images"},
    "constraints": {"computeResources": "RTX 3060 12GB"},
}


def rows(*lines: object) -> list[dict[str, Any]]:
    encoded = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    return [row.content for row in answer_lines(encoded, "none")]


def test_answers_come_in_order_with_their_ids_and_lines() -> None:
    answered = rows({"id": "b", "request": GOOD}, {"id": "a", "request": GOOD})
    assert [(row["id"], row["line"], row["status"]) for row in answered] == [("b", 1, "designed"), ("a", 2, "designed")]


def test_a_report_in_a_row_is_the_wire_form(report_schema: dict[str, Any]) -> None:
    jsonschema.validate(rows({"id": 1, "request": GOOD})[0]["report"], report_schema)


def test_a_bare_request_is_accepted_and_named_by_its_content() -> None:
    first, again, other = rows(GOOD, GOOD, {**GOOD, "challenges": ["few-shot"]})
    assert first["id"] == again["id"] != other["id"]
    assert first["status"] == again["status"] == "designed"


@pytest.mark.parametrize(
    ("line", "code", "path"),
    [
        (b"{not json", "bad_json", ""),
        (b"\xff\xfe", "bad_encoding", ""),
        (b"[1, 2]", "bad_request", ""),
        (b'{"id": "x", "request": {"task": {"type": "classification", "domain": "CV", "kind": 1}}}', "bad_request", "task.kind"),
        (b'{"id": true, "request": {}}', "bad_request", "id"),
        (b'{"id": "x", "request": 7}', "bad_request", "request"),
        (b'{"id": "x", "request": {}, "extra": 1}', "bad_request", "extra"),
        (b'{"id": "x", "request": ' + b'{"a":' * 3000 + b"1" + b"}" * 3001, "bad_json", ""),
        (b'{"task": {"type": "classification", "domain": "CV"}, "data": {"size": NaN}}', "bad_json", ""),
        (b"x" * 6_000_000, "too_large", ""),
    ],
)
def test_a_bad_line_is_an_error_row_with_code_and_path_and_stops_nothing(line: bytes, code: str, path: str) -> None:
    before, bad, after = rows({"id": 1, "request": GOOD}, line, {"id": 2, "request": GOOD})
    assert (before["status"], after["status"]) == ("designed", "designed")
    assert bad["status"] == "error" and bad["line"] == 2
    assert bad["error"]["code"] == code and bad["error"]["path"] == path
    assert bad["error"]["message"]


def test_an_explicit_id_may_stand_only_once() -> None:
    first, second = rows({"id": "same", "request": GOOD}, {"id": "same", "request": GOOD})
    assert first["status"] == "designed" and second["error"]["code"] == "duplicate_id"


def test_blank_lines_are_no_rows() -> None:
    assert len(rows({"id": 1, "request": GOOD}, b"\n", b"   \n")) == 1


def test_a_faulty_pack_stops_the_batch_before_the_first_row(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("slot: nothing\nrules: []\n", encoding="utf-8")
    with pytest.raises(KnowledgeError):
        list(answer_lines([json.dumps(GOOD).encode()], "none", rules=[str(tmp_path)]))


def test_the_command_writes_a_row_a_line_and_exits_with_three_when_some_are_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "in.ndjson", tmp_path / "out.ndjson"
    source.write_text(json.dumps({"id": 1, "request": GOOD}) + "\nnot json\n", encoding="utf-8")
    assert cli.main(["batch", str(source), "-o", str(out), "--verify", "none"]) == 3
    assert [json.loads(line)["status"] for line in out.read_text(encoding="utf-8").splitlines()] == ["designed", "error"]
    assert "1 designed, 1 error" in capsys.readouterr().err


def test_the_command_reads_and_writes_pipes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(GOOD).encode() + b"\n"), encoding="utf-8"))
    assert cli.main(["batch", "-", "--verify", "none"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "designed"


def test_an_input_that_cannot_be_read_exits_with_two(tmp_path: Path) -> None:
    assert cli.main(["batch", str(tmp_path / "nowhere.ndjson"), "--verify", "none"]) == 2

"""`advisor batch` as a command: pipes, exit statuses, what it says."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from advisor.cli import main as cli
from tests.batch.requests import GOOD


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.ndjson"
    path.write_text(json.dumps({"id": 1, "request": GOOD}) + "\nnot json\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_row_a_line_and_three_when_some_are_errors(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], jobs: str) -> None:
    out = tmp_path / "out.ndjson"
    assert cli.main(["batch", str(source), "-o", str(out), "--verify", "none", "--jobs", jobs]) == 3
    assert [json.loads(line)["status"] for line in out.read_text(encoding="utf-8").splitlines()] == ["designed", "error"]
    assert "1 designed, 1 error, in" in capsys.readouterr().err


def test_pipes_are_read_and_written(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(GOOD).encode() + b"\n"), encoding="utf-8"))
    assert cli.main(["batch", "-", "--verify", "none"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "designed"


def test_an_input_that_cannot_be_read_exits_with_two(tmp_path: Path) -> None:
    for name in ("nowhere.ndjson", "."):
        assert cli.main(["batch", str(tmp_path / name), "--verify", "none"]) == 2


def test_the_input_is_never_the_output(source: Path) -> None:
    before = source.read_bytes()
    assert cli.main(["batch", str(source), "-o", str(source), "--verify", "none"]) == 2
    assert source.read_bytes() == before


def test_a_full_disk_is_said_plainly(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["batch", str(source), "-o", "/dev/full", "--verify", "none"]) == 2
    assert "-o /dev/full: cannot be written: No space left on device" in capsys.readouterr().err


def test_a_terminal_sees_a_bar_with_rate_and_time_left(source: Path, tmp_path: Path) -> None:
    import os
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "advisor", "batch", str(source), "-o", str(tmp_path / "out"), "--verify", "none"]
    done = subprocess.run(command, stderr=theirs, stdout=subprocess.DEVNULL, timeout=60, check=False, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    said = os.read(ours, 2**16).decode()
    os.close(ours)
    assert done.returncode == 3
    assert "a second" in said and "left:" in said and "\x1b[" in said


@pytest.mark.parametrize(("stream", "option"), [("stdin", "-"), ("stdout", None)])
def test_a_closed_standard_stream_is_told_from_a_defect(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stream: str, option: str | None
) -> None:
    monkeypatch.setattr(sys, stream, None)
    assert cli.main(["batch", option or str(source), "--verify", "none"]) == 2
    assert "is closed" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["2>&-", "2>/dev/full", "2> >(true)"])
def test_a_summary_that_nobody_can_read_changes_neither_rows_nor_status(source: Path, ending: str) -> None:
    command = f"{sys.executable} -m advisor batch {source} --verify none {ending}"
    done = subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 3
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == ["designed", "error"]

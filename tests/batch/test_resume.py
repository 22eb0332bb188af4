"""Killed at any moment and run again, a batch has one row for each line, and no row is made twice."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from advisor.batch import rows as batch_rows
from advisor.cli import main as cli
from tests.batch.requests import GOOD, without_times
from tests.conftest import ROOT

KILLS = 12
FEWEST_KILLS = 4  # a batch may come to its end while it is looked at
LINES, MANY_LINES = 60, 300


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_requests(tmp_path / "in.ndjson", LINES)


def write_requests(path: Path, count: int) -> Path:
    """Requests that differ, with some that are errors, and a blank line."""
    lines: list[Any] = [{"id": n, "request": {**GOOD, "data": {"size": f"{500 + n} images"}}} for n in range(count)]
    lines[5], lines[9] = {"id": 1, "request": GOOD}, {"request": 3}
    path.write_text("\n".join(map(json.dumps, lines[:20])) + "\n\n" + "\n".join(map(json.dumps, lines[20:])) + "\n", encoding="utf-8")
    return path


def batch(source: Path, out: Path, *options: str) -> int:
    return cli.main(["batch", str(source), "-o", str(out), "--verify", "none", *options])


def whole(out: Path) -> list[bytes]:
    return [line for line in out.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")] if out.exists() else []


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--jobs", "1"), ("--jobs", "2"), ("--jobs", "2", "--unordered")])
def test_killed_at_random_moments_nothing_is_lost_and_nothing_done_twice(tmp_path: Path, options: tuple[str, ...]) -> None:
    source, out, chance = write_requests(tmp_path / "in.ndjson", MANY_LINES), tmp_path / "out.ndjson", random.Random(len(options))
    command = [sys.executable, "-m", "advisor", "batch", str(source), "-o", str(out), "--verify", "none", "--resume", *options]
    kills, status = 0, -signal.SIGKILL
    while status == -signal.SIGKILL:
        before = whole(out)
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        if kills < KILLS:
            wanted = len(before) + chance.randrange(MANY_LINES // KILLS)
            while process.poll() is None and len(whole(out)) < wanted:
                time.sleep(0.002)
            time.sleep(chance.random() * 0.02)
            process.kill()
        said, status = process.communicate()[1], process.returncode
        kills += status == -signal.SIGKILL
        assert whole(out)[: len(before)] == before  # moments and durations included: no row was made again
    assert status == 3 and kills >= FEWEST_KILLS, said
    undisturbed = tmp_path / "undisturbed.ndjson"
    assert batch(source, undisturbed) == 3
    found, expected = list(map(without_times, whole(out))), list(map(without_times, whole(undisturbed)))
    if "--unordered" in options:
        found.sort(key=lambda row: int(row["line"]))
    assert found == expected
    assert len(found) == MANY_LINES


def test_a_torn_last_line_is_repaired(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.ndjson"
    assert batch(source, out) == 3
    complete = whole(out)
    for torn in (b"".join(complete[:30]) + complete[30][:-1], b"".join(complete[:30]) + b'{"schema', b"".join(complete[:30]) + b"\0\0\n"):
        out.write_bytes(torn)
        assert batch(source, out, "--resume") == 3
        assert whole(out)[:30] == complete[:30]
        assert list(map(without_times, whole(out))) == list(map(without_times, complete))


def test_a_finished_batch_is_left_as_it_is(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.ndjson"
    batch(source, out)
    before = out.read_bytes()
    assert batch(source, out, "--resume") == 3  # some of its rows are errors, as they were
    assert out.read_bytes() == before
    assert f"{LINES} were there already" in capsys.readouterr().err


def test_other_rules_are_refused_and_recomputed_only_when_told(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.ndjson"
    batch(source, out)
    before = out.read_bytes()
    monkeypatch.setattr(batch_rows, "__version__", "next")
    batch_rows._advice_hash.cache_clear()
    try:
        assert batch(source, out, "--resume") == 2
        assert "--recompute" in capsys.readouterr().err
        assert out.read_bytes() == before
        assert batch(source, out, "--resume", "--recompute") == 3
        hashes = {json.loads(line)["adviceHash"] for line in whole(out)}
        assert len(whole(out)) == LINES and len(hashes) == 1 and hashes != {json.loads(before.splitlines()[0])["adviceHash"]}
    finally:
        batch_rows._advice_hash.cache_clear()


def test_another_depth_is_refused(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.ndjson"
    batch(source, out)
    assert cli.main(["batch", str(source), "-o", str(out), "--verify", "static", "--resume"]) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: [lines[0].replace("500", "501"), *lines[1:]], "line 1 of the input has changed"),
        (lambda lines: lines[:10], "no longer has"),
    ],
)
def test_another_input_is_refused(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any, words: str) -> None:
    out = tmp_path / "out.ndjson"
    batch(source, out)
    source.write_text("\n".join(change(source.read_text(encoding="utf-8").split("\n"))), encoding="utf-8")
    assert batch(source, out, "--resume") == 2
    assert words in capsys.readouterr().err


def test_rows_out_of_order_are_gone_on_with_only_without_order(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.ndjson"
    batch(source, out)
    out.write_bytes(b"".join(whole(out)[25:]))
    assert batch(source, out, "--resume") == 2
    assert "--unordered" in capsys.readouterr().err
    assert batch(source, out, "--resume", "--unordered") == 3
    assert sorted(json.loads(line)["line"] for line in whole(out)) == [n for n in range(1, LINES + 2) if n != 21]


def test_a_file_that_holds_something_else_is_left_alone(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "notes.txt"
    out.write_text("my notes\nmore notes\n", encoding="utf-8")
    assert batch(source, out, "--resume") == 2
    assert "no row of a batch" in capsys.readouterr().err
    assert out.read_text(encoding="utf-8") == "my notes\nmore notes\n"


@pytest.mark.parametrize("notes", [b"my notes", b"[" * 100_000 + b"\nmore\n", b"n"])
def test_notes_without_an_end_are_no_torn_row(source: Path, tmp_path: Path, notes: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "notes.txt"
    out.write_bytes(notes)
    assert batch(source, out, "--resume") == 2
    assert "no row of a batch" in capsys.readouterr().err
    assert out.read_bytes() == notes


def test_standard_output_cannot_be_resumed(source: Path) -> None:
    assert cli.main(["batch", str(source), "--verify", "none", "--resume"]) == 2


def test_two_batches_do_not_write_one_file(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.ndjson"
    script = (
        f"import time; from pathlib import Path; from advisor.batch.output import open_output as o; f = o(Path({str(out)!r}), keep=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", f"{script}; print(1, flush=True); time.sleep(60)"], stdout=subprocess.PIPE, cwd=ROOT
    ) as other:
        assert other.stdout and other.stdout.readline()
        assert batch(source, out) == 2
        other.kill()
    assert "another batch is writing it" in capsys.readouterr().err
    assert batch(source, out) == 3

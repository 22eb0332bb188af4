"""The command line as a person and a script meet it: exit statuses, what goes where, and what bad input is told."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from advisor.cli import main as cli
from tests.conftest import EXAMPLES

HEAVY = ("matplotlib", "torch", "timm", "transformers", "torchvision")


def run(*arguments: object) -> int:
    try:
        return cli.main([str(argument) for argument in arguments])
    except SystemExit as ended:  # argparse's own
        return int(ended.code or 0)


@pytest.mark.parametrize(("example", "status"), [("defects", 0), ("missing", 1), ("trees", 1), ("impossible", 1), ("nan", 1)])
def test_the_exit_status_says_what_the_report_is(example: str, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("design", EXAMPLES / f"{example}.yaml", "--verify", "none", "--format", "json") == status
    captured = capsys.readouterr()
    assert (json.loads(captured.out)["status"] == "designed") is (status == 0)
    assert captured.err == ""


@pytest.mark.parametrize("form", ["summary", "md", "html"])
def test_every_format_prints_something_readable(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("design", EXAMPLES / "defects.yaml", "--verify", "none", "--format", form) == 0
    assert "ConvNeXt" in capsys.readouterr().out


def test_output_files_appear_whole_and_their_paths_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("design", EXAMPLES / "defects.yaml", "--verify", "none", "-o", tmp_path / "out") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["model_card.md", "report.html", "report.json"]
    assert str(tmp_path / "out" / "report.json") in capsys.readouterr().err


def test_no_card_is_written_where_there_is_no_design(tmp_path: Path) -> None:
    assert run("design", EXAMPLES / "missing.yaml", "--verify", "none", "-o", tmp_path / "out") == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.html", "report.json"]


def test_an_output_folder_that_is_a_file_is_refused_before_any_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").write_text("mine", encoding="utf-8")
    assert run("design", EXAMPLES / "defects.yaml", "-o", tmp_path / "taken") == 2
    assert "is a file" in capsys.readouterr().err
    assert (tmp_path / "taken").read_text(encoding="utf-8") == "mine"


def test_a_request_is_read_from_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = (EXAMPLES / "trees.yaml").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text), encoding="utf-8"))
    assert run("design", "-", "--verify", "none", "--format", "json") == 1
    assert json.loads(capsys.readouterr().out)["status"] == "not_applicable"


def test_settings_answer_what_a_request_leaves_open(capsys: pytest.CaptureFixture[str]) -> None:
    settings = ("--set", "facts.data.samples=5000", "--set", "constraints.computeResources=RTX 3060 12GB")
    assert run("design", EXAMPLES / "missing.yaml", "--verify", "none", "--format", "json", *settings) == 0
    facts = {fact["fact"]: fact["value"] for fact in json.loads(capsys.readouterr().out)["facts"]}
    assert facts["data.samples"] == 5000 and facts["compute.memory_gib"] == 12


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "malformed.json": (b'{"task": {"type": "x",}}', "malformed.json:1:"),
    "malformed.yaml": (b"task: [unclosed", "malformed.yaml:"),
    "unknown.yaml": (b"task: {type: classification, domian: CV}", "did you mean 'domain'"),
    "types.json": (b'{"task": {"type": 3, "domain": "CV"}}', "types.json:1:"),
    "empty.yaml": (b"", "is empty"),
    "binary.yaml": (bytes(range(256)), "not UTF-8"),
    "list.yaml": (b"- 1\n- 2\n", "list.yaml"),
    "twice.yaml": (b"task: {type: classification, domain: CV}\ntask: {type: detection, domain: CV}\n", "second time"),
    "bomb.yaml": (b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n".encode() for i in range(8)), "bomb.yaml"),
    "python.yaml": (b"task: !!python/object/apply:os.system ['echo no']\n", "not allowed"),
    "deep.json": (b"[" * 5000 + b"]" * 5000, "deep.json"),
    "huge.yaml": (b"# " + b"x" * 6_000_000, "at most"),
    "words.yaml": (b"task: {type: classification, domain: CV}\ndata: {size: a whole lot of stuff}\n", "data.size"),
    "range.yaml": (b"task: {type: classification, domain: CV}\nfacts: {data.samples: -5}\n", "at least 0"),
    "fact.yaml": (b"task: {type: classification, domain: CV}\nfacts: {data.sampels: 5}\n", "did you mean 'data.samples'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_told_apart_in_one_message_with_its_place(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, expected = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    assert run("design", tmp_path / name, "--verify", "none", "-o", tmp_path / "out") == 2
    captured = capsys.readouterr()
    assert expected in captured.err and "Traceback" not in captured.err and captured.out == ""
    assert not (tmp_path / "out").exists()


def test_a_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("design", tmp_path / "nowhere.yaml") == 2
    assert "no such file" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["design"], ["desing", "x"], ["design", "x", "--verify", "deep"], []])
def test_bad_usage_exits_with_two(arguments: list[str]) -> None:
    assert run(*arguments) == 2


def test_a_defect_of_ours_exits_with_seventy_and_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("advisor.pipeline.design", broken)
    assert run("design", EXAMPLES / "defects.yaml", "--verify", "none") == 70
    err = capsys.readouterr().err
    assert "defect of ours" in err and "Traceback" not in err


def test_an_interruption_exits_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("advisor.pipeline.design", interrupted)
    assert run("design", EXAMPLES / "defects.yaml", "--verify", "none") == 130


@pytest.mark.parametrize("arguments", [["--help"], ["design", str(EXAMPLES / "defects.yaml"), "--verify", "none", "--format", "json"]])
def test_the_command_line_starts_without_the_heavy_libraries(arguments: list[str]) -> None:
    program = f"""
import sys
from advisor.cli.main import main
try: main({arguments!r})
except SystemExit: pass
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip().endswith("[]")


def test_explain_says_why_not_and_what_if_says_what_changes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", EXAMPLES / "defects.yaml", "--slot", "adaptation", "--why-not", "linear_probe") == 0
    assert "false" in capsys.readouterr().out
    assert run("explain", EXAMPLES / "defects.yaml", "--slot", "optimizr") == 2
    assert "did you mean 'optimizer'" in capsys.readouterr().err
    assert run("what-if", EXAMPLES / "llm.yaml", "--set", "constraints.computeResources=A100 80GB") == 0
    told = capsys.readouterr().out
    assert "compute.memory_gib: 24" in told and "adaptation: qlora" in told


@pytest.mark.parametrize(
    ("arguments", "near"),
    [(("bacth", "x"), "batch"), (("estimate", "resnet50", "--precision", "bf61"), "bf16"), (("batch", "x", "--verify", "smok"), "smoke")],
)
def test_a_choice_that_is_none_is_met_with_the_nearest(arguments: tuple[str, ...], near: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    assert f"did you mean '{near}'?" in capsys.readouterr().err


def test_a_part_of_a_fields_name_is_met_with_the_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = tmp_path / "request.yaml"
    request.write_text("task: {type: classification, domain: CV}\nconstraints: {latency: 50ms}\n")
    assert run("design", request, "--verify", "none") == 2
    assert "did you mean 'latencyRequirement'?" in capsys.readouterr().err

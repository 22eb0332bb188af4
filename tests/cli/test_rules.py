"""`advisor rules` as it is typed: what it prints, and the exit status that scripts rely on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from advisor.cli.main import main
from tests.rule_sets import rule, write_rules

Captured = pytest.CaptureFixture[str]


def run(capsys: Captured, *words: str) -> tuple[int, str, str]:
    try:
        status = main(["rules", *words])
    except SystemExit as stopped:
        status = int(stopped.code or 0)
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def run_json(capsys: Captured, *words: str) -> tuple[int, Any]:
    status, out, _ = run(capsys, *words, "--format", "json")
    return status, json.loads(out)


@pytest.fixture
def clashing(tmp_path: Path) -> str:
    """A pack whose two rules overlap, without sources or examples."""
    rules = rule("ZZ001", {"data.classes": {"ge": 3}}), rule("ZZ002", {"data.balance": {"eq": "balanced"}}, then={"decay": 0.99})
    return str(write_rules(tmp_path / "pack", "ema", *rules, name="mine").parent)


def test_shipped_rules_are_clean_tested_and_covered(capsys: Captured) -> None:
    assert run_json(capsys, "lint")[1]["errors"] == 0
    assert run(capsys, "lint")[0] == 0
    assert run(capsys, "test")[0] == 0
    status, out, _ = run(capsys, "coverage")
    assert (status, out.count("100.0%")) == (0, 3)


def test_findings_have_place_check_and_witness(capsys: Captured, clashing: str) -> None:
    status, out, _ = run(capsys, "lint", "--rules", clashing)
    assert status == 1
    assert "mine.yaml:" in out and "[overlap]" in out and "for example: " in out
    status, wire = run_json(capsys, "lint", "--rules", clashing)
    (overlap,) = (finding for finding in wire["findings"] if finding["check"] == "overlap" and "ZZ002 and ZZ001" in finding["message"])
    assert status == 1
    assert overlap["file"].endswith("mine.yaml") and overlap["line"] > 0 and overlap["column"] > 0
    assert {"data.classes": 3, "data.balance": "balanced"}.items() <= overlap["witness"].items()


def test_what_keeps_rules_from_loading_is_a_finding_too(capsys: Captured, tmp_path: Path) -> None:
    pack = write_rules(tmp_path / "pack", "ema", rule("ZZ001", {"data.sampels": {"ge": 1}}), rule("zz")).parent
    status, wire = run_json(capsys, "lint", "--rules", str(pack))
    assert (status, {finding["check"] for finding in wire["findings"]}, wire["errors"]) == (1, {"loading"}, 2)
    assert run(capsys, "lint", "--rules", str(pack))[2].endswith("the checks run once these faults are mended\n")
    status, _, err = run(capsys, "test", "--rules", str(pack))
    assert status == 2
    assert "unknown fact 'data.sampels'" in err and "Traceback" not in err


def test_age_warns_and_does_not_fail(capsys: Captured) -> None:
    status, wire = run_json(capsys, "lint", "--as-of", "2099-01-01")
    assert (status, wire["errors"]) == (0, 0)
    assert wire["warnings"] > 100
    status, _, err = run(capsys, "lint", "--as-of", "soon")
    assert (status, "'soon' is no date" in err) == (2, True)


def test_failing_examples_and_missing_cover_are_found(capsys: Captured, tmp_path: Path) -> None:
    examples = [{"expect": "match", "facts": {"data.classes": 2}}]
    pack = str(write_rules(tmp_path / "pack", "ema", rule("ZZ001", {"data.classes": {"ge": 3}}, examples=examples)).parent)
    status, wire = run_json(capsys, "test", "--rules", pack)
    assert (status, len(wire["failing"])) == (1, 1)
    status, wire = run_json(capsys, "coverage", "--rules", pack)
    assert status == 1
    assert wire["leaves"]["of"] - wire["leaves"]["tried"] == 1
    assert any("ZZ001: it wins in none" in fault["message"] for fault in wire["neverWinning"])


def test_a_rule_is_shown_and_an_unknown_one_is_bad_usage(capsys: Captured) -> None:
    status, out, _ = run(capsys, "show", "OPT010")
    assert status == 0 and out.startswith("OPT010") and "momentum: 0.9" in out
    status, _, err = run(capsys, "show", "OPT0100")
    assert (status, "did you mean" in err) == (2, True)


def test_a_new_rule_is_written_once(capsys: Captured, tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    status, out, err = run(capsys, "new", "ema", "ZZ001", "--rules", str(pack))
    assert (status, (pack / "ema.yaml").exists()) == (0, True)
    assert "ema.yaml" in out and "advisor rules lint" in err
    before = (pack / "ema.yaml").read_text()
    status, _, err = run(capsys, "new", "ema", "ZZ001", "--rules", str(pack))
    assert (status, "taken by the rule at" in err, (pack / "ema.yaml").read_text()) == (2, True, before)
    assert run(capsys, "test", "--rules", str(pack))[0] == 0
    assert run(capsys, "lint", "--rules", str(pack))[0] == 1


def test_pages_are_written_checked_and_found_stale(capsys: Captured, tmp_path: Path) -> None:
    folder = str(tmp_path / "docs")
    assert run(capsys, "docs", "--check", "-o", folder)[0] == 1
    assert run(capsys, "docs", "-o", folder)[0] == 0
    assert run(capsys, "docs", "--check", "-o", folder)[:2] == (0, "")
    (tmp_path / "docs" / "ema.md").write_text("changed")
    assert run(capsys, "docs", "--check", "-o", folder)[1].endswith("ema.md: is stale; run `advisor rules docs`\n")
    (tmp_path / "file").write_text("")
    assert run(capsys, "docs", "-o", str(tmp_path / "file"))[0] == 2


@pytest.mark.parametrize("words", [(), ("show",), ("new", "ema"), ("lint", "--format", "xml"), ("lint", "--rules", "/nowhere/at/all")])
def test_bad_usage_is_said_without_a_traceback(capsys: Captured, words: tuple[str, ...]) -> None:
    status, out, err = run(capsys, *words)
    assert status == (1 if "--rules" in words else 2)
    assert "Traceback" not in out + err

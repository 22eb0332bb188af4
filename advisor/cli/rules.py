"""`advisor rules`: what is wrong with them, what their examples say and leave untried, and how to read and write them.

Exit status: 0 nothing found, 1 something found, 2 bad usage or rules that cannot be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from advisor.engine.loading import Knowledge, load_knowledge, rule_paths
from advisor.errors import Fault, KnowledgeError, UsageError

CLEAN, FOUND = 0, 1
LOADING = "loading"


def run(arguments: argparse.Namespace) -> int:
    parts = {"lint": lint, "test": test, "coverage": coverage, "show": show, "new": new, "docs": docs}
    return parts[arguments.part](arguments)


def lint(arguments: argparse.Namespace) -> int:
    """Every finding; what keeps the rules from loading is a finding too, and then the only ones."""
    from advisor import catalogue
    from advisor.lint import Context, Finding
    from advisor.lint import lint as check

    try:
        knowledge = _knowledge(arguments)
        context = Context(knowledge, catalogue.models(), arguments.as_of, catalogue.devices(), catalogue.datasets(), catalogue.stand_ins())
        findings = check(context)
    except KnowledgeError as error:
        findings = [Finding(fault.place, LOADING, fault.message) for fault in error.faults]
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = len(findings) - errors
    if arguments.format == "json":
        _print_json({"findings": [finding.to_wire() for finding in findings], "errors": errors, "warnings": warnings})
    else:
        _print_lines(findings)
        print(f"{errors} errors, {warnings} warnings", file=sys.stderr)
        if any(finding.check == LOADING for finding in findings):
            print("the checks run once these faults are mended", file=sys.stderr)
    return FOUND if errors else CLEAN


def test(arguments: argparse.Namespace) -> int:
    from advisor.lint.examples import failing_examples

    knowledge = _knowledge(arguments)
    failing = failing_examples(knowledge)
    tried = sum(len(rule.examples) for rules in knowledge.rules.rules.values() for rule in rules)
    if arguments.format == "json":
        _print_json({"examples": tried, "failing": [_wire(fault) for fault in failing]})
    else:
        _print_lines(failing)
        print(f"{tried:,} examples, {len(failing)} fail", file=sys.stderr)
    return FOUND if failing else CLEAN


def coverage(arguments: argparse.Namespace) -> int:
    from advisor.lint.examples import measure_coverage

    measured = measure_coverage(_knowledge(arguments))
    counts = {"leaves": (measured.leaves_tried, measured.leaves), "thresholds": (measured.thresholds_tried, measured.thresholds)}
    counts["rules"] = (measured.rules - len(measured.never_winning), measured.rules)
    if arguments.format == "json":
        shown = {name: {"tried": tried, "of": whole} for name, (tried, whole) in counts.items()}
        _print_json(
            {
                **shown,
                "untried": [_wire(fault) for fault in measured.untried],
                "neverWinning": [_wire(fault) for fault in measured.never_winning],
            }
        )
    else:
        _print_lines([*measured.untried, *measured.never_winning])
        words = {
            "leaves": "constraints seen true and false",
            "thresholds": "thresholds tried below, at and above",
            "rules": "rules that win in an example of theirs",
        }
        for name, (tried, whole) in counts.items():
            print(f"{tried / whole if whole else 1:7.1%}  {words[name]}: {tried} of {whole}")
    return CLEAN if measured.is_complete else FOUND


def show(arguments: argparse.Namespace) -> int:
    from advisor.authoring.show import show as text_of

    print(text_of(_knowledge(arguments).rules, arguments.id), end="")
    return CLEAN


def new(arguments: argparse.Namespace) -> int:
    from advisor.authoring.scaffold import add_rule
    from advisor.resources import data_folder

    pack = Path(arguments.rules) if arguments.rules is not None else None
    if pack is not None and pack.exists() and not pack.is_dir():
        raise UsageError(f"--rules {pack}: is a file; name a folder")
    has_rules = pack is not None and pack.is_dir() and any(pack.rglob("*.y*ml"))
    knowledge = load_knowledge(rule_paths([pack] if pack is not None and has_rules else []))
    path = add_rule(knowledge, arguments.slot, arguments.id, pack or data_folder("rules"))
    print(f"{arguments.id} stands at the end of {path}")
    print(f"replace each TODO, then run `advisor rules lint{f' --rules {pack}' if pack else ''}`", file=sys.stderr)
    return CLEAN


def docs(arguments: argparse.Namespace) -> int:
    from advisor.authoring.docs import make_pages, stale_pages, write_pages

    folder, pages = Path(arguments.output), make_pages(_knowledge(arguments).rules)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"-o {folder}: is a file; name a folder")
    if arguments.check:
        stale = stale_pages(folder, pages)
        _print_lines([f"{folder / name}: is stale; run `advisor rules docs`" for name in stale])
        return FOUND if stale else CLEAN
    for name in write_pages(folder, pages):
        print(f"{'wrote' if name in pages else 'removed'} {folder / name}", file=sys.stderr)
    return CLEAN


def _knowledge(arguments: argparse.Namespace) -> Knowledge:
    return load_knowledge(rule_paths(arguments.rules))


def _wire(fault: Fault) -> dict[str, Any]:
    return {"file": fault.place.file, "line": fault.place.line or None, "column": fault.place.column or None, "message": fault.message}


def _print_lines(lines: Sequence[object]) -> None:
    for line in lines:
        print(line)


def _print_json(data: dict[str, Any]) -> None:
    print(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False))

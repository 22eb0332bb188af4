"""Small rule sets for tests: the shipped facts and slots, and rules that a test writes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from advisor.engine.documents import Documents
from advisor.engine.facts import Fact, Facts, Origin, Value
from advisor.engine.loading import Knowledge, read_knowledge
from advisor.parsed import ParsedFiles
from advisor.resources import data_folder

THEN: dict[str, dict[str, Any]] = {
    "optimizer": {"name": "adamw"},
    "applicability": {"name": "design", "reason": "because"},
    "regularization": {"name": "dropout", "text": "Dropout"},
    "ema": {"decay": 0.9},
}


def rule(id_: str, when: dict[str, Any] | None = None, **parts: Any) -> dict[str, Any]:
    """A rule that is sound but for what the test changes; `then` is filled by its slot."""
    return {"id": id_, "title": id_, "when": when or {}, "why": "a test", "confidence": "low", "basis": "judgement", **parts}


def write_rules(folder: Path, slot: str, *rules: dict[str, Any], name: str | None = None) -> Path:
    """A file of rules, as JSON, which is YAML too."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name or slot}.yaml"
    path.write_text(
        json.dumps({"slot": slot, "rules": [{**each, "then": each.get("then", THEN.get(slot, {}))} for each in rules]}, indent=1),
        encoding="utf-8",
    )
    return path


def declare(folder: Path) -> Path:
    """A folder with the shipped facts and slots, and no rules yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("facts.yaml", "slots.yaml"):
        shutil.copy(data_folder("rules") / name, folder / name)
    return folder


def knowledge_of(folder: Path, slot: str, *rules: dict[str, Any]) -> Knowledge:
    """The knowledge of a folder with these rules only."""
    write_rules(declare(folder), slot, *rules)
    return read_quickly(folder)


_PARSED = ParsedFiles(Path(os.devnull))


def read_quickly(folder: Path) -> Knowledge:
    """The knowledge of a folder; a file that some test has read before is not parsed again."""
    return read_knowledge(folder, documents=Documents(parse=_PARSED.parse))


def stated(values: dict[str, Value]) -> Facts:
    return {name: Fact(value, Origin.STATED) for name, value in values.items()}

"""The YAML files of a rule set: found, read, and checked against their shapes, with every fault at its place."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from advisor.errors import Fault, Place, did_you_mean
from advisor.located import Document, parse_yaml, path_text, read_text

FACTS_FILE, SLOTS_FILE, RETIRED_FILE = "facts.yaml", "slots.yaml", "retired.yaml"
NOT_RULES = (FACTS_FILE, SLOTS_FILE, RETIRED_FILE, "vocabulary.yaml")
MAX_PACK_FILES = 2_000

Steps = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


@dataclass
class Documents:
    """All that was read: the faults found so far, and a digest of the text."""

    faults: list[Fault] = field(default_factory=list)
    digest: Any = field(default_factory=hashlib.sha256)
    parse: Callable[[str, str], Document] = parse_yaml

    def fault(self, place: Place, message: str) -> None:
        self.faults.append(Fault(place, message))

    def read(self, path: Path) -> Document:
        """A file as plain data; an empty one is a fault, because it says nothing and looks as if it did."""
        text, faults = read_text(path)
        self.digest.update(path.name.encode() + b"\0" + text.encode() + b"\0")
        document = self.parse(text, shown_path(path)) if not faults else Document(None, shown_path(path), faults=faults)
        self.faults += document.faults
        if document.data is None and not document.faults:
            self.fault(Place(document.file), "is empty")
        return document

    def read_mapping(self, path: Path) -> tuple[Document, dict[str, Any]]:
        document = self.read(path)
        if document.data is not None and not isinstance(document.data, dict):
            self.fault(document.place(()), "must be a mapping of names to entries")
        return document, document.data if isinstance(document.data, dict) else {}

    def rule_files(self, folder: Path, *, is_pack: bool) -> list[Path]:
        """The folder's rule files by name, but for links that lead out of it and what is no file."""
        if not folder.is_dir():
            self.fault(Place(str(folder)), "no such folder of rules")
            return []
        found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".yaml", ".yml"))
        if len(found) > MAX_PACK_FILES:
            self.fault(Place(str(folder)), f"holds {len(found):,} rule files; at most {MAX_PACK_FILES:,} are read")
        if not found:
            self.fault(Place(str(folder)), "holds no rule file (*.yaml)")
        kept = []
        for path in found[:MAX_PACK_FILES]:
            problem = _problem_with_file(path, folder, is_pack)
            if problem is not None:
                self.fault(Place(shown_path(path.parent) + "/" + path.name), problem)
            elif path.name not in NOT_RULES:
                kept.append(path)
        return kept

    def validated(self, model: type[Model], document: Document, path: Steps, data: Any) -> Model | None:
        """The data as its type, or None with a fault for each place where it is not."""
        try:
            return model.model_validate(data)
        except ValidationError as error:
            for where, problems in _by_place(error, data).items():
                extra = problems[0]["type"] == "extra_forbidden"
                self.fault(document.place((*path, *where), key=extra), _said(problems, where, model))
            return None


def _problem_with_file(path: Path, folder: Path, is_pack: bool) -> str | None:
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # 3.11 and 3.12 raise the second for links in a circle
        return "is a link that leads nowhere"
    if not inside:
        return "is a link that leads out of its folder; copy the file into the pack"
    if not path.is_file():
        return "is not a file"
    if is_pack and path.name in NOT_RULES:
        return "cannot stand in a pack, which has rules and what they forbid; give the rules another file"
    return None


def _by_place(error: ValidationError, data: Any) -> dict[Steps, list[Any]]:
    """Pydantic's complaints by the place in the data: each branch of a union complains for itself."""
    found: dict[Steps, list[Any]] = defaultdict(list)
    for problem in error.errors(include_url=False):
        where: Steps = tuple(step for step in problem["loc"] if isinstance(step, str | int))
        if problem["type"] not in ("missing", "extra_forbidden"):
            where = _existing(data, where)
        found[where].append(problem)
    return found


def _existing(data: Any, where: Steps) -> Steps:
    for depth, step in enumerate(where):
        is_there = step in data if isinstance(data, dict) else isinstance(data, list) and isinstance(step, int) and step < len(data)
        if not is_there:
            return where[:depth]
        data = data[step]
    return where


def _said(problems: Sequence[Any], where: Steps, model: type[BaseModel]) -> str:
    """Pydantic's complaint in our words, with the nearest known name for a misspelt one."""
    kind, last = problems[0]["type"], str(where[-1]) if where else ""
    if kind == "extra_forbidden":
        parent = _model_at(model, where)
        return f"unknown field {last!r}{did_you_mean(last, parent.model_fields if parent else ())}"
    if kind == "missing":
        return f"the field {last!r} is missing"
    if kind == "string_pattern_mismatch" and last == "id":
        return f"id: {problems[0]['input']!r} must be two to five capitals and three digits, such as OPT012"
    if {problem["type"] for problem in problems} <= {"int_type", "float_type"} and len(problems) > 1:
        return f"{path_text(where)}: must be a number, not {problems[0]['input']!r}"
    near = ""
    if kind == "literal_error" and isinstance(problems[0]["input"], str):
        near = did_you_mean(problems[0]["input"], re.findall(r"'([^']*)'", problems[0]["ctx"]["expected"]))
    message = " or ".join(dict.fromkeys(problem["msg"] for problem in problems))
    return f"{path_text(where)}: {message}{near}" if where else f"{message}{near}"


def _model_at(model: type[BaseModel], where: Steps) -> type[BaseModel] | None:
    """The type whose field the last step is."""
    inner: type[BaseModel] | None = model
    for step in where[:-1]:
        if isinstance(step, str) and inner is not None:
            known = inner.model_fields.get(step)
            inner = _model_in(known.annotation) if known is not None else None
    return inner


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)


def shown_path(path: Path) -> str:
    """A path as people know it: relative to where they stand, where it lies below that."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError, RuntimeError):
        return str(path)

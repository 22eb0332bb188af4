"""What the shipped rule files parsed to, kept between runs by the hash of their text: JSON is read fifty times as fast as YAML.

It is plain JSON, read back through the same checks as the files themselves, so what lies there can be wrong and is never run.
Whatever is wrong with the file or its folder, the rules are parsed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from advisor.errors import Place
from advisor.located import Document, parse_yaml

FORMAT = "1"  # of an entry: the data, and line and column of each rule's id


@dataclass
class _Remembered(Document):
    """A document whose text is parsed only when somebody asks for a place that is not at hand."""

    text: str = ""
    ids: list[list[int]] = field(default_factory=list)

    def place(self, path: tuple[str | int, ...], *, key: bool = False) -> Place:
        match path:
            case ("rules", int(index), "id") if not key and index < len(self.ids):
                line, column = self.ids[index]
                return Place(self.file, line, column)
        if self._root is None:
            self._root = parse_yaml(self.text, self.file)._root
        return super().place(path, key=key)


class ParsedFiles:
    """The documents of one set of files. Safe for any number of processes; never raises."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known = _read(path)
        self._used: dict[str, Any] = {}

    def parse(self, text: str, file: str) -> Document:
        """As `parse_yaml`; a text with faults is parsed each time."""
        key = hashlib.sha256(text.encode()).hexdigest()
        entry = self._known.get(key) or self._used.get(key)
        if entry is not None and _is_entry(entry):
            self._used[key] = entry
            return _Remembered(entry["data"], file, text=text, ids=entry["ids"])
        document = parse_yaml(text, file)
        if not document.faults and isinstance(document.data, dict):
            rules = document.data.get("rules")
            places = [document.place(("rules", index, "id")) for index in range(len(rules) if isinstance(rules, list) else 0)]
            self._used[key] = {"data": document.data, "ids": [[place.line, place.column] for place in places]}
        return document

    def keep(self) -> None:
        """Write what was used, and nothing else, if it is not what lies there."""
        if self._used.keys() == self._known.keys():
            return
        with contextlib.suppress(OSError, ValueError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"format": FORMAT, "files": self._used}, file, separators=(",", ":"))
            Path(name).replace(self.path)


def _read(path: Path) -> dict[str, Any]:
    try:
        kept = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    files = kept.get("files") if isinstance(kept, dict) and kept.get("format") == FORMAT else None
    return files if isinstance(files, dict) else {}


def _is_entry(entry: Any) -> bool:
    """Whether an entry has the shape of one; what it says is checked like any document."""
    if not isinstance(entry, dict) or not isinstance(entry.get("data"), dict) or not isinstance(entry.get("ids"), list):
        return False
    return all(isinstance(spot, list) and len(spot) == 2 and all(isinstance(number, int) for number in spot) for spot in entry["ids"])

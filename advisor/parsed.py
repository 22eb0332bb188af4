"""What shipped YAML files parsed to, kept between runs by the hash of their text: JSON is read fifty times as fast as YAML.

It is plain JSON, read back through the same checks as the files themselves, so what lies there can be wrong and is never run.
Whatever is wrong with the file or its folder, the YAML is parsed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from advisor.errors import Place
from advisor.located import Document, parse_yaml

FORMAT = "2"  # of an entry: the data, and line and column of each place that a reading without faults asked for

Parse = Callable[[str, str], Document]


@dataclass
class _Remembering(Document):
    """A document that remembers its places, and whose text is parsed only when somebody asks for another."""

    text: str = ""
    places: dict[str, list[int]] = field(default_factory=dict)

    def place(self, path: tuple[str | int, ...], *, key: bool = False) -> Place:
        name = "/".join(map(str, path)) + ("#" if key else "")
        match self.places.get(name):
            case [int(line), int(column)]:
                return Place(self.file, line, column)
        if self._root is None:
            self._root = parse_yaml(self.text, self.file)._root
        place = super().place(path, key=key)
        if place.line is not None and place.column is not None:
            self.places[name] = [place.line, place.column]
        return place


class ParsedFiles:
    """The documents of one set of files. Safe for any number of processes; never raises."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known = _read(path)
        self._used: dict[str, Any] = {}
        self._asked = {key: len(entry["places"]) for key, entry in self._known.items()}

    def parse(self, text: str, file: str) -> Document:
        """As `parse_yaml`; a text with faults is parsed each time."""
        key = hashlib.sha256(text.encode()).hexdigest()
        entry, root = self._used.get(key) or self._known.get(key), None
        if entry is None:
            document = parse_yaml(text, file)
            if document.faults:
                return document
            entry, root = {"data": document.data, "places": {}}, document._root
        self._used[key] = entry
        return _Remembering(entry["data"], file, root, text=text, places=entry["places"])

    def keep(self) -> None:
        """Write what was used, and nothing else, if it is not what lies there."""
        if {key: len(entry["places"]) for key, entry in self._used.items()} == self._asked:
            return
        with contextlib.suppress(OSError, ValueError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"format": FORMAT, "files": self._used}, file, separators=(",", ":"))
            Path(name).replace(self.path)


@contextlib.contextmanager
def remembered(name: str) -> Iterator[Parse]:
    """Parses one set of shipped files, as remembered in the cache folder; what was parsed anew is kept if all went well."""
    from advisor.cache import cache_folder

    files = ParsedFiles(cache_folder() / f"{name}.json")
    yield files.parse
    files.keep()


def _read(path: Path) -> dict[str, Any]:
    try:
        kept = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    files = kept.get("files") if isinstance(kept, dict) and kept.get("format") == FORMAT else None
    return {key: entry for key, entry in files.items() if _is_entry(entry)} if isinstance(files, dict) else {}


def _is_entry(entry: Any) -> bool:
    """Whether an entry has the shape of one; what it says is checked like any document."""
    return isinstance(entry, dict) and "data" in entry and isinstance(entry.get("places"), dict)

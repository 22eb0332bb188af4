"""From a file, standard input, a mapping or `--set` to a `Request`. Every fault is found before any is raised, each at its place."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel

from advisor.errors import Fault, Place, RequestError, UsageError, did_you_mean
from advisor.located import MAX_BYTES, Document, decode, parse_json, parse_yaml, path_text, read_text
from advisor.request import Request
from advisor.request_shape import FACTS, Path_, annotation, described, fields, message

STDIN = "-"
# A mapping of a hundred thousand unknown names took half a minute to refuse, five megabytes of words four minutes to be read.
MOST_ENTRIES = 1000  # of one mapping or list; ten times as many as there are facts
MOST_CHARACTERS = 20_000  # in one text: seven pages
MAX_FACT_DEPTH = 8  # a fact's name has two or three parts; a mapping that holds itself has no end


def read_request(source: str | Path | Mapping[str, Any] | Request, *, settings: Sequence[str] = (), stdin: TextIO | None = None) -> Request:
    """The request in a YAML or JSON file, on standard input (`-`), or in a mapping, with `path=value` settings applied over it.

    Raises:
        RequestError: with every fault: at file, line and column, or at its path inside a mapping.
        UsageError: when a setting is not `path=value`.
    """
    if isinstance(source, Request) and not settings:
        return source
    document = _open(source, stdin)
    if document.faults:
        raise RequestError(document.faults)
    if not isinstance(document.data, Mapping):
        wanted = "a request is a mapping with task, data, constraints …"
        raise RequestError([Fault(document.place(()), f"{wanted}, not {described(document.data)}")])
    return _Given(document, _settings(settings)).request()


def apply_settings(raw: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """`raw` with each `path=value` set in it: a fact's value is read as a YAML scalar, a list's is split at commas, others are text.

    Raises:
        UsageError: when a setting is not `path=value`.
    """
    changed = {name: dict(value) if isinstance(value, Mapping) else value for name, value in raw.items()}
    for path, value in _settings(settings):
        _put(changed, path, value)
    return changed


# --- opening ---------------------------------------------------------------------------------------------------------


def _open(source: str | Path | Mapping[str, Any] | Request, stdin: TextIO | None) -> Document:
    if isinstance(source, Request):
        return Document(source.model_dump(by_alias=True, exclude_none=True), "")
    if isinstance(source, Mapping):
        return Document(source, "")
    if str(source) == STDIN:
        text, faults = _read_stdin(stdin or sys.stdin)
        name = "<stdin>"
    else:
        text, faults = read_text(Path(source))
        name = str(source)
    if faults:
        return Document(None, name, faults=faults)
    if not text.strip():
        return Document(None, name, faults=[Fault(Place(name), "is empty; it should hold at least task, with type and domain")])
    is_json = name.endswith(".json") or (not name.endswith((".yaml", ".yml")) and text.lstrip()[:1] in "{[")
    return parse_json(text, name) if is_json else parse_yaml(text, name)


def _read_stdin(stdin: TextIO) -> tuple[str, list[Fault]]:
    stream = getattr(stdin, "buffer", None)
    if stream is not None:
        return decode(stream.read(MAX_BYTES + 1), "<stdin>")
    text = stdin.read(MAX_BYTES + 1)
    return decode(text.encode("utf-8", "surrogatepass"), "<stdin>")


# --- settings --------------------------------------------------------------------------------------------------------


def _settings(settings: Iterable[str]) -> list[tuple[Path_, Any]]:
    """Each `path=value` as its path in the request's own spelling, and its value."""
    found: list[tuple[Path_, Any]] = []
    for setting in settings:
        name, equals, text = setting.partition("=")
        path = tuple(name.strip().split("."))
        if not equals or not all(path) or (len(path) == 1 and path != ("challenges",)):
            raise UsageError(
                f"--set {setting!r} is not path=value, such as facts.data.classes=10 or 'constraints.latencyRequirement=10 ms'"
            )
        if path[0] == FACTS:
            found.append(((FACTS, ".".join(path[1:])), _scalar(setting, text)))
        else:
            camel = tuple(to_camel(part) for part in path)
            found.append((camel, _setting_value(camel, setting, text)))
    return found


def _scalar(setting: str, text: str) -> Any:
    document = parse_yaml(text, "")
    if document.faults or document.data is None or isinstance(document.data, list | dict):
        raise UsageError(f"--set {setting!r}: a fact's value is one number, word, or true or false")
    return document.data


def _setting_value(path: Path_, setting: str, text: str) -> Any:
    kind = str(annotation(path))
    if "bool" in kind:
        return _scalar(setting, text)
    return [part.strip() for part in text.split(",")] if "list" in kind else text


def _put(raw: dict[str, Any], path: Path_, value: Any) -> None:
    section, *rest = path
    section = next((name for name in raw if isinstance(name, str) and to_camel(name) == section), section)
    if not rest:
        raw[str(section)] = value
        return
    inside = dict(raw[str(section)]) if isinstance(raw.get(str(section)), Mapping) else {}
    if section == FACTS:
        inside = {name: kept for name, kept in _flat(inside) if name != rest[0]}
    else:
        inside = {name: kept for name, kept in inside.items() if to_camel(str(name)) != rest[0]}
    here = inside
    for step in rest[:-1]:
        here = here.setdefault(str(step), {})
    here[str(rest[-1])] = value
    raw[str(section)] = inside


def _flat(facts: Mapping[Any, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """`{data: {classes: 10}}` as `data.classes: 10`."""
    for name, value in facts.items():
        if isinstance(value, Mapping) and depth < MAX_FACT_DEPTH:
            yield from _flat(value, f"{prefix}{name}.", depth + 1)
        else:
            yield f"{prefix}{name}", value


E = TypeVar("E")


# --- validation ------------------------------------------------------------------------------------------------------


@dataclass
class _Given:
    """A document with the settings over it, on its way to a request."""

    document: Document
    settings: list[tuple[Path_, Any]]

    def request(self) -> Request:
        self.faults: list[Fault] = []
        self.written: dict[Path_, Path_] = {}
        raw = dict(self.document.data)
        for path, value in self.settings:
            _put(raw, path, value)
        data = self._canonical(raw, Request, (), ())
        self._flatten_facts(data)
        try:
            request = Request.model_validate(data)
        except ValidationError as error:
            self._collect(error, data)
        if self.faults:
            raise RequestError(sorted(set(self.faults)))
        return request

    def place(self, path: Path_, *, key: bool = False) -> Place:
        """Where it was written; for a setting or a mapping, the path alone."""
        if not self.document.file or any(path[: len(set_)] == set_ for set_, _ in self.settings):
            return Place(path=path_text(path))
        known = next((size for size in range(len(path), 0, -1) if path[:size] in self.written), 0)
        spot = self.document.place((*self.written.get(path[:known], ()), *path[known:]), key=key)
        return Place(spot.file, spot.line, spot.column, path_text(path))

    def _canonical(self, raw: Mapping[Any, Any], model: type[BaseModel], path: Path_, written: Path_) -> dict[str, Any]:
        """`raw` with every field under its wire name; unknown fields and fields given in both spellings become faults."""
        known, found = fields(model), dict[str, Any]()
        for key, value in self._few(list(raw.items()), path):
            name = to_camel(key) if isinstance(key, str) else key
            here, there = (*path, name), (*written, key)
            self.written[here] = there
            if name not in known:
                cut = " (in {…} a text with a comma in it needs quotes)" if value is None and " " in str(key) else ""
                message = f"unknown field {key!r}{did_you_mean(str(key), known)}{cut}; known are {', '.join(known)}"
                self._fault((*path, key), message, key=True)
            elif name in found:
                self._fault(here, f"is given twice, as {name!r} and {key!r}", key=True)
            elif value is None and path == ():
                continue  # an empty section says nothing
            elif isinstance(known[name], type) and issubclass(known[name], BaseModel) and isinstance(value, Mapping):
                found[name] = self._canonical(value, known[name], here, there)
            else:
                found[name] = self._few(value, here) if isinstance(value, list) else value
                for text in found[name] if isinstance(value, list) else [value]:
                    if isinstance(text, str) and len(text) > MOST_CHARACTERS:
                        self._fault(here, f"is {len(text):,} characters long; say it in at most {MOST_CHARACTERS:,}")
        return found

    def _few(self, entries: list[E], path: Path_) -> list[E]:
        """The entries, or none and a fault where there are more than anybody means."""
        if len(entries) <= MOST_ENTRIES:
            return entries
        self._fault(path, f"has {len(entries):,} entries; at most {MOST_ENTRIES:,} are read")
        return []

    def _flatten_facts(self, data: dict[str, Any]) -> None:
        if not isinstance(data.get(FACTS), Mapping):
            return
        flat: dict[str, Any] = {}
        for name, value in self._few(list(_flat(data[FACTS])), (FACTS,)):
            path = (FACTS, *name.split(".")) if name not in data[FACTS] else (FACTS, name)
            self.written[FACTS, name] = path
            if name in flat:
                self._fault((FACTS, name), "is given twice")
            elif isinstance(value, list | tuple | set | Mapping) or value is None:
                self._fault((FACTS, name), f"a fact is one number, word, or true or false, not {described(value)}")
            else:
                flat[name] = value
        data[FACTS] = flat

    def _fault(self, path: Path_, message: str, *, key: bool = False) -> None:
        self.faults.append(Fault(self.place(path, key=key), message))

    def _collect(self, error: ValidationError, data: Mapping[str, Any]) -> None:
        seen = set()
        for problem in error.errors(include_url=False):
            path, value = _within(data, problem["loc"])
            if path in seen:  # a union complains once for each of its members
                continue
            missing = problem["type"] == "missing"
            path = tuple(problem["loc"]) if missing else path
            seen.add(path)
            self._fault(path, message(path, problem["type"], value, problem["msg"]))


def _within(data: Any, location: Path_) -> tuple[Path_, Any]:
    """The part of Pydantic's location that is in the data: it also names members of unions."""
    path: Path_ = ()
    for step in location:
        inside = data if isinstance(data, Mapping) else dict(enumerate(data)) if isinstance(data, list) else {}
        if step not in inside:
            break
        data, path = inside[step], (*path, step)
    return path, data

"""YAML and JSON as plain data that remembers where everything stood.

YAML is read by the core schema of YAML 1.2, not PyYAML's 1.1: `1e-4` is a number, `no` a string, `010` ten, a date a
string. Loading is safe: no tags, no code, bounded size, depth and aliases; duplicate keys are faults.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from advisor.errors import Fault, Place

try:
    from yaml import CSafeLoader as _BaseLoader
except ImportError:  # PyYAML built without libyaml: slower, same results
    from yaml import SafeLoader as _BaseLoader  # type: ignore[assignment]

MAX_BYTES = 5_000_000
MAX_DEPTH = 64
MAX_NODES = 500_000
# libyaml's composer recurses on the C stack without a guard: 20,000 levels overran 8 MiB of it, 10,000 did not (PyYAML 6.0.3).
SAFE_OPENERS = 5_000

LONGEST_NAME = 1024  # of a mapping's keys, in JSON's form: YAML 1.2, 7.4.2; in all else the grammar of JSON is YAML's
_MISPLACED = "expected"  # as libyaml, and PyYAML without it, say of a text that breaks the grammar
_COLLECTION_TAGS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_INDENTS = re.compile(r"^[ ?:-]*", re.MULTILINE)
_ESCAPED_PAIR = re.compile(r"(\\\\)|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")

_CORE_SCALARS = (
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
)


class _CoreLoader(_BaseLoader):
    """Scalars resolved by YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own class attribute


for _tag, _pattern, _first in _CORE_SCALARS:
    _CoreLoader.add_implicit_resolver(_tag, re.compile(rf"^(?:{_pattern})$"), list(_first))


@dataclass
class Document:
    """Plain data, the file it came from, and where each part of it stood."""

    data: Any
    file: str
    _root: yaml.Node | None = None
    faults: list[Fault] = field(default_factory=list)

    def place(self, path: tuple[str | int, ...], *, key: bool = False) -> Place:
        """Where the value at `path` stands, or its nearest ancestor; the key rather than the value if `key`."""
        node, at = self._root, self._root
        for step in path:
            following = _child(node, step)
            if following is None:
                break
            name, node = following
            at = name if key and step == path[-1] else node
        if at is None:
            return Place(file=self.file, path=path_text(path))
        return Place(self.file, at.start_mark.line + 1, at.start_mark.column + 1)


def path_text(path: tuple[str | int, ...]) -> str:
    """`task.type`, `data.items[3]`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def _child(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((name, value) for name, value in node.value if name.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


def read_text(path: Path) -> tuple[str, list[Fault]]:
    """A file's text, or the one fault that keeps it from being read."""
    here = Place(file=str(path))
    try:
        if path.is_dir():
            return "", [Fault(here, "is a folder; give a YAML or JSON file")]
        if not path.exists():
            return "", [Fault(here, "no such file")]
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            return "", [Fault(here, f"is {path.stat().st_size:,} bytes long; at most {MAX_BYTES:,} are read")]
        raw = path.read_bytes()
    except OSError as error:
        return "", [Fault(here, f"cannot be read: {error.strerror or error}")]
    return decode(raw, str(path))


def decode(raw: bytes, file: str) -> tuple[str, list[Fault]]:
    """UTF-8 text without a byte-order mark, or the fault with its line and column."""
    if len(raw) > MAX_BYTES:
        return "", [Fault(Place(file), f"is longer than {MAX_BYTES:,} bytes, which is all that is read")]
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        return "", [
            Fault(Place(file, line, column), f"is not UTF-8 text (byte 0x{raw[error.start]:02x}); a binary file, or another encoding?")
        ]
    if "\x00" in text:
        return "", [Fault(Place(file, text.count("\n", 0, text.index("\x00")) + 1), "holds a NUL character; is it a binary file?")]
    return text, []


def parse_yaml(text: str, file: str) -> Document:
    """One YAML (or JSON) document. Faults are collected in the result; `data` is None where nothing could be read."""
    document = Document(None, file)
    if _may_exhaust_stack(text):
        return Document(None, file, faults=[Fault(Place(file), f"is nested deeper than {MAX_DEPTH} levels")])
    loader = _CoreLoader(text)
    try:
        document._root = loader.get_single_node()
        if document._root is not None:
            document.data = _Constructor(document).build(document._root, (), 0)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
        reason = " ".join(part for part in (error.context, error.problem) if part)
        document.faults.append(Fault(place, f"is not valid YAML: {reason}"))
    except yaml.YAMLError as error:
        position = getattr(error, "position", None)
        place = Place(file, text.count("\n", 0, position) + 1) if position is not None else Place(file)
        document.faults.append(Fault(place, f"is not valid YAML: {getattr(error, 'reason', error)}"))
    except RecursionError:
        document.faults.append(Fault(Place(file), f"is nested deeper than {MAX_DEPTH} levels"))
    finally:
        loader.dispose()
    return document


def _may_exhaust_stack(text: str) -> bool:
    """Whether composing `text` could overrun the C stack: told from its parser's events, where it opens enough to be able to."""
    if text.count("[") + text.count("{") + max((len(run) for run in _INDENTS.findall(text)), default=0) < SAFE_OPENERS:
        return False
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_BaseLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > SAFE_OPENERS:
                return True
    except yaml.YAMLError:  # said again, with its place, when the text is composed
        return False
    return False


class _Constructor:
    """Plain data from nodes; tags, bombs, deep nesting and duplicate keys become faults."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.nodes = 0
        self.stopped = False

    def fault(self, node: yaml.Node, message: str) -> None:
        place = Place(self.document.file, node.start_mark.line + 1, node.start_mark.column + 1)
        self.document.faults.append(Fault(place, message))

    def build(self, node: yaml.Node, path: tuple[str | int, ...], depth: int) -> Any:
        self.nodes += 1
        if self.stopped:
            return None
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            self.stopped = True
            self.fault(
                node,
                f"expands to more than {MAX_NODES:,} values" if self.nodes > MAX_NODES else f"is nested deeper than {MAX_DEPTH} levels",
            )
            return None
        if isinstance(node, yaml.CollectionNode) and node.tag not in _COLLECTION_TAGS:
            self.fault(node, f"the tag {node.tag!r} is not allowed; plain values only")
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, index), depth + 1) for index, item in enumerate(node.value)]
        return self.scalar(node)

    def mapping(self, node: yaml.MappingNode, path: tuple[str | int, ...], depth: int) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode):
                self.fault(name, "a key must be a plain word")
                continue
            if name.value in built:
                self.fault(name, f"the key {name.value!r} stands here a second time")
            built[name.value] = self.build(value, (*path, name.value), depth + 1)
        return built

    def scalar(self, node: yaml.Node) -> Any:
        kind, text = node.tag.rpartition(":")[2], node.value
        if kind == "str":
            return text
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind == "int":
            try:
                return int(text, 8 if text.startswith("0o") else 16 if text.startswith("0x") else 10)
            except ValueError:  # more digits than Python converts
                self.fault(node, f"is not a number that can be used: {text[:20]}…")
                return None
        if kind == "float":
            return float(re.sub(r"\.(?=inf|nan)", "", text.lower()))
        self.fault(node, f"the tag {node.tag!r} is not allowed; plain values only")
        return None


def parse_json(text: str, file: str) -> Document:
    """One JSON document, strictly: no NaN, no duplicate keys. Positions come from reading it as YAML, of which it is a part."""
    try:
        data = json.loads(text, parse_constant=_reject_constant)
    except json.JSONDecodeError as error:
        return Document(None, file, faults=[Fault(Place(file, error.lineno, error.colno), f"is not valid JSON: {error.msg}")])
    except RecursionError:
        return Document(None, file, faults=[Fault(Place(file), f"is nested deeper than {MAX_DEPTH} levels")])
    except ValueError as error:
        return Document(None, file, faults=[Fault(Place(file), f"is not valid JSON: {error}")])
    document = parse_yaml(_ESCAPED_PAIR.sub(_unescaped_pair, text.replace("\t", " ")), file)
    if not document.faults:
        document.data = data  # YAML folds U+2028 and U+0085 inside strings, JSON keeps them
    elif _MISPLACED in document.faults[0].message:
        document.faults = [
            Fault(document.faults[0].place, f"has a name that takes more than {LONGEST_NAME:,} characters with its quotes: shorten it")
        ]
    return document


def _unescaped_pair(found: re.Match[str]) -> str:
    """The character that two escaped surrogates stand for: JSON writes it so, YAML refuses it. An escaped backslash stays."""
    return found[0] if found[1] else str(json.loads(f'"{found[0]}"'))


def _reject_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")

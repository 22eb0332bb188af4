"""A new rule with its examples in place, put at the end of the right file. Nothing that stands there is changed."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, get_args

import yaml
from pydantic import TypeAdapter

from advisor.engine.documents import NOT_RULES
from advisor.engine.loading import Knowledge
from advisor.engine.rules import RULE_ID, Slot
from advisor.errors import Fault, Place, UsageError, did_you_mean
from advisor.located import parse_yaml, read_text
from advisor.resources import data_folder

UNFINISHED = "TODO"
INDENT = "  "


def add_rule(knowledge: Knowledge, slot_name: str, id_: str, folder: Path) -> Path:
    """Append the scaffold of a rule to the slot's file in `folder`, or start the file; returns its path.

    Raises:
        UsageError: no such slot, an id that is taken or none, or a file that a rule cannot be put into.
    """
    slot = knowledge.rules.slot.get(slot_name)
    if slot is None:
        raise UsageError(
            f"{slot_name}: no such slot{did_you_mean(slot_name, knowledge.rules.slot)}; known: {', '.join(knowledge.rules.slot)}"
        )
    if not re.fullmatch(RULE_ID, id_):
        raise UsageError(f"{id_}: an id is two to five capitals and three digits, such as {_free_id(knowledge, slot_name)}")
    if id_ in knowledge.rules.by_id:
        taken = knowledge.rules.by_id[id_].place
        raise UsageError(f"{id_}: taken by the rule at {taken}; the next free one is {_free_id(knowledge, slot_name)}")
    if id_ in knowledge.rules.retired:
        raise UsageError(f"{id_}: belonged to a retired rule; the next free one is {_free_id(knowledge, slot_name)}")
    path = _file_of(folder, slot_name)
    before, faults = read_text(path) if path.exists() else ("", [])
    if faults:
        raise UsageError(faults)
    after = (
        _appended(before, path, _rule_text(slot, id_))
        if before.strip()
        else _started(slot_name, folder) + _indented(_rule_text(slot, id_), INDENT)
    )
    _check_same(before, after, path, id_)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(after, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path


def _free_id(knowledge: Knowledge, slot_name: str) -> str:
    ids = [rule.id for rule in knowledge.rules.rules[slot_name]] or [f"{slot_name[:3].upper()}000"]
    letters = ids[-1][:-3]
    taken = [int(id_[-3:]) for id_ in {*knowledge.rules.by_id, *knowledge.rules.retired} if id_[:-3] == letters]
    return f"{letters}{max(taken, default=0) + 1:03}"


def _file_of(folder: Path, slot_name: str) -> Path:
    """The first file that holds rules of the slot, or the one to start."""
    for path in sorted(folder.rglob("*.yaml")) if folder.is_dir() else ():
        text, faults = read_text(path)
        data = parse_yaml(text, str(path)).data if path.name not in NOT_RULES and not faults else None
        if isinstance(data, dict) and data.get("slot") == slot_name:
            return path
    fresh = folder / f"{slot_name}.yaml"
    if fresh.exists():
        raise UsageError(f"{fresh}: holds rules for another slot; rename it first")
    return fresh


def _started(slot_name: str, folder: Path) -> str:
    schema = Path(os.path.relpath(data_folder("schemas") / "rule.schema.json", folder)).as_posix()
    return f"# yaml-language-server: $schema={schema}\nslot: {slot_name}\nrules:\n"


def _appended(before: str, path: Path, rule: str) -> str:
    """The text with the rule after the last one of `rules`, in the indentation that stands there."""
    root = yaml.compose(before, Loader=yaml.SafeLoader)
    listed = next((value for name, value in root.value if name.value == "rules"), None) if isinstance(root, yaml.MappingNode) else None
    if not isinstance(listed, yaml.SequenceNode) or listed.flow_style or not listed.value:
        raise UsageError([Fault(Place(str(path)), "has no block list of rules to add to; write `rules:` and a rule under it")])
    lines = before.splitlines(keepends=True)
    after = listed.value[-1].end_mark  # a block ends where the next thing begins, a flow on its own line
    end = after.line if after.column == 0 else after.line + 1
    while not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#"):
        end -= 1
    if not lines[end - 1].endswith("\n"):
        lines[end - 1] += "\n"
    return "".join([*lines[:end], "\n", _indented(rule, " " * listed.start_mark.column), *lines[end:]])


def _check_same(before: str, after: str, path: Path, id_: str) -> None:
    """Refuse where the file would say something else than it did and the new rule."""
    old, new = parse_yaml(before, str(path)), parse_yaml(after, str(path))
    expected = dict(old.data) if isinstance(old.data, dict) else {"slot": new.data["slot"], "rules": []}
    added = new.data["rules"][-1] if isinstance(new.data, dict) and new.data.get("rules") else {}
    expected["rules"] = [*(expected.get("rules") or []), added]
    if new.faults or new.data != expected or added.get("id") != id_:
        raise UsageError([Fault(Place(str(path)), f"is written in a way that {id_} cannot be put into; add it by hand")])


def _indented(text: str, indent: str) -> str:
    return "".join(f"{indent}{line}" if line.strip() else line for line in text.splitlines(keepends=True))


# --- the text of a rule ----------------------------------------------------------------------------------------------


def _rule_text(slot: Slot, id_: str) -> str:
    value = yaml.safe_dump(_placeholder(slot), default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000).strip()
    return f"""- id: {id_}
  title: {UNFINISHED} say in a few words what this rule does
  when: {{task.kind: {{eq: image_classification}}, data.samples: {{ge: 1000}}}}
  then: {value}
  why: {UNFINISHED} say why, so that a reader can agree or disagree
  confidence: low
  basis: judgement
  sources: []
  examples:
    - {{expect: match, facts: {{task.kind: image_classification, data.samples: 1000}}}}
    - {{expect: match, facts: {{task.kind: image_classification, data.samples: 1001}}}}
    - {{expect: no-match, facts: {{task.kind: image_classification, data.samples: 999}}}}
    - {{expect: no-match, facts: {{task.kind: text_classification, data.samples: 1000}}}}
    - {{expect: unknown, facts: {{task.kind: image_classification}}}}
"""


def _placeholder(slot: Slot) -> dict[str, Any]:
    """A value of the slot's type: its required fields, each with the plainest value that is allowed; a range where one must be given."""
    fields = slot.choice.model_fields
    needed = [name for name, field in fields.items() if field.is_required()]
    made = {name: _plainest(Annotated[fields[name].annotation, fields[name]]) for name in needed}
    ranges = ({name: [1, 2]} for name in fields if name not in made)
    return next(value for value in (made, *({**made, **range_} for range_ in ranges)) if _is_allowed(slot.choice, value))


def _is_allowed(annotation: Any, value: Any, *, strict: bool = False) -> bool:
    try:
        TypeAdapter(annotation).validate_python(value, strict=strict)
    except ValueError:
        return False
    return True


def _plainest(annotation: Any) -> Any:
    words = [f"{UNFINISHED} say it", *_words(annotation)]
    values = (words[0], 1, 2, True, *words[1:], *([word] for word in words))
    return next(value for value in values if _is_allowed(annotation, value, strict=True))


def _words(annotation: Any) -> list[str]:
    """The words of every `Literal` in a type."""
    return [word for part in get_args(annotation) for word in ([part] if isinstance(part, str) else _words(part))]

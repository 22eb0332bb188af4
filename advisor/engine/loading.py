"""From the YAML files to a compiled rule set. Every fault in every file is reported at once, with its line and column."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import BaseModel, ValidationError

from advisor import choices
from advisor.engine.region import Box, Domain, domain_of
from advisor.engine.rules import OPERATORS, Forbidding, Rule, RuleFile, RuleSet, RuleText, Slot, SlotFile, StageText
from advisor.engine.vocabulary import FactSpec, Vocabulary
from advisor.errors import Fault, KnowledgeError, Place, did_you_mean
from advisor.located import Document, parse_yaml, path_text, read_text
from advisor.resources import data_folder

FACTS_FILE, SLOTS_FILE = "facts.yaml", "slots.yaml"
NOT_RULES = (FACTS_FILE, SLOTS_FILE, "vocabulary.yaml", "retired.yaml")
SHIPPED = "shipped"
MAX_PACK_FILES = 2_000

Path_ = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Knowledge:
    """The fact vocabulary and the rule set that speaks it."""

    vocabulary: Vocabulary
    rules: RuleSet


@cache
def load_knowledge(packs: tuple[Path, ...] = ()) -> Knowledge:
    """The shipped rules, and a user's packs over them.

    Raises:
        KnowledgeError: with every fault found, each at its file, line and column.
    """
    reader = _Reader()
    knowledge = reader.read(data_folder("rules"), packs)
    if reader.faults:
        raise KnowledgeError(sorted(set(reader.faults)))
    return knowledge


def load_rules(packs: tuple[Path, ...] = ()) -> RuleSet:
    """The rule set alone."""
    return load_knowledge(packs).rules


def load_vocabulary() -> Vocabulary:
    """The fact vocabulary alone, with the facts that decisions add."""
    return load_knowledge().vocabulary


@dataclass
class _Reader:
    faults: list[Fault] = field(default_factory=list)
    vocabulary: dict[str, FactSpec] = field(default_factory=dict)
    slots: dict[str, Slot] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)
    forbids: list[Forbidding] = field(default_factory=list)
    digest: Any = field(default_factory=hashlib.sha256)

    def read(self, shipped: Path, packs: Sequence[Path]) -> Knowledge:
        self._read_vocabulary(self._document(shipped / FACTS_FILE))
        self._read_slots(self._document(shipped / SLOTS_FILE))
        retired = self._retired(shipped)
        for folder, pack in [(shipped, SHIPPED), *((pack, str(pack)) for pack in packs)]:
            for path in self._rule_files(folder):
                self._read_rules(self._document(path), pack, retired)
        self._check_overrides()
        ordered = sorted(self.rules.values(), key=lambda rule: rule.id)
        by_slot = {name: tuple(rule for rule in ordered if rule.slot == name and not rule.deprecated) for name in self.slots}
        rule_set = RuleSet(tuple(self.slots.values()), by_slot, tuple(self.forbids), self.digest.hexdigest()[:16])
        return Knowledge(self.vocabulary, rule_set)

    # --- files ---

    def _document(self, path: Path) -> Document:
        text, faults = read_text(path)
        self.digest.update(path.name.encode() + b"\0" + text.encode() + b"\0")
        document = parse_yaml(text, _shown(path)) if not faults else Document(None, _shown(path), faults=faults)
        self.faults += document.faults
        return document

    def _rule_files(self, folder: Path) -> list[Path]:
        if not folder.is_dir():
            self.fault(Place(str(folder)), "no such folder of rules")
            return []
        inside = folder.resolve()
        found = sorted(path for path in folder.rglob("*.y*ml") if path.suffix in (".yaml", ".yml") and path.name not in NOT_RULES)
        if len(found) > MAX_PACK_FILES:
            self.fault(Place(str(folder)), f"holds {len(found):,} rule files; at most {MAX_PACK_FILES:,} are read")
        kept = []
        for path in found[:MAX_PACK_FILES]:
            if path.resolve().is_relative_to(inside):
                kept.append(path)
            else:
                self.fault(Place(_shown(path)), "is a link that leads out of its folder; copy the file into the pack")
        return kept

    def _retired(self, shipped: Path) -> set[str]:
        """Ids that were used once and may not be used again."""
        path = shipped / "retired.yaml"
        return set(self._document(path).data or ()) if path.exists() else set()

    # --- faults ---

    def fault(self, place: Place, message: str) -> None:
        self.faults.append(Fault(place, message))

    def _validated(self, model: type[Model], document: Document, path: Path_, data: Any) -> Model | None:
        try:
            return model.model_validate(data)
        except ValidationError as error:
            for problem in error.errors():
                where = tuple(step for step in problem["loc"] if isinstance(step, str | int))
                extra = problem["type"] == "extra_forbidden"
                message = _said(problem["type"], problem["msg"], where, model)
                self.fault(document.place((*path, *where), key=extra), message)
            return None

    # --- vocabulary and slots ---

    def _read_vocabulary(self, document: Document) -> None:
        for name, entry in (document.data or {}).items():
            spec = self._validated(FactSpec, document, (name,), {**entry, "name": name} if isinstance(entry, dict) else entry)
            if spec is not None:
                self.vocabulary[name] = spec

    def _read_slots(self, document: Document) -> None:
        file = self._validated(SlotFile, document, (), document.data)
        if file is None:
            return
        stages = {stage.name: stage for stage in file.stages}
        order = list(stages)
        for name, slot in sorted(file.slots.items(), key=lambda item: order.index(item[1].stage) if item[1].stage in stages else -1):
            place = document.place(("slots", name), key=True)
            stage = stages.get(slot.stage)
            choice = getattr(choices, slot.type, None)
            if stage is None:
                self.fault(document.place(("slots", name, "stage")), f"unknown stage {slot.stage!r}{did_you_mean(slot.stage, stages)}")
            elif not (isinstance(choice, type) and issubclass(choice, choices.Choice)):
                self.fault(document.place(("slots", name, "type")), f"unknown type {slot.type!r}{did_you_mean(slot.type, dir(choices))}")
            else:
                self._add_slot(document, name, slot, stage, choice, place)
        for name, slot in file.slots.items():
            for index, fact in enumerate(slot.specificity):
                self._spec(fact, document.place(("slots", name, "specificity", index)))

    def _add_slot(self, document: Document, name: str, slot: Any, stage: StageText, choice: type[choices.Choice], place: Place) -> None:
        default = None if slot.default is None else self._validated(choice, document, ("slots", name, "default"), slot.default)
        made = Slot(name, slot.stage, stage.per, choice, slot.hit, slot.presence, default, slot.path, tuple(slot.specificity), place)
        self.slots[name] = made
        spec = decision_fact(made)
        if spec is not None:
            self.vocabulary[spec.name] = spec

    def _spec(self, fact: str, place: Place) -> FactSpec | None:
        spec = self.vocabulary.get(fact)
        if spec is None:
            self.fault(place, f"unknown fact {fact!r}{did_you_mean(fact, self.vocabulary)}")
        return spec

    # --- rules ---

    def _read_rules(self, document: Document, pack: str, retired: set[str]) -> None:
        if document.data is None:
            return
        file = self._validated(RuleFile, document, (), document.data)
        if file is None:
            return
        slot = self.slots.get(file.slot)
        if slot is None:
            self.fault(document.place(("slot",)), f"unknown slot {file.slot!r}{did_you_mean(file.slot, self.slots)}")
            return
        for index, data in enumerate(file.rules):
            self._read_rule(document, ("rules", index), data, slot, pack, retired)
        for index, data in enumerate(file.forbid):
            self._read_forbid(document, ("forbid", index), data)

    def _read_rule(self, document: Document, path: Path_, data: Any, slot: Slot, pack: str, retired: set[str]) -> None:
        before = len(self.faults)
        text = self._validated(RuleText, document, path, data)
        raw = data if isinstance(data, dict) else {}
        when = self._box(document, (*path, "when"), raw.get("when"))
        any_of = self._boxes(document, (*path, "any"), raw.get("any"))
        unless = self._boxes(document, (*path, "unless"), raw.get("unless"))
        choice = self._validated(slot.choice, document, (*path, "then"), raw["then"]) if "then" in raw else None
        if text is not None:
            self._check_id(document.place((*path, "id")), text.id, pack, retired)
            self._check_examples(document, path, text)
        if text is None or choice is None or len(self.faults) > before:
            return
        place = document.place((*path, "id"))
        self.rules[text.id] = Rule(
            text.id, slot.name, text.title, when, any_of, unless, frozenset(text.overrides), choice, text.why, text.confidence,
            text.basis, tuple(text.sources), tuple(text.examples), place, pack, slot.specificity, text.status == "deprecated", text)  # fmt: skip

    def _check_id(self, place: Place, rule_id: str, pack: str, retired: set[str]) -> None:
        earlier = self.rules.get(rule_id)
        if earlier is not None and earlier.pack == pack:
            self.fault(place, f"the id {rule_id} is taken by the rule at {earlier.place}")
        if rule_id in retired:
            self.fault(place, f"the id {rule_id} belonged to a retired rule; ids are never used again")

    def _read_forbid(self, document: Document, path: Path_, data: Any) -> None:
        entry = dict(data) if isinstance(data, dict) else {}
        unknown = set(entry) - {"id", "when", "why"}
        if unknown or not {"id", "when", "why"} <= set(entry):
            self.fault(document.place(path), "a forbid entry has exactly the keys id, when and why")
            return
        box = self._box(document, (*path, "when"), entry["when"])
        self.forbids.append(Forbidding(str(entry["id"]), box, str(entry["why"]), document.place((*path, "id"))))

    def _boxes(self, document: Document, path: Path_, written: Any) -> tuple[Box, ...]:
        return tuple(self._box(document, (*path, index), box) for index, box in enumerate(written)) if isinstance(written, list) else ()

    def _box(self, document: Document, path: Path_, written: Any) -> Box:
        box: dict[str, Domain] = {}
        for name, operators in written.items() if isinstance(written, dict) else ():
            fact = name.replace("candidate.", "model.", 1) if name.startswith("candidate.") else name
            spec = self._spec(fact, document.place((*path, name), key=True))
            if spec is not None and self._legal(document, (*path, name), spec, operators):
                box[fact] = domain_of(spec, operators)
        return box

    def _legal(self, document: Document, path: Path_, spec: FactSpec, operators: Mapping[str, Any]) -> bool:
        if not isinstance(operators, Mapping) or not operators:
            self.fault(document.place(path), f"must be a mapping of operators ({', '.join(OPERATORS)}) to values")
            return False
        problems = [(name, _problem(spec, name, operand)) for name, operand in operators.items()]
        for name, problem in problems:
            if problem:
                self.fault(document.place((*path, name), key=name not in OPERATORS), problem)
        return not any(problem for _, problem in problems)

    def _check_examples(self, document: Document, path: Path_, text: RuleText) -> None:
        for index, example in enumerate(text.examples):
            for name, value in example.facts.items():
                place = document.place((*path, "examples", index, "facts", name), key=True)
                spec = self._spec(name, place)
                problem = spec.problem_with(value) if spec else None
                if problem:
                    self.fault(place, f"{name} {problem}{_near_value(spec, value)}")

    def _check_overrides(self) -> None:
        for rule in self.rules.values():
            for target in sorted(rule.overrides):
                if target not in self.rules:
                    self.fault(rule.place, f"{rule.id} overrides the unknown rule {target!r}{did_you_mean(target, self.rules)}")
                elif self.rules[target].slot != rule.slot:
                    self.fault(rule.place, f"{rule.id} overrides {target}, which fills another slot ({self.rules[target].slot})")
        for cycle in override_cycles(self.rules):
            self.fault(self.rules[cycle[0]].place, f"rules override each other in a circle: {' > '.join((*cycle, cycle[0]))}")


def override_cycles(rules: Mapping[str, Rule]) -> list[tuple[str, ...]]:
    """Each circle of `overrides`, once, starting at its smallest id."""
    found: set[tuple[str, ...]] = set()
    settled: set[str] = set()
    for start in sorted(rules):
        trail: list[str] = []
        pending: list[tuple[str, int]] = [(start, 0)]
        while pending:
            current, depth = pending.pop()
            del trail[depth:]
            if current in trail:
                cycle = trail[trail.index(current) :]
                turn = cycle.index(min(cycle))
                found.add(tuple(cycle[turn:] + cycle[:turn]))
                continue
            if current in settled or current not in rules:
                continue
            trail.append(current)
            pending += [(target, depth + 1) for target in sorted(rules[current].overrides)]
        settled.add(start)
    return sorted(found)


def decision_fact(slot: Slot) -> FactSpec | None:
    """The fact `decision.<slot>`, typed by the choice's `name`, or its `enabled`."""
    if slot.fact is None:
        return None
    hints = get_type_hints(slot.choice)
    if "enabled" in hints:
        return FactSpec(name=slot.fact, type="bool", derived=True)
    if "name" not in hints:
        return None
    values = get_args(hints["name"])
    about = f"What was decided for the slot {slot.name}."
    return FactSpec(name=slot.fact, type="enum" if values else "name", values=values, derived=True, about=about)


def _problem(spec: FactSpec, operator: str, operand: Any) -> str | None:
    if operator not in OPERATORS:
        return f"unknown operator {operator!r}{did_you_mean(operator, OPERATORS)}; known are {', '.join(OPERATORS)}"
    if operator in ("lt", "le", "gt", "ge") and not spec.is_numeric:
        return f"{operator!r} orders numbers, and {spec.name} is a {spec.type}"
    if operator == "in" and (not isinstance(operand, list) or not operand):
        return "'in' takes a list of at least one value"
    for value in operand if operator == "in" else [operand]:
        problem = FactSpec.problem_with(spec.model_copy(update={"min": None, "max": None}), value)
        if problem:
            return f"{spec.name} {problem}{_near_value(spec, value)}"
    return None


def _near_value(spec: FactSpec | None, value: object) -> str:
    return did_you_mean(value, spec.values) if spec is not None and isinstance(value, str) and spec.type == "enum" else ""


def _said(kind: str, message: str, where: tuple[str | int, ...], model: type[BaseModel]) -> str:
    """Pydantic's complaint in our words, with the nearest known name for an unknown field."""
    field_name = str(where[-1]) if where else ""
    if kind == "extra_forbidden":
        return f"unknown field {field_name!r}{did_you_mean(field_name, model.model_fields)}"
    if kind == "missing":
        return f"the field {field_name!r} is missing"
    return f"{path_text(where)}: {message}" if where else message


def _shown(path: Path) -> str:
    """A path as people know it: relative to where they stand, where it lies below that."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def rule_paths(packs: Iterable[str | Path]) -> tuple[Path, ...]:
    """Packs as given, as absolute paths."""
    return tuple(Path(pack).resolve() for pack in packs)

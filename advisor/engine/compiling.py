"""Rules and what is forbidden, from the documents they stand in to their compiled form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from advisor.engine.conditions import check_value, find_fact, read_box, read_boxes, read_candidate_box
from advisor.engine.documents import Documents, Steps
from advisor.engine.region import without
from advisor.engine.rules import Forbidding, ForbidText, Rule, RuleFile, RuleSet, RuleText, Slot
from advisor.engine.vocabulary import FactSpec
from advisor.errors import Place, did_you_mean
from advisor.located import Document


@dataclass
class RuleReader:
    """The rules read so far, those of a later pack in the place of those of the same id."""

    documents: Documents
    vocabulary: dict[str, FactSpec]
    slots: dict[str, Slot]
    retired: frozenset[str]
    rules: dict[str, Rule] = field(default_factory=dict)
    forbids: dict[str, list[Forbidding]] = field(default_factory=dict)
    legal: set[tuple[str, type, Any]] = field(default_factory=set)  # facts and values of examples that were found in order

    def rule_set(self) -> RuleSet:
        ordered = sorted(self.rules.values(), key=lambda rule: rule.id)
        by_slot = {name: tuple(rule for rule in ordered if rule.slot == name and not rule.deprecated) for name in self.slots}
        return RuleSet(
            tuple(self.slots.values()),
            by_slot,
            tuple(chain.from_iterable(self.forbids.values())),
            self.documents.digest.hexdigest()[:16],
            tuple(rule for rule in ordered if rule.deprecated),
            self.retired,
        )

    def read(self, document: Document, pack: str) -> None:
        """One file of rules for one slot, of what is forbidden, or both."""
        file = self.documents.validated(RuleFile, document, (), document.data) if document.data is not None else None
        if file is None:
            return
        if file.rules or file.slot is not None:
            slot = self.slots.get(file.slot or "")
            if slot is None:
                said = "a file of rules names its `slot`" if file.slot is None else f"unknown slot {file.slot!r}"
                near = did_you_mean(file.slot or "", self.slots)
                self.documents.fault(document.place(("slot",)), f"{said}{near}")
                return
            for index, data in enumerate(file.rules):
                self._read_rule(document, ("rules", index), data, slot, pack)
        for index, data in enumerate(file.forbid):
            self._read_forbid(document, ("forbid", index), data)

    def _read_rule(self, document: Document, path: Steps, data: dict[str, Any], slot: Slot, pack: str) -> None:
        before = len(self.documents.faults)
        text = self.documents.validated(RuleText, document, path, data)
        shared = (self.documents, self.vocabulary, document)
        when = read_box(*shared, (*path, "when"), data.get("when"))
        any_of = read_boxes(*shared, (*path, "any"), data.get("any"))
        unless = read_boxes(*shared, (*path, "unless"), data.get("unless"))
        choice = self.documents.validated(slot.choice, document, (*path, "then"), data["then"]) if "then" in data else None
        place = document.place((*path, "id"))
        if text is not None:
            self._check_id(place, text.id, slot, pack)
            self._check_examples(document, path, text)
        if text is None or choice is None or len(self.documents.faults) > before:
            return
        self.rules[text.id] = Rule(
            id=text.id,
            slot=slot.name,
            title=text.title,
            when=when,
            any=any_of,
            unless=unless,
            overrides=frozenset(text.overrides),
            choice=choice,
            why=text.why,
            confidence=text.confidence,
            basis=text.basis,
            sources=tuple(text.sources),
            examples=tuple(text.examples),
            place=place,
            pack=pack,
            specificity=slot.specificity,
            deprecated=text.status == "deprecated",
            written=text,
        )

    def _check_id(self, place: Place, rule_id: str, slot: Slot, pack: str) -> None:
        earlier = self.rules.get(rule_id)
        if earlier is not None and earlier.pack == pack:
            self.documents.fault(place, f"the id {rule_id} is taken by the rule at {earlier.place}")
        elif earlier is not None and earlier.slot != slot.name:
            self.documents.fault(place, f"{rule_id} fills the slot {earlier.slot}, and a rule in its place must fill it too")
        if rule_id in self.retired:
            self.documents.fault(place, f"the id {rule_id} belonged to a retired rule; ids are never used again")

    def _check_examples(self, document: Document, path: Steps, text: RuleText) -> None:
        for index, example in enumerate(text.examples):
            for name, value in example.facts.items():
                if (name, type(value), value) in self.legal:
                    continue
                spec = self.vocabulary.get(name)
                if spec is not None and not spec.problem_with(value):
                    self.legal.add((name, type(value), value))
                    continue
                where = (*path, "examples", index, "facts", name)
                spec = find_fact(self.documents, self.vocabulary, name, document, where)
                if spec is not None:
                    check_value(self.documents, spec, value, document.place(where))

    def _read_forbid(self, document: Document, path: Steps, data: Any) -> None:
        text = self.documents.validated(ForbidText, document, path, data)
        shared = (self.documents, self.vocabulary, document)
        when = read_candidate_box(*shared, (*path, "when"), data.get("when"))
        written = data.get("unless") if isinstance(data.get("unless"), list) else []
        unless = [read_candidate_box(*shared, (*path, "unless", index), box) for index, box in enumerate(written or [])]
        if text is None:
            return
        place = document.place((*path, "id"))
        if text.id in self.forbids:
            self.documents.fault(place, f"the id {text.id} is taken by what is forbidden at {self.forbids[text.id][0].place}")
        if not text.when and not text.unless:
            self.documents.fault(place, f"{text.id} would forbid every model; say which in `when`, or which not in `unless`")
        boxes = without([when], unless) or ()
        self.forbids[text.id] = [Forbidding(text.id, box, text.why, place) for box in boxes]
        if not boxes:
            self.documents.fault(place, f"{text.id} forbids nothing: `unless` takes away all that `when` names")

    def check_overrides(self) -> None:
        """Overridden rules are known, fill the same slot, and do not override their way back."""
        for rule in self.rules.values():
            for target in sorted(rule.overrides):
                if target not in self.rules:
                    self.documents.fault(rule.place, f"{rule.id} overrides the unknown rule {target!r}{did_you_mean(target, self.rules)}")
                elif self.rules[target].slot != rule.slot:
                    slot = self.rules[target].slot
                    self.documents.fault(rule.place, f"{rule.id} overrides {target}, which fills another slot ({slot})")
        for cycle in override_cycles({rule.id: rule.overrides for rule in self.rules.values()}):
            place = self.rules[cycle[0]].place
            self.documents.fault(place, f"rules override each other in a circle: {' > '.join((*cycle, cycle[0]))}")


def override_cycles(overrides: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """A circle for each override that closes one, starting at its smallest id; none if and only if there is no circle."""
    found: set[tuple[str, ...]] = set()
    settled: set[str] = set()
    for start in sorted(overrides):
        trail, pending = [start], [iter(sorted(overrides[start]))]
        while pending and start not in settled:
            following = next(pending[-1], None)
            if following is None:
                settled.add(trail.pop())
                pending.pop()
            elif following in trail:
                cycle = trail[trail.index(following) :]
                turn = cycle.index(min(cycle))
                found.add(tuple(cycle[turn:] + cycle[:turn]))
            elif following in overrides and following not in settled:
                trail.append(following)
                pending.append(iter(sorted(overrides[following])))
    return sorted(found)

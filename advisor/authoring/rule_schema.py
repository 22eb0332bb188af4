"""The JSON Schema of rule files: the facts with their operators and values, and for each slot what `then` may say.

An editor that reads `# yaml-language-server: $schema=../schemas/rule.schema.json` completes and checks a rule as it is typed.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from advisor.engine.declaring import read_slots, read_vocabulary
from advisor.engine.documents import FACTS_FILE, SLOTS_FILE, Documents
from advisor.engine.rules import ForbidText, RuleExample, RuleText, Slot
from advisor.engine.vocabulary import FactSpec, Vocabulary
from advisor.errors import KnowledgeError
from advisor.report import Source
from advisor.resources import data_folder

Schema = dict[str, Any]
ORDERING = ("lt", "le", "gt", "ge")


def rule_schema() -> Schema:
    """The schema for the shipped facts and slots.

    Raises:
        KnowledgeError: those are faulty.
    """
    documents, folder = Documents(), data_folder("rules")
    vocabulary, _ = read_vocabulary(documents, folder / FACTS_FILE)
    slots = read_slots(documents, folder / SLOTS_FILE, vocabulary)
    if documents.faults:
        raise KnowledgeError(sorted(documents.faults))
    return make_rule_schema(vocabulary, slots)


def make_rule_schema(vocabulary: Vocabulary, slots: dict[str, Slot]) -> Schema:
    """The schema of a file of rules for one slot, and of what is forbidden."""
    written: list[type[BaseModel]] = [RuleText, ForbidText, RuleExample, Source, *(slot.choice for slot in slots.values())]
    _, definitions = models_json_schema([(model, "validation") for model in written], by_alias=False, ref_template="#/$defs/{model}")
    types: Schema = definitions["$defs"]
    types |= {name: _value(spec) for name, spec in vocabulary.items()}
    types |= {_operators(name): _constraint(spec) for name, spec in vocabulary.items()}
    box = {name: _ref(_operators(name)) for name in vocabulary}
    candidate = {name.replace("model.", "candidate.", 1): schema for name, schema in box.items() if name.startswith("model.")}
    types |= {"Box": _closed(box), "CandidateBox": _closed({**box, **candidate})}
    types["RuleExample"]["properties"]["facts"] = _closed({name: _ref(name) for name in vocabulary})
    for model, kind in (("RuleText", "Box"), ("ForbidText", "CandidateBox")):
        for part, schema in {"when": _ref(kind), "any": _list_of(_ref(kind)), "unless": _list_of(_ref(kind))}.items():
            if part in types[model]["properties"]:
                types[model]["properties"][part] = schema
    types["RuleText"]["properties"]["then"] = {"type": "object"}
    return {
        "title": "Rules for one decision, and what a pack forbids",
        **_closed(
            {
                "slot": {"enum": list(slots), "description": "The decision that the rules of this file take."},
                "rules": _list_of(_ref("RuleText")),
                "forbid": _list_of(_ref("ForbidText")),
            }
        ),
        "allOf": [_for_slot(slot) for slot in slots.values()],
        "$defs": types,
    }


def _for_slot(slot: Slot) -> Schema:
    then = {"properties": {"then": _ref(slot.choice.__name__)}}
    named = {"properties": {"slot": {"const": slot.name}}, "required": ["slot"]}
    return {"if": named, "then": {"properties": {"rules": {"items": then}}}}


def _value(spec: FactSpec) -> Schema:
    """The schema of a fact's value."""
    said = {"description": spec.about + (f" In {spec.unit}." if spec.unit else "")} if spec.about else {}
    if spec.type == "enum":
        return {**said, "enum": list(spec.values)}
    kind = {"bool": "boolean", "name": "string", "integer": "integer", "number": "number"}[spec.type]
    bounds = {"minimum": spec.min, "maximum": spec.max}
    return {**said, "type": kind, **{name: bound for name, bound in bounds.items() if bound is not None}}


def _constraint(spec: FactSpec) -> Schema:
    """The operators that are legal for a fact, with the values that they take."""
    value = _ref(spec.name)
    operators: Schema = {"eq": value, "in": {"type": "array", "minItems": 1, "items": value}}
    if spec.is_numeric:
        operators |= {name: {"type": spec.type} for name in ORDERING}
    return {"description": spec.about, **_closed(operators), "minProperties": 1}


def _operators(name: str) -> str:
    return f"operators on {name}"


def _closed(properties: Schema) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _list_of(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{quote(name)}"}

"""The schema that editors read: it takes every shipped file, and refuses what loading refuses."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from advisor.authoring.rule_schema import rule_schema
from advisor.engine.documents import NOT_RULES
from advisor.located import parse_yaml
from advisor.resources import data_folder
from advisor.schemas import make_schema
from tests.rule_sets import THEN, rule

FILES = [path for path in sorted(data_folder("rules").rglob("*.yaml")) if path.name not in NOT_RULES]


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(rule_schema())
    return jsonschema.Draft202012Validator(rule_schema())


def file_of(slot: str = "optimizer", **parts: Any) -> dict[str, Any]:
    return {"slot": slot, "rules": [{"then": THEN.get(slot, {}), **rule("ZZ001"), **parts}]}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_shipped_file_is_taken(schema: jsonschema.Draft202012Validator, path: Any) -> None:
    errors = [error.message[:200] for error in schema.iter_errors(parse_yaml(path.read_text(encoding="utf-8"), path.name).data)]
    assert errors == []


def test_a_pack_with_prohibitions_is_taken(schema: jsonschema.Draft202012Validator) -> None:
    forbid = {"id": "FREE", "unless": [{"candidate.license": {"in": ["mit"]}}], "why": "a test"}
    assert schema.is_valid({"forbid": [forbid]})
    assert not schema.is_valid({"forbid": [{**forbid, "unless": [{"candidate.licence": {"in": ["mit"]}}]}]})


@pytest.mark.parametrize(
    "parts",
    [
        {"when": {"data.sampels": {"ge": 1}}},
        {"when": {"data.samples": {"gte": 1}}},
        {"when": {"data.samples": {"ge": "many"}}},
        {"when": {"data.samples": {}}},
        {"when": {"data.noise": {"lt": "clean"}}},
        {"when": {"data.noise": {"eq": "no"}}},
        {"then": {"name": "adamm"}},
        {"then": {"name": "adamw", "weight_decy": 0.1}},
        {"slot": "optimiser"},
        {"slot": "ema"},
        {"id": "zz1"},
        {"confidence": "sure"},
        {"salience": 3},
        {"examples": [{"expect": "match", "facts": {"data.samples": "x"}}]},
    ],
)
def test_what_loading_refuses_is_refused(schema: jsonschema.Draft202012Validator, parts: dict[str, Any]) -> None:
    slot = parts.pop("slot", "optimizer")
    broken = {**file_of(**parts), "slot": slot}
    assert schema.is_valid(file_of())
    assert not schema.is_valid(broken)


def test_the_file_is_up_to_date() -> None:
    assert (data_folder("schemas") / "rule.schema.json").read_text(encoding="utf-8") == make_schema("rule")
    assert json.loads(make_schema("rule"))["$schema"].startswith("https://json-schema.org/")

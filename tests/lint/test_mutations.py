"""Broken copies of the shipped rules: each check catches every way of breaking its promise that is tried here."""

from __future__ import annotations

import datetime
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from advisor.engine.loading import read_knowledge
from advisor.errors import KnowledgeError
from advisor.lint import CHECKS, lint
from advisor.located import parse_yaml
from advisor.resources import data_folder
from tests.lint.conftest import context_of
from tests.rule_sets import read_quickly

Rule = dict[str, Any]
File = dict[str, Any]
COPIES = 2  # broken copies a mutation, each of another rule
AS_OF = datetime.date(2026, 12, 1)


def impossible(rule: Rule, file: File) -> None:
    rule["when"] = {**rule.get("when", {}), "data.samples": {"ge": 100, "lt": 100}}


def excepted_from_everything(rule: Rule, file: File) -> None:
    rule["unless"] = [{}]


def never_a_constraint(rule: Rule, file: File) -> None:
    rule["when"] = {**rule.get("when", {}), "data.noise": {"in": ["clean", "some", "heavy"]}}


def waits_for_itself(rule: Rule, file: File) -> None:
    rule["when"] = {**rule.get("when", {}), "decision.distributed": {"eq": "ddp"}}


def twin(rule: Rule, file: File) -> None:
    file["rules"].append({**rule, "id": "ZZ001", "overrides": []})


def clashes(rule: Rule, file: File) -> None:
    file["rules"].append({**rule, "id": "ZZ001", "overrides": [], "then": another(rule["then"])})


def beaten_everywhere(rule: Rule, file: File) -> None:
    file["rules"].append({**rule, "id": "ZZ001", "overrides": [rule["id"]]})


def in_a_circle(rule: Rule, file: File) -> None:
    """The first beats the second by an override, the second lies inside the third, and the third inside the first."""
    second = {**rule, "id": "ZZ002", "overrides": [], "when": {**rule.get("when", {}), "data.horizon": {"ge": 7}, "data.series": {"ge": 7}}}
    third = {**rule, "id": "ZZ003", "overrides": [], "when": {**rule.get("when", {}), "data.horizon": {"ge": 7}}}
    first = {**rule, "id": "ZZ001", "overrides": ["ZZ002", *rule.get("overrides", [])]}
    file["rules"] = [*(each for each in file["rules"] if each is not rule), first, second, third]
    for each in file["rules"]:
        each["overrides"] = [id_ for id_ in each.get("overrides", []) if id_ != rule["id"]]


def unsourced(rule: Rule, file: File) -> None:
    rule.update(basis="published", sources=[])


def too_sure(rule: Rule, file: File) -> None:
    rule.update(basis="judgement", confidence="high")


def unexampled(rule: Rule, file: File) -> None:
    rule["examples"] = [example for example in rule["examples"] if example["expect"] != "match"]


def speaks_of_nothing(rule: Rule, file: File) -> None:
    rule["why"] += " There are {data.sampels} of them."


def scaffold(rule: Rule, file: File) -> None:
    rule["title"] = "TODO say it"


def given_up(rule: Rule, file: File) -> None:
    file["rules"].append({**rule, "id": "ZZ001", "status": "deprecated", "overrides": []})


def old(rule: Rule, file: File) -> None:
    rule["sources"] = [{"ref": "arXiv:1512.03385", "checked": "2020-01-01"}]


def unknown_line(rule: Rule, file: File) -> None:
    rule["when"] = {**rule.get("when", {}), "setup.base_line": {"eq": "resnett"}}


def another(value: dict[str, Any]) -> dict[str, Any]:
    return {**value, "weight_decay": value.get("weight_decay", 0.0) + 0.125}


MUTATIONS: dict[Callable[[Rule, File], None], tuple[str, str]] = {
    impossible: ("contradiction", "optimizer"),
    excepted_from_everything: ("contradiction", "loss"),
    never_a_constraint: ("always-true", "schedule"),
    waits_for_itself: ("unreachable", "optimizer"),
    twin: ("duplicate", "optimizer"),
    clashes: ("overlap", "optimizer"),
    in_a_circle: ("circle", "optimizer"),
    beaten_everywhere: ("shadowed", "optimizer"),
    unsourced: ("missing-source", "optimizer"),
    too_sure: ("missing-source", "loss"),
    unexampled: ("missing-example", "batch"),
    speaks_of_nothing: ("unknown-placeholder", "metric"),
    scaffold: ("unfinished", "optimizer"),
    given_up: ("deprecated", "optimizer"),
    old: ("staleness", "optimizer"),
    unknown_line: ("unknown-name", "adaptation"),
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(data_folder("rules"), tmp_path / "rules"))


def found(folder: Path, check: str) -> list[str]:
    checks = [each for each in CHECKS if each.name == check]
    return [finding.message for finding in lint(context_of(read_quickly(folder), as_of=AS_OF), checks)]


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_every_broken_copy_is_caught(copy: Path, mutate: Callable[[Rule, File], None]) -> None:
    check, slot = MUTATIONS[mutate]
    path = copy / f"{slot}.yaml"
    text = path.read_text(encoding="utf-8")
    before = set(found(copy, check))
    for number in random.Random(mutate.__name__).sample(range(len(parse_yaml(text, "").data["rules"])), COPIES):
        file = parse_yaml(text, "").data
        mutate(file["rules"][number], file)
        path.write_text(json.dumps(file), encoding="utf-8")
        assert set(found(copy, check)) - before, f"{mutate.__name__} of {slot} rule {number} went unseen"


@pytest.mark.parametrize("dropped", range(0, 40, 7))
def test_a_rule_taken_away_that_leaves_facts_undecided_is_a_gap(copy: Path, dropped: int) -> None:
    """Without its only rule for a task, a slot that must be filled has a gap there."""
    path = copy / "metric.yaml"
    file = parse_yaml(path.read_text(encoding="utf-8"), "").data
    general = [rule["when"]["task.kind"] for rule in file["rules"] if list(rule.get("when", {})) == ["task.kind"]]
    tasks = sorted({task for kinds in general for task in kinds.get("in", [kinds.get("eq")])})
    task = tasks[dropped % len(tasks)]
    for rule in file["rules"]:
        kinds = rule.get("when", {}).get("task.kind", {}).get("in", [])
        rule.setdefault("unless", []).append({"task.kind": {"eq": task}}) if task in kinds or not kinds else None
    path.write_text(json.dumps(file), encoding="utf-8")
    assert any(f"task.kind={task}" in message for message in found(copy, "gap"))


def test_facts_and_slots_without_use_are_caught(copy: Path) -> None:
    with (copy / "facts.yaml").open("a") as file:
        file.write("data.colour: {type: name}\n")
    for path in copy.rglob("ema.yaml"):
        path.unlink()
    assert "no rule uses the fact data.colour" in found(copy, "unused-fact")
    assert "no rule fills the slot ema" in found(copy, "unused-slot")


@pytest.mark.parametrize(
    ("old_text", "new_text"),
    [
        ("data.samples", "data.sampels"),
        ("{eq:", "{equals:"),
        ("name: adamw", "name: adamm"),
        ("id: OPT001", "id: OPT010"),
        ("    why:", "    wy:"),
    ],
)
def test_a_copy_that_does_not_load_is_caught_with_its_line(copy: Path, old_text: str, new_text: str) -> None:
    path = copy / "optimizer.yaml"
    text = path.read_text(encoding="utf-8")
    assert old_text in text
    path.write_text(text.replace(old_text, new_text, 1), encoding="utf-8")
    with pytest.raises(KnowledgeError) as raised:
        read_knowledge(copy)
    assert all(fault.place.line and "optimizer.yaml" in fault.place.file for fault in raised.value.faults)


def test_every_check_has_a_mutation() -> None:
    elsewhere = {"gap", "unused-fact", "unused-slot", "unbuildable-candidate", "forbidden"}  # in this file and in test_usage
    assert {check for check, _ in MUTATIONS.values()} | elsewhere == {check.name for check in CHECKS}

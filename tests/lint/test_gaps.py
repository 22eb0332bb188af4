"""Slots that must be filled, and the facts under which none of their rules does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from advisor.engine.deciding import decide
from advisor.engine.loading import Knowledge, read_knowledge
from advisor.lint import Finding
from advisor.lint.gaps import Gap, designed_tasks
from tests.lint.conftest import context_of
from tests.rule_sets import declare, rule, stated, write_rules

FORECASTING = {"task.kind": {"eq": "forecasting"}}


def gaps(folder: Path, slot: str, *rules: dict[str, Any], **earlier: dict[str, Any]) -> tuple[Knowledge, list[Finding]]:
    """What is found of one slot, where only forecasting is designed for."""
    write_rules(declare(folder), "applicability", rule("AA001", FORECASTING))
    for number, (name, then) in enumerate(earlier.items()):
        write_rules(folder, name, rule(f"BB00{number}", then=then))
    write_rules(folder, slot, *rules)
    knowledge = read_knowledge(folder)
    return knowledge, [finding for finding in Gap().findings(context_of(knowledge)) if f"slot {slot} " in finding.message]


def test_the_witness_leaves_the_slot_empty(tmp_path: Path) -> None:
    knowledge, found = gaps(tmp_path, "optimizer", rule("ZZ001", {"data.samples": {"ge": 10}}), adaptation={"name": "full"})
    finding = next(iter(found))
    assert finding.place == knowledge.rules.slot["optimizer"].place
    outcomes, _ = decide(knowledge.rules, [knowledge.rules.slot["optimizer"]], stated(dict(finding.witness)))
    assert outcomes["optimizer"].decided == ()


def test_a_slot_that_is_filled_everywhere_is_passed(tmp_path: Path) -> None:
    two = rule("ZZ001", {"data.samples": {"ge": 10}}), rule("ZZ002", {"data.samples": {"lt": 10}})
    assert gaps(tmp_path, "optimizer", *two, adaptation={"name": "full"})[1] == []


def test_a_fact_that_may_be_unknown_fills_no_gap(tmp_path: Path) -> None:
    two = rule("ZZ001", {"data.context": {"ge": 10}}), rule("ZZ002", {"data.context": {"lt": 10}})
    assert gaps(tmp_path / "a", "optimizer", *two, adaptation={"name": "full"})[1]
    assert not gaps(tmp_path / "b", "optimizer", *two, rule("ZZ003", FORECASTING), adaptation={"name": "full"})[1]


def test_only_decisions_that_can_have_been_taken_are_asked_for(tmp_path: Path) -> None:
    for_full = rule("ZZ001", {"decision.adaptation": {"in": ["full", "scratch"]}})
    assert not gaps(tmp_path / "a", "optimizer", for_full, adaptation={"name": "full"})[1]
    _, found = gaps(tmp_path / "b", "optimizer", for_full, adaptation={"name": "linear_probe"})
    assert dict(found[0].witness)["decision.adaptation"] == "linear_probe"


def test_only_tasks_that_are_designed_for_are_searched(tmp_path: Path) -> None:
    knowledge, found = gaps(tmp_path, "metric")
    assert designed_tasks(context_of(knowledge)) == ["forecasting"]
    assert found == []  # a slot without rules is said once, by another check
    _, found = gaps(tmp_path, "metric", rule("ZZ001", {"task.kind": {"eq": "text_classification"}}, then={"name": "f1", "text": "F1"}))
    assert [dict(finding.witness)["task.kind"] for finding in found] == ["forecasting"]

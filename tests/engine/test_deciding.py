"""Deciding slots: who wins, what is kept of the losers, and that nothing but the facts matters."""

from __future__ import annotations

import random
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor import catalogue
from advisor.engine.deciding import Decided, Outcomes, beats, decide, redecide, undecided
from advisor.engine.facts import Facts, Origin, Value
from advisor.engine.loading import Knowledge, load_knowledge, read_knowledge
from advisor.engine.region import Span
from advisor.errors import KnowledgeError
from advisor.planning.plan import model_facts
from advisor.resources import data_folder
from tests.rule_sets import declare, knowledge_of, rule, stated, write_rules

CLASSES = "data.classes"
BALANCE = "data.balance"


def decided(knowledge: Knowledge, values: dict[str, Value], slot: str = "optimizer") -> list[str]:
    outcomes, _ = decide(knowledge.rules, [knowledge.rules.slot[slot]], stated(values))
    return [one.rule_id for one in outcomes[slot].decided]


# --- who wins --------------------------------------------------------------------------------------------------------


def test_an_override_wins_over_the_special_case(tmp_path: Path) -> None:
    knowledge = knowledge_of(
        tmp_path, "optimizer", rule("ZZ001", overrides=["ZZ002"]), rule("ZZ002", {CLASSES: {"ge": 2}}, then={"name": "sgd"})
    )
    assert decided(knowledge, {CLASSES: 5}) == ["ZZ001"]


def test_the_special_case_wins_over_the_general(tmp_path: Path) -> None:
    knowledge = knowledge_of(
        tmp_path, "optimizer", rule("ZZ001", {CLASSES: {"ge": 2}}), rule("ZZ002", {CLASSES: {"ge": 9}}, then={"name": "sgd"})
    )
    assert decided(knowledge, {CLASSES: 5}) == ["ZZ001"]
    assert decided(knowledge, {CLASSES: 10}) == ["ZZ002"]


def test_the_earlier_fact_of_the_slot_settles_what_is_left(tmp_path: Path) -> None:
    by_family = rule("ZZ001", {"model.family": {"eq": "cnn"}})
    by_line = rule("ZZ002", {"model.line": {"eq": "resnet"}}, then={"name": "sgd"})
    knowledge = knowledge_of(tmp_path, "optimizer", by_family, by_line)
    assert decided(knowledge, {"model.family": "cnn", "model.line": "resnet"}) == ["ZZ002"]


def test_rules_that_nothing_settles_are_a_fault_with_a_place(tmp_path: Path) -> None:
    knowledge = knowledge_of(
        tmp_path, "optimizer", rule("ZZ001", {CLASSES: {"ge": 2}}), rule("ZZ002", {BALANCE: {"eq": "balanced"}}, then={"name": "sgd"})
    )
    with pytest.raises(KnowledgeError, match=r"optimizer\.yaml:\d+:\d+: the slot optimizer has no winner: ZZ001 and ZZ002"):
        decided(knowledge, {CLASSES: 5, BALANCE: "balanced"})


def test_a_collecting_slot_keeps_all_that_nobody_overrides(tmp_path: Path) -> None:
    one = rule("ZZ001", then={"name": "dropout", "text": "a"})
    two = rule("ZZ002", then={"name": "mixup", "text": "b"})
    three = rule("ZZ003", {CLASSES: {"ge": 2}}, then={"name": "cutmix", "text": "c"}, overrides=["ZZ002"])
    knowledge = knowledge_of(tmp_path, "regularization", one, two, three)
    assert decided(knowledge, {}, "regularization") == ["ZZ001", "ZZ002"]
    assert decided(knowledge, {CLASSES: 3}, "regularization") == ["ZZ001", "ZZ003"]


def test_an_empty_slot_takes_its_default(tmp_path: Path) -> None:
    knowledge = knowledge_of(tmp_path, "checkpointing")
    assert decided(knowledge, {}, "checkpointing") == ["DEFAULT"]


def test_a_decision_is_a_fact_for_later_slots(tmp_path: Path) -> None:
    write_rules(declare(tmp_path), "adaptation", rule("ZZ001", then={"name": "full"}))
    write_rules(tmp_path, "optimizer", rule("ZZ002", {"decision.adaptation": {"eq": "full"}}))
    knowledge = read_knowledge(tmp_path)
    outcomes, facts = decide(knowledge.rules, knowledge.rules.slots, {})
    assert outcomes["optimizer"].decided[0].rule_id == "ZZ002"
    assert (facts["decision.adaptation"].value, facts["decision.adaptation"].origin) == ("full", Origin.DECIDED)


# --- what is unknown and matters -------------------------------------------------------------------------------------


def test_an_unknown_rule_is_kept_only_if_it_would_win_and_say_something_else(tmp_path: Path) -> None:
    general = rule("ZZ001", {CLASSES: {"ge": 2}})
    would_win = rule("ZZ002", {CLASSES: {"ge": 2}, BALANCE: {"eq": "balanced"}}, then={"name": "sgd"})
    says_the_same = rule("ZZ003", {CLASSES: {"ge": 2}, BALANCE: {"eq": "long_tail"}})
    would_lose = rule("ZZ004", {BALANCE: {"eq": "imbalanced"}}, then={"name": "lion"})
    knowledge = knowledge_of(tmp_path, "optimizer", {**general, "overrides": ["ZZ004"]}, would_win, says_the_same, would_lose)
    outcomes, facts = decide(knowledge.rules, [knowledge.rules.slot["optimizer"]], stated({CLASSES: 5}))
    assert [(fact, slot.name, hanging.id) for fact, slot, hanging in undecided(outcomes, facts)] == [(BALANCE, "optimizer", "ZZ002")]


def test_an_unknown_rule_that_an_override_would_take_away_is_not_asked_about(tmp_path: Path) -> None:
    first = rule("ZZ001", then={"name": "mixup", "text": "a"}, overrides=["ZZ002"])
    second = rule("ZZ002", {BALANCE: {"eq": "balanced"}}, then={"name": "cutmix", "text": "b"})
    knowledge = knowledge_of(tmp_path, "regularization", first, second)
    outcomes, facts = decide(knowledge.rules, [knowledge.rules.slot["regularization"]], {})
    assert list(undecided(outcomes, facts)) == []


# --- the shipped rules over random facts -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped() -> Knowledge:
    return load_knowledge()


def numbers(knowledge: Knowledge) -> Mapping[str, list[float]]:
    """For each numeric fact, the ends of the intervals in the rules and numbers beside them."""
    found: dict[str, set[float]] = {}
    for rules in knowledge.rules.rules.values():
        for fact, domain in (leaf for each in rules for leaf in each.leaves):
            ends = [end for part in domain.intervals for end in (part.low, part.high)] if isinstance(domain, Span) else []
            found.setdefault(fact, set()).update(end + step for end in ends for step in (-1, 0, 1) if abs(end) < float("inf"))
    return {fact: sorted(values) for fact, values in found.items()}


def facts_of(knowledge: Knowledge) -> st.SearchStrategy[dict[str, Value]]:
    """Any facts of a request, each known or not; task and wants always."""
    values: dict[str, st.SearchStrategy[Value]] = {}
    ends = numbers(knowledge)
    for name, spec in knowledge.vocabulary.items():
        if name.startswith(("model.", "decision.")):
            continue
        if spec.is_numeric:
            whole = spec.type == "integer"
            kept = [end for end in ends.get(name, [1.0]) if spec.problem_with(end) is None] or [1.0]
            values[name] = st.sampled_from([int(end) if whole else float(end) for end in kept])
        elif spec.universe is not None:
            values[name] = st.sampled_from(sorted(spec.universe, key=str))
        else:
            values[name] = st.sampled_from(["unknown", "resnet", "bert", "lstm"])
    return st.fixed_dictionaries({}, optional=values)  # type: ignore[arg-type]


def all_outcomes(knowledge: Knowledge, facts: Facts, model: str) -> Outcomes:
    known = {**facts, **model_facts(catalogue.models()[model])}
    return decide(knowledge.rules, knowledge.rules.slots, known)[0]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_shipped_rules_give_each_unique_slot_at_most_one_value_and_never_conflict(shipped: Knowledge, data: st.DataObject) -> None:
    facts = stated(data.draw(facts_of(shipped)))
    model = data.draw(st.sampled_from(sorted(catalogue.models())))
    for outcome in all_outcomes(shipped, facts, model).values():
        assert outcome.slot.hit == "collect" or len(outcome.decided) <= 1
        assert len({str(one.choice.key) for one in outcome.decided if one.choice.key is not None}) == sum(
            one.choice.key is not None for one in outcome.decided
        )


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_deciding_again_after_a_change_is_deciding_afresh(shipped: Knowledge, data: st.DataObject) -> None:
    model = model_facts(catalogue.models()[data.draw(st.sampled_from(sorted(catalogue.models())))])
    first = data.draw(facts_of(shipped))
    change = data.draw(facts_of(shipped))
    dropped = data.draw(st.sets(st.sampled_from(sorted(first)), max_size=2)) if first else set()
    second = {name: value for name, value in {**first, **change}.items() if name not in dropped}
    before, known = decide(shipped.rules, shipped.rules.slots, {**stated(first), **model})
    afresh, _ = decide(shipped.rules, shipped.rules.slots, {**stated(second), **model})
    stale = {name: fact for name, fact in known.items() if name.startswith("decision.")}
    changed = {name for name in first.keys() | second.keys() if first.get(name) != second.get(name)}
    again = redecide(shipped.rules, shipped.rules.slots, {**stated(second), **model, **stale}, before, changed)
    assert ids(again) == ids(afresh)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_is_remembered_is_what_would_be_decided(shipped: Knowledge, data: st.DataObject) -> None:
    facts = stated(data.draw(facts_of(shipped)))
    model = model_facts(catalogue.models()[data.draw(st.sampled_from(sorted(catalogue.models())))])
    remembering = decide(shipped.rules, shipped.rules.slots, {**facts, **model})[0]
    again = decide(shipped.rules, shipped.rules.slots, {**facts, **model})[0]
    forgetful = decide(replace(shipped.rules), shipped.rules.slots, {**facts, **model})[0]
    assert all(again[name] is outcome for name, outcome in remembering.items())
    assert remembering == forgetful


def ids(outcomes: Outcomes) -> dict[str, list[str]]:
    return {name: [one.rule_id for one in outcome.decided] for name, outcome in outcomes.items()}


def test_an_edit_is_kept_and_what_follows_from_it_is_decided_again(shipped: Knowledge) -> None:
    model = model_facts(catalogue.models()["resnet50.a1_in1k"]) if "resnet50.a1_in1k" in catalogue.models() else {}
    facts = {**stated({"task.kind": "image_classification", "task.wants": "deep_learning", "data.samples": 5000}), **model}
    before, known = decide(shipped.rules, shipped.rules.slots, facts)
    slot = shipped.rules.slot["adaptation"]
    edit = {"adaptation": Decided(slot, slot.choice.model_validate({"name": "linear_probe"}), None, reason="a test")}
    assert ids(redecide(shipped.rules, shipped.rules.slots, known, before, (), edit)) == ids(
        decide(shipped.rules, shipped.rules.slots, facts, edit)[0]
    )


@pytest.mark.parametrize("seed", range(2))
def test_the_order_of_files_and_rules_changes_nothing(shipped: Knowledge, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    shutil.copytree(data_folder("rules"), tmp_path / "rules")
    files = [path for path in (tmp_path / "rules").glob("*.yaml") if path.name not in ("facts.yaml", "slots.yaml", "vocabulary.yaml")]
    for path, number in zip(files, dice.sample(range(len(files)), len(files)), strict=True):
        path.rename(path.with_name(f"{number:02}.yaml"))
    shuffled = read_knowledge(tmp_path / "rules")
    values: dict[str, Value] = {
        "task.kind": "text_classification",
        "task.wants": "deep_learning",
        "data.samples": 20_000,
        "compute.kind": "gpu",
    }
    for model in dice.sample(sorted(catalogue.models()), 10):
        assert ids(all_outcomes(shuffled, stated(values), model)) == ids(all_outcomes(shipped, stated(values), model))


def test_beating_goes_one_way(shipped: Knowledge) -> None:
    for rules in shipped.rules.rules.values():
        for first in rules[:12]:
            for second in rules[:12]:
                assert not (first is not second and beats(first, second) and beats(second, first))

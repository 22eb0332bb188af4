"""Questions: the critical ones always, the open ones where an answer can change a decision."""

from __future__ import annotations

from pathlib import Path

from advisor.engine.asking import MOST_OPEN_QUESTIONS, critical_questions, open_questions
from advisor.engine.deciding import decide
from advisor.engine.facts import Value
from advisor.engine.loading import Knowledge, load_knowledge
from tests.rule_sets import knowledge_of, rule, stated

CLASSES, BALANCE = "data.classes", "data.balance"


def asked(knowledge: Knowledge, values: dict[str, Value]) -> list[str]:
    outcomes, facts = decide(knowledge.rules, knowledge.rules.slots, stated(values))
    return [question.fact for question in open_questions(knowledge, outcomes, facts)]


def test_missing_critical_facts_are_asked_for_and_stated_ones_are_not() -> None:
    knowledge = load_knowledge()
    everything = {question.fact for question in critical_questions(knowledge, {}, {})}
    assert {"task.kind", "data.samples", "compute.kind"} <= everything
    rest = critical_questions(knowledge, stated({"task.kind": "forecasting"}), {})
    assert {question.fact for question in rest} <= everything - {"task.kind"}
    assert all(question.critical and question.question and question.examples for question in rest)
    offered = critical_questions(knowledge, {}, {"task.kind": ["tabular_classification", "ranking"]})
    assert [q.examples for q in offered if q.fact == "task.kind"] == [["tabular_classification", "ranking"]]


def test_an_open_fact_is_asked_for_only_where_it_can_change_a_decision(tmp_path: Path) -> None:
    general, special = (
        rule("ZZ001", {CLASSES: {"ge": 3}}),
        rule("ZZ002", {CLASSES: {"ge": 3}, BALANCE: {"eq": "balanced"}}, then={"name": "sgd"}),
    )
    knowledge = knowledge_of(tmp_path, "optimizer", general, special)
    assert asked(knowledge, {CLASSES: 5}) == [BALANCE]
    assert asked(knowledge, {CLASSES: 5, BALANCE: "long_tail"}) == []
    assert asked(knowledge, {CLASSES: 1}) == []


def test_the_answer_to_an_open_question_changes_what_it_names(tmp_path: Path) -> None:
    knowledge = knowledge_of(tmp_path, "optimizer", rule("ZZ001"), rule("ZZ002", {CLASSES: {"ge": 3}}, then={"name": "sgd"}))
    outcomes, facts = decide(knowledge.rules, knowledge.rules.slots, {})
    (question,) = open_questions(knowledge, outcomes, facts)
    after, _ = decide(knowledge.rules, knowledge.rules.slots, stated({question.fact: 3}))
    assert question.decisions == ["optimizer"]
    assert after["optimizer"].choice != outcomes["optimizer"].choice


def test_the_most_consequential_questions_come_first_and_are_few(tmp_path: Path) -> None:
    facts = ["data.classes", "data.image_size", "data.tokens", "data.features", "data.horizon", "data.context", "data.series"]
    rules = [rule(f"ZZ0{n:02}", {fact: {"ge": 3}}, then={"name": f"n{n}", "text": "a"}) for n, fact in enumerate(facts)]
    knowledge = knowledge_of(tmp_path, "regularization", *rules)
    assert len(asked(knowledge, {})) == MOST_OPEN_QUESTIONS

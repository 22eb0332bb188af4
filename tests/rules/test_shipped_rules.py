"""The shipped rules as data: they load, say what their examples say, and decide every request they claim to cover."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from advisor import catalogue
from advisor.catalogue.entries import ModelEntry
from advisor.choices import Adaptation, Applicability
from advisor.engine.deciding import Decided, decide
from advisor.engine.facts import Fact, Facts, Origin
from advisor.engine.loading import Knowledge, load_knowledge
from advisor.engine.rules import Rule
from advisor.planning.plan import model_facts
from advisor.projection import PLACEHOLDER

REQUESTS = 600
NEVER_ABSENT = (
    "task.",
    "challenge.",
    "issue.",
    "asked.",
    "limit.",
    "license.",
    "setup.adaptation",
    "data.samples",
    "data.labels",
    "compute.kind",
)


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load_knowledge()


def stated(values: dict[str, object]) -> Facts:
    return {name: Fact(value, Origin.STATED) for name, value in values.items()}  # type: ignore[arg-type]


def every_rule(knowledge: Knowledge) -> Iterator[Rule]:
    return iter(knowledge.rules.by_id.values())


def test_each_example_is_judged_as_it_says(knowledge: Knowledge) -> None:
    verdicts = {True: "match", False: "no-match", None: "unknown"}
    wrong = [
        f"{rule.place}: example {number} is {verdicts[rule.truth(stated(dict(example.facts)))]}, not {example.expect}"
        for rule in every_rule(knowledge)
        for number, example in enumerate(rule.examples)
        if verdicts[rule.truth(stated(dict(example.facts)))] != example.expect
    ]
    assert not wrong, "\n".join(wrong)


def test_each_rule_shows_both_outcomes(knowledge: Knowledge) -> None:
    for rule in every_rule(knowledge):
        assert {"match", "no-match"} <= {example.expect for example in rule.examples}, rule.id


def test_each_leaf_is_seen_true_and_false(knowledge: Knowledge) -> None:
    for rule in every_rule(knowledge):
        for fact, domain in rule.leaves:
            seen = {domain.holds(example.facts[fact]) for example in rule.examples if fact in example.facts}
            assert seen == {True, False}, f"{rule.id}: {fact} is only seen {seen}"


def test_each_threshold_is_tried_at_and_on_both_sides(knowledge: Knowledge) -> None:
    for rule in every_rule(knowledge):
        for fact, threshold in thresholds(rule):
            tried = [example.facts[fact] for example in rule.examples if fact in example.facts]
            sides = {(value > threshold) - (value < threshold) for value in tried}  # type: ignore[operator]
            below = set() if threshold == knowledge.vocabulary[fact].min else {-1}
            assert {0, 1} | below <= sides, f"{rule.id}: {fact} is not tried around {threshold:g}"


def thresholds(rule: Rule) -> Iterator[tuple[str, float]]:
    """Each number that the rule compares a fact with."""
    assert rule.written is not None
    for box in (rule.written.when, *rule.written.any, *rule.written.unless):
        for fact, operators in box.items():
            yield from ((fact, operand) for operator, operand in operators.items() if operator in ("lt", "le", "gt", "ge"))


def test_published_rules_name_a_source_and_others_claim_little(knowledge: Knowledge) -> None:
    for rule in every_rule(knowledge):
        if rule.basis == "published":
            assert rule.sources and all(source.claim for source in rule.sources), rule.id
        else:
            assert rule.confidence != "high", rule.id


def test_texts_speak_of_known_facts(knowledge: Knowledge) -> None:
    for rule in every_rule(knowledge):
        for name in PLACEHOLDER.findall(rule.why + rule.choice.model_dump_json()):
            assert name in knowledge.vocabulary, f"{rule.id} speaks of {name}"
            known = name.startswith(("model.", *NEVER_ABSENT)) or name in rule.when
            assert known, f"{rule.id} speaks of {name}, which may be unknown where the rule holds"


@pytest.mark.parametrize("seed", range(3))
def test_every_covered_request_is_decided_without_conflict(knowledge: Knowledge, seed: int) -> None:
    rules, models = knowledge.rules, list(catalogue.models().values())
    designing = [rule for rule in rules.by_id.values() if rule.slot == "applicability" and rule.choice.key == "design"]
    covered = sorted({str(value) for rule in designing for value in rule.when["task.kind"].values})  # type: ignore[union-attr]
    dice, ends = random.Random(seed), ends_by_fact(knowledge)
    for _ in range(REQUESTS):
        kind = dice.choice(covered)
        facts = stated({**any_request(knowledge, dice, ends), "task.kind": kind, "task.wants": "deep_learning"})
        model = dice.choice([entry for entry in models if kind in entry.tasks])
        given = forced(knowledge, model)
        outcomes, known = decide(rules, rules.per("request"), facts, given)
        later, _ = decide(rules, rules.per("candidate"), {**known, **model_facts(model)}, given)
        for outcome in [*outcomes.values(), *later.values()]:
            filled = bool(outcome.decided) or outcome.slot.presence == "optional"
            assert filled, f"{outcome.slot.name} is empty for {kind}, {model.id}, {known['decision.adaptation'].value}"


def forced(knowledge: Knowledge, model: ModelEntry) -> dict[str, Decided]:
    if model.pretrained:
        return {}
    return {"adaptation": Decided(knowledge.rules.slot["adaptation"], Adaptation(name="scratch"), None, reason="no weights")}


def ends_by_fact(knowledge: Knowledge) -> dict[str, list[float]]:
    ends: dict[str, set[float]] = {}
    for rule in every_rule(knowledge):
        for fact, threshold in thresholds(rule):
            ends.setdefault(fact, set()).add(threshold)
    return {fact: sorted(values) for fact, values in ends.items()}


def any_request(knowledge: Knowledge, dice: random.Random, ends: dict[str, list[float]]) -> dict[str, object]:
    """A value for each fact, drawn from those that some rule tells apart; facts that may be absent are so half the time."""
    values: dict[str, object] = {}
    for name, spec in knowledge.vocabulary.items():
        if name.startswith(("decision.", "model.")) or (not name.startswith(NEVER_ABSENT) and dice.random() < 0.5):
            continue
        if spec.is_numeric:
            value = max(spec.min or 0, dice.choice(ends.get(name, [1])) + dice.choice([-1, 0, 1]))
            values[name] = int(value) if spec.type == "integer" else float(value)
        elif spec.universe is not None:
            values[name] = dice.choice(sorted(spec.universe, key=str))
        else:
            values[name] = dice.choice(["unknown", "lstm", "resnet", "llama"])
    return values


@pytest.mark.parametrize("wants", ["boosted_trees", "classical_model", "statistics", "preprocessing", "platform", "prompting"])
def test_what_needs_no_deep_learning_is_sent_elsewhere(knowledge: Knowledge, wants: str) -> None:
    slots = [knowledge.rules.slot["applicability"]]
    for known in ({}, {"task.kind": "tabular_classification"}):
        choice = decide(knowledge.rules, slots, stated({"task.wants": wants, **known}))[0]["applicability"].choice
        assert isinstance(choice, Applicability) and choice.name in ("use_instead", "train_nothing") and choice.instead


def test_every_task_is_either_designed_or_refused(knowledge: Knowledge) -> None:
    slots = [knowledge.rules.slot["applicability"]]
    for kind in knowledge.vocabulary["task.kind"].values:
        facts = stated({"task.kind": kind, "task.wants": "deep_learning"})
        assert decide(knowledge.rules, slots, facts)[0]["applicability"].choice is not None, kind


def test_each_training_issue_has_help_in_order(knowledge: Knowledge) -> None:
    slots = [knowledge.rules.slot["issues"]]
    issues = [name for name in knowledge.vocabulary if name.startswith("issue.")]
    for name in issues:
        facts = stated({**dict.fromkeys(issues, False), "compute.bf16": True, name: True})
        (help_,) = decide(knowledge.rules, slots, facts)[0]["issues"].decided
        assert len(help_.choice.solution) >= 3, name  # type: ignore[attr-defined]

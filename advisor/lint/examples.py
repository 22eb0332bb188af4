"""The examples beside each rule: run them, and measure what they leave untried."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from advisor.engine.deciding import decide
from advisor.engine.facts import Fact, Facts, Origin, Value
from advisor.engine.loading import Knowledge
from advisor.engine.region import Domain
from advisor.engine.rules import Rule, RuleExample
from advisor.engine.vocabulary import FactSpec
from advisor.errors import Fault, KnowledgeError

EXPECTED = {"match": True, "no-match": False, "unknown": None}
SAID = {True: "match", False: "no-match", None: "unknown"}


def failing_examples(knowledge: Knowledge) -> list[Fault]:
    """Every example whose rule says something else of its facts."""
    faults = []
    for rule in _rules(knowledge):
        for number, example in enumerate(rule.examples, 1):
            truth = rule.truth(example_facts(example))
            if truth is not EXPECTED[example.expect]:
                given = ", ".join(f"{name}={value}" for name, value in example.facts.items())
                faults.append(Fault(rule.place, f"{rule.id}: example {number} expects {example.expect} and gets {SAID[truth]} for {given}"))
    return faults


def example_facts(example: RuleExample) -> Facts:
    return {name: Fact(value, Origin.STATED) for name, value in example.facts.items()}


@dataclass(frozen=True)
class Coverage:
    """What the examples try, as exact counts, and each thing that they do not."""

    leaves: int
    leaves_tried: int
    thresholds: int
    thresholds_tried: int
    rules: int
    untried: tuple[Fault, ...]
    never_winning: tuple[Fault, ...]

    @property
    def is_complete(self) -> bool:
        """Every leaf seen true and false, every threshold tried below, at and above."""
        return self.leaves == self.leaves_tried and self.thresholds == self.thresholds_tried


def measure_coverage(knowledge: Knowledge) -> Coverage:
    """Coverage by the rules' own examples, each tried against all the rules of its slot too."""
    untried: list[Fault] = []
    leaves = thresholds = leaves_missed = thresholds_missed = 0
    for rule in _rules(knowledge):
        for fact, domain in dict.fromkeys(rule.leaves):
            values = [example.facts[fact] for example in rule.examples if fact in example.facts]
            leaves += 1
            if missing := _unseen_truths(domain, values):
                leaves_missed += 1
                untried.append(Fault(rule.place, f"{rule.id}: the constraint on {fact} is never seen {' or '.join(missing)}"))
        for fact, threshold in thresholds_of(rule):
            values = [example.facts[fact] for example in rule.examples if fact in example.facts]
            thresholds += 1
            if missing := _unseen_sides(threshold, knowledge.vocabulary[fact], values):
                thresholds_missed += 1
                untried.append(Fault(rule.place, f"{rule.id}: {fact} is never tried {', '.join(missing)} {threshold:g}"))
    never = [rule for rule in _rules(knowledge) if not _wins_somewhere(rule, knowledge)]
    return Coverage(
        leaves,
        leaves - leaves_missed,
        thresholds,
        thresholds - thresholds_missed,
        sum(1 for _ in _rules(knowledge)),
        tuple(untried),
        tuple(Fault(rule.place, f"{rule.id}: it wins in none of its examples") for rule in never),
    )


def _wins_somewhere(rule: Rule, knowledge: Knowledge) -> bool:
    """Whether the rule is among the winners of its slot under one of its examples."""
    slot = knowledge.rules.slot[rule.slot]
    for example in rule.examples:
        try:
            outcomes, _ = decide(knowledge.rules, [slot], example_facts(example))
        except KnowledgeError:  # two rules that nothing settles: lint has the place
            continue
        if any(decided.rule is rule for decided in outcomes[slot.name].decided):
            return True
    return False


def thresholds_of(rule: Rule) -> list[tuple[str, float]]:
    """Each number that the rule compares a fact with, as it is written, but for a fact's own bounds."""
    if rule.written is None:
        return []
    found = {
        (fact, float(operand))
        for box in (rule.written.when, *rule.written.any, *rule.written.unless)
        for fact, operators in box.items()
        for operand in operators.values()
        if isinstance(operand, int | float) and not isinstance(operand, bool)
    }
    return sorted((fact, operand) for fact, operand in found if math.isfinite(operand))


def _unseen_truths(domain: Domain, values: list[Value]) -> list[str]:
    seen = {domain.holds(value) for value in values}
    return [word for truth, word in ((True, "true"), (False, "false")) if truth not in seen and not (truth is False and domain.is_full)]


def _unseen_sides(threshold: float, spec: FactSpec, values: list[Value]) -> list[str]:
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    sides: Mapping[str, bool] = {
        "below": any(number < threshold for number in numbers) or (spec.min is not None and threshold <= spec.min),
        "at": any(number == threshold for number in numbers),
        "above": any(number > threshold for number in numbers) or (spec.max is not None and threshold >= spec.max),
    }
    return [side for side, tried in sides.items() if not tried]


def _rules(knowledge: Knowledge) -> Iterator[Rule]:
    for rules in knowledge.rules.rules.values():
        yield from rules

"""Questions: the critical facts that are missing, and the open ones whose answer could change a decision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from advisor.engine.deciding import Outcomes, undecided
from advisor.engine.facts import Facts
from advisor.engine.loading import Knowledge
from advisor.engine.region import domain_of
from advisor.engine.rules import box_truth
from advisor.engine.vocabulary import FactSpec, Vocabulary
from advisor.report import Clarification

MOST_OPEN_QUESTIONS = 5  # a page of questions is answered by nobody


def critical_questions(knowledge: Knowledge, facts: Facts, plausible: Mapping[str, Sequence[str]]) -> list[Clarification]:
    """One question for each missing fact without which there is no design; the `plausible` values are the answers offered."""
    return [
        _question(knowledge, spec, _slots_that_use(knowledge, name), plausible.get(name, ()), critical=True)
        for name, spec in knowledge.vocabulary.items()
        if name not in facts and _is_needed(knowledge.vocabulary, spec, facts)
    ]


def open_questions(knowledge: Knowledge, outcomes: Outcomes, facts: Facts) -> list[Clarification]:
    """Questions whose answer can change a decision, the most consequential first."""
    hanging: dict[str, set[str]] = defaultdict(set)
    for fact, slot, _ in undecided(outcomes, facts):
        hanging[fact].add(slot.name)
    asked = [(name, slots) for name, slots in hanging.items() if knowledge.vocabulary[name].question]
    asked.sort(key=lambda item: (-len(item[1]), item[0]))
    return [
        _question(knowledge, knowledge.vocabulary[name], sorted(slots), (), critical=False) for name, slots in asked[:MOST_OPEN_QUESTIONS]
    ]


def _is_needed(vocabulary: Vocabulary, spec: FactSpec, facts: Facts) -> bool:
    if spec.when_missing != "ask":
        return False
    if spec.needed_if is None:
        return True
    box = {name: domain_of(vocabulary[name], operators) for name, operators in spec.needed_if.items()}
    return box_truth(box, facts) is not False


def _slots_that_use(knowledge: Knowledge, fact: str) -> list[str]:
    """The slots whose rules name the fact, directly or through a fact of the same group derived from it."""
    names = {fact, "data.samples_per_class"} if fact == "data.samples" else {fact}
    return sorted({rule.slot for rules in knowledge.rules.rules.values() for rule in rules if rule.facts & names})


def _question(knowledge: Knowledge, spec: FactSpec, slots: Iterable[str], plausible: Sequence[str], *, critical: bool) -> Clarification:
    slots = list(slots)
    examples = list(plausible or spec.examples or spec.values[:3])
    return Clarification(
        fact=spec.name, question=spec.question or spec.about, why=spec.about, decisions=slots, examples=examples, critical=critical
    )

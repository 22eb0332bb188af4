"""The nearest thresholds are true: planned afresh on both sides, the decision is the one and then the other."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import advisor
from advisor import catalogue
from advisor.engine.facts import Fact, Facts, Origin, Value
from advisor.engine.loading import Knowledge, load_knowledge
from advisor.intake import read_facts
from advisor.intake.derive import follow
from advisor.planning.candidates import propose
from advisor.planning.plan import Design, brief, plan
from advisor.planning.sensitivity import STEP, Flip, flips, sensitivity
from advisor.reading import read_request

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
REQUESTS = ("defects", "tickets", "sales", "tabular")
CLASSES = "data.classes"


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load_knowledge()


def facts_of(knowledge: Knowledge, name: str) -> Facts:
    return read_facts(read_request(str(EXAMPLES / f"{name}.yaml")), knowledge.vocabulary).facts


def choices(design: Design, slot: str) -> list[object]:
    return [decided.choice for decided in design.outcomes[slot].decided]


def replanned(knowledge: Knowledge, facts: Facts, design: Design, fact: str, value: Value) -> Design:
    """The same candidate under another value of one fact, decided from the beginning."""
    return plan(knowledge, brief(knowledge, follow({**facts, fact: Fact(value, Origin.STATED)})), design.candidate)


def assert_proved(knowledge: Knowledge, facts: Facts, design: Design) -> None:
    """At the value the decision is the one, at the threshold the other, and just before the threshold still the one."""

    def chosen_at(fact: str, slot: str, *values: Value) -> list[list[object]]:
        return [choices(replanned(knowledge, facts, design, fact, value), slot) for value in values]

    for flip in flips(knowledge, design, follow):
        said = f"{flip.fact} at {flip.threshold}: {flip.slot}"
        before, after = ([decided.choice for decided in outcome.decided] for outcome in (flip.before, flip.after))
        assert chosen_at(flip.fact, flip.slot, flip.value) == [before], said
        near, far = sides(knowledge, flip)
        assert after in chosen_at(flip.fact, flip.slot, *far), said
        assert chosen_at(flip.fact, flip.slot, *near) == [before] * len(near), said


def sides(knowledge: Knowledge, flip: Flip) -> tuple[list[Value], list[Value]]:
    """Values just before a threshold, and those at or just past it: a number that is no whole one is told rounded."""
    mark, value = flip.threshold, flip.value
    if isinstance(mark, bool | str) or isinstance(value, bool | str):
        return [], [mark]
    spec = knowledge.vocabulary[flip.fact]
    whole = spec.type == "integer"
    step = math.copysign(1 if whole else 2 * max(abs(mark) * STEP, STEP), mark - value)
    return ([mark - step] if mark != value + step else []), [each for each in (mark, mark + step) if spec.problem_with(each) is None]


@pytest.mark.parametrize("name", REQUESTS)
def test_every_entry_holds_when_planned_afresh_on_both_sides(knowledge: Knowledge, name: str) -> None:
    facts = facts_of(knowledge, name)
    for candidate in propose(catalogue.serving(str(facts["task.kind"].value)), brief(knowledge, facts)).compared:
        assert_proved(knowledge, facts, plan(knowledge, brief(knowledge, facts), candidate))


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(REQUESTS), st.integers(1, 200_000), st.integers(2, 1000), st.sampled_from([4.0, 8.0, 24.0, 80.0]))
def test_every_entry_holds_for_requests_of_any_size(name: str, samples: int, classes: int, memory: float) -> None:
    knowledge = load_knowledge()  # not as a fixture: hypothesis would write it all out with every failure
    varied: dict[str, Value] = {"data.samples": samples, CLASSES: classes, "compute.memory_gib": memory}
    facts = follow({**facts_of(knowledge, name), **{fact: Fact(value, Origin.STATED) for fact, value in varied.items()}})
    compared = propose(catalogue.serving(str(facts["task.kind"].value)), brief(knowledge, facts)).compared
    for candidate in compared[:1]:
        assert_proved(knowledge, facts, plan(knowledge, brief(knowledge, facts), candidate))


def test_the_nearest_come_first_and_name_the_rule(knowledge: Knowledge) -> None:
    facts = facts_of(knowledge, "defects")
    decided = brief(knowledge, facts)
    design = plan(knowledge, decided, propose(catalogue.serving(str(facts["task.kind"].value)), decided).compared[0])
    entries = sensitivity(knowledge, design, follow)
    assert entries
    assert all(entry.before != entry.after for entry in entries)
    far = [abs(math.log(entry.threshold / entry.value)) for entry in entries if is_positive(entry.threshold) and is_positive(entry.value)]
    assert far == sorted(far)


def is_positive(value: object) -> bool:
    return isinstance(value, int | float) and value > 0


@pytest.mark.parametrize("said", ["none", "real-time", "offline"])
def test_a_limit_that_is_stated_to_be_none_is_as_far_as_can_be_from_every_threshold(knowledge: Knowledge, said: str) -> None:
    request = {
        "task": {"type": "classification", "domain": "CV", "specificTask": "image classification"},
        "data": {"size": "10k images"},
        "constraints": {"computeResources": "single-GPU", "latencyRequirement": said},
    }
    report = advisor.design(request, verify="none")
    assert report.status == "designed" and all(entry.fact != "limit.latency_ms" for entry in report.sensitivity[:1])

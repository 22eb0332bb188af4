"""Whatever task the vocabulary knows gets a design with a choice of sizes, or is pointed elsewhere by name."""

from __future__ import annotations

import functools

import pytest

from advisor import Report, Status, catalogue, design
from advisor.engine.loading import load_knowledge
from advisor.intake import read_facts
from advisor.reading import read_request
from advisor.verify.batches import make_batch
from advisor.verify.build import build_model
from advisor.verify.evidence import Build, Job, Target
from tests.conftest import EXAMPLES

KINDS = tuple(str(kind) for kind in load_knowledge(()).vocabulary["task.kind"].values)
SLOW_LIBRARIES = ("monai",)


@functools.cache
def report_on(kind: str) -> Report:
    """A middling request of which nothing but the task is special."""
    return design(
        {
            "task": {"type": "unspecified", "domain": "unspecified"},
            "data": {"size": "20k samples, 5 classes"},
            "constraints": {"computeResources": "one RTX 4090 24GB"},
            "facts": {"task.kind": kind},
        },
        "none",
    )


@functools.cache
def kinds_of_the_examples() -> frozenset[str]:
    vocabulary = load_knowledge(()).vocabulary
    facts = (read_facts(read_request(path), vocabulary).facts.get("task.kind") for path in EXAMPLES.glob("*.yaml"))
    return frozenset(str(fact.value) for fact in facts if fact is not None)


def designed() -> list[str]:
    return [kind for kind in KINDS if report_on(kind).status is Status.DESIGNED]


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_is_designed_or_pointed_elsewhere(kind: str) -> None:
    report = report_on(kind)
    assert report.status in (Status.DESIGNED, Status.NOT_APPLICABLE), report.headline
    if report.status is Status.NOT_APPLICABLE and kind != "other":
        assert report.baselines and all(baseline.name for baseline in report.baselines), "what to use instead"


def test_most_tasks_of_the_vocabulary_are_designed() -> None:
    assert len(designed()) >= 38


@pytest.mark.parametrize("kind", KINDS)
def test_a_designed_task_has_candidates_of_several_sizes_and_an_example(kind: str) -> None:
    report = report_on(kind)
    if report.status is not Status.DESIGNED:
        assert not [entry for entry in catalogue.models().values() if kind in entry.tasks], "models that no rule designs with"
        return
    sizes = {entry.tier for entry in catalogue.models().values() if kind in entry.tasks}
    free = [entry for entry in catalogue.models().values() if kind in entry.tasks and entry.license_class in ("permissive", "restricted")]
    assert len(sizes) >= 2 and len(free) >= 2, sizes
    assert len({candidate.model.id for candidate in report.candidates}) >= 2
    assert kind in kinds_of_the_examples()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_designed_task_has_a_target_to_verify(kind: str) -> None:
    """The lightest candidate is built on `meta`, and there is a batch to try it with."""
    report = report_on(kind)
    if report.status is not Status.DESIGNED:
        return
    assert report.recipe is not None
    known = catalogue.models()
    entry = min((known[candidate.model.id] for candidate in report.candidates), key=lambda entry: entry.parameters.value)
    if entry.id != report.recipe.model.id or entry.build.library in SLOW_LIBRARIES:
        entry = known[report.recipe.model.id]  # the recipe's sample is that of the model which it was made for
    build = Build.model_validate(entry.build.model_dump())
    job = Job(check="static", task=kind, build=build, recipe=report.recipe, target=Target(kind="cpu"))
    assert sum(parameter.numel() for parameter in build_model(job, "meta").parameters()) > 0
    assert all(value.is_meta for value in make_batch(job, 2, "meta").values())

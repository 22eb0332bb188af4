"""Why a request cannot be met, and the smallest changes that would make it possible, computed over the finite catalogue."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from advisor.catalogue.entries import Ceiling, DatasetEntry, ModelEntry
from advisor.engine.facts import Facts
from advisor.planning.candidates import smallest_file_mb
from advisor.planning.checking import SPENDING, Assessment, needed
from advisor.planning.designing import Search, Tried
from advisor.planning.sizing import number, value
from advisor.report import Relaxation, RelaxationChange

MOST_RELAXATIONS = 3
ACCURACY_NAMES = {"accuracy", "top1", "top-1"}
LIMIT_OF_CHECK = {
    "training_memory": ("compute.memory_gib", "GiB"),
    "inference_memory": ("compute.memory_gib", "GiB"),
    "host_memory": ("compute.host_memory_gib", "GiB"),
    "model_size": ("limit.model_mb", "MB"),
    "latency": ("limit.latency_ms", "ms"),
    **{name: (fact, {"limit.days": "days", "limit.gpu_hours": "GPU-hours", "limit.cost_usd": "USD"}[fact]) for name, fact, _ in SPENDING},
}
FACTORS = {name: factor for name, _, factor in SPENDING}


@dataclass(frozen=True)
class Breach:
    """A limit that cannot be kept: what is asked, and the least that would have to be allowed."""

    fact: str
    limit: float
    needed: float
    unit: str
    because: str

    @property
    def stretch(self) -> float:
        """By which factor the limit has to give way."""
        low, high = sorted((self.limit, self.needed))
        return high / low if low > 0 else math.inf


def accuracy_breach(facts: Facts, datasets: Mapping[str, DatasetEntry]) -> Breach | None:
    """The accuracy target against the best result published on that very benchmark; other targets need a pilot run."""
    target, metric = number(facts, "limit.accuracy", 0.0), str(value(facts, "limit.accuracy_metric"))
    dataset = datasets.get(str(value(facts, "task.benchmark")))
    ceiling = next((best for best in dataset.ceilings if _same_metric(best, metric)), None) if dataset else None
    if dataset is None or ceiling is None or target <= ceiling.value:
        return None
    because = f"the best published {ceiling.metric} on {dataset.name} is {ceiling.value:.1%} ({ceiling.holder}, {ceiling.source})"
    return Breach("limit.accuracy", target, ceiling.value, "fraction", because)


def _same_metric(ceiling: Ceiling, metric: str) -> bool:
    return ceiling.metric == metric or {ceiling.metric, metric} <= ACCURACY_NAMES


def breaches(entry: ModelEntry, facts: Facts, assessment: Assessment | None, accuracy: Breach | None) -> tuple[Breach, ...]:
    """Every limit that this model breaks: by its checks where it was verified, by its published size where not."""
    found = {accuracy.fact: accuracy} if accuracy else {}
    if assessment is not None:
        for breach in _of_checks(assessment):
            found[breach.fact] = max(found.get(breach.fact, breach), breach, key=lambda one: one.stretch)
        return tuple(found.values())
    limit = number(facts, "limit.model_mb", math.inf)
    smallest = smallest_file_mb(entry)
    if smallest > limit:
        because = f"{entry.name} is {smallest:,.1f} MB even at 8 bits a weight"
        found["limit.model_mb"] = Breach("limit.model_mb", limit, round(smallest, 2), "MB", because)
    return tuple(found.values())


def _of_checks(assessment: Assessment) -> Iterator[Breach]:
    for check in assessment.failed:
        if check.name in LIMIT_OF_CHECK and check.limit is not None:
            fact, unit = LIMIT_OF_CHECK[check.name]
            factor = FACTORS.get(check.name, 1.0)
            least = needed(check, assessment.figures) / factor
            yield Breach(fact, check.limit / factor, math.ceil(least * 1000) / 1000, unit, f"{check.name}: {check.detail}")


def relax(serving: Iterable[ModelEntry], facts: Facts, search: Search | None, accuracy: Breach | None) -> tuple[Relaxation, ...]:
    """The smallest sets of limits to change, each with the model that then serves; fewest limits first, then least stretch.

    What the search verified is what there is to choose from, designs under repair among it; other models go by their published size.
    """
    tried = search.tried if search else ()
    known = {one.entry.id for one in tried}
    options = [(one.entry, breaches(one.entry, facts, at, accuracy)) for one in tried for at in one.seen or (one.assessment,)]
    options += [(entry, breaches(entry, facts, None, accuracy)) for entry in serving if entry.id not in known]
    ranked = sorted(
        (option for option in options if option[1]),
        key=lambda option: (len(option[1]), math.prod(breach.stretch for breach in option[1]), option[0].id),
    )
    kept: list[tuple[ModelEntry, tuple[Breach, ...]]] = []
    for entry, broken in ranked:
        names = {breach.fact for breach in broken}
        if not any({breach.fact for breach in smaller} <= names for _, smaller in kept):
            kept.append((entry, broken))
    return tuple(_told(entry, broken) for entry, broken in kept[:MOST_RELAXATIONS])


def _told(entry: ModelEntry, broken: tuple[Breach, ...]) -> Relaxation:
    changes = [RelaxationChange(fact=breach.fact, limit=breach.limit, needed=breach.needed, unit=breach.unit) for breach in broken]
    return Relaxation(changes=changes, candidate=entry.id, text=_text(entry, changes))


def _text(entry: ModelEntry, changes: list[RelaxationChange]) -> str:
    steps = " and ".join(f"{change.fact} from {change.limit:g} to {change.needed:g} {change.unit}" for change in changes)
    return f"Change {steps}; then {entry.name} serves."


def correct(relaxation: Relaxation, attempt: Tried) -> Relaxation:
    """The relaxation with the figures that its model really has, and with every further limit that the model turned out to break.

    A model that was not compared is first judged by its published size, which says nothing of its latency or memory.
    """
    found = {breach.fact: breach for breach in _of_checks(attempt.assessment)}
    stated = {change.fact for change in relaxation.changes}
    changes = [
        change.model_copy(update={"needed": found[change.fact].needed}) if change.fact in found else change for change in relaxation.changes
    ]
    changes += [
        RelaxationChange(fact=breach.fact, limit=breach.limit, needed=breach.needed, unit=breach.unit)
        for breach in found.values()
        if breach.fact not in stated
    ]
    return relaxation.model_copy(update={"changes": changes, "text": _text(attempt.entry, changes)})


def smallest(relaxations: Sequence[Relaxation]) -> list[Relaxation]:
    """Those that verification confirms, if it does any; none where another asks for fewer of the same changes; fewest changes first."""
    standing = [one for one in relaxations if one.verified] or relaxations
    facts = [frozenset(change.fact for change in one.changes) for one in standing]
    kept = [one for one, own in zip(standing, facts, strict=True) if not any(other < own for other in facts)]
    return sorted(kept, key=lambda one: len(one.changes))

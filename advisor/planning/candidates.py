"""Which models of the catalogue are worth comparing for a request, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from advisor.catalogue.entries import ModelEntry
from advisor.choices import Adaptation, Capacity
from advisor.engine.facts import Facts
from advisor.engine.rules import Forbidding, box_truth
from advisor.planning.figures import BYTES_A_WEIGHT, MB
from advisor.planning.plan import Brief, model_facts

MOST_COMPARED = 3
ONE_MILLION = 1e6
SMALLEST_FORMAT = "int8"  # the smallest export that serves every family; 4-bit formats serve large decoders only


@dataclass(frozen=True)
class Rejected:
    """A model that was not compared, and the reason."""

    entry: ModelEntry
    reason: str


@dataclass(frozen=True)
class Proposal:
    """The models to compare, best first; smaller ones to fall back to, the largest first; and those that a limit or a rule kept out."""

    compared: tuple[ModelEntry, ...]
    rejected: tuple[Rejected, ...]
    smaller: tuple[ModelEntry, ...] = ()


def propose(models: Mapping[str, ModelEntry], brief: Brief, forbids: Iterable[Forbidding] = ()) -> Proposal:
    """Two or three models that serve the task, under the decided adaptation and capacity, within what is forbidden.

    A model that the request names comes first. Then one of each tier, in the order that `capacity` decided; then more of
    the first tiers.
    """
    facts = brief.facts
    task = facts["task.kind"].value
    named = facts["setup.base_model"].value if "setup.base_model" in facts else None
    serving = [entry for entry in models.values() if task in entry.tasks]
    kept: list[ModelEntry] = []
    rejected: list[Rejected] = []
    for entry in serving:
        reason = _objection(entry, brief, forbids, named=entry.id == named)
        if reason is None:
            kept.append(entry)
        else:
            rejected.append(Rejected(entry, reason))
    ranked = _ranked(kept, brief, named)
    compared = ranked[:MOST_COMPARED]
    least = min((entry.parameters.value for entry in compared), default=0.0)
    smaller = sorted((entry for entry in ranked if entry.parameters.value < least), key=lambda entry: -entry.parameters.value)
    return Proposal(tuple(compared), tuple(rejected), tuple(smaller))


def _objection(entry: ModelEntry, brief: Brief, forbids: Iterable[Forbidding], *, named: bool) -> str | None:
    barring = next((forbid for forbid in forbids if box_truth(forbid.box, {**brief.facts, **model_facts(entry)})), None)
    if barring is not None:
        return f"{barring.why} ({barring.id})"
    capacity = brief.choice("capacity")
    assert isinstance(capacity, Capacity)
    if named:
        return None
    if entry.tier not in capacity.tiers:
        return f"the {entry.tier} tier is not considered here"
    most, has = capacity.max_parameters_millions, entry.parameters.value / ONE_MILLION
    if most is not None and has > most:
        return f"{has:,.0f} M parameters, and at most {most:,.0f} M suit this request"
    return _too_large(entry, brief.facts)


def smallest_file_mb(entry: ModelEntry) -> float:
    """The weights in the smallest format that serves every family, in MB."""
    return entry.parameters.value * BYTES_A_WEIGHT[SMALLEST_FORMAT] / MB


def _too_large(entry: ModelEntry, facts: Facts) -> str | None:
    limit = facts["limit.model_mb"].value if "limit.model_mb" in facts else float("inf")
    smallest = smallest_file_mb(entry)
    if isinstance(limit, int | float) and smallest > limit:
        return f"at least {smallest:,.1f} MB even at 8 bits a weight, above the limit of {limit:g} MB"
    return None


def _ranked(kept: list[ModelEntry], brief: Brief, named: object) -> list[ModelEntry]:
    capacity = brief.choice("capacity")
    adaptation = brief.choice("adaptation")
    assert isinstance(capacity, Capacity) and isinstance(adaptation, Adaptation)
    first = [entry for entry in kept if entry.id == named]
    ranks: list[list[ModelEntry]] = []
    for is_fitting in (True, False):
        group = [entry for entry in kept if entry.id != named and (entry.pretrained or adaptation.name == "scratch") is is_fitting]
        tiers = [[entry for entry in group if entry.tier == tier] for tier in capacity.tiers]
        depth = max((len(tier) for tier in tiers), default=0)
        ranks.append([tier[place] for place in range(depth) for tier in tiers if place < len(tier)])
    leading, trailing = ranks
    # One place is kept for a model that trains from scratch, so that the pretrained ones have something to beat.
    return [*first, *leading[:2], *trailing[:1], *leading[2:], *trailing[1:]]

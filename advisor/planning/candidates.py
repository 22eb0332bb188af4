"""Which models of the catalogue are worth comparing for a request, and why the others are not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from advisor.catalogue.entries import ModelEntry
from advisor.choices import Adaptation, Capacity, Preference
from advisor.engine.facts import Facts, Origin
from advisor.engine.rules import Forbidding, box_truth
from advisor.planning.figures import BYTES_A_WEIGHT, MB
from advisor.planning.plan import Brief, model_facts

MOST_COMPARED = 3
ONE_MILLION = 1e6
NOT_FOR_PRODUCTS = ("noncommercial", "unclear")
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


def propose(serving: Iterable[ModelEntry], brief: Brief, forbids: Sequence[Forbidding] = ()) -> Proposal:
    """Two or three of the models that serve the task, under the decided adaptation and capacity, within what is forbidden.

    A model that the request names comes first. Then one of each tier, in the order that `capacity` decided; then more of
    the first tiers. The lines that `preference` names come before the others.
    """
    facts = brief.facts
    named = facts["setup.base_model"].value if "setup.base_model" in facts else None
    bounds = _bounds(brief)
    kept: list[ModelEntry] = []
    rejected: list[Rejected] = []
    for entry in serving:
        reason = _forbidden(entry, facts, forbids) or (None if entry.id == named else _objection(entry, bounds))
        if reason is None:
            kept.append(entry)
        else:
            rejected.append(Rejected(entry, reason))
    ranked = _ranked(kept, brief, named)
    compared = ranked[:MOST_COMPARED]
    least = min((entry.parameters.value for entry in compared), default=0.0)
    smaller = sorted((entry for entry in ranked if entry.parameters.value < least), key=lambda entry: -entry.parameters.value)
    return Proposal(tuple(compared), tuple(rejected), tuple(smaller))


class _Bounds(NamedTuple):
    """What a request allows of a model that it does not name: megabytes of its file, millions of parameters."""

    tiers: Sequence[str]
    most_parameters: float
    most_mb: float
    is_sold: bool


def _bounds(brief: Brief) -> _Bounds:
    capacity = brief.choice("capacity")
    assert isinstance(capacity, Capacity)
    most, limit = capacity.max_parameters_millions, brief.facts.get("limit.model_mb")
    most_mb = limit.value if limit is not None and isinstance(limit.value, int | float) else math.inf
    return _Bounds(capacity.tiers, math.inf if most is None else most, most_mb, _is_sold(brief.facts))


def _forbidden(entry: ModelEntry, facts: Facts, forbids: Sequence[Forbidding]) -> str | None:
    if not forbids:
        return None
    known = {**facts, **model_facts(entry)}
    return next((f"{forbid.why} ({forbid.id})" for forbid in forbids if box_truth(forbid.box, known)), None)


def _objection(entry: ModelEntry, bounds: _Bounds) -> str | None:
    if bounds.is_sold and entry.license_class in NOT_FOR_PRODUCTS:
        return f"{entry.license} ({entry.license_class}) does not allow the commercial use that is stated"
    if entry.tier not in bounds.tiers:
        return f"the {entry.tier} tier is not considered here"
    has = entry.parameters.value / ONE_MILLION
    if has > bounds.most_parameters:
        return f"{has:,.0f} M parameters, and at most {bounds.most_parameters:,.0f} M suit this request"
    smallest = smallest_file_mb(entry)
    if smallest > bounds.most_mb:
        return f"at least {smallest:,.1f} MB even at 8 bits a weight, above the limit of {bounds.most_mb:g} MB"
    return None


def _is_sold(facts: Facts) -> bool:
    """Whether the request itself states commercial use: where it only is assumed, a warning with the model has to do."""
    fact = facts.get("license.commercial")
    return fact is not None and fact.value is True and fact.origin is not Origin.ASSUMED


def smallest_file_mb(entry: ModelEntry) -> float:
    """The weights in the smallest format that serves every family, in MB."""
    return entry.parameters.value * BYTES_A_WEIGHT[SMALLEST_FORMAT] / MB


def _ranked(kept: list[ModelEntry], brief: Brief, named: object) -> list[ModelEntry]:
    capacity = brief.choice("capacity")
    adaptation = brief.choice("adaptation")
    assert isinstance(capacity, Capacity) and isinstance(adaptation, Adaptation)
    preference = brief.choice("preference")
    lines = preference.lines if isinstance(preference, Preference) else []

    def is_other(entry: ModelEntry) -> bool:
        return entry.line not in lines

    kept = sorted(kept, key=is_other)  # within a tier, and again over all tiers below
    first = [entry for entry in kept if entry.id == named]
    ranks: list[list[ModelEntry]] = []
    for is_fitting in (True, False):
        group = [entry for entry in kept if entry.id != named and (entry.pretrained or adaptation.name == "scratch") is is_fitting]
        tiers = [[entry for entry in group if entry.tier == tier] for tier in capacity.tiers]
        depth = max((len(tier) for tier in tiers), default=0)
        mixed = [tier[place] for place in range(depth) for tier in tiers if place < len(tier)]
        ranks.append(sorted(mixed, key=is_other))
    leading, trailing = ranks
    # One place is kept for a model that trains from scratch, so that the pretrained ones have something to beat.
    return [*first, *leading[:2], *trailing[:1], *leading[2:], *trailing[1:]]

"""Repair: the cheapest edits after which a design meets every limit, found by uniform-cost search over `plan(…, edits)`.

What may be edited, what it helps and what it costs, say the rules of the slot `repair`. A state is a sequence of them in the order
of their slots, so that each set is one state and no edit is made stale by an earlier slot's. States come in the order of their cost;
one that closed forms rule out is not verified, and what was verified foretells its neighbours. The last word is real evidence.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from itertools import count, groupby

from advisor import report as r
from advisor.catalogue.entries import DeviceEntry
from advisor.engine.loading import Knowledge
from advisor.engine.rules import Rule
from advisor.planning.checking import Assessment, assess, needed
from advisor.planning.editing import FREE, Cost, allowed, cost_of, current, edited, repair_of
from advisor.planning.foreseeing import foresee
from advisor.planning.plan import Brief, Design
from advisor.verify.evidence import Refusal, StaticEvidence

MOST_VERIFIED = 12  # designs of one candidate that the search verifies; the steps of the path that it finds come on top
MOST_STATES = 400
UNBOUNDED: Cost = (math.inf, 0.0)

BRANCHING = ("training_time", "budget", "cost", "latency", "model_size", "inference_memory", "host_memory", "training_memory")
"""Of several unmet limits, that whose edits are tried next. Any repair holds one of them, whatever else it holds, so none is missed;
the limits whose edits cost quality come first, so that the many free ones for memory are tried on few designs."""

Verify = Callable[[Design], StaticEvidence | Refusal | None]
State = tuple[Rule, ...]


@dataclass(frozen=True)
class Repaired:
    """What became of a candidate: its design, edited or not; the path with its numbers; what it cost; all that was verified."""

    assessment: Assessment
    path: tuple[r.Edit, ...] = ()
    cost: Cost = FREE
    seen: tuple[Assessment, ...] = ()
    is_complete: bool = True  # false where the search was cut short because another candidate is cheaper


class Repair:
    """One candidate under repair: its plain design with the evidence for it. `run` searches, if that breaks a limit."""

    def __init__(
        self,
        knowledge: Knowledge,
        request: Brief,
        plain: Design,
        evidence: StaticEvidence | Refusal | None,
        verify: Verify,
        devices: Mapping[str, DeviceEntry],
    ) -> None:
        self.knowledge, self.request, self.verify, self.devices = knowledge, request, verify, devices
        self._order = {slot.name: index for index, slot in enumerate(knowledge.rules.slots)}
        self.plain = assess(plain, evidence, devices)
        self._designs: dict[State, Design | None] = {(): plain}
        self._verified: dict[State, Assessment] = {(): self.plain}
        self._count = int(evidence is not None)  # of verifications that cost time: without evidence, figures of the catalogue cost none
        self._broken = {check.name for check in self.plain.failed}

    def run(self, bound: Cost = UNBOUNDED) -> Repaired:
        """The cheapest repair that costs less than `bound`; where there is none, the design that comes closest."""
        if not self._broken:
            return Repaired(self.plain)
        ticket = count()
        queue: list[tuple[Cost, int, State]] = [(FREE, next(ticket), ())]
        closest: State = ()
        least = math.inf
        reached: set[State] = {()}
        while queue and len(reached) < MOST_STATES and self._count < MOST_VERIFIED:
            cost, _, state = heapq.heappop(queue)
            if cost >= bound:
                return self._told((), FREE, is_complete=False)
            hoped = self._foreseen(state)
            if not self.unmet(hoped):
                hoped = self._assessed(state)
                if not self.unmet(hoped):
                    return self._told(state, cost)
            stretch = math.prod(self.unmet(hoped).values())
            if stretch < least:
                closest, least = state, stretch
            for following in self._following(state, hoped):
                if following not in reached:
                    reached.add(following)
                    heapq.heappush(queue, (cost_of(*following), next(ticket), following))
        return self._told(closest, cost_of(*closest))

    def unmet(self, assessment: Assessment) -> dict[str, float]:
        """Each limit that is not met, and by which factor. Where the plain design surely broke it, an estimate's middle has to meet it."""
        return {
            check.name: needed(check, assessment.figures) / check.limit if check.limit else math.inf
            for check in assessment.checks
            if check.status == "failed" or (check.name in self._broken and check.limit is not None and (check.value or 0.0) > check.limit)
        }

    # --- states ---

    def _following(self, state: State, hoped: Assessment) -> list[State]:
        unmet = self.unmet(hoped)
        first = next((name for name in BRANCHING if name in unmet), None)
        helping = [rule for rule in allowed(self.knowledge, hoped.design) if first in repair_of(rule).helps]
        longer = (tuple(sorted((*state, rule), key=self._place)) for rule in helping if repair_of(rule).slot)
        return [one for one in longer if self._design(one) is not None]

    def _place(self, rule: Rule) -> tuple[int, str]:
        return self._order[repair_of(rule).slot or ""], rule.id

    def _design(self, state: State) -> Design | None:
        if state not in self._designs:
            before = self._design(state[:-1])
            self._designs[state] = edited(self.knowledge, self.request, before, state[-1]) if before else None
        return self._designs[state]

    # --- evidence ---

    def _assessed(self, state: State) -> Assessment:
        if state not in self._verified:
            design = self._design(state)
            assert design is not None
            evidence = self.verify(design)
            self._count += evidence is not None
            self._verified[state] = assess(design, evidence, self.devices)
        return self._verified[state]

    def _foreseen(self, state: State) -> Assessment:
        """The assessment under the least that the design may take; the real one where there is one."""
        design = self._design(state)
        assert design is not None
        known = {at: found for at, found in self._verified.items() if found.evidence is not None}
        if state in self._verified or not known:
            return self._assessed(state)
        nearest = known[min(known, key=lambda at: len(set(at) ^ set(state)))]
        assert nearest.evidence is not None
        return assess(design, foresee(nearest.evidence, nearest.design.recipe, design.recipe), self.devices)

    # --- the path ---

    def _told(self, state: State, cost: Cost, *, is_complete: bool = True) -> Repaired:
        """The state's design with each step from the plain one verified; what passes only because of an edit says `repaired`."""
        steps = [tuple(group) for _, group in groupby(state, key=lambda rule: rule.id)]
        path, before = [], self.plain
        at: State = ()
        for step in steps:
            at = (*at, *step)
            after = self._assessed(at)
            path.append(_edit(step, before, after, self._broken))
            before = after
        checks = tuple(
            check.model_copy(update={"status": "repaired"}) if check.status == "passed" and check.name in self._broken else check
            for check in before.checks
        )
        return Repaired(replace(before, checks=checks), tuple(path), cost, tuple(self._verified.values()), is_complete)


def _edit(step: State, before: Assessment, after: Assessment, broken: set[str]) -> r.Edit:
    repair, slot = repair_of(step[0]), repair_of(step[0]).slot or ""
    effects = _effects(before, after)
    first = next((effect for effect in effects if effect.figure in broken and effect.figure in repair.helps), None)
    first = first or next(iter(effects), r.Effect(figure="build", before=0, after=0, limit=0, unit="", status="skipped"))
    quality, time = cost_of(*step)
    return r.Edit(
        slot=slot,
        before=_shown(before.design, slot, repair.scale.keys()),
        after=_shown(after.design, slot, repair.scale.keys()),
        reason=step[0].why,
        figure=first.figure,
        value_before=first.before,
        value_after=first.after,
        limit=first.limit,
        unit=first.unit,
        rule_id=step[0].id,
        quality_points=round(quality, 3),
        time_factor=round(math.exp(time), 3),
        sources=list(step[0].sources),
        effects=effects,
    )


def _effects(before: Assessment, after: Assessment) -> list[r.Effect]:
    """The limited figures that moved."""
    earlier = {check.name: check.value for check in before.checks if check.value is not None}
    return [
        r.Effect(
            figure=check.name, before=earlier[check.name], after=check.value, limit=check.limit, unit=check.unit or "", status=check.status
        )
        for check in after.checks
        if check.limit is not None and check.value is not None and earlier.get(check.name) not in (None, check.value)
    ]


def _shown(design: Design, slot: str, scaled: Collection[str]) -> object:
    values = current(design, slot)
    if scaled:
        return values[next(iter(scaled))]
    choice = design.choice(slot)
    return choice.key if choice else None

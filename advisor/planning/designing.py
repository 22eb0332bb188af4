"""The search for a design: candidates compared, those that break a limit repaired, the one of least cost really run.

To take another candidate than the first is an edit too, with a cost by rule: so the first that fits as it is wins, but a first that
would need a costly repair loses to a next one that needs none.

Evidence comes through a `Checker`, so that this module knows neither torch nor processes.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

from advisor.catalogue.entries import DeviceEntry, ModelEntry
from advisor.engine.facts import Origin
from advisor.engine.loading import Knowledge
from advisor.planning.candidates import Proposal, Rejected, propose
from advisor.planning.checking import Assessment, target_device
from advisor.planning.editing import FREE, Cost, cost_of_replacing
from advisor.planning.measured import hold_measured
from advisor.planning.plan import Brief, Design, plan
from advisor.planning.repairing import UNBOUNDED, Repair
from advisor.planning.sizing import number, value
from advisor.report import Check, Edit
from advisor.verify.evidence import DeployEvidence, Job, Refusal, SmokeEvidence, StaticEvidence, Target
from advisor.verify.techniques import techniques

MOST_SMALLER = 2  # candidates beyond those compared, where none of them can be made to fit
Depth = Literal["none", "static", "smoke"]
TIME_LIMITS_S = {"static": 60.0, "smoke": 60.0, "deploy": 180.0}  # an export cannot be cut short; on a busy machine it takes a minute


class Checker(Protocol):
    """What carries out checks, in another process or not."""

    def static(self, job: Job) -> StaticEvidence | Refusal: ...

    def smoke(self, job: Job) -> SmokeEvidence | Refusal: ...

    def deploy(self, job: Job) -> DeployEvidence | Refusal: ...


@runtime_checkable
class Remembering(Protocol):
    """A `Checker` that knows some answers without a check."""

    def known(self, job: Job) -> StaticEvidence | Refusal | None:
        """The answer of a static check if it is at hand."""


@dataclass(frozen=True)
class Tried:
    """One candidate, as far as it got. `cost` is that of its edits, and of taking it instead of the first.

    `predictions` hold what was predicted against what was measured on the target itself.
    """

    assessment: Assessment
    edits: tuple[Edit, ...] = ()
    smoke: SmokeEvidence | Refusal | None = None
    cost: Cost = FREE
    seen: tuple[Assessment, ...] = ()
    is_complete: bool = True
    predictions: tuple[Check, ...] = ()
    deploy: DeployEvidence | Refusal | None = None

    @property
    def entry(self) -> ModelEntry:
        return self.assessment.design.candidate

    @property
    def fits(self) -> bool:
        return not self.assessment.failed and not self.smoke_failed

    @property
    def smoke_failed(self) -> bool:
        if isinstance(self.smoke, SmokeEvidence):
            return any(check.status == "failed" for check in self.smoke.checks)
        return self.smoke is not None and self.smoke.status == "failed"


@dataclass(frozen=True)
class Search:
    """What the search found: the chosen candidate, if one fits, all that were compared, and what was kept out."""

    chosen: Tried | None
    tried: tuple[Tried, ...]
    rejected: tuple[Rejected, ...]


def search(
    knowledge: Knowledge,
    request: Brief,
    serving: Sequence[ModelEntry],
    devices: Mapping[str, DeviceEntry],
    checker: Checker | None,
    depth: Depth,
) -> Search:
    """Compare candidates of those that serve the task, and choose the one that meets every limit at the least cost.

    At depth `smoke` it has really trained, and is compressed and exported as its recipe says.
    """
    proposal: Proposal = propose(serving, request, knowledge.rules.forbids)
    tried = _repaired(knowledge, _begun(knowledge, request, proposal.compared, devices, checker))
    for entry in proposal.smaller[:MOST_SMALLER]:
        if any(one.fits for one in tried):
            break
        tried += _repaired(knowledge, _begun(knowledge, request, [entry], devices, checker), are_first=False)
    chosen = None
    for index in sorted(range(len(tried)), key=lambda index: (tried[index].cost, index)):
        if not tried[index].fits:
            continue
        if depth == "smoke" and checker is not None:
            tried[index] = _run(tried[index], devices, checker)
        if tried[index].fits:
            if depth == "smoke" and checker is not None:
                tried[index] = _deploy(tried[index], devices, checker)
            chosen = tried[index]
            break
    return Search(chosen, tuple(tried), proposal.rejected)


def _begun(
    knowledge: Knowledge, request: Brief, entries: Sequence[ModelEntry], devices: Mapping[str, DeviceEntry], checker: Checker | None
) -> list[Repair]:
    """The candidates' plain designs, verified side by side."""

    def verify(design: Design) -> StaticEvidence | Refusal | None:
        return checker.static(make_job(design, devices, "static")) if checker else None

    plain = [plan(knowledge, request, entry) for entry in entries]
    evidence = _checked([make_job(design, devices, "static") for design in plain], checker) if checker else [None] * len(plain)
    return [Repair(knowledge, request, *begun, verify, devices) for begun in zip(plain, evidence, strict=True)]


def _checked(jobs: Sequence[Job], checker: Checker) -> list[StaticEvidence | Refusal]:
    """The answers: those that are at hand, and the others side by side."""
    found = [checker.known(job) if isinstance(checker, Remembering) else None for job in jobs]
    missing = [job for job, answer in zip(jobs, found, strict=True) if answer is None]
    if len(missing) < 2:
        asked = iter([checker.static(job) for job in missing])
    else:
        with _side_by_side(len(missing)) as pool:
            asked = iter(list(pool.map(checker.static, missing)))
    return [next(asked) if answer is None else answer for answer in found]


@contextlib.contextmanager
def _side_by_side(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that an interruption does not wait for: the checks that they ask for end when the sandbox is closed."""
    pool = ThreadPoolExecutor(threads)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def _repaired(knowledge: Knowledge, begun: Sequence[Repair], *, are_first: bool = True) -> list[Tried]:
    """Each candidate repaired, as long as that may cost less than what an earlier one costs."""
    tried: list[Tried] = []
    costs = [FREE if are_first and index == 0 else cost_of_replacing(knowledge, one.plain.design) for index, one in enumerate(begun)]
    best = min((cost for cost, one in zip(costs, begun, strict=True) if not one.plain.failed), default=UNBOUNDED)
    for replacing, repair in zip(costs, begun, strict=True):
        found = repair.run(bound=(best[0] - replacing[0], best[1] - replacing[1]))
        cost = (found.cost[0] + replacing[0], found.cost[1] + replacing[1])
        one = Tried(found.assessment, found.path, cost=cost, seen=found.seen, is_complete=found.is_complete)
        best = min(best, one.cost) if one.fits else best
        tried.append(one)
    return tried


def try_one(knowledge: Knowledge, request: Brief, entry: ModelEntry, devices: Mapping[str, DeviceEntry], checker: Checker | None) -> Tried:
    """One candidate, repaired as far as it goes."""
    return _repaired(knowledge, _begun(knowledge, request, [entry], devices, checker))[0]


def make_job(
    design: Design, devices: Mapping[str, DeviceEntry], check: Literal["static", "smoke", "deploy"], *, cross_check: bool = False
) -> Job:
    """The check of a design as plain data."""
    device = target_device(design.facts, devices)
    memory = number(design.facts, "compute.memory_gib", math.nan)
    target = Target.model_validate(
        {
            "kind": value(design.facts, "compute.kind") or "cpu",
            "name": device.name if device else None,
            "memory_gib": None if math.isnan(memory) else memory,
            "compute_capability": device.compute_capability if device else None,
            "is_here": (kind := design.facts.get("compute.kind")) is not None and kind.origin is Origin.DETECTED,
        }
    )
    return Job(
        check=check,
        task=str(value(design.facts, "task.kind")),
        build=design.candidate.build,
        recipe=design.recipe,
        target=target,
        cross_check=cross_check,
        time_limit_s=TIME_LIMITS_S[check],
    )


def _run(candidate: Tried, devices: Mapping[str, DeviceEntry], checker: Checker) -> Tried:
    """Smoke-train the candidate, and meanwhile count its FLOPs a second way."""
    design = candidate.assessment.design
    with _side_by_side(1) as pool:
        counting = pool.submit(checker.static, make_job(design, devices, "static", cross_check=True))
        smoke = checker.smoke(make_job(design, devices, "smoke"))
        counted = counting.result()
    assessment = candidate.assessment
    checks = tuple(_cross_checked(check, counted) if check.name == "flops" else check for check in assessment.checks)
    assessment = replace(assessment, checks=checks)
    predictions: tuple[Check, ...] = ()
    if isinstance(smoke, SmokeEvidence):
        assessment, predictions = hold_measured(assessment, smoke)
    return replace(candidate, assessment=assessment, smoke=smoke, predictions=predictions)


def _deploy(candidate: Tried, devices: Mapping[str, DeviceEntry], checker: Checker) -> Tried:
    """Really compress and export the candidate, where its recipe says so."""
    design = candidate.assessment.design
    return replace(candidate, deploy=checker.deploy(make_job(design, devices, "deploy"))) if techniques(design.recipe) else candidate


CROSS_CHECK_TOLERANCE = 0.03  # of published counts; beyond it the two counters disagree about more than a missed operator


def _cross_checked(check: Check, counted: StaticEvidence | Refusal) -> Check:
    if isinstance(counted, Refusal):
        return _also(check, f"not cross-checked: {counted.reason}")
    if counted.flops_cross_check is None:
        return _also(check, f"not cross-checked: {counted.flops_cross_check_detail}")
    ratio = counted.flops_cross_check / max(counted.flops_forward, 1)
    agree = abs(ratio - 1) <= CROSS_CHECK_TOLERANCE
    said = f"fvcore on real tensors counts {ratio:.3f} times as many" + ("" if agree else ", and the difference is unexplained")
    return check.model_copy(update={"detail": f"{check.detail}; {said}", "status": "passed" if agree else "failed"})


def _also(check: Check, said: str) -> Check:
    return check.model_copy(update={"detail": f"{check.detail}; {said}"})

"""The search for a design: candidates compared, each repaired until it fits, the first that fits really run.

Evidence comes through a `Checker`, so that this module knows neither torch nor processes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from advisor.catalogue.entries import DeviceEntry, ModelEntry
from advisor.engine.loading import Knowledge
from advisor.planning.candidates import Proposal, Rejected, propose
from advisor.planning.checking import Assessment, target_device
from advisor.planning.plan import Brief, Design
from advisor.planning.repairing import fit
from advisor.planning.sizing import number, value
from advisor.report import Check, Edit
from advisor.verify.evidence import DeployEvidence, Job, Refusal, SmokeEvidence, StaticEvidence, Target
from advisor.verify.techniques import techniques

Depth = Literal["none", "static", "smoke"]
TIME_LIMITS_S = {"static": 60.0, "smoke": 60.0, "deploy": 180.0}  # an export cannot be cut short; on a busy machine it takes a minute


class Checker(Protocol):
    """What carries out checks, in another process or not."""

    def static(self, job: Job) -> StaticEvidence | Refusal: ...

    def smoke(self, job: Job) -> SmokeEvidence | Refusal: ...

    def deploy(self, job: Job) -> DeployEvidence | Refusal: ...


@dataclass(frozen=True)
class Tried:
    """One candidate, as far as it got."""

    assessment: Assessment
    edits: tuple[Edit, ...] = ()
    smoke: SmokeEvidence | Refusal | None = None
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
    models: Mapping[str, ModelEntry],
    devices: Mapping[str, DeviceEntry],
    checker: Checker | None,
    depth: Depth,
) -> Search:
    """Compare the candidates and choose the first that fits every limit and, at depth `smoke`, really trains; that one is exported."""
    proposal: Proposal = propose(models, request, knowledge.rules.forbids)

    def attempt(entry: ModelEntry) -> Tried:
        return try_one(knowledge, request, entry, devices, checker)

    if checker is None:
        tried = [attempt(entry) for entry in proposal.compared]
    else:
        with ThreadPoolExecutor(max_workers=max(1, len(proposal.compared))) as pool:
            tried = list(pool.map(attempt, proposal.compared))
    chosen = None
    for index, candidate in enumerate(tried):
        if not candidate.fits:
            continue
        if depth == "smoke" and checker is not None:
            tried[index] = _run(candidate, devices, checker)
        if tried[index].fits:
            if depth == "smoke" and checker is not None:
                tried[index] = _deploy(tried[index], devices, checker)
            chosen = tried[index]
            break
    return Search(chosen, tuple(tried), proposal.rejected)


def try_one(knowledge: Knowledge, request: Brief, entry: ModelEntry, devices: Mapping[str, DeviceEntry], checker: Checker | None) -> Tried:
    """One candidate, repaired as far as it goes."""

    def verify(design: Design) -> StaticEvidence | Refusal | None:
        return checker.static(make_job(design, devices, "static")) if checker else None

    return Tried(*fit(knowledge, request, entry, verify, devices))


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
    with ThreadPoolExecutor(max_workers=1) as pool:
        counting = pool.submit(checker.static, make_job(design, devices, "static", cross_check=True))
        smoke = checker.smoke(make_job(design, devices, "smoke"))
        counted = counting.result()
    assessment = candidate.assessment
    if isinstance(counted, StaticEvidence):
        checks = tuple(_cross_checked(check, counted) if check.name == "flops" else check for check in assessment.checks)
        assessment = replace(assessment, checks=checks)
    return replace(candidate, assessment=assessment, smoke=smoke)


def _deploy(candidate: Tried, devices: Mapping[str, DeviceEntry], checker: Checker) -> Tried:
    """Really compress and export the candidate, where its recipe says so."""
    design = candidate.assessment.design
    return replace(candidate, deploy=checker.deploy(make_job(design, devices, "deploy"))) if techniques(design.recipe) else candidate


CROSS_CHECK_TOLERANCE = 0.03  # of published counts; beyond it the two counters disagree about more than a missed operator


def _cross_checked(check: Check, counted: StaticEvidence) -> Check:
    if counted.flops_cross_check is None:
        return check.model_copy(update={"detail": f"{check.detail}; not cross-checked: {counted.flops_cross_check_detail}"})
    ratio = counted.flops_cross_check / max(counted.flops_forward, 1)
    agree = abs(ratio - 1) <= CROSS_CHECK_TOLERANCE
    said = f"fvcore on real tensors counts {ratio:.3f} times as many" + ("" if agree else ", and the difference is unexplained")
    return check.model_copy(update={"detail": f"{check.detail}; {said}", "status": "passed" if agree else "failed"})

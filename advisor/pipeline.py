"""From a request to a report: the stages in order, and the four answers that they can end in.

The order is that of the report's statuses: a bad request is an error; then not applicable; then needs input; then
infeasible; then designed. Whatever is known by then is in the report.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from advisor import __version__, catalogue
from advisor import choices as c
from advisor import projection as p
from advisor import report as r
from advisor.deploy_report import deploy_checks
from advisor.drafting import Draft
from advisor.engine.asking import critical_questions, open_questions
from advisor.engine.deciding import Outcomes, decide
from advisor.engine.facts import Facts, Origin
from advisor.engine.loading import Knowledge, load_knowledge, rule_paths
from advisor.evidence_report import smoke_checks, smoke_figures, verification_notices, workflow
from advisor.intake import Intake, read_facts
from advisor.intake.derive import follow
from advisor.planning.candidates import NOT_FOR_PRODUCTS
from advisor.planning.designing import Checker, Depth, Search, Tried, search, try_one
from advisor.planning.plan import Brief, Design, brief
from advisor.planning.relaxing import Breach, accuracy_breach, correct, relax, smallest
from advisor.planning.sensitivity import sensitivity
from advisor.planning.undecided import undecided_notices
from advisor.reading import read_request
from advisor.request import Request
from advisor.search_space import search_space
from advisor.verify.budget import Budgeted, parse_budget
from advisor.verify.evidence import SmokeEvidence


@dataclass
class Clock:
    """Seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + now - self.started, 4)
        self.started = now


@dataclass
class Session:
    """What one request needs at every stage."""

    request: Request
    knowledge: Knowledge
    intake: Intake
    clock: Clock

    @property
    def facts(self) -> Facts:
        return self.intake.facts


def design(
    request: Request | Mapping[str, Any] | str | Path,
    verify: Depth = "smoke",
    *,
    rules: Sequence[str | Path] = (),
    checker: Checker | None = None,
    budget: float | str | None = None,
) -> r.Report:
    """The checked design for a request, or one of the three honest answers that are none.

    Args:
        request: a `Request`, its wire form, or the path of a YAML or JSON file.
        verify: `none` (rules only), `static` (build, count, predict) or `smoke` (and train a little).
        rules: folders of further rules.
        checker: what carries out checks; made and closed here where none is given.
        budget: the time that the checks may take together, in seconds or as text ("5 min"); what it does not reach is skipped.

    Raises:
        RequestError: the request cannot be read, or contradicts itself; every fault with its place.
        KnowledgeError: a rule folder is faulty.
        UsageError: the budget is no time.
    """
    return draft(request, verify, rules=rules, checker=checker, budget=budget).finished()


def draft(
    request: Request | Mapping[str, Any] | str | Path,
    verify: Depth,
    *,
    rules: Sequence[str | Path],
    checker: Checker | None,
    budget: float | str | None,
) -> Draft:
    """As `design`, for who wants the report's bytes and not the report."""
    budget_s = None if budget is None else parse_budget(budget)
    if verify == "none":
        return _answer(request, verify, rules, None)
    if checker is not None:
        return _answer(request, verify, rules, _within(budget_s, checker, verify))
    from advisor.cache import EvidenceCache
    from advisor.verify.verifier import Verifier

    with Verifier(cache=EvidenceCache()) as verifier:
        return _answer(request, verify, rules, _within(budget_s, verifier, verify))


def _within(budget_s: float | None, checker: Checker, verify: Depth) -> Checker:
    return checker if budget_s is None else Budgeted(checker, budget_s, trains=verify == "smoke")


def _answer(
    request: Request | Mapping[str, Any] | str | Path, verify: Depth, rules: Sequence[str | Path], checker: Checker | None
) -> Draft:
    clock = Clock()
    read = read_request(request)
    knowledge = load_knowledge(rule_paths(rules))
    intake = read_facts(read, knowledge.vocabulary)
    session = Session(read, knowledge, intake, clock)
    clock.lap("intake")
    applies = _applicability(session)
    if applies is not None and applies.name != "design":
        return _not_applicable(session, applies)
    questions = critical_questions(knowledge, session.facts, intake.plausible)
    if questions:
        return _needs_input(session, questions)
    decided = brief(knowledge, session.facts)
    clock.lap("rules")
    accuracy = accuracy_breach(session.facts, catalogue.datasets())
    serving = catalogue.serving(str(session.facts["task.kind"].value))
    found = search(knowledge, decided, serving, catalogue.devices(), checker, verify)
    clock.lap("verification")
    if accuracy is not None or found.chosen is None:
        return _infeasible(session, decided, found, accuracy, checker)
    return _designed(session, found, found.chosen, verify)


# --- the four answers ------------------------------------------------------------------------------------------------


VERDICTS = {
    "use_instead": "Deep learning is not the tool for this",
    "train_nothing": "Nothing has to be trained for this",
    "not_covered": "This is not covered yet",
}


def _applicability(session: Session) -> c.Applicability | None:
    slots = [slot for slot in session.knowledge.rules.slots if slot.name == "applicability"]
    outcomes, _ = decide(session.knowledge.rules, slots, session.facts)
    return p.only(outcomes, "applicability", c.Applicability)


def _not_applicable(session: Session, applies: c.Applicability) -> Draft:
    outcomes = _request_outcomes(session)
    kept: Outcomes = {name: outcomes[name] for name in ("applicability", "issues") if name in outcomes}
    instead = [r.Baseline(name=name, why=p.fill(applies.reason, session.facts)) for name in applies.instead]
    reason = f"use {'; or '.join(applies.instead)}." if instead else p.fill(applies.reason, session.facts)
    headline = f"{VERDICTS[applies.name]}: {reason}"
    return _report(session, r.Status.NOT_APPLICABLE, headline, kept, baselines=instead)


def _needs_input(session: Session, questions: list[r.Clarification]) -> Draft:
    outcomes = _request_outcomes(session)
    asked = {question.fact for question in questions}
    # Of a task that is not known nearly every fact is open; what to ask next depends on the first answer.
    further = (
        []
        if "task.kind" in asked
        else [question for question in open_questions(session.knowledge, outcomes, session.facts) if question.fact not in asked]
    )
    count = len(questions)
    headline = f"{count} critical {'answer is' if count == 1 else 'answers are'} missing; no design is made on a guess."
    return _report(session, r.Status.NEEDS_INPUT, headline, outcomes, clarifications=questions + further)


def _infeasible(session: Session, decided: Brief, found: Search, accuracy: Breach | None, checker: Checker | None) -> Draft:
    serving = catalogue.serving(str(session.facts["task.kind"].value))
    relaxations = smallest([_verified(session, one, checker) for one in relax(serving, session.facts, found, accuracy)])
    binding = sorted({change.fact for relaxation in relaxations for change in relaxation.changes})
    headline = "No model meets the stated limits together" + (f"; what binds: {', '.join(binding)}." if binding else ".")
    if accuracy is not None:
        headline += f" {accuracy.because[0].upper()}{accuracy.because[1:]}."
    checks = [check for tried in found.tried for check in tried.assessment.checks if check.status == "failed"]
    return _report(
        session,
        r.Status.INFEASIBLE,
        headline,
        decided.outcomes,
        candidates=_candidates(found),
        verification=checks,
        relaxations=relaxations,
    )


def _verified(session: Session, relaxation: r.Relaxation, checker: Checker | None) -> r.Relaxation:
    """The relaxation with its limits really relaxed and its model really checked; once more with the figures that this found."""
    if checker is None or relaxation.candidate is None:
        return relaxation
    attempt = _attempted(session, relaxation, checker)
    if not attempt.fits:
        relaxation = correct(relaxation, attempt)
        attempt = _attempted(session, relaxation, checker)
    return relaxation.model_copy(update={"verified": attempt.fits})


def _attempted(session: Session, relaxation: r.Relaxation, checker: Checker) -> Tried:
    changed = {
        change.fact: session.facts[change.fact]._replace(value=change.needed)
        for change in relaxation.changes
        if change.fact in session.facts
    }
    request = brief(session.knowledge, {**session.facts, **changed})
    return try_one(session.knowledge, request, catalogue.models()[str(relaxation.candidate)], catalogue.devices(), checker)


def _designed(session: Session, found: Search, best: Tried, verify: Depth) -> Draft:
    made, figures = best.assessment.design, dict(best.assessment.figures)
    figures.update(smoke_figures(best.smoke))
    checks = [
        *best.assessment.checks,
        *smoke_checks(best.smoke, verify),
        *best.predictions,
        *deploy_checks(best),
        *_accuracy_check(made.facts),
    ]
    return _report(
        session,
        r.Status.DESIGNED,
        _headline(best),
        made.outcomes,
        facts=made.facts,
        model_design=_model_design(made),
        training_strategy=p.training_strategy(made),
        debugging_guidance=p.debugging_guidance(made.outcomes, made.facts),
        engineering_practice=p.engineering_practice(made),
        expected_performance=p.expected_performance(made, figures),
        recipe=made.recipe,
        search_space=search_space(made, figures),
        candidates=_candidates(found),
        verification=checks,
        notices=[*_licence_notice(best, found), *verification_notices(best), *undecided_notices(session.knowledge, best.assessment)],
        clarifications=open_questions(session.knowledge, made.outcomes, made.facts),
        sensitivity=sensitivity(session.knowledge, made, follow),
        practices=p.practices(made.outcomes, made.facts),
        departures=p.departures(made.outcomes, made.facts),
        workflow=workflow(best, session.facts),
        seed=0,
        versions=_versions(best),
        device=(best.smoke.machine or best.smoke.device) if isinstance(best.smoke, SmokeEvidence) else None,
    )


def _model_design(made: Design) -> r.ModelDesign:
    """With the core of the project that `advisor scaffold` writes, where there is one for this kind of design."""
    from advisor.scaffolding.rendering import render_core

    values = {name: fact.value for name, fact in made.facts.items()}
    code = render_core(made.recipe, str(values["task.kind"]), values)
    return p.model_design(made).model_copy(update={"code_framework": code})


# --- parts that every answer shares ----------------------------------------------------------------------------------


def _request_outcomes(session: Session) -> Outcomes:
    """What can be decided without a candidate, guidance for stated issues included."""
    rules = session.knowledge.rules
    outcomes, known = decide(rules, rules.per("request"), session.facts)
    guidance, _ = decide(rules, [rules.slot[name] for name in ("visualization", "checks")], known)
    return {**outcomes, **guidance}


def _report(
    session: Session,
    status: r.Status,
    headline: str,
    outcomes: Outcomes,
    *,
    facts: Facts | None = None,
    baselines: list[r.Baseline] | None = None,
    seed: int = 0,
    versions: dict[str, str] | None = None,
    device: str | None = None,
    notices: Sequence[r.Notice] = (),
    **parts: Any,
) -> Draft:
    known = session.facts if facts is None else facts
    stated_issues = any(name.startswith("issue.") and fact.value is True for name, fact in known.items())
    if stated_issues and "debugging_guidance" not in parts:
        parts["debugging_guidance"] = p.debugging_guidance(outcomes, known)
    session.clock.lap("report")
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    provenance = r.Provenance(
        advisor=__version__,
        rules=session.knowledge.rules.digest,
        catalogue=catalogue.newest_date().isoformat(),
        versions=versions or {},
        device=device,
        seed=seed,
        created=now,
        seconds=session.clock.seconds,
    )
    report = r.Report(
        status=status,
        headline=headline,
        assumptions=_assumptions(known),
        baselines=_baselines(outcomes, known) if baselines is None else baselines,
        # What to mind in a design is for those who get one.
        warnings=[*session.intake.notices, *notices, *(_notices(outcomes, known) if status is r.Status.DESIGNED else [])],
        provenance=provenance,
        **parts,
    )
    return Draft(report, outcomes, known)


def _assumptions(facts: Facts) -> list[r.Assumption]:
    assumed = [(name, fact) for name, fact in sorted(facts.items()) if fact.origin is Origin.ASSUMED]
    return [r.Assumption(fact=name, value=p.shown(fact.value), why=fact.detail or "the request does not say") for name, fact in assumed]


def _baselines(outcomes: Outcomes, facts: Facts) -> list[r.Baseline]:
    return [
        r.Baseline(name=choice.name, why=p.fill(choice.text, facts), sources=sources)
        for choice, sources in p.with_sources(outcomes, "baseline", c.BaselineChoice)
    ]


def _notices(outcomes: Outcomes, facts: Facts) -> list[r.Notice]:
    return [
        r.Notice(kind=choice.name, text=p.fill(choice.text, facts), source=next(iter(sources), None))
        for choice, sources in p.with_sources(outcomes, "notice", c.NoticeChoice)
    ]


def _licence_notice(best: Tried, found: Search) -> list[r.Notice]:
    """What a model's licence asks for, where it is not a permissive one, and a model that is free of it, a compared one first."""
    entry = best.entry
    if entry.license_class == "permissive":
        return []
    compared = (tried.entry for tried in found.tried if tried.fits)
    known = (other for other in catalogue.models().values() if set(other.tasks) & set(entry.tasks))
    free = next((other for other in (*compared, *known) if other.license_class == "permissive"), None)
    instead = f" {free.name} serves the same task under {free.license}." if free else ""
    sold = best.assessment.design.facts.get("license.commercial")
    if entry.license_class in NOT_FOR_PRODUCTS and sold is not None and sold.value is True:
        terms = "does not allow commercial use" if entry.license_class == "noncommercial" else "does not clearly allow commercial use"
    else:
        terms = "read it before use"
    return [
        r.Notice(kind="licence", text=f"The weights of {entry.name} are under {entry.license} ({entry.license_class}): {terms}.{instead}")
    ]


def _accuracy_check(facts: Facts) -> list[r.Check]:
    target = facts.get("limit.accuracy")
    if target is None or not target.value:
        return []
    return [
        r.Check(
            name="accuracy",
            status="skipped",
            limit=float(target.value),
            detail="needs a pilot run: no prediction of accuracy on new data is worth a number",
        )
    ]


def _candidates(found: Search) -> list[r.Candidate]:
    return [_candidate(tried, found.chosen) for tried in found.tried]


def _candidate(tried: Tried, best: Tried | None) -> r.Candidate:
    entry = tried.entry
    model = r.CandidateModel(id=entry.id, library=entry.build.library, architecture_family=entry.family, license=entry.license)
    verdict = "chosen" if tried is best else "runner-up" if tried.fits else "rejected"
    return r.Candidate(
        model=model, verdict=verdict, reason=_reason(tried, verdict), figures=dict(tried.assessment.figures), repairs=list(tried.edits)
    )


def _reason(tried: Tried, verdict: str) -> str:
    if verdict == "rejected":
        failed = [f"{check.name}: {check.detail}" for check in tried.assessment.failed]
        failed += [f"{check.name}: {check.detail}" for check in smoke_checks(tried.smoke, "smoke") if check.status == "failed"]
        return "; ".join(failed) + ("" if tried.is_complete else "; not repaired, since the chosen one costs less")
    mended = f" after {len(tried.edits)} edit{'s' * (len(tried.edits) > 1)}" if tried.edits else ""
    lost = f", at an expected loss of {tried.cost[0]:g} points" if tried.cost[0] else ""
    if verdict == "runner-up":
        return f"meets the limits{mended}{lost}, and comes after the chosen one ({tried.entry.tier} tier)"
    if lost:
        return f"meets every limit{mended} at the least cost: an expected loss of {tried.cost[0]:g} points ({tried.entry.tier} tier)"
    return f"the first in order of preference ({tried.entry.tier} tier) that meets every limit{mended}"


def _headline(best: Tried) -> str:
    made = best.assessment.design
    said = f"{best.entry.name}, {p.ADAPTATION_NAMES[made.recipe.model.adaptation]}"
    memory = next((check for check in best.assessment.checks if check.name == "training_memory" and check.limit is not None), None)
    if memory is not None and memory.value is not None and made.recipe.optimizer.name != "none":
        said += f"; training is predicted to need {memory.value:.1f} of {memory.limit:g} GiB"
    return f"{said}."


def _versions(best: Tried) -> dict[str, str]:
    evidence = best.assessment.evidence
    return dict(
        sorted(
            {**(evidence.versions if evidence else {}), **(best.smoke.versions if isinstance(best.smoke, SmokeEvidence) else {})}.items()
        )
    )

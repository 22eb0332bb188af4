"""What the smoke-train showed, and how far the seven-step workflow got, in the report's words."""

from __future__ import annotations

import math
from itertools import takewhile

from advisor.choices import Feedback
from advisor.engine.facts import Facts
from advisor.planning.designing import Depth, Tried
from advisor.planning.sizing import value
from advisor.projection import fill
from advisor.report import Check, FeedbackLoop, Notice, WorkflowStep
from advisor.verify.evidence import DeployEvidence, Refusal, SmokeEvidence, StaticEvidence
from advisor.wire import Basis, Quantity

GIB = 2**30


def smoke_checks(smoke: SmokeEvidence | Refusal | None, depth: Depth) -> list[Check]:
    """One check an assertion of the smoke-train; one skipped check where it did not run."""
    if smoke is None:
        why = "verification was not asked for" if depth == "none" else "only static verification was asked for"
        return [Check(name="smoke_train", status="skipped", detail=why)]
    if isinstance(smoke, Refusal):
        return [Check(name="smoke_train", status=smoke.status, detail=smoke.reason)]
    method = "the recipe on one synthetic batch, in a sandbox"
    extent = f"reduced: {'; '.join(smoke.reduced)}" if smoke.reduced else "the model as designed"
    if smoke.deviations:
        extent += f"; {'; '.join(smoke.deviations)}"
    falls = (
        f"loss from {smoke.losses[0]:.3g} to {smoke.losses[-1]:.3g} in {len(smoke.losses)} step{'s' * (len(smoke.losses) != 1)}; "
        if smoke.losses
        else ""
    )
    failed = [check.name for check in smoke.checks if check.status == "failed"]
    summary = Check(
        name="smoke_train",
        status="failed" if failed else "passed",
        method=method,
        device=smoke.device,
        detail=f"{falls}{extent}",
        figures=smoke_figures(smoke),
        losses=list(takewhile(math.isfinite, smoke.losses)) or None,
    )
    checks = [summary]
    checks += [
        Check(name=f"smoke.{check.name}", status=check.status, detail=check.detail, device=smoke.device, figures=check.figures)
        for check in smoke.checks
    ]
    if smoke.latency_unmeasured:
        checks.append(Check(name="smoke.latency", status="skipped", detail=smoke.latency_unmeasured, device=smoke.device))
    return checks


def smoke_figures(smoke: SmokeEvidence | Refusal | None) -> dict[str, Quantity]:
    """What was measured here; figures of this machine, not of the target."""
    if not isinstance(smoke, SmokeEvidence):
        return {}
    label = f"measured on {smoke.device}" + (", reduced copy" if smoke.reduced else "")
    figures = {f"here: {name}": quantity for name, quantity in smoke.inference.items()}
    if smoke.step_time is not None:
        figures["here: step_time"] = smoke.step_time
        figures["here: training_rate"] = _rate(smoke.samples, smoke.step_time)
    for name, held in (("peak_memory", smoke.peak_bytes), ("device_memory", smoke.device_bytes)):
        if held is not None:
            source = f"{label}, batch {smoke.batch}"
            figures[f"here: {name}"] = Quantity(value=held / GIB, unit="GiB", basis=Basis.MEASURED, source=source)
    return figures


_OPEN_NETWORK = "network not isolated: this system lets no process leave the network, so that checks ran with access to it"
_OPEN_DISK = "files not protected: this system has no Landlock, so that checks could write wherever the user can"


def verification_notices(best: Tried) -> list[Notice]:
    """What about the checks themselves the reader must know: predictions that missed, and a sandbox that was not closed."""
    missed = [
        Notice(kind="prediction", text=f"The prediction of {check.name.partition('.')[2].replace('_', ' ')} missed: {check.detail}.")
        for check in best.predictions
        if check.status == "failed"
    ]
    evidence = [one for one in (best.assessment.evidence, best.smoke) if isinstance(one, StaticEvidence | SmokeEvidence)]
    left_open = [
        Notice(kind="sandbox", text=text)
        for text, is_closed in (
            (_OPEN_NETWORK, all(one.is_network_isolated for one in evidence)),
            (_OPEN_DISK, all(one.is_writing_confined for one in evidence)),
        )
        if not is_closed
    ]
    return [*missed, *left_open]


def workflow(best: Tried, facts: Facts) -> list[WorkflowStep]:
    """The seven steps of the documented workflow: what this report did of each, and what is left to the reader."""
    made = best.assessment.design
    ran = isinstance(best.smoke, SmokeEvidence)
    failed_here = len(best.assessment.failed)
    compressed = made.recipe.compression.quantization != "none"
    tried = [one.name for one in best.deploy.variants if one.status == "made"] if isinstance(best.deploy, DeployEvidence) else []
    deployed: list[str] = [made.recipe.compression.quantization if compressed else "the limits are met without compression"]
    deployed += [f"made and compared here: {', '.join(tried)}"] if tried else []
    steps = [
        ("Task requirement analysis", "done", f"{value(facts, 'task.kind')}, {len(facts)} facts known"),
        (
            "Model architecture selection",
            "done",
            f"{made.candidate.name} chosen; {len(best.assessment.figures)} figures compared for each candidate",
        ),
        ("Training strategy design", "done", f"{len(made.outcomes)} slots decided by rules, each with its reason"),
        (
            "Experiment execution and monitoring",
            "partly" if ran else "pending",
            "the recipe was smoke-trained on synthetic data; the real run is yours" if ran else "nothing was trained",
        ),
        ("Problem diagnosis and tuning", "pending", "guidance for the issues likely with this design is in debuggingGuidance"),
        (
            "Compression and deployment",
            "partly" if compressed or tried else "not needed",
            "; ".join(deployed),
        ),
        (
            "Performance validation and documentation",
            "partly",
            f"{len(best.assessment.checks)} checks made, {failed_here} failed; the model card is written; accuracy needs your test set",
        ),
    ]
    loops = [(decided.rule_id, decided.choice) for decided in made.outcomes["feedback"].decided]
    return [
        WorkflowStep(
            step=number,
            name=name,
            status=status,
            evidence=evidence,
            feedback=[
                FeedbackLoop(seen=fill(loop.seen, made.facts), then=fill(loop.then, made.facts), back_to=loop.back_to, rule_id=rule_id)
                for rule_id, loop in loops
                if isinstance(loop, Feedback) and loop.step == number
            ],
        )
        for number, (name, status, evidence) in enumerate(steps, 1)
    ]


def _rate(samples: int, step: Quantity) -> Quantity:
    """Samples a second of steps over so many samples."""
    low, high = step.high or step.value, step.low or step.value
    return Quantity(
        value=samples / step.value, low=samples / low, high=samples / high, unit="samples/s", basis=step.basis, source=step.source
    )

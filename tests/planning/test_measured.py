"""What was measured on the target replaces the estimate, and a prediction that missed its own interval is a finding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from advisor import catalogue, design, evidence_report
from advisor.engine.loading import load_knowledge, rule_paths
from advisor.evidence_report import verification_notices
from advisor.intake import read_facts
from advisor.planning.checking import Assessment, assess
from advisor.planning.designing import Tried, make_job
from advisor.planning.measured import hold_measured
from advisor.planning.plan import NO_EDITS, brief, plan
from advisor.reading import read_request
from advisor.recipe import Compression
from advisor.report import Check
from advisor.verify.evidence import DeployEvidence, Job, Memory, Refusal, SmokeCheck, SmokeEvidence, StaticEvidence
from advisor.wire import Basis, Quantity

GIB = 2**30
REQUEST = {
    "task": {"type": "classification", "domain": "NLP", "specificTask": "ticket classification"},
    "data": {"size": "3,600 texts", "distribution": "5 categories", "labelAvailability": "fully-supervised"},
    "constraints": {"computeResources": "this machine", "latencyRequirement": "<50 ms", "budget": "1 day"},
}
PREDICTED = Memory(total=2 * GIB, low=int(1.8 * GIB), high=int(2.2 * GIB), categories={}, peak_at="", method="")
COUNTED = StaticEvidence(
    parameters=10**8, trainable_parameters=10**8, buffers=0, flops_forward=10**9, training_memory=PREDICTED, file_bytes={"fp32": 4 * 10**8}
)


def measured(unit: str, value: float, low: float | None = None, high: float | None = None) -> Quantity:
    return Quantity(value=value, low=low, high=high, unit=unit, basis=Basis.MEASURED, source="here")


def evidence(**changes: Any) -> SmokeEvidence:
    fields: dict[str, Any] = {
        "device": "CPU, 2 threads",
        "checks": [SmokeCheck(name="finite", status="passed", detail="")],
        "losses": [1.0] * 10,
        "batch": 16,
        "samples": 16,
        "step_time": measured("s", 0.5, 0.4, 0.8),
        "peak_bytes": 2 * GIB,
        "inference": {"median": measured("ms", 20.0), "p95": measured("ms", 30.0)},
        "is_on_target": True,
        "is_as_designed": True,
        "is_full_batch": True,
    }
    return SmokeEvidence(**(fields | changes))


@pytest.fixture(scope="module")
def assessment() -> Assessment:
    knowledge = load_knowledge(rule_paths(()))
    facts = read_facts(read_request(REQUEST), knowledge.vocabulary).facts
    made = plan(knowledge, brief(knowledge, facts), catalogue.models()["microsoft/MiniLM-L12-H384-uncased"], NO_EDITS)
    assert make_job(made, catalogue.devices(), "smoke").target.is_here
    recipe = made.recipe.model_copy(update={"compression": Compression()})
    return assess(replace(made, recipe=recipe), COUNTED, catalogue.devices())


def named(assessment: Assessment, name: str) -> Check:
    return next(check for check in assessment.checks if check.name == name)


def test_measured_latency_decides_what_an_estimate_could_not(assessment: Assessment) -> None:
    assert named(assessment, "latency").status == "skipped"
    for p95, median, status in ((30.0, 20.0, "passed"), (60.0, 20.0, "skipped"), (90.0, 60.0, "failed")):
        held, _ = hold_measured(assessment, evidence(inference={"median": measured("ms", median), "p95": measured("ms", p95)}))
        check = named(held, "latency")
        assert (check.status, check.limit, check.value) == (status, 50, median), check


def test_what_is_quantized_later_may_still_keep_a_limit_that_it_breaks_now(assessment: Assessment) -> None:
    smaller = assessment.design.recipe.model_copy(update={"compression": Compression.model_validate({"quantization": "int8-dynamic"})})
    quantized = replace(assessment, design=replace(assessment.design, recipe=smaller))
    slow = evidence(inference={"median": measured("ms", 60.0), "p95": measured("ms", 90.0)})
    check = named(hold_measured(quantized, slow)[0], "latency")
    assert check.status == "skipped" and "before quantization to int8-dynamic" in (check.detail or "")
    assert named(hold_measured(quantized, evidence())[0], "latency").status == "passed"


def test_training_time_is_extrapolated_as_an_interval_and_held_against_the_days(assessment: Assessment) -> None:
    held, _ = hold_measured(assessment, evidence())
    time = held.figures["training_time"]
    steps = 3600 * (assessment.design.recipe.epochs or 0) / 16
    assert time.low is not None and time.high is not None
    assert (time.low, time.value, time.high) == pytest.approx((0.4 * steps / 3600, 0.5 * steps / 3600, 0.8 * steps / 3600))
    assert time.basis == "estimated" and "10 steps measured on CPU, 2 threads" in (time.source or "")
    assert named(held, "training_time").status == "passed"


def test_a_prediction_that_missed_is_a_failed_entry_and_a_warning_but_no_fault_of_the_design(assessment: Assessment) -> None:
    held, predictions = hold_measured(assessment, evidence(peak_bytes=3 * GIB))
    (memory,) = predictions
    assert (memory.name, memory.status) == ("prediction.training_memory", "failed")
    assert memory.detail == "predicted 1.8 to 2.2 GiB, measured 3 GiB; it missed by a factor of 1.36"
    tried = Tried(held, smoke=evidence(), predictions=predictions)
    assert tried.fits
    assert [notice.text for notice in verification_notices(tried)] == [f"The prediction of training memory missed: {memory.detail}."]
    _, predictions = hold_measured(assessment, evidence())
    assert [(check.name, check.status) for check in predictions] == [("prediction.training_memory", "passed")]


def test_on_a_gpu_the_prediction_is_held_against_all_that_the_process_takes(assessment: Assessment) -> None:
    """Tensors alone are always less than a prediction that has the context in it."""
    _, (memory,) = hold_measured(assessment, evidence(peak_bytes=GIB, device_bytes=2 * GIB))
    assert (memory.status, memory.value) == ("passed", 2)
    assert evidence_report.smoke_figures(evidence(device_bytes=3 * GIB))["here: device_memory"].value == 3


def test_nothing_is_concluded_from_another_device_or_from_a_reduced_copy(assessment: Assessment) -> None:
    assert hold_measured(assessment, evidence(is_on_target=False)) == (assessment, ())
    held, predictions = hold_measured(assessment, evidence(is_as_designed=False))
    assert predictions == () and "training_time" not in held.figures
    assert named(held, "latency").status == "passed", "inference is always of the model as designed"
    held, predictions = hold_measured(assessment, evidence(is_full_batch=False))
    assert predictions == () and "training_time" in held.figures, "a smaller batch has less memory, and a rate of its own"


def test_a_sandbox_that_is_not_closed_is_said(assessment: Assessment) -> None:
    assert verification_notices(Tried(assessment, smoke=evidence())) == []
    (notice,) = verification_notices(Tried(assessment, smoke=evidence(is_network_isolated=False)))
    assert notice.text.startswith("network not isolated")
    counted = COUNTED.model_copy(update={"is_network_isolated": False})
    assert verification_notices(Tried(replace(assessment, evidence=counted)))[0].kind == "sandbox"
    (notice,) = verification_notices(Tried(assessment, smoke=evidence(is_writing_confined=False)))
    assert notice.text.startswith("files not protected")


class Missing:
    """A checker whose measurement on this machine is far from what was predicted."""

    def static(self, job: Job) -> StaticEvidence | Refusal:
        return COUNTED

    def smoke(self, job: Job) -> SmokeEvidence | Refusal:
        return evidence(peak_bytes=3 * GIB, is_network_isolated=False)

    def deploy(self, job: Job) -> DeployEvidence | Refusal:
        return Refusal(status="skipped", reason="not asked here")


def test_the_report_shows_what_was_measured_what_missed_and_what_was_not_isolated() -> None:
    report = design(REQUEST, "smoke", checker=Missing())
    checks = {check.name: check for check in report.verification}
    assert report.status == "designed"
    assert checks["latency"].status == "passed" and checks["latency"].device == "CPU, 2 threads"
    assert checks["prediction.training_memory"].status == "failed"
    assert checks["smoke_train"].figures["here: training_rate"].value == pytest.approx(32)
    assert {"prediction", "sandbox"} <= {notice.kind for notice in report.warnings}
    assert report.expected_performance is not None and "20" in (report.expected_performance.inference_latency or "")

"""What compression and export came to, in the report's words: kept only where it helps what was asked."""

from __future__ import annotations

import math
from typing import Any

import pytest

from advisor import Report, design
from advisor.deploy_report import Asked, describe_variant
from advisor.engine.loading import load_knowledge, rule_paths
from advisor.verify.evidence import Agreement, DeployEvidence, Job, Refusal, Timing, Variant

CPU = Asked(latency_ms=20.0, size_mb=math.inf, original_mb=45.0, target="cpu")
GPU = Asked(latency_ms=20.0, size_mb=math.inf, original_mb=45.0, target="gpu")
SMALL = Asked(latency_ms=20.0, size_mb=30.0, original_mb=45.0, target="cpu")
UNAVAILABLE = Refusal(status="skipped", reason="not asked here")


def variant(size: float = 0.25, time: float | None = 0.5, error: float | None = 0.01, name: str = "compress.int8_dynamic") -> Variant:
    """A version with so many times the size and the time of the original, 45 MB and 10 ms; `error` None is infinite."""
    return Variant(
        name=name,
        status="made",
        detail="matrix products in int8",
        against="fp32 under ONNX Runtime",
        bytes=int(45e6 * size),
        original_bytes=45_000_000,
        latency=None if time is None else Timing(median_ms=10 * time, p95_ms=12 * time, runs=30),
        original_latency=None if time is None else Timing(median_ms=10, p95_ms=12, runs=30),
        agreement=Agreement(samples=8, max_error=error, mean_error=error, relative_error=error, limit=0.25, top1=0.875),
    )


def evidence(*variants: Variant, reduced: tuple[str, ...] = ()) -> DeployEvidence:
    return DeployEvidence(device="a CPU, 2 threads", threads=2, reduced=list(reduced), variants=list(variants))


@pytest.mark.parametrize(
    ("made", "asked", "reduced", "status", "words"),
    [
        (variant(), CPU, (), "passed", "kept: 4 times smaller and 2 times faster than fp32 under ONNX Runtime"),
        (variant(time=3.0), CPU, (), "failed", "not kept: 4 times smaller and 3 times slower"),
        (variant(size=1.0, time=1.0), CPU, (), "failed", "not kept: no smaller and no faster"),
        (variant(time=3.0), SMALL, (), "passed", "the limit of 30 MB needs a smaller file"),
        (variant(size=1.0), SMALL, (), "failed", "not kept: no smaller"),
        (variant(time=3.0), GPU, (), "passed", "a time on this CPU says nothing of the target"),
        (variant(time=3.0), CPU, ("2 layers",), "passed", "the time is that of a reduced copy"),
        (variant(time=None), GPU, (), "passed", "not timed here"),
        (variant(error=0.4), CPU, (), "failed", "not kept: the outputs differ by 0.4 of their size"),
        (variant(error=None), CPU, (), "failed", "the outputs are no numbers"),
    ],
)
def test_a_technique_is_kept_if_it_helps_what_was_asked(made: Variant, asked: Asked, reduced: Any, status: str, words: str) -> None:
    check = describe_variant(made, evidence(made, reduced=reduced), asked)
    assert check.status == status
    assert check.detail and words in check.detail
    assert ("a reduced copy" in check.detail) == bool(reduced) == ("reduced copy" in str(check.device))


def test_the_value_is_the_figure_that_the_verdict_hangs_on() -> None:
    def main(made: Variant, asked: Asked) -> tuple[float | None, float | None, str | None]:
        check = describe_variant(made, evidence(made), asked)
        return check.value, check.limit, check.unit

    assert main(variant(), CPU) == (5.0, 10.0, "ms")
    assert main(variant(), GPU) == (11.25, 45.0, "MB")
    assert main(variant(), SMALL) == (11.25, 30.0, "MB")
    assert main(variant(error=0.4), CPU) == (0.4, 0.25, "relative error")
    assert main(variant(name="export.onnx"), CPU) == (0.01, 0.25, "relative error")


def test_an_export_is_judged_by_its_outputs_alone() -> None:
    slow, wrong = variant(size=1.0, time=3.0, name="export.onnx"), variant(error=0.4, name="export.onnx")
    assert describe_variant(slow, evidence(slow), CPU).status == "passed"
    assert describe_variant(wrong, evidence(wrong), CPU).status == "failed"


def test_every_figure_is_measured_and_says_of_what() -> None:
    figures = describe_variant(variant(), evidence(variant()), CPU).figures
    names = {"size", "original_size", "latency", "latency_p95", "original_latency", "original_latency_p95"}
    assert set(figures) == names | {"largest_error", "mean_error", "relative_error", "top-1_agreement"}
    assert {str(figure.basis) for figure in figures.values()} == {"measured"}
    assert figures["latency"].source == "30 runs in turns, batch 1, the model as designed, a CPU, 2 threads"


class Deploying:
    """A checker that deploys, and does nothing else."""

    def __init__(self, answer: DeployEvidence | Refusal) -> None:
        self.answer, self.jobs = answer, list[Job]()

    def static(self, job: Job) -> Refusal:
        return UNAVAILABLE

    smoke = static

    def deploy(self, job: Job) -> DeployEvidence | Refusal:
        self.jobs.append(job)
        return self.answer


def request(compute: str) -> dict[str, Any]:
    return {
        "task": {"type": "classification", "domain": "CV", "specificTask": "image classification"},
        "data": {"size": "5,000 images", "distribution": "10 classes"},
        "constraints": {"computeResources": compute, "latencyRequirement": "< 50 ms"},
    }


def statuses(report: Report) -> dict[str, str]:
    return {check.name: check.status for check in report.verification if check.name.startswith(("compress.", "export."))}


def test_what_is_recommended_is_deployed_once_and_other_runtimes_get_their_command() -> None:
    checker = Deploying(evidence(variant(name="export.onnx"), variant(size=0.5, name="compress.bf16")))
    report = design(request("RTX 3060 12GB"), "smoke", checker=checker)
    assert [job.check for job in checker.jobs] == ["deploy"]
    assert statuses(report) == {"export.onnx": "passed", "compress.bf16": "passed", "export.tensorrt": "skipped"}
    told = next(check for check in report.verification if check.name == "export.tensorrt")
    assert told.method and "trtexec --onnx=model.onnx" in told.method and "not checked here" in str(told.detail)


def test_a_check_that_broke_down_is_told_of_each_technique() -> None:
    broken = Refusal(status="skipped", reason="the check did not finish within 180 s here", cause="timeout")
    report = design(request("RTX 3060 12GB"), "smoke", checker=Deploying(broken))
    assert statuses(report) == {"export.onnx": "skipped", "compress.bf16": "skipped", "export.tensorrt": "skipped"}


def test_nothing_is_deployed_at_other_depths_and_the_commands_are_there_all_the_same() -> None:
    checker = Deploying(evidence())
    report = design(request("Raspberry Pi 5"), "static", checker=checker)
    assert checker.jobs == [] and statuses(report) == {"export.executorch": "skipped", "export.litert": "skipped"}


def test_every_runtime_that_an_export_names_has_its_command_where_that_export_is_chosen() -> None:
    rules = load_knowledge(rule_paths(())).rules
    runtimes = {rule.choice.name for rule in rules.rules["conversion"]}
    named = {
        name
        for rule in rules.rules["export"]
        for form in rule.choice.formats
        for name in ("TensorRT", "OpenVINO", "ExecuTorch", "Core ML", "GGUF", "CTranslate2", "LiteRT")
        if name in form
    }
    assert named == runtimes

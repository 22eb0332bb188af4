"""What tracing assumes of torch is tried; where it fails, formulas answer, with a wider interval."""

from __future__ import annotations

import pytest

from advisor.verify import selftest
from advisor.verify.build import build_model
from advisor.verify.memory import predict_training_memory
from advisor.verify.workload import workload_of
from tests.verify.jobs import bert_job, timm_job
from tests.verify.test_memory import on_gpu


def test_the_installed_torch_does_what_traces_assume() -> None:
    assert selftest.failed_assumptions() == ()


def test_an_assumption_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest.CudaChoices, "_attention", lambda *_, **__: None)
    selftest.failed_assumptions.cache_clear()
    try:
        assert selftest.failed_assumptions() == ("this torch hides attention from the choice of its kernel",)
    finally:
        selftest.failed_assumptions.cache_clear()


@pytest.mark.parametrize("job", [
    on_gpu(timm_job("resnet50", 224, batch={"per_device": 32, "effective": 32})),
    on_gpu(timm_job("vit_small_patch16_224", 224, batch={"per_device": 32, "effective": 32})),
    on_gpu(bert_job({}, batch={"per_device": 32, "effective": 32})),
], ids=["resnet50", "vit", "bert"])  # fmt: skip
def test_the_coarse_interval_holds_what_a_trace_predicts(job: object) -> None:
    traced, _ = predict_training_memory(job)  # type: ignore[arg-type]
    assert traced is not None
    coarse = selftest.predict_coarsely(build_model(job, "meta"), workload_of(job), job.recipe, job.target)  # type: ignore[arg-type, attr-defined]
    assert coarse.low <= traced.total <= coarse.high
    assert coarse.high - coarse.low > traced.high - traced.total

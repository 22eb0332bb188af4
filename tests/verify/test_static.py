"""One call says everything that can be known without training."""

from __future__ import annotations

import pytest

from advisor.errors import CheckError
from advisor.verify.evidence import Build, StaticEvidence
from advisor.verify.static import check_static
from tests.verify.jobs import make_recipe, mlp_job, timm_job


def test_the_evidence_is_whole_and_crosses_a_process_boundary() -> None:
    evidence = check_static(timm_job("resnet18", 224))
    assert evidence.parameters == evidence.trainable_parameters == 11_689_512 - 1000 * 513 + 10 * 513
    assert evidence.flops_forward / 2e9 == pytest.approx(1.82, rel=0.01)  # timm's published GMACs
    assert evidence.buffers > 0
    assert evidence.training_memory is not None
    assert evidence.inference_memory is not None
    assert evidence.flops_cross_check is None
    assert evidence.versions.keys() == {"torch", "timm"}
    assert evidence.file_bytes["fp32"] == 4 * (evidence.parameters + evidence.buffers)
    assert StaticEvidence.model_validate_json(evidence.model_dump_json(by_alias=True)) == evidence


def test_the_cross_check_runs_where_it_is_asked_for() -> None:
    job = timm_job("resnet18", 64).model_copy(update={"cross_check": True})
    evidence = check_static(job)
    assert evidence.flops_cross_check == pytest.approx(evidence.flops_forward, rel=0.01)
    assert evidence.trainable_parameters == evidence.parameters
    assert evidence.training_memory is None, "that is the work of the check without it"


def test_an_in_context_model_is_counted_and_not_trained() -> None:
    pytest.importorskip("tabicl")
    recipe = make_recipe({"kind": "table", "features": 6, "outputs": 3, "sequence_length": 50}, optimizer={"name": "none"},
                         model={"library": "tabular", "adaptation": "in_context"})  # fmt: skip
    job = mlp_job().model_copy(update={"recipe": recipe, "build": Build(library="tabular", factory="TabICL")})
    evidence = check_static(job)
    assert evidence.training_memory is None
    assert evidence.trainable_parameters == 0
    assert evidence.parameters > 20_000_000


def test_a_model_that_does_not_exist_is_an_error_with_a_way_out() -> None:
    with pytest.raises(CheckError, match="did you mean 'resnet18'"):
        check_static(timm_job("resnet180"))

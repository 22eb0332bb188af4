"""Compression and export on real models: what is sound agrees with the original, and what is broken is caught."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from advisor.verify import compress, deploy
from advisor.verify.agreement import compare
from advisor.verify.case import Case, version_of
from advisor.verify.compress import LIMITS, check_half
from advisor.verify.compress_distill import check_distillation, distil, faults_of
from advisor.verify.compress_onnx import check_dynamic, check_static, check_weights
from advisor.verify.compress_prune import check_pruning
from advisor.verify.deploy import run_deploy
from advisor.verify.evidence import Build, Job, Target
from advisor.verify.export_onnx import check_onnx, load
from advisor.verify.export_torch import check_torch_export
from advisor.verify.served import inputs_of, serve, set_distilling_mode
from advisor.verify.techniques import techniques
from advisor.verify.verifier import Verifier
from tests.verify.jobs import TINY_BERT, TINY_DECODER, bert_job, decoder_job, make_recipe, mlp_job, timm_job

WIDE_BERT = {**TINY_BERT, "hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 1}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """One thread, because two on a shared processor wait for each other; and libraries may warn of themselves."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with deploy._silence():
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def cnn(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A small residual network with batch norm; its graph is made once."""
    return Case(timm_job("test_resnet", 64), 4, tmp_path_factory.mktemp("cnn"))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(bert_job(WIDE_BERT), 4, tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def mlp(tmp_path: Path) -> Case:
    return Case(mlp_job(), 8, tmp_path)


@pytest.mark.parametrize(
    ("compression", "export", "wanted"),
    [
        ({}, [], ()),
        ({"quantization": "bf16"}, ["ONNX (ONNX Runtime)", "TensorRT engine"], ("compress.bf16", "export.onnx")),
        ({"quantization": "int8-static", "pruning": "…"}, ["ONNX"], ("export.onnx", "compress.int8_static", "compress.pruning")),
        ({"distillation": "…"}, ["torch.export (.pt2)"], ("export.torch_export", "compress.distillation")),
        ({}, ["ONNX (torch.onnx.export with dynamo)"], ("export.onnx",)),
        ({}, ["the library's own saved estimator"], ()),
    ],
)
def test_what_is_recommended_is_what_is_tried(compression: dict[str, str], export: list[str], wanted: tuple[str, ...]) -> None:
    assert techniques(make_recipe({"kind": "table"}, compression=compression, export=export)) == wanted


def test_errors_are_relative_to_the_outputs_and_classes_are_compared() -> None:
    outputs = torch.tensor([[3.0, -4.0], [0.0, 5.0]])
    found = compare(outputs, outputs + torch.tensor([[0.0, 0.0], [0.0, -6.0]]), 0.1, -1)
    assert (found.max_error, found.mean_error, found.top1) == (6.0, 1.5, 0.5)
    assert found.relative_error == pytest.approx(6 / math.sqrt(50)) and not found.is_close
    assert compare(outputs, outputs, 0.0, None).is_close and compare(outputs, outputs, 0.0, None).top1 is None


def test_places_that_change_order_at_a_near_tie_are_counted_and_left_out() -> None:
    """Query 123 and 124 of RF-DETR, whose scores differ by less than rounding, came out of ONNX Runtime the other way round."""
    outputs = torch.randn(4, 300, 8, generator=torch.Generator().manual_seed(0))
    other = outputs + 1e-6
    other[0, [123, 124]] = other[0, [124, 123]]
    found = compare(outputs, other, 1e-3, -1, picks=True)
    assert found.is_close and found.exchanged == 2 and found.relative_error and found.relative_error < 1e-5
    assert found.max_error and found.max_error > 0.1 and found.top1 != 1.0, "the errors themselves are of all places"
    assert not compare(outputs, other, 1e-3, -1).is_close, "nothing is forgiven to a model that picks nothing"


@pytest.mark.parametrize("places", [slice(0, 300), slice(5, 6), slice(0, 30)], ids=["all", "one place in every sample", "a tenth"])
def test_places_that_differ_for_another_reason_are_not_forgiven(places: slice) -> None:
    outputs = torch.randn(4, 300, 8, generator=torch.Generator().manual_seed(0))
    other = outputs.clone()
    other[:, places] *= 1.1
    found = compare(outputs, other, 1e-3, -1, picks=True)
    assert not found.is_close and found.exchanged == 0


@pytest.mark.parametrize("other", [torch.zeros(2, 3), torch.full((2, 2), math.nan)], ids=["another shape", "no numbers"])
def test_outputs_that_cannot_be_compared_do_not_agree(other: torch.Tensor) -> None:
    found = compare(torch.ones(2, 2), other, 0.5, -1)
    assert not found.is_close
    assert not type(found).model_validate_json(found.model_dump_json()).is_close  # as a sandbox's answer


def test_no_parameter_is_a_constant_that_could_hide_a_branch() -> None:
    served = serve(timm_job("test_convnext", 64))  # its layer scales start at 1e-6
    assert all(parameter.unique().numel() > 1 for parameter in served.parameters() if parameter.numel() > 1)


def test_sixteen_bits_halve_the_file_and_stay_close(cnn: Case) -> None:
    for name in ("compress.bf16", "compress.fp16"):
        made = check_half(cnn, name)
        assert made.agreement and made.agreement.is_close and made.bytes and made.original_bytes
        assert made.agreement.relative_error and made.agreement.relative_error > 0
        assert made.bytes < 0.6 * made.original_bytes


def test_sixteen_bits_that_the_cpu_does_not_compute_in_are_rounded_to_and_not_timed(cnn: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compress, "computes", lambda form: False)
    made = check_half(cnn, "compress.fp16")
    assert made.agreement and made.agreement.is_close and made.agreement.relative_error and made.bytes and made.original_bytes
    assert made.bytes < 0.6 * made.original_bytes and made.latency is None
    assert made.detail == "weights and inputs rounded to fp16 and computed with in fp32, for this CPU has no fp16 arithmetic"


def test_an_onnx_file_runs_any_batch_and_agrees(cnn: Case) -> None:
    made = check_onnx(cnn)
    assert made.agreement and made.agreement.is_close and made.agreement.top1 == 1.0
    assert made.latency and made.original_latency and made.latency.median_ms <= made.latency.p95_ms
    assert len(cnn.onnx.run(cnn.one)) == 1 and len(cnn.onnx.run(cnn.inputs)) == 4


def test_a_broken_export_is_caught(cnn: Case) -> None:
    """One convolution of the graph loses its weights, as where a constant is folded wrongly."""
    from onnx import numpy_helper

    graph = type(cnn.graph).FromString(cnn.graph.SerializeToString())
    weights = next(each for each in graph.graph.initializer if len(each.dims) == 4)
    weights.CopyFrom(numpy_helper.from_array(np.zeros(tuple(weights.dims), np.float32), weights.name))
    broken = cnn.compare("export.onnx", load(graph.SerializeToString(), "broken"), cnn.original, 1e-3, "")
    assert broken.agreement and not broken.agreement.is_close


def test_a_model_left_in_training_mode_is_caught(cnn: Case) -> None:
    training = version_of(serve(cnn.job).train(), "batch statistics instead of running ones")
    found = cnn.compare("export.torch_export", training, cnn.original, 1e-3, "")
    assert found.agreement and not found.agreement.is_close


def test_static_int8_quarters_a_cnn_and_dynamic_int8_does_not_help_it(cnn: Case) -> None:
    static, dynamic = check_static(cnn, "compress.int8_static"), check_dynamic(cnn, "compress.int8_dynamic")
    for made in (static, dynamic):
        assert made.agreement and made.agreement.is_close and made.agreement.limit == LIMITS["int8"], made
    assert static.bytes and dynamic.bytes and static.original_bytes
    assert static.bytes < 0.5 * static.original_bytes
    assert dynamic.bytes > 0.9 * static.original_bytes, "dynamic quantization takes matrix products alone"


@pytest.mark.slow
def test_dynamic_int8_and_block_weights_shrink_an_encoder(encoder: Case) -> None:
    sizes = []
    for check, name in (
        (check_dynamic, "compress.int8_dynamic"),
        (check_weights, "compress.int8_weight_only"),
        (check_weights, "compress.int4_weight_only"),
    ):
        made = check(encoder, name)
        assert made.agreement and made.agreement.is_close and made.bytes and made.original_bytes, made
        sizes.append(made.bytes / made.original_bytes)
    assert sizes[0] < 0.5 and sizes[1] < 0.5 and sizes[2] < sizes[1]


def test_a_saved_program_computes_what_the_model_does(mlp: Case) -> None:
    made = check_torch_export(mlp)
    assert made.agreement and made.agreement.relative_error == pytest.approx(0, abs=1e-5) and made.bytes


def test_pruning_removes_channels_and_keeps_the_outputs_shape(cnn: Case) -> None:
    made = check_pruning(cnn)
    assert made.bytes and made.original_bytes and made.bytes < 0.9 * made.original_bytes
    assert made.agreement and made.agreement.limit is None and made.agreement.is_close


def test_a_student_learns_from_a_teacher_that_stays_as_it_is(mlp: Case) -> None:
    made = check_distillation(mlp)
    assert made.status == "made", made.detail


def test_a_detector_that_wants_targets_in_training_is_distilled_without(tmp_path: Path) -> None:
    """It failed for want of `classes`: in training mode a detector of transformers works its own loss out."""
    config = {"model_type": "detr", "d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "num_queries": 5, "encoder_ffn_dim": 32,
              "decoder_ffn_dim": 32, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "num_labels": 3,
              "backbone_config": {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 8, 8, 8], "depths": [1, 1, 1, 1],
                                  "layer_type": "basic", "out_features": ["stage4"]}}  # fmt: skip
    recipe = make_recipe({"kind": "image", "image_size": 64, "channels": 3, "outputs": 3}, model={"library": "transformers"})
    build = Build(library="transformers", factory="DetrForObjectDetection", config=config)
    job = Job(check="deploy", task="object_detection", build=build, recipe=recipe, target=Target(kind="gpu"))
    student, teacher = serve(job), serve(job, 1)
    set_distilling_mode(student, job)
    inputs = inputs_of(student, job, 2)
    losses = distil(student, teacher, inputs, -1)
    assert losses[-1] < losses[0]


def test_a_teacher_that_trains_along_is_caught(mlp: Case) -> None:
    teacher, student = serve(mlp.job, 1), serve(mlp.job)
    before = [parameter.clone() for parameter in teacher.parameters()]
    joint = nn.ModuleList([student, teacher])
    assert not faults_of(distil(student, teacher, mlp.inputs, -1), teacher, before)
    torch.optim.SGD(joint.parameters(), lr=0.1).step()  # no gradients: nothing moves
    sum(parameter.sum() for parameter in teacher.parameters()).backward()
    torch.optim.SGD(joint.parameters(), lr=0.1).step()
    assert faults_of([1.0, 0.1], teacher, before) == ["the teacher got gradients", "the teacher's weights moved"]


@pytest.mark.parametrize("losses", [[1.0, 1.0], [1.0, math.nan]])
def test_a_student_that_does_not_learn_is_caught(mlp: Case, losses: list[float]) -> None:
    assert faults_of(losses, mlp.served, list(mlp.served.parameters())) == ["the loss did not fall"]


def deployed(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    return {made.name: made for made in run_deploy(replace_limit(job)).variants}


def replace_limit(job: Job) -> Job:
    return job.model_copy(update={"check": "deploy", "time_limit_s": 600})


def test_without_the_extra_the_rest_is_still_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    job = mlp_job(compression={"quantization": "bf16"}, export=["ONNX"])
    found = deployed(job, tmp_path, monkeypatch)
    assert found["compress.bf16"].status == "made"
    assert (found["export.onnx"].status, found["export.onnx"].detail) == ("skipped", "install advisor[export]")


def test_what_there_is_no_time_for_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy, "COMFORTABLE_S", 0.0)
    found = deployed(mlp_job(compression={"quantization": "bf16"}), tmp_path, monkeypatch)
    assert found["compress.bf16"].status == "skipped" and "not reached" in found["compress.bf16"].detail


def test_a_technique_that_raises_is_its_own_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the exporter does not know this operator")

    monkeypatch.setitem(deploy._CHECKS, "export.onnx", fail)
    found = deployed(mlp_job(compression={"quantization": "bf16"}, export=["ONNX"]), tmp_path, monkeypatch)
    assert [found[name].status for name in ("export.onnx", "compress.bf16")] == ["failed", "made"]
    assert found["export.onnx"].detail == "RuntimeError: the exporter does not know this operator"


def test_a_large_model_is_deployed_as_a_reduced_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy, "WEIGHTS_BYTES", (8 * 2**20,))
    monkeypatch.chdir(tmp_path)
    large = {**TINY_BERT, "hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 4, "vocab_size": 1000}
    evidence = run_deploy(replace_limit(bert_job(large, compression={"quantization": "fp16"})))
    assert evidence.reduced and evidence.variants[0].status == "made"


@pytest.mark.slow
def test_the_sandbox_deploys_a_decoder_without_a_trace(tmp_path: Path) -> None:
    job = decoder_job(TINY_DECODER, compression={"quantization": "int4-weight-only"}, export=["torch.export (.pt2)", "ONNX"])
    with Verifier() as verifier:
        evidence = verifier.deploy(replace_limit(job))
        folder = verifier._running_sandbox()._folder
        assert not [path for path in folder.iterdir() if path.is_dir()]
    assert not folder.exists()
    assert [made.status for made in evidence.variants] == ["made"] * 3, evidence

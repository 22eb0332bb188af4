"""The smoke-train: a sound recipe passes every check, and each kind of broken one fails the check that is there for it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import torch

from advisor.learning_rate import rate_factors
from advisor.verify import smoke_checks
from advisor.verify.batches import make_batch
from advisor.verify.evidence import Build, Job, Target
from advisor.verify.overfit import Subject, Trail, mark, overfit
from advisor.verify.smoke import build_for_training, prepare, run_smoke, stand_in
from tests.verify.jobs import TINY_BERT, TINY_DECODER, bert_job, decoder_job, make_recipe, mlp_job, timm_job

CPU = torch.device("cpu")
SGD = {"name": "sgd", "learning_rate": 0.01, "momentum": 0.9, "weight_decay": 0.0}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads on a shared processor wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def arm(job: Job) -> Subject:
    torch.manual_seed(0)
    return prepare(job, build_for_training(job, CPU)[0], CPU)


def train(subject: Subject, steps: int = 6, probe_steps: int = 60, seconds: float = 20.0) -> Trail:
    trail = Trail()
    overfit(
        subject,
        trail,
        own_steps=steps,
        probe_steps=probe_steps,
        probe_rate=3e-3,
        enough=partial(smoke_checks.enough_of_a_fall, subject.job, subject.batch),
        deadline=time.monotonic() + seconds,
    )
    return trail


def statuses(checks: list[Any]) -> dict[str, str]:
    return {check.name: check.status for check in checks}


SOUND = {
    "mlp": lambda: mlp_job(gradient_clip_norm=1.0, ema=0.9, batch={"per_device": 8, "accumulation": 4, "effective": 32}),
    "bert": lambda: bert_job(TINY_BERT, activation_checkpointing=True),
    "label smoothing": lambda: mlp_job(loss=[{"name": "cross_entropy"}, {"name": "label_smoothing", "value": 0.1}]),
    "frozen backbone": lambda: timm_job("resnet18", 32, model={"adaptation": "linear_probe", "pretrained": True}),
    "adapters": lambda: decoder_job(TINY_DECODER, model={"adaptation": "lora"}, precision="bf16", lora={"rank": 4, "alpha": 8}),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_recipe_passes_every_check(name: str) -> None:
    evidence = run_smoke(SOUND[name]())
    assert set(statuses(evidence.checks).values()) == {"passed"}, evidence.checks
    assert evidence.reduced == []
    assert all(math.isfinite(loss) for loss in evidence.losses)
    assert evidence.losses[-1] < evidence.losses[0]
    assert evidence.step_time is not None and 0 < evidence.step_time.low <= evidence.step_time.value <= evidence.step_time.high
    assert evidence.inference["median"].basis == "measured"
    assert evidence.inference["median"].value <= evidence.inference["p95"].value
    assert ("ema_follows" in statuses(evidence.checks)) == (name == "mlp")


def test_a_fine_tuning_rate_is_tried_first_and_the_probe_rate_is_stated() -> None:
    evidence = run_smoke(bert_job(TINY_BERT, optimizer={"name": "adamw", "learning_rate": 2e-5, "weight_decay": 0.01}))
    assert statuses(evidence.checks)["overfits"] == "passed"
    assert any("10 steps at the recommended rate 2e-05" in line and "0.001" in line for line in evidence.deviations)


@pytest.mark.parametrize("optimizer", [{**SGD, "learning_rate": 100.0}, {"name": "adamw", "learning_rate": 10.0, "weight_decay": 0.0}])
def test_a_rate_that_is_far_too_high_is_not_stable(optimizer: dict[str, Any]) -> None:
    trail = train(arm(mlp_job(optimizer=optimizer, schedule=None)), steps=10, probe_steps=0)
    assert smoke_checks.stable_rate(trail).status == "failed"


def test_the_recipes_own_steps_are_all_taken_however_long_someone_waits_and_others_are_not() -> None:
    subject, trail = arm(mlp_job(optimizer={**SGD, "learning_rate": 1e-6})), Trail()
    overfit(subject, trail, own_steps=10, probe_steps=50, probe_rate=1e-2, enough=lambda start: 0.0, deadline=math.inf, comfort_s=0.0)
    assert (trail.own_steps, len(trail.losses)) == (10, 10)


def test_of_no_step_nothing_is_said() -> None:
    assert smoke_checks.finite(Trail()).status == "skipped"
    assert smoke_checks.finite(Trail(faults=["the loss is nan at step 1"])).status == "failed"


def test_the_logarithm_of_nothing_is_a_loss_that_is_not_finite() -> None:
    subject = arm(mlp_job())
    subject.model.head.register_forward_hook(lambda module, inputs, output: torch.log(output.softmax(-1) * 0))
    assert smoke_checks.finite(train(subject)).status == "failed"


def test_a_loss_that_is_not_a_number_ends_the_run_and_fails() -> None:
    subject = arm(mlp_job())
    subject.batch["inputs"][0, 0] = math.nan
    trail = train(subject)
    assert smoke_checks.finite(trail).status == "failed"
    assert smoke_checks.overfits(trail).status == "failed"
    assert "nan at step 1" in smoke_checks.finite(trail).detail
    assert all(math.isfinite(loss) for loss in trail.losses)


def test_a_gradient_that_is_infinite_fails_though_the_loss_is_finite() -> None:
    subject = arm(mlp_job())
    subject.model.head.weight.register_hook(lambda gradient: gradient / 0)
    trail = train(subject)
    assert "gradients are not finite at step 1: head.weight" in smoke_checks.finite(trail).detail


def test_a_scaler_that_leaves_out_most_steps_fails_and_one_that_looks_for_its_scale_does_not() -> None:
    looking, lost = Trail(losses=[1.0] * 4, skipped_steps=2), Trail(losses=[1.0] * 4, skipped_steps=3)
    assert smoke_checks.finite(looking).status == "passed"
    assert (smoke_checks.finite(lost).status, "3 left out by the loss scaler" in smoke_checks.finite(lost).detail) == ("failed", True)


def test_a_model_that_cannot_see_its_input_does_not_overfit() -> None:
    subject = arm(mlp_job())
    subject.batch["inputs"].zero_()
    subject.batch["targets"].copy_(torch.arange(8) % 2)
    trail = train(subject)
    assert smoke_checks.overfits(trail).status == "failed"


def test_too_few_steps_to_judge_are_skipped_not_failed() -> None:
    subject = arm(mlp_job(optimizer={**SGD, "learning_rate": 1e-9}))
    trail = train(subject, steps=2, probe_steps=0)
    assert smoke_checks.overfits(trail).status == "skipped"
    assert smoke_checks.stable_rate(trail).status == "skipped"


def test_a_run_stops_when_its_time_is_up() -> None:
    start = time.monotonic()
    trail = train(arm(bert_job(TINY_BERT)), steps=10_000, seconds=0.5)
    assert time.monotonic() - start < 3
    assert 0 < trail.own_steps < 10_000


def test_setting_requires_grad_on_a_module_trains_nothing() -> None:
    model, _ = build_for_training(mlp_job(), CPU)
    model.requires_grad_(False)
    model.head.requires_grad = True  # what people write; it sets an attribute on the Module and no parameter's flag
    assert smoke_checks.something_trains(model).status == "failed"


def test_an_optimizer_that_lacks_a_parameter_or_holds_a_frozen_one_is_named() -> None:
    subject = arm(mlp_job())
    subject.optimizer.param_groups[0]["params"].pop()
    assert "it lacks head.bias" in smoke_checks.optimizer_covers(subject.model, subject.optimizer).detail
    subject = arm(mlp_job())
    subject.model.head.weight.requires_grad_(False)
    check = smoke_checks.optimizer_covers(subject.model, subject.optimizer)
    assert (check.status, "holds the frozen head.weight" in check.detail) == ("failed", True)


def test_a_detached_part_gets_no_gradient_and_does_not_move() -> None:
    subject = arm(mlp_job(optimizer={**SGD}))
    subject.model.body.register_forward_hook(lambda module, inputs, output: output.detach())
    trail = train(subject)
    check = smoke_checks.every_trainable_gets_gradient(subject.model, trail)
    assert (check.status, "body" in check.detail) == ("failed", True)
    assert smoke_checks.every_trainable_moves(subject.model, trail).status == "failed"


def test_a_part_that_the_optimizer_forgot_gets_a_gradient_and_does_not_move() -> None:
    subject = arm(mlp_job())
    subject.optimizer.param_groups[0]["params"] = list(subject.model.head.parameters())
    trail = train(subject)
    assert smoke_checks.every_trainable_gets_gradient(subject.model, trail).status == "passed"
    assert smoke_checks.every_trainable_moves(subject.model, trail).status == "failed"


def test_a_rate_below_the_resolution_of_its_values_is_said_and_not_failed() -> None:
    subject = arm(timm_job("resnet18", 32, schedule=None))
    norm = subject.model.bn1.weight
    for group in subject.optimizer.param_groups:
        group["params"] = [parameter for parameter in group["params"] if parameter is not norm]
    subject.optimizer.add_param_group({"params": [norm], "lr": 1e-9, "weight_decay": 0.0})
    trail = train(subject, steps=3, probe_steps=0)
    check = smoke_checks.every_trainable_moves(subject.model, trail)
    assert (check.status, "steps below the resolution of their values: bn1.weight" in check.detail) == ("passed", True)


def test_a_gradient_that_the_optimizer_s_epsilon_outweighs_is_said_and_not_failed() -> None:
    subject = arm(timm_job("resnet18", 32, schedule=None))
    norm = subject.model.bn1.weight
    for group in subject.optimizer.param_groups:
        group["weight_decay"] = 0.0
    norm.register_hook(lambda gradient: gradient * 1e-12)  # as behind a layer scale that begins at 1e-6
    trail = train(subject, steps=3, probe_steps=0)
    check = smoke_checks.every_trainable_moves(subject.model, trail)
    assert (check.status, "steps below the resolution of their values: bn1.weight" in check.detail) == ("passed", True)


def test_a_frozen_backbone_left_in_training_mode_moves_its_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("advisor.verify.overfit.set_training_mode", lambda model, recipe: model.train())
    subject = arm(timm_job("resnet18", 32, model={"adaptation": "linear_probe", "pretrained": True}))
    trail = train(subject, steps=2, probe_steps=0)
    check = smoke_checks.no_frozen_moves(subject.model, trail)
    assert (check.status, "running_mean" in check.detail) == ("failed", True)


def test_weight_decay_on_a_frozen_parameter_is_a_move() -> None:
    subject = arm(mlp_job())
    trail = Trail(before=mark(subject.model))
    subject.model.head.bias.requires_grad_(False).add_(1e-7)
    trail.after = mark(subject.model)
    assert "head.bias" in smoke_checks.no_frozen_moves(subject.model, trail).detail


def test_an_average_that_follows_at_once_averages_nothing() -> None:
    assert statuses(run_smoke(mlp_job(ema=0.9)).checks)["ema_follows"] == "passed"
    assert statuses(run_smoke(mlp_job(ema=0.0)).checks)["ema_follows"] == "failed"


def test_classes_beyond_the_outputs_end_the_check_before_a_loss_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_batch
    monkeypatch.setattr("advisor.verify.smoke.make_batch", lambda *a: {**(batch := made(*a)), "targets": batch["targets"] + 1})
    evidence = run_smoke(mlp_job())
    assert statuses(evidence.checks) == {"something_trains": "passed", "targets_fit": "failed"}


def test_a_model_that_is_not_trained_is_asked_to_predict() -> None:
    recipe = make_recipe(
        {"kind": "table", "features": 5, "outputs": 2, "sequence_length": 12},
        optimizer={"name": "none"},
        schedule=None,
        model={"library": "tabular", "architecture_family": "tabular", "adaptation": "in_context"},
    )
    build = Build(
        library="tabular", factory="TabICL", config={"embed_dim": 64, "col_num_blocks": 1, "row_num_blocks": 1, "icl_num_blocks": 1}
    )
    job = Job(check="smoke", task="tabular_classification", build=build, recipe=recipe, target=Target(kind="cpu"))
    evidence = run_smoke(job)
    assert statuses(evidence.checks) == {"predicts": "passed"}
    assert "no claim" in evidence.checks[0].detail
    assert evidence.losses == []


@pytest.mark.parametrize(
    ("predictions", "loss"), [(torch.tensor([[math.nan]] * 4), 1.0), (torch.ones(3, 2), 1.0), (torch.ones(4, 2), math.inf)]
)
def test_predictions_that_are_not_numbers_or_too_few_are_refused(predictions: torch.Tensor, loss: float) -> None:
    assert smoke_checks.predicts(predictions, loss, asked=4).status == "failed"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"precision": "fp16"}, "bf16 instead of fp16"),
        ({"model": {"pretrained": True}}, "random weights"),
        ({"batch": {"per_device": 8, "accumulation": 8, "devices": 4, "effective": 256}}, "16 samples a step instead of 256"),
        ({"lora": {"rank": 4, "alpha": 8, "base_precision": "nf4"}}, "a bf16 base instead of nf4"),
        ({"augmentation": [{"name": "mixup", "value": 0.2}]}, "without augmentation"),
        ({"optimizer": {"name": "adamw_8bit", "learning_rate": 1e-3}}, "32-bit states"),
    ],
)
def test_what_differs_from_the_recipe_is_said(changes: dict[str, Any], words: str) -> None:
    _, said = stand_in(mlp_job(**changes), CPU)
    assert any(words in line for line in said), said
    assert stand_in(mlp_job(), CPU) == (mlp_job(), [])


@pytest.mark.parametrize("name", ["constant", "linear", "cosine", "poly", "step", "onecycle", "plateau", "inverse_sqrt"])
def test_a_schedule_is_compressed_with_its_warm_up(name: str) -> None:
    factors = rate_factors(make_recipe({"kind": "table"}, schedule={"name": name, "warmup_fraction": 0.3}), 10)
    assert len(factors) == 10
    assert 0 < factors[0] < factors[1] < factors[2] < 1
    assert max(factors) == pytest.approx(1.0, abs=0.1)
    assert all(factor > 0 for factor in factors)


def test_label_smoothing_leaves_a_loss_that_need_not_be_lost() -> None:
    job = mlp_job(loss=[{"name": "cross_entropy", "value": 0.2}])
    floor = -(0.8667 * math.log(0.8667) + 2 * 0.0667 * math.log(0.0667))
    goal = smoke_checks.enough_of_a_fall(job, {"targets": torch.arange(6) % 3}, 1.05)
    assert goal == pytest.approx(1.05 - 0.2 * (1.05 - floor), abs=1e-3)


def test_guessing_the_commoner_label_is_not_learning() -> None:
    labels = {"targets": torch.tensor([0, 0, 0, 1])}
    assert smoke_checks.enough_of_a_fall(mlp_job(), labels, 1.1) == pytest.approx(0.8 * (0.75 * math.log(4 / 3) + 0.25 * math.log(4)))
    assert smoke_checks.enough_of_a_fall(mlp_job(), {"targets": torch.zeros(4, dtype=torch.int64)}, 1.1) == pytest.approx(0.88)
    squares = mlp_job(loss=[{"name": "mse"}])
    assert smoke_checks.enough_of_a_fall(squares, {"targets": torch.tensor([1.0, 3.0])}, 50.0) == pytest.approx(0.8)


@pytest.mark.slow
def test_a_step_in_bf16_with_layer_decay_and_checkpointing_passes() -> None:
    job = timm_job(
        "convnext_atto",
        64,
        precision="bf16",
        activation_checkpointing=True,
        model={"adaptation": "layer_decay"},
        optimizer={
            "name": "adamw",
            "learning_rate": 1e-3,
            "weight_decay": 0.05,
            "parameter_groups": [{"name": "layer_decay", "learning_rate_scale": 0.8}, {"name": "norm_and_bias", "weight_decay": 0.0}],
        },
    )
    assert set(statuses(run_smoke(job).checks).values()) == {"passed"}

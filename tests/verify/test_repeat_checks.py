"""The targets, the schedule and the repeats of the first steps: each kind of broken recipe fails the check that is there for it."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator

import pytest
import torch

from advisor.verify import repeats
from advisor.verify.build import build_model
from advisor.verify.evidence import Build, Job, SmokeCheck
from advisor.verify.overfit import Subject, Trail, overfit
from advisor.verify.repeat_checks import (
    beats_shuffled,
    exchange_targets,
    resumes,
    same_seed_agrees,
    schedule_ends,
    targets_fit,
    tells_samples_apart,
    twice_the_rate,
)
from advisor.verify.repeats import DOUBLINGS, Repeats, repeat, seed_generators, speed_up
from advisor.verify.smoke import build_for_training, prepare
from tests.verify.jobs import TINY_DECODER, decoder_job, make_recipe, mlp_job

CPU = torch.device("cpu")
STEPS = 10
AMPLE = 2.0**40


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads on a shared processor wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def arming(job: Job, breaking: Callable[[Subject], object] = lambda _: None) -> repeats.Arm:
    """Makes the job's subject from a seed, each time broken in the same way."""

    def arm(seed: int) -> Subject:
        seed_generators(seed)
        subject = prepare(job, build_for_training(job, CPU)[0], CPU)
        breaking(subject)
        seed_generators(seed)
        return subject

    return arm


def train(subject: Subject, probe_steps: int = 0) -> Trail:
    trail = Trail()
    overfit(
        subject,
        trail,
        own_steps=STEPS,
        probe_steps=probe_steps,
        probe_rate=1e-2,
        enough=lambda start: 0.7 * start,
        learnt=tells_samples_apart,
        deadline=math.inf,
    )
    return trail


def repeated(arm: repeats.Arm, seconds: float = math.inf, memory: float = AMPLE) -> tuple[Repeats, Trail]:
    trail = train(arm(0))
    return repeat(arm, 0, trail, STEPS, memory, time.monotonic() + seconds), trail


# --- targets ---------------------------------------------------------------------------------------------------------


def test_classes_shifted_by_one_are_found_before_a_loss_reads_beyond_its_outputs() -> None:
    subject = arming(mlp_job())(0)
    assert targets_fit(subject).status == "passed"
    subject.batch["targets"] += 1
    check = targets_fit(subject)
    assert (check.status, "classes 1 to 3, and 3 outputs" in check.detail) == ("failed", True), check


@pytest.mark.parametrize("by", [-1, 1])
def test_tokens_shifted_by_hand_for_a_model_that_shifts_them_itself_are_found(by: int) -> None:
    subject = arming(decoder_job(TINY_DECODER))(0)
    assert targets_fit(subject).status == "passed"
    subject.batch["labels"] = subject.batch["input_ids"].roll(by, dims=1)
    assert targets_fit(subject).status == "failed"


def test_values_that_may_be_anything_are_not_judged() -> None:
    assert targets_fit(arming(mlp_job(loss=[{"name": "mse"}]).model_copy(update={"task": "tabular_regression"}))(0)) is None


def test_a_model_that_learns_how_the_targets_are_distributed_but_not_which_is_which_is_found() -> None:
    def blind(subject: Subject) -> None:
        subject.batch["inputs"].zero_()
        subject.batch["targets"].copy_(torch.tensor([0, 0, 0, 0, 0, 0, 0, 1]))

    seeing, blinded = arming(mlp_job())(0), arming(mlp_job(), blind)(0)
    assert beats_shuffled(seeing, train(seeing, 60)).status == "passed"
    trail = train(blinded, 60)
    assert trail.losses[-1] < 0.7 * trail.losses[0], "the loss does fall"
    assert beats_shuffled(blinded, trail).status == "failed"


@pytest.mark.parametrize("agent", ["SAC", "TD3"])
def test_an_agent_that_learns_what_was_done_where_is_no_agent_that_guesses(agent: str) -> None:
    """The value of what it did is a small part of its loss: the actions are targets too."""
    recipe = make_recipe({"kind": "table", "features": 12, "outputs": 3}, model={"library": "stable_baselines3"})
    build = Build(library="stable_baselines3", factory=agent, config={"policy": "MlpPolicy", "net_arch": [64, 64]})
    job = mlp_job().model_copy(update={"task": "reinforcement_continuous", "recipe": recipe, "build": build})
    subject = arming(job)(0)
    assert beats_shuffled(subject, train(subject, 200)).status == "passed"


def test_targets_that_are_alike_or_belong_together_are_not_exchanged() -> None:
    alike = {"inputs": torch.rand(4, 6), "targets": torch.zeros(4, dtype=torch.int64)}
    assert exchange_targets(alike, mlp_job()) is None
    subject = arming(mlp_job())(0)
    subject.batch = alike
    assert beats_shuffled(subject, Trail(losses=[2.0, 1.0])) is None
    assert exchange_targets({"input_ids": torch.zeros(4, 2)}, mlp_job()) is None
    boxes = {"pixel_values": torch.rand(2, 3), "classes": torch.tensor([[1], [1]]), "boxes": torch.rand(2, 1, 4)}
    exchanged = exchange_targets(boxes, mlp_job())
    assert exchanged is not None
    assert torch.equal(exchanged["boxes"][0], boxes["boxes"][1]) and torch.equal(exchanged["pixel_values"], boxes["pixel_values"])


# --- the schedule ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["constant", "linear", "cosine", "poly", "step", "onecycle", "plateau", "inverse_sqrt"])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.6])
def test_every_schedule_ends_where_its_name_says(name: str, warmup: float) -> None:
    job = mlp_job(schedule={"name": name, "warmup_fraction": warmup})
    check = schedule_ends(job.recipe, train(arming(job)(0)), STEPS)
    assert check.status == "passed", check


def test_a_schedule_that_is_made_for_twice_as_many_steps_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    from advisor.learning_rate import rate_factors

    monkeypatch.setattr("advisor.verify.overfit.rate_factors", lambda recipe, steps: rate_factors(recipe, 2 * steps)[:steps])
    job = mlp_job()
    check = schedule_ends(job.recipe, train(arming(job)(0)), STEPS)
    assert (check.status, "ends at 0.671" in check.detail) == ("failed", True), check


@pytest.mark.parametrize(
    ("schedule", "length"),
    [({"warmup_steps": 500}, {"steps": 300, "epochs": None}), ({"warmup_epochs": 5}, {"epochs": 3}), ({"warmup_fraction": 1.0}, {})],
)
def test_a_warm_up_as_long_as_the_run_never_reaches_the_rate(schedule: dict[str, float], length: dict[str, int | None]) -> None:
    recipe = make_recipe({"kind": "table"}, schedule={"name": "cosine", **schedule}, **length)
    assert schedule_ends(recipe, Trail(own_steps=STEPS), STEPS).status == "failed"


def test_a_group_that_the_schedule_forgot_is_found() -> None:
    trail = Trail(own_steps=2, applied=[[1.0, 1.0], [0.1, 1.0]])
    assert "groups do not follow" in schedule_ends(mlp_job().recipe, trail, 2).detail
    assert schedule_ends(mlp_job().recipe, trail, STEPS).status == "skipped"


# --- the repeats -----------------------------------------------------------------------------------------------------


def judged(found: tuple[Repeats, Trail]) -> dict[str, SmokeCheck]:
    made, trail = found
    checks = (same_seed_agrees(made, trail, "cpu"), resumes(made, trail, "cpu"), twice_the_rate(made))
    return {check.name: check for check in checks}


def test_a_sound_recipe_repeats_itself_resumes_and_bears_twice_its_rate() -> None:
    checks = judged(repeated(arming(mlp_job(ema=0.9))))
    assert {check.status for check in checks.values()} == {"passed"}, checks
    assert checks["twice_the_rate"].figures["rate_margin"].value == 2**DOUBLINGS


def test_random_numbers_that_no_seed_reaches_are_found() -> None:
    unseeded = torch.Generator()
    unseeded.manual_seed(1)

    def disturb(subject: Subject) -> None:
        subject.model.head.register_forward_hook(lambda module, inputs, output: output + torch.randn(output.shape, generator=unseeded))

    checks = judged(repeated(arming(mlp_job(), disturb)))
    assert checks["same_seed_agrees"].status == "failed"
    assert checks["resumes"].status == "skipped"


def test_an_optimizer_whose_state_is_left_out_of_the_checkpoint_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = repeats._parts_with_state
    monkeypatch.setattr(repeats, "_parts_with_state", lambda subject: {"model": whole(subject)["model"]})
    checks = judged(repeated(arming(mlp_job())))
    assert checks["same_seed_agrees"].status == "passed"
    assert checks["resumes"].status == "failed"


def test_a_buffer_that_changes_and_is_not_saved_is_named() -> None:
    def count(subject: Subject) -> None:
        subject.model.head.register_buffer("calls", torch.zeros(1), persistent=False)
        subject.model.head.register_forward_hook(lambda module, inputs, output: module.calls.add_(1) and None)

    check = judged(repeated(arming(mlp_job(), count)))["resumes"]
    assert (check.status, "head.calls" in check.detail) == ("failed", True), check


def test_a_model_that_cannot_load_what_it_saved_is_found() -> None:
    numbers = itertools.count()

    def rename(subject: Subject) -> None:
        subject.model.register_buffer(f"buffer_{next(numbers)}", torch.zeros(1))

    check = judged(repeated(arming(mlp_job(), rename)))["resumes"]
    assert (check.status, "Missing key" in check.detail) == ("failed", True), check


def test_a_rate_near_the_edge_runs_away_and_its_margin_is_said() -> None:
    sgd = {"name": "sgd", "learning_rate": 0.25, "momentum": 0.0, "weight_decay": 0.0}
    found = Repeats()
    speed_up(arming(mlp_job(optimizer=sgd, schedule=None, loss=[{"name": "cross_entropy"}]))(0), found.faster, math.inf)
    check = twice_the_rate(found)
    assert check.status == "passed" and check.figures["rate_margin"].value < 64, check


def test_losses_that_overflow_at_twice_the_rate_fail() -> None:
    sgd = {"name": "sgd", "learning_rate": 1e12, "momentum": 0.9, "weight_decay": 0.0}
    one = {"kind": "table", "features": 6, "outputs": 1}
    job = mlp_job(input=one, loss=[{"name": "mse"}], optimizer=sgd, schedule=None).model_copy(update={"task": "tabular_regression"})
    found = Repeats()
    speed_up(arming(job)(0), found.faster, math.inf)
    assert twice_the_rate(found).status == "failed"


def test_what_there_is_no_time_or_memory_for_is_skipped_with_the_reason() -> None:
    late = judged(repeated(arming(mlp_job()), seconds=0.0))
    assert {check.status for check in late.values()} == {"skipped"}
    assert all("were left" in check.detail for check in late.values()), late
    small = judged(repeated(arming(mlp_job()), memory=100.0))
    assert {name: check.status for name, check in small.items()} == {
        "same_seed_agrees": "passed",
        "resumes": "skipped",
        "twice_the_rate": "passed",
    }


def test_tied_and_frozen_weights_come_back_from_a_checkpoint() -> None:
    job = decoder_job({**TINY_DECODER, "tie_word_embeddings": True}, model={"adaptation": "lora"}, lora={"rank": 4, "alpha": 8})
    assert build_model(job, "cpu") is not None
    assert {check.status for check in judged(repeated(arming(job))).values()} == {"passed"}

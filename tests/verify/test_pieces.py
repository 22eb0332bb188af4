"""Parts of static evidence that checks have in common: found out once, never taken for another's, and no worse for damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from advisor.recipe import Recipe
from advisor.verify import pieces as module
from advisor.verify.evidence import Job, StaticEvidence, Target
from advisor.verify.pieces import Kept, Pieces, model_job, training_job
from advisor.verify.static import Counted, check_static
from advisor.verify.verifier import Verifier
from tests.verify.jobs import mlp_job, timm_job

CARDS = [
    Target(kind="gpu", name="T4", memory_gib=16, compute_capability="7.5"),
    Target(kind="gpu", name="RTX 3060", memory_gib=12, compute_capability="8.6"),
    Target(kind="multi_gpu", name="H100", memory_gib=80, compute_capability="9.0"),
    Target(kind="cpu"),
]
LORA = {"rank": 8, "alpha": 16}
LOW_RANK = {"lora": LORA, "model": {"library": "timm", "architecture_family": "transformer", "adaptation": "lora"}}
VIT = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"
CHANGES: list[Callable[[], Job]] = [
    lambda: timm_job("resnet18"),
    lambda: timm_job("resnet18", batch={"per_device": 16, "effective": 16}),
    lambda: timm_job("resnet18", batch={"per_device": 8, "accumulation": 4, "effective": 32}),
    lambda: timm_job("resnet18", batch={"per_device": 8, "devices": 2, "effective": 16}),
    lambda: timm_job("resnet18", batch={"per_device": 8, "devices": 2, "effective": 16}, distributed="fsdp"),
    lambda: timm_job("resnet18", optimizer={"name": "sgd", "learning_rate": 0.1, "momentum": 0.9}),
    lambda: timm_job("resnet18", precision="bf16", compression={"quantization": "fp16"}),
    lambda: timm_job("resnet18", precision="fp16", ema=0.999, gradient_clip_norm=1.0),
    lambda: timm_job("resnet18", model={"adaptation": "linear_probe"}),
    lambda: timm_job("resnet18", 96, activation_checkpointing=True),
    lambda: timm_job(VIT, 224, precision="bf16"),
    lambda: timm_job(VIT, 224, precision="bf16", **LOW_RANK),
]


def bare(evidence: StaticEvidence) -> dict[str, Any]:
    return evidence.model_dump(exclude={"seconds"})


def on(job: Job, target: Target) -> Job:
    return job.model_copy(update={"target": target})


@pytest.mark.slow
def test_evidence_put_together_from_pieces_is_that_of_a_whole_check(tmp_path: Path) -> None:
    pieces = Pieces(tmp_path, tmp_path)
    jobs = [on(make(), card) for make in CHANGES[1::2] for card in CARDS[:3:2]] + [on(CHANGES[0](), CARDS[1]), on(CHANGES[6](), CARDS[3])]
    for job in jobs:
        assert bare(check_static(job, pieces)) == bare(check_static(job)), job


@pytest.mark.slow
def test_evidence_from_a_shared_process_is_that_from_one_of_its_own() -> None:
    jobs = [on(make(), card) for make in CHANGES for card in (CARDS[0], CARDS[3])]
    with Verifier() as shared, Verifier() as own:
        alone = [own.static(job.model_copy(update={"memory_limit_gib": 4.0})) for job in jobs]
        for seed, order in enumerate((jobs, jobs[::-1])):  # the seed makes it another check, of which the parts are known
            for job in order:
                answer, expected = shared.static(job.model_copy(update={"seed": seed})), alone[jobs.index(job)]
                assert isinstance(answer, StaticEvidence) and isinstance(expected, StaticEvidence)
                assert bare(answer) == bare(expected), job


def test_another_device_finds_everything_but_its_price(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job, pieces = on(mlp_job(precision="bf16"), CARDS[1]), Pieces(tmp_path, tmp_path)
    first = check_static(job, pieces)
    monkeypatch.setattr("advisor.verify.static.build_model", None)
    monkeypatch.setattr("advisor.verify.memory.build_model", None)
    smaller = on(job, CARDS[1].model_copy(update={"name": "small", "memory_gib": 0.25, "compute_capability": "8.9"}))
    assert first.training_memory is not None and check_static(smaller, pieces).training_memory is not None
    assert bare(check_static(job, pieces)) == bare(first)
    with pytest.raises(TypeError):
        check_static(job.model_copy(update={"recipe": job.recipe.model_copy(update={"precision": "fp16"})}), pieces)


@pytest.mark.parametrize("first", range(len(CHANGES)))
def test_what_a_step_depends_on_is_in_its_name(first: int) -> None:
    names = [training_job(on(make(), card)).model_dump_json() for make in (CHANGES[first], *CHANGES) for card in (CARDS[0], CARDS[2])]
    assert len(set(names)) == 2 * len(CHANGES)


def test_what_no_step_depends_on_is_left_out_of_its_name() -> None:
    job = timm_job("resnet18")
    other = job.recipe.model_copy(
        update={
            "epochs": 90,
            "metric": "f1",
            "schedule": None,
            "export": ["onnx"],
            "batch": job.recipe.batch.model_copy(update={"effective": 9}),
        }
    )
    changed = job.model_copy(update={"recipe": other, "seed": 3, "time_limit_s": 9.0})
    assert training_job(changed) == training_job(job)
    assert model_job(changed) == model_job(job)
    assert set(Recipe.model_fields) >= set(module._NOT_IN_A_STEP)


def test_the_plainest_job_gives_the_same_plainest_job() -> None:
    for make in CHANGES:
        for card in CARDS:
            job = on(make(), card)
            assert model_job(model_job(job)) == model_job(job)
            assert training_job(training_job(job)) == training_job(job)


@pytest.mark.parametrize("damage", [b"", b"\x00" * 40, b'{"parameters": 1}', None])
def test_a_damaged_piece_is_found_out_again(tmp_path: Path, damage: bytes | None) -> None:
    job = on(mlp_job(), CARDS[1])
    whole = bare(check_static(job, Pieces(tmp_path, tmp_path)))
    files = sorted(tmp_path.iterdir())
    assert len(files) == 4
    for file in files:
        kept = file.read_bytes()
        file.write_bytes(kept[: len(kept) // 2] if damage is None else damage)
    assert bare(check_static(job, Pieces(tmp_path, tmp_path))) == whole
    assert all(len(file.read_bytes()) > 80 for file in files), "and is put right"


def test_a_folder_that_cannot_be_had_costs_speed_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    job = mlp_job()
    assert bare(check_static(job, Pieces(tmp_path, tmp_path / "file" / "pieces"))) == bare(check_static(job))


def test_the_folder_stays_within_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 2000)
    own, kept = tmp_path / "own", Kept(tmp_path / "kept")
    count = Counted(parameters=1, buffers=0, flops_forward=2, flops_uncounted=[], file_bytes={})
    for number in range(50):
        Pieces(tmp_path / "kept", own).get(Counted, mlp_job(), lambda: count, also=number)
        kept.take(own)
        assert 0 < sum(file.stat().st_size for file in (tmp_path / "kept").iterdir()) <= 2000
        assert not list(own.iterdir())


def test_only_files_are_taken_in_and_no_more_than_a_check_has(tmp_path: Path) -> None:
    own, kept = tmp_path / "own", tmp_path / "kept"
    own.mkdir()
    (own / "link").symlink_to("/etc/hostname")
    (own / "folder").mkdir()
    Kept(kept).take(own)
    assert not list(kept.iterdir())
    for number in range(20):
        (own / str(number)).write_bytes(b"1")
    Kept(kept).take(own)
    Kept(kept).take(tmp_path / "nowhere")
    assert len(list(kept.iterdir())) == module.MOST_PIECES


@pytest.mark.slow
def test_the_sandbox_leaves_no_pieces_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Verifier() as verifier:
        job = mlp_job()
        first = verifier.static(job)
        assert list(tmp_path.glob("*/pieces/*"))
        again = verifier.static(job.model_copy(update={"seed": 1}))
        assert isinstance(first, StaticEvidence) and isinstance(again, StaticEvidence)
        assert bare(again) == bare(first)
    assert not list(tmp_path.iterdir())

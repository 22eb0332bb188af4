"""Evidence on disk: found again exactly as it was kept, and never a reason to fail."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from pathlib import Path

import pytest

from advisor import cache as module
from advisor.cache import EvidenceCache, cache_folder
from advisor.cli import main as cli
from advisor.verify.evidence import Job, Refusal, SmokeEvidence, StaticEvidence
from advisor.verify.verifier import Verifier
from tests.verify.jobs import mlp_job

FAULTY = (sys.executable, str(Path(__file__).parent / "verify" / "faulty_launcher.py"))


def job(seed: int = 0) -> Job:
    made: Job = mlp_job().model_copy(update={"check": "static", "seed": seed})
    return made


def evidence(parameters: int = 7) -> StaticEvidence:
    return StaticEvidence(parameters=parameters, trainable_parameters=1, buffers=0, flops_forward=2, versions={"torch": "2"})


@pytest.fixture
def cache(tmp_path: Path) -> EvidenceCache:
    return EvidenceCache(tmp_path)


def files(cache: EvidenceCache) -> list[Path]:
    return [path for path in cache.folder.rglob("*") if path.is_file()]


def test_what_is_kept_is_found_by_another_process_of_the_same_job_only(cache: EvidenceCache, tmp_path: Path) -> None:
    cache.store(job(), 1, evidence())
    assert EvidenceCache(tmp_path).find(job(), 1) == evidence()
    assert cache.find(job(1), 1) is None


@pytest.mark.parametrize("what", ["_code_hash", "_versions"])
def test_other_code_or_versions_find_nothing(cache: EvidenceCache, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    cache.store(job(), 1, evidence())
    monkeypatch.setattr(module, what, lambda: {"torch": "3"})
    assert cache.find(job(), 1) is None


def test_a_measurement_depends_on_the_threads_and_a_count_does_not(cache: EvidenceCache) -> None:
    smoke = job().model_copy(update={"check": "smoke"})
    assert cache._path(job(), 1) == cache._path(job(), 2)
    assert cache._path(smoke, 1) != cache._path(smoke, 2)


@pytest.mark.parametrize("damage", [b"", b"garbage", b"\0" * 400, None])
def test_a_corrupt_file_is_as_good_as_none_and_is_replaced(cache: EvidenceCache, damage: bytes | None) -> None:
    cache.store(job(), 1, evidence())
    (path,) = files(cache)
    path.write_bytes(path.read_bytes().replace(b'"parameters":7', b'"parameters":8') if damage is None else damage)
    assert cache.find(job(), 1) is None
    cache.store(job(), 1, evidence())
    assert cache.find(job(), 1) == evidence()


def test_a_folder_that_cannot_be_written_or_is_none_costs_nothing_but_speed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for folder in (Path("/dev/null"), tmp_path / "file", Path("/proc/nowhere")):
        cache = EvidenceCache(folder)
        cache.store(job(), 1, evidence())
        assert cache.find(job(), 1) is None
        assert (cache.info().entries, cache.clear()) == (0, 0)
        cache.shrink()


def test_a_full_disk_leaves_no_half_file(cache: EvidenceCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        cache.store(job(), 1, evidence())
    assert files(cache) == []


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    cache = EvidenceCache(tmp_path, limit_bytes=10 * module.BLOCK_BYTES)
    for seed in range(12):
        cache.store(job(seed), 1, evidence(seed))
        os.utime(cache._path(job(seed), 1), (time.time() - 10_000 + seed,) * 2)
    assert cache.find(job(0), 1) == evidence(0)  # used now
    cache.shrink()
    kept = [seed for seed in range(12) if cache._path(job(seed), 1).exists()]
    assert kept == [0, *range(5, 12)]
    assert cache.info().bytes == 8 * module.BLOCK_BYTES


def test_what_a_killed_writer_left_is_removed_when_it_is_old(cache: EvidenceCache) -> None:
    cache.store(job(), 1, evidence())
    old, new = (files(cache)[0].with_name(name) for name in (".old", ".new"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    cache.shrink()
    assert (old.exists(), new.exists(), cache.info().entries) == (False, True, 1)


def _store_and_find(folder: Path, seed: int) -> bool:
    cache = EvidenceCache(folder, limit_bytes=20 * module.BLOCK_BYTES)
    for turn in range(60):
        cache.store(job((seed + turn) % 30), 1, evidence((seed + turn) % 30))
        found = cache.find(job(turn % 30), 1)
        if found not in (None, evidence(turn % 30)):
            return False
        if turn % 10 == 0:
            cache.shrink()
    return True


def test_many_processes_never_find_anything_but_what_was_kept(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert pool.starmap(_store_and_find, [(tmp_path, seed) for seed in (0, 10, 20)]) == [True] * 3


def test_a_second_verifier_runs_nothing_that_is_kept(tmp_path: Path) -> None:
    with Verifier(command=FAULTY, cache=EvidenceCache(tmp_path)) as first:
        computed = first.static(job())
        first.static(job())
    with Verifier(command=("/nonexistent",), cache=EvidenceCache(tmp_path)) as second:
        assert second.static(job()) == computed
    assert (first.counts.computed, first.counts.shared, second.counts.computed, second.counts.cached) == (1, 1, 0, 1)


def misbehaving(fault: str) -> Job:
    return job().model_copy(update={"build": job().build.model_copy(update={"factory": fault})})


@pytest.mark.parametrize("fault", ["segfault", "lack_a_package", "run_out_of_memory", "fill_disk"])
def test_what_the_machine_lacked_is_not_kept(tmp_path: Path, fault: str) -> None:
    with Verifier(command=FAULTY, cache=EvidenceCache(tmp_path)) as verifier:
        assert isinstance(verifier.static(misbehaving(fault)), Refusal)
    assert files(EvidenceCache(tmp_path)) == []


def test_that_a_model_cannot_be_built_is_found_out_once(tmp_path: Path) -> None:
    with Verifier(command=FAULTY, cache=EvidenceCache(tmp_path)) as first:
        refused = first.static(misbehaving("raise_value_error"))
        assert isinstance(refused, Refusal) and refused.status == "failed"
    with Verifier(command=("/nonexistent",), cache=EvidenceCache(tmp_path)) as second:
        assert second.static(misbehaving("raise_value_error")) == refused


def test_a_training_run_that_failed_may_have_failed_by_chance(cache: EvidenceCache) -> None:
    smoke = job().model_copy(update={"check": "smoke"})
    cache.store(smoke, 1, Refusal(status="failed", reason="ValueError"))
    assert cache.find(smoke, 1) is None


def test_what_only_that_moment_gave_is_not_kept(cache: EvidenceCache) -> None:
    smoke = job().model_copy(update={"check": "smoke"})
    shown = SmokeEvidence(device="cpu", checks=[])
    cache.store(smoke, 1, shown.model_copy(update={"is_makeshift": True}))
    assert cache.find(smoke, 1) is None
    cache.store(smoke, 1, shown)
    assert cache.find(smoke, 1) == shown


def test_the_folder_is_the_one_named_or_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ADVISOR_CACHE_DIR", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("ADVISOR_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "advisor"


def test_the_command_says_what_is_there_and_removes_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ADVISOR_CACHE_DIR", str(tmp_path))
    EvidenceCache().store(job(), 1, evidence())
    assert cli.main(["cache", "info"]) == 0
    assert "1 check," in capsys.readouterr().out
    assert cli.main(["cache", "clear"]) == 0
    assert "removed 1 file from" in capsys.readouterr().out
    assert EvidenceCache().info().entries == 0

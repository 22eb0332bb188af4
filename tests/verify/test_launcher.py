"""Whatever a check does, its launcher answers with a plain sentence, leaves nothing behind, and goes on."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from advisor import design
from advisor.verify import landlock
from advisor.verify.evidence import Job, Refusal, StaticEvidence
from advisor.verify.verifier import Verifier
from tests.verify.jobs import mlp_job

_HERE = Path(__file__).parent
_FAULTY = (sys.executable, str(_HERE / "faulty_launcher.py"))


def faulty(name: str, time_limit_s: float = 10.0, memory_limit_gib: float | None = None) -> Job:
    job = mlp_job()
    build = job.build.model_copy(update={"factory": name})
    return job.model_copy(update={"check": "static", "build": build, "time_limit_s": time_limit_s, "memory_limit_gib": memory_limit_gib})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A place of its own for temporary files, so that what is left behind shows."""
    path, before = tmp_path_factory.mktemp("sandbox"), tempfile.tempdir
    tempfile.tempdir = str(path)
    yield path
    tempfile.tempdir = before


@pytest.fixture(scope="module")
def verifier(folder: Path) -> Iterator[Verifier]:
    with Verifier(command=_FAULTY) as open_verifier:
        yield open_verifier
    assert list(folder.iterdir()) == []


def launchers() -> list[psutil.Process]:
    """Oldest first."""
    found = [child for child in psutil.Process().children() if any("faulty_launcher" in word for word in child.cmdline())]
    return sorted(found, key=psutil.Process.create_time)


@pytest.mark.parametrize(
    ("fault", "status", "cause", "words"),
    [
        ("segfault", "skipped", "crashed", "crashed in native code (SIGSEGV): about to crash"),
        ("abort", "skipped", "crashed", "SIGABRT"),
        ("exit_silently", "skipped", "crashed", "ended with status 3 and no answer"),
        ("exit_politely", "failed", None, "SystemExit: 4"),
        ("raise_value_error", "failed", None, "ValueError: mat1 and mat2 shapes cannot be multiplied"),
        ("raise_check_error", "skipped", None, "timm has no model 'resnet999'"),
        ("lack_a_package", "skipped", None, "the package peft_that_nobody_installed is not installed"),
        ("recurse", "failed", None, "RecursionError"),
        ("be_killed", "skipped", "memory", "for want of memory"),
        ("run_out_of_memory", "skipped", "memory", "too little memory"),
        ("fill_disk", "skipped", None, "the disk is full"),
        ("open_many_files", "skipped", None, "Too many open files"),
        ("lose_the_gpu", "skipped", "crashed", "the GPU was lost half-way: RuntimeError: CUDA error: uncorrectable ECC"),
        ("write_large_file", "skipped", None, "larger than 64 MiB"),
        ("answer_nonsense", "skipped", "crashed", "the check's answer cannot be read"),
        ("answer_another_shape", "skipped", "crashed", "the check's answer cannot be read"),
        ("answer_without_end", "skipped", "crashed", "had no end"),
        ("open_connection", "skipped", None, "unreachable"),
    ],
)
def test_a_misbehaving_check_is_refused_and_the_next_one_works(
    verifier: Verifier, folder: Path, fault: str, status: str, cause: str | None, words: str
) -> None:
    if fault == "open_connection" and verifier.submit(faulty("fine")).result() and not verifier.is_network_isolated:
        pytest.skip("this system does not let a process leave the network")
    answer = verifier.static(faulty(fault))
    assert isinstance(answer, Refusal)
    assert (answer.status, answer.cause, words in answer.reason) == (status, cause, True), answer.reason
    assert "\n" not in answer.reason
    assert_nothing_runs(folder)
    assert isinstance(verifier.static(faulty("fine", time_limit_s=9.0 + len(fault) / 100)), StaticEvidence)


@pytest.mark.parametrize("fault", ["print_a_gigabyte", "close_output", "dump_core"])
def test_a_check_that_does_odd_things_with_its_output_still_gives_evidence(verifier: Verifier, fault: str) -> None:
    answer = verifier.static(faulty(fault, time_limit_s=60.0))  # a gigabyte goes through a pipe of 64 KiB
    assert isinstance(answer, StaticEvidence), answer


def test_a_process_that_left_its_checks_session_does_not_outlive_it(verifier: Verifier, folder: Path) -> None:
    assert isinstance(verifier.static(faulty("leave_a_daemon")), StaticEvidence)
    assert_nothing_runs(folder)


def test_a_temporary_folder_that_cannot_be_had_is_a_refusal_and_the_next_check_works(verifier: Verifier, folder: Path) -> None:
    verifier.static(faulty("fine"))
    (sandbox,) = folder.iterdir()
    hidden = sandbox.rename(folder.parent / "hidden")
    answer = verifier.static(faulty("fine", time_limit_s=8.5))
    hidden.rename(sandbox)
    assert isinstance(answer, Refusal) and answer.status == "skipped", answer
    assert isinstance(verifier.static(faulty("fine", time_limit_s=8.6)), StaticEvidence)


def test_a_disk_too_full_for_a_sandbox_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(prefix: str) -> str:
        raise OSError(errno.ENOSPC, "No space left on device", prefix)

    with Verifier(command=_FAULTY) as verifier:
        with monkeypatch.context() as patch:
            patch.setattr("advisor.verify.sandbox.tempfile.mkdtemp", full)
            verifier.start()
            answer = verifier.static(faulty("fine"))
        assert answer == Refusal(status="skipped", reason="the disk is full", cause="lost")
        assert isinstance(verifier.static(faulty("fine")), StaticEvidence), "room was made, and the same check is asked for again"


_ON_A_SMALL_DISK = f"""
import sys; sys.path.insert(0, {str(_HERE.parents[1])!r})
from tests.verify.test_launcher import _FAULTY, faulty
from advisor.verify.verifier import Verifier
with Verifier(command=_FAULTY) as verifier:
    print(verifier.static(faulty("fill_own_folder")).reason)
    print(verifier.static(faulty("fine")).parameters)
"""


def test_a_disk_that_a_check_fills_is_a_refusal_and_free_again_for_the_next(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = f"mount -t tmpfs -o size=4m tmpfs {disk} 2>/dev/null || exit 77; exec {sys.executable} -c {shlex.quote(_ON_A_SMALL_DISK)}"
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("this system has no unshare, with which a small disk could be made")
    environment = {**os.environ, "TMPDIR": str(disk)}
    done = subprocess.run([unshare, "-Urm", "sh", "-c", mounted], env=environment, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("this system lets nobody mount a small disk")
    assert done.stdout.splitlines() == ["the disk is full", "1"], done.stderr


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("segfault", "crashed in native code (SIGSEGV)"),
        ("be_killed", "for want of memory"),
        ("fill_disk", "the disk is full"),
        ("answer_without_end", "had no end"),
    ],
)
def test_whatever_befalls_its_checks_a_report_is_returned_with_the_reason(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fault: str, words: str
) -> None:
    monkeypatch.setenv("FAULT", fault)
    with Verifier(command=_FAULTY) as verifier:
        report = design(_HERE.parents[1] / "examples" / "pump_anomalies.yaml", "smoke", checker=verifier)
    assert report.status == "designed"
    broken = [check for check in report.verification if check.name.startswith(("smoke_train", "export.", "compress."))]
    assert len(broken) > 1 and {check.status for check in broken} == {"skipped"}, broken
    assert all(words in (check.detail or "") for check in broken), broken


def test_evidence_says_whether_network_and_files_were_closed(verifier: Verifier) -> None:
    answer = verifier.static(faulty("fine"))
    assert isinstance(answer, StaticEvidence)
    assert answer.is_network_isolated == verifier.is_network_isolated
    assert answer.is_writing_confined == landlock.is_available()


@pytest.mark.skipif(not landlock.is_available(), reason="this system has no Landlock")
@pytest.mark.parametrize("fault", ["write_elsewhere", "write_elsewhere_from_a_process_of_its_own", "remove_what_is_not_its_own"])
def test_a_check_writes_in_its_own_folder_only(verifier: Verifier, folder: Path, fault: str) -> None:
    answer = verifier.static(faulty(fault))
    assert isinstance(answer, Refusal) and answer.status == "skipped"
    assert answer.reason.startswith("a check may write in its own folder only: PermissionError")
    assert_nothing_runs(folder)


@pytest.mark.parametrize("fault", ["hang", "hang_deaf"])
def test_a_hanging_check_is_killed_with_all_it_started(verifier: Verifier, folder: Path, fault: str) -> None:
    answer = verifier.static(faulty(fault, time_limit_s=0.1))
    assert answer == Refusal(status="skipped", reason="the check did not finish within 0.1 s here", cause="timeout")
    assert_nothing_runs(folder)


@pytest.mark.parametrize("fault", ["eat_memory", "eat_memory_in_a_process_of_its_own"])
def test_a_check_that_eats_memory_is_stopped_at_its_limit(verifier: Verifier, folder: Path, fault: str) -> None:
    answer = verifier.static(faulty(fault, memory_limit_gib=1.0))
    assert answer == Refusal(status="skipped", reason="the check needed more than 1.0 GiB of memory here", cause="memory")
    assert_nothing_runs(folder)


def assert_nothing_runs(folder: Path) -> None:
    """The launcher has no children but those that wait for another check, nothing sleeps for it, and no file is left."""
    launcher = launchers()[0]
    wait_until(lambda: not any(child.children() for child in launcher.children()))
    sleeper = ["sleep", f"1234.{launcher.pid}"]  # the tests beside this one have launchers and sleepers of their own
    wait_until(lambda: not any(process.info["cmdline"] == sleeper for process in psutil.process_iter(["cmdline"])))
    assert len(launcher.children()) <= 1
    assert [path.name for path in folder.glob("*/**/*") if not path.is_dir()] == ["launcher.log"]


def wait_until(is_so: object, seconds: float = 30.0) -> None:
    assert callable(is_so)
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def process_of(verifier: Verifier, job: Job) -> int:
    answer = verifier.static(job)
    assert isinstance(answer, StaticEvidence), answer
    return answer.parameters


def test_static_checks_of_ordinary_limits_share_a_process_for_a_while(folder: Path) -> None:
    with Verifier(command=_FAULTY) as verifier:
        found = [process_of(verifier, faulty(f"tell_process_{number}")) for number in range(10)]
        assert [found.count(process) for process in dict.fromkeys(found)] == [7, 3]
        assert process_of(verifier, faulty("tell_process", memory_limit_gib=1.0)) not in found
        assert process_of(verifier, faulty("tell_process").model_copy(update={"cross_check": True})) not in found
        assert process_of(verifier, faulty("tell_process_last")) == found[-1]


@pytest.mark.parametrize("fault", ["raise_value_error", "segfault"])
def test_a_process_that_refused_gets_no_further_check(folder: Path, fault: str) -> None:
    with Verifier(command=_FAULTY) as verifier:
        first = process_of(verifier, faulty("tell_process"))
        assert isinstance(verifier.static(faulty(fault)), Refusal)
        assert process_of(verifier, faulty("tell_process_again")) != first


def test_what_an_earlier_check_left_behind_makes_no_later_one_fail(folder: Path) -> None:
    with Verifier(command=_FAULTY) as verifier:
        first = process_of(verifier, faulty("tell_process"))
        for name in ("leave_files", "find_files", "set_a_trap"):
            assert isinstance(verifier.static(faulty(name)), StaticEvidence), name
        assert process_of(verifier, faulty("tell_process_again")) == first
        assert isinstance(verifier.static(faulty("fall_into_the_trap")), StaticEvidence), "asked again in a process of its own"


def test_a_process_that_left_a_process_behind_is_ended_with_it(folder: Path) -> None:
    with Verifier(command=_FAULTY) as verifier:
        first = process_of(verifier, faulty("tell_process"))
        assert isinstance(verifier.static(faulty("leave_a_child")), StaticEvidence)
        launcher = launchers()[-1]
        wait_until(lambda: not launcher.children(recursive=True))
        assert process_of(verifier, faulty("tell_process_again")) != first


def test_a_kept_process_that_dies_meanwhile_is_replaced(folder: Path) -> None:
    with Verifier(command=_FAULTY) as verifier:
        first = process_of(verifier, faulty("tell_process"))
        os.kill(first, signal.SIGKILL)
        assert process_of(verifier, faulty("tell_process_again")) != first


def test_several_checks_run_at_once_when_allowed(folder: Path) -> None:
    with Verifier(jobs=4, command=_FAULTY) as verifier:
        verifier.static(faulty("fine"))
        start = time.monotonic()
        answers = [verifier.submit(faulty("sleep_a_little", time_limit_s=10 + number)) for number in range(4)]
        assert all(isinstance(answer.result(), StaticEvidence) for answer in answers)
        assert time.monotonic() - start < 6  # one after the other they take 8


def test_a_check_is_told_its_share_of_the_memory_and_of_the_processors(folder: Path) -> None:
    with Verifier(jobs=4, command=_FAULTY) as verifier:
        answer, threads = verifier.static(faulty("tell_memory_limit")), verifier.static(faulty("tell_threads"))
    assert isinstance(answer, StaticEvidence) and isinstance(threads, StaticEvidence)
    assert threads.parameters == max(1, (os.cpu_count() or 1) // 4)
    assert 0 < answer.parameters < psutil.virtual_memory().total / 4


def test_a_launcher_that_is_killed_takes_its_check_along_and_is_replaced(folder: Path) -> None:
    before = list(folder.iterdir())
    with Verifier(command=_FAULTY) as verifier:
        verifier.static(faulty("fine"))
        future = verifier.submit(faulty("hang_deaf"))
        launcher = launchers()[-1]
        wait_until(launcher.children)
        (child,) = launcher.children()
        os.kill(launcher.pid, signal.SIGKILL)
        answer = future.result(timeout=5)
        assert isinstance(answer, Refusal)
        assert answer.cause == "lost" and answer.reason.startswith("the sandbox ended before the check did")
        wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
        assert isinstance(verifier.static(faulty("fine", time_limit_s=5)), StaticEvidence)
    assert list(folder.iterdir()) == before


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_a_parent_that_dies_leaves_no_process_and_no_file(tmp_path: Path, ending: signal.Signals) -> None:
    script = textwrap.dedent(f"""
        import sys; sys.path.insert(0, {str(_HERE)!r})
        import jobs
        from advisor.verify.verifier import Verifier
        job = jobs.mlp_job()
        job = job.model_copy(update={{"check": "static", "build": job.build.model_copy(update={{"factory": "hang_deaf"}})}})
        with Verifier(command={_FAULTY!r}) as verifier:
            future = verifier.submit(job)
            print("submitted", flush=True)
            future.result()
    """)
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(_HERE.parents[1])}
    with subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout and parent.stdout.readline()
        wait_until(lambda: len(psutil.Process(parent.pid).children(recursive=True)) == 2, 20)
        family = psutil.Process(parent.pid).children(recursive=True)
        parent.send_signal(ending)
    wait_until(lambda: not any(process.is_running() for process in family))
    wait_until(lambda: not list(tmp_path.iterdir()))

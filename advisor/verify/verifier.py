"""Checks, as the rest of the program sees them: a job goes in, evidence or a refusal comes out. Never imports torch."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from advisor.estimating.answer import Estimate
from advisor.verify.evidence import TIME_LIMIT_S, UNREADABLE, DeployEvidence, Job, Refusal, SmokeEvidence, StaticEvidence, broken_down
from advisor.verify.light_imports import NVML_ANSWERS

if TYPE_CHECKING:
    from advisor.cache import EvidenceCache

Evidence = StaticEvidence | SmokeEvidence | DeployEvidence | Estimate
LAUNCHER = (sys.executable, "-m", "advisor.verify.launcher")
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
CLOSING_S = 2.0  # how long a launcher may take to clean up after itself; it may be in the middle of an import
LAST_WORDS_BYTES = 2000
MOST_REMEMBERED = 2000  # answers, of some 5 kB each; older ones are in the cache, or are found out again
# GCC's OpenMP lets a waiting thread spin for milliseconds. Where another process holds one of two processors, that made a step
# of ResNet-18 take 1.4 s instead of 0.1 s; after a thousand spins it sleeps, which costs nothing on a free machine.
SPINS = "1000"
_PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])


@dataclass(frozen=True)
class CheckCounts:
    """Where answers came from: computed now, found in the cache, or asked for once more while they were remembered."""

    computed: int = 0
    cached: int = 0
    shared: int = 0


class Verifier:
    """Runs checks in a sandbox. Use it as a context manager: leaving it ends every process and removes every file of its own.

    Safe to use from several threads. The same job is run once for as long as its answer is remembered; evidence that `cache`
    holds is not found out again. A sandbox that dies takes its running checks with it, each of which is then `skipped`; the next
    check starts another. A check that was lost so and is asked for again runs in a sandbox of its own, one such check at a time: if
    that dies too, it was this check's doing and not a neighbour's.
    """

    def __init__(self, jobs: int = 1, command: Sequence[str] = LAUNCHER, cache: EvidenceCache | None = None) -> None:
        self._jobs, self._command, self._cache = jobs, tuple(command), cache
        self.counts = CheckCounts()
        self._lock = threading.RLock()
        self._launcher: _Launcher | None = None
        self._own: _Launcher | None = None  # of a check that was lost once
        self._lonely = ThreadPoolExecutor(max_workers=1, thread_name_prefix="advisor-alone")
        self._answers: OrderedDict[str, Future[Evidence | Refusal]] = OrderedDict()
        self._libraries: tuple[str, ...] = ()
        self._is_closed = False

    def __enter__(self) -> Verifier:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the sandbox's process now, so that it imports while the caller works."""
        self.prepare(("torch",))

    def prepare(self, libraries: Iterable[str]) -> None:
        """Say which libraries the coming jobs build from; the sandbox imports them meanwhile."""
        with self._lock, contextlib.suppress(OSError):  # no sandbox can be had: each check says so
            self._libraries = tuple(libraries)
            self._running_launcher().send({"prepare": list(self._libraries)})

    def submit(self, job: Job) -> Future[Evidence | Refusal]:
        """Queue a check. The future always gets a result, never an exception."""
        key = job.model_dump_json()
        with self._lock:
            known = self._answers.get(key)
            if known is not None and (self._is_closed or not _is_lost(known)):
                self._answers.move_to_end(key)
                self.counts = replace(self.counts, shared=self.counts.shared + 1)
                return known
            kept = self._kept(job)
            answer = self._answers[key] = kept or (self._lonely.submit(self._run_alone, job) if known else self._run(job))
            if len(self._answers) > MOST_REMEMBERED and next(iter(self._answers.values())).done():
                self._answers.popitem(last=False)
        if kept is None:
            answer.add_done_callback(partial(self._learn, job))
        return answer

    @property
    def cache(self) -> EvidenceCache | None:
        """Where evidence is kept between runs, if anywhere."""
        return self._cache

    def _run(self, job: Job) -> Future[Evidence | Refusal]:
        try:
            return self._running_launcher().submit(job)
        except OSError as error:  # a full disk
            refused: Future[Evidence | Refusal] = Future()
            refused.set_result(_no_sandbox(error))
            return refused

    def _run_alone(self, job: Job) -> Evidence | Refusal:
        with self._lock:
            if self._is_closed:
                return broken_down("lost", "the sandbox was closed before the check began")
            try:
                self._own = own = _Launcher(self._command, 1)
            except OSError as error:
                return _no_sandbox(error)
        answer = own.submit(job).result()
        own.close()
        return answer

    def _kept(self, job: Job) -> Future[Evidence | Refusal] | None:
        unhurried = job.model_copy(update={"time_limit_s": TIME_LIMIT_S})  # evidence that had more time is as good
        threads = threads_per_check(self._jobs)
        evidence = (self._cache.find(unhurried, threads) or self._cache.find(job, threads)) if self._cache else None
        if evidence is None:
            self.counts = replace(self.counts, computed=self.counts.computed + 1)
            return None
        self.counts = replace(self.counts, cached=self.counts.cached + 1)
        answer: Future[Evidence | Refusal] = Future()
        answer.set_result(evidence)
        return answer

    def _learn(self, job: Job, future: Future[Evidence | Refusal]) -> None:
        """Keep what is worth it."""
        answer = future.result()
        if self._cache and not isinstance(answer, Estimate):
            self._cache.store(job, threads_per_check(self._jobs), answer)

    def static(self, job: Job) -> StaticEvidence | Refusal:
        """Parameters, FLOPs, memory and file size of the job's design."""
        return cast("StaticEvidence | Refusal", self.submit(job.model_copy(update={"check": "static"})).result())

    def smoke(self, job: Job) -> SmokeEvidence | Refusal:
        """A short training run of the job's recipe on this machine."""
        return cast("SmokeEvidence | Refusal", self.submit(job.model_copy(update={"check": "smoke"})).result())

    def deploy(self, job: Job) -> DeployEvidence | Refusal:
        """The job's compression and exports, really made and compared on this machine."""
        return cast("DeployEvidence | Refusal", self.submit(job.model_copy(update={"check": "deploy"})).result())

    @property
    def is_network_isolated(self) -> bool | None:
        """Whether checks run without a network here; None as long as no sandbox has said so."""
        with self._lock:
            return self._launcher.is_network_isolated if self._launcher else None

    def close(self) -> None:
        """End the sandbox and what runs in it; a check under way is refused."""
        with self._lock:
            closing = [launcher for launcher in (self._launcher, self._own) if launcher]
            self._launcher = self._own = None
            self._is_closed = True
        self._lonely.shutdown(wait=False)
        for launcher in closing:
            launcher.close()

    def _running_launcher(self) -> _Launcher:
        if self._launcher is None or self._launcher.is_dead:
            if self._launcher:
                self._launcher.close()
            self._launcher = _Launcher(self._command, self._jobs)
        return self._launcher


def _no_sandbox(error: OSError) -> Refusal:
    return broken_down("lost", "the disk is full" if error.errno in FULL_DISK else f"no sandbox can be had: {error}")


def _is_lost(answer: Future[Evidence | Refusal]) -> bool:
    """Whether the sandbox's death gave this answer, which says nothing about the job."""
    return answer.done() and getattr(answer.result(), "cause", None) == "lost"


class _Launcher:
    """One launcher process: its two pipes, its folder, and the futures that wait for it."""

    def __init__(self, command: tuple[str, ...], jobs: int) -> None:
        self.is_dead = False
        self.is_network_isolated: bool | None = None
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[Job, Future[Evidence | Refusal]]] = {}
        self._count = 0
        self._folder = Path(tempfile.mkdtemp(prefix="advisor-"))
        requests_out, self._requests = os.pipe()
        self._answers, answers_in = os.pipe()
        self._log = self._folder / "launcher.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *command,
                    "--requests",
                    str(requests_out),
                    "--answers",
                    str(answers_in),
                    "--jobs",
                    str(jobs),
                    "--folder",
                    str(self._folder),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(requests_out, answers_in),
                env=_environment(jobs),
                start_new_session=True,
            )  # Ctrl-C at a terminal reaches the parent only, which then closes
        os.close(requests_out)
        os.close(answers_in)
        self._reader = threading.Thread(target=self._read, name="advisor-verifier", daemon=True)
        self._reader.start()

    def submit(self, job: Job) -> Future[Evidence | Refusal]:
        future: Future[Evidence | Refusal] = Future()
        with self._lock:
            self._count += 1
            number = self._count
            self._waiting[number] = (job, future)
        self.send({"id": number, "job": job.to_wire()})
        if self.is_dead:
            self._lose_all()
        return future

    def send(self, message: dict[str, Any]) -> None:
        """Write a line; where the launcher is gone, the reader finds that out."""
        data = json.dumps(message).encode() + b"\n"
        with self._lock, contextlib.suppress(BrokenPipeError, OSError):
            while data:
                data = data[os.write(self._requests, data) :]

    def close(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            os.close(self._requests)
            self._requests = -1
        if not self._waiting:  # it has no children to end; it may be in the middle of an import, which nobody needs any more
            self._process.kill()
        try:
            self._process.wait(CLOSING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its children die with it
            self._process.wait()
        self._reader.join(CLOSING_S)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _read(self) -> None:
        with os.fdopen(self._answers, "rb") as answers:
            for line in answers:
                message = json.loads(line)
                if "ready" in message:
                    self.is_network_isolated = message["networkIsolated"]
                    continue
                with self._lock:
                    job, future = self._waiting.pop(message["id"])
                future.set_result(parse_answer(job, message))
        self.is_dead = True
        self._lose_all()

    def _lose_all(self) -> None:
        with self._lock:
            lost = [future for _, future in self._waiting.values()]
            self._waiting.clear()
        words = self._last_words()
        for future in lost:
            future.set_result(broken_down("lost", f"the sandbox ended before the check did{words}"))

    def _last_words(self) -> str:
        try:
            lines = self._log.read_bytes()[-LAST_WORDS_BYTES:].decode(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return f": {lines[-1].strip()}" if lines else ""


def parse_answer(job: Job, message: dict[str, Any]) -> Evidence | Refusal:
    """An answer as the sandbox, and `write_answer`, put it: {"evidence": …} or {"refusal": …}."""
    kinds: dict[str, type[Evidence]] = {"static": StaticEvidence, "smoke": SmokeEvidence, "deploy": DeployEvidence, "estimate": Estimate}
    kind = kinds[job.check]
    try:
        return Refusal.model_validate(message["refusal"]) if "refusal" in message else kind.model_validate(message["evidence"])
    except ValidationError:
        return UNREADABLE


def write_answer(answer: Evidence | Refusal) -> dict[str, Any]:
    """What `parse_answer` reads."""
    return {"refusal" if isinstance(answer, Refusal) else "evidence": answer.to_wire()}


def threads_per_check(jobs: int) -> int:
    """An equal share of the processors."""
    return max(1, (os.cpu_count() or 1) // jobs)


def _environment(jobs: int) -> dict[str, str]:
    """The launcher's: no downloads, an equal share of the processors for each check, and this very package."""
    threads = str(threads_per_check(jobs))
    path = os.pathsep.join(filter(None, (_PACKAGE_ROOT, os.environ.get("PYTHONPATH"))))
    return {
        **os.environ,
        "PYTHONPATH": path,
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        NVML_ANSWERS: "1",
        "GOMP_SPINCOUNT": SPINS,
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": "1",
    }

"""Checks, as the rest of the program sees them: a job goes in, evidence or a refusal comes out. Never imports torch."""

from __future__ import annotations

import contextlib
import errno
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, cast

from advisor.estimating.answer import Estimate
from advisor.verify.evidence import TIME_LIMIT_S, DeployEvidence, Job, Refusal, SmokeEvidence, StaticEvidence, broken_down
from advisor.verify.sandbox import Evidence, Sandbox, threads_per_check

if TYPE_CHECKING:
    from advisor.cache import EvidenceCache

LAUNCHER = (sys.executable, "-m", "advisor.verify.launcher")
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
MOST_REMEMBERED = 2000  # answers, of some 5 kB each; older ones are in the cache, or are found out again


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
        self._sandbox: Sandbox | None = None
        self._own: Sandbox | None = None  # of a check that was lost once
        self._lonely = ThreadPoolExecutor(max_workers=1, thread_name_prefix="advisor-alone")
        self._answers: OrderedDict[str, Future[Evidence | Refusal]] = OrderedDict()
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
            self._running_sandbox().send({"prepare": list(libraries)})

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
            return self._running_sandbox().submit(job)
        except OSError as error:  # a full disk
            refused: Future[Evidence | Refusal] = Future()
            refused.set_result(_no_sandbox(error))
            return refused

    def _run_alone(self, job: Job) -> Evidence | Refusal:
        with self._lock:
            if self._is_closed:
                return broken_down("lost", "the sandbox was closed before the check began")
            try:
                self._own = own = Sandbox(self._command, 1)
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
            return self._sandbox.is_network_isolated if self._sandbox else None

    def close(self) -> None:
        """End the sandbox and what runs in it; a check under way is refused."""
        with self._lock:
            closing = [sandbox for sandbox in (self._sandbox, self._own) if sandbox]
            self._sandbox = self._own = None
            self._is_closed = True
        self._lonely.shutdown(wait=False)
        for sandbox in closing:
            sandbox.close()

    def _running_sandbox(self) -> Sandbox:
        if self._sandbox is None or self._sandbox.is_dead:
            if self._sandbox:
                self._sandbox.close()
            self._sandbox = Sandbox(self._command, self._jobs)
        return self._sandbox


def _no_sandbox(error: OSError) -> Refusal:
    return broken_down("lost", "the disk is full" if error.errno in FULL_DISK else f"no sandbox can be had: {error}")


def _is_lost(answer: Future[Evidence | Refusal]) -> bool:
    """Whether the sandbox's death gave this answer, which says nothing about the job."""
    return answer.done() and getattr(answer.result(), "cause", None) == "lost"

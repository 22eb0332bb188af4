"""A batch on a Ray cluster: rows and checks are tasks, which Ray runs where there is room, and again where a node is lost.

One actor, on the driver's node, knows which checks are under way, so that each is run once in the whole cluster. A check runs in
the sandbox of whichever process it comes to, with that node's own cache: the key holds that machine's devices, not the driver's.
Every node needs this very package; rows that another version or rule set gave are refused, one by one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import socket
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from advisor.batch.rows import Row, Settings, answer, error_row
from advisor.batch.stream import Done
from advisor.batch.tasks import RowFault, Task
from advisor.batch.worker import tupled
from advisor.errors import UsageError
from advisor.verify.evidence import DeployEvidence, Job, Refusal, SmokeEvidence, StaticEvidence, broken_down
from advisor.verify.sandbox import Evidence, parse_answer, write_answer
from advisor.verify.verifier import MOST_REMEMBERED, CheckCounts, Verifier

try:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError as error:
    raise UsageError("--engine ray: install advisor[ray]") from error

if TYPE_CHECKING:
    from advisor.planning.designing import Checker

ADDRESS_VARIABLE = "RAY_ADDRESS"
ROWS_PER_CPU = 8  # under way at once: enough that a lost node costs no idle time
MOST_ROWS = 4096  # under way at once, on a cluster of any size
MOST_RETRIES = 3  # of a task whose node or process was lost
CHECKS_AT_ONCE = 10_000  # that the actor may know of; each waits for its task


class Cluster:
    """Answers tasks as Ray tasks."""

    def __init__(self, settings: Settings, *, use_cache: bool) -> None:
        self.window = min(count_cpus() * ROWS_PER_CPU, MOST_ROWS)
        self._settings = settings
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._checks: Any = None if settings.depth == "none" else _checks_actor.options(scheduling_strategy=here).remote(use_cache)
        self._waiting: dict[Any, tuple[Task, Done]] = {}
        self._submitted: queue.SimpleQueue[tuple[Any, Task, Done]] = queue.SimpleQueue()
        self._is_closed = threading.Event()
        self._collector = threading.Thread(target=self._collect, name="advisor-ray", daemon=True)
        self._collector.start()

    def submit(self, task: Task, done: Done) -> None:
        if task.fault is not None:
            done(answer(task, self._settings, None))
        else:
            self._submitted.put((_answer_task.remote(asdict(task), asdict(self._settings), self._checks), task, done))

    def counts(self) -> CheckCounts | None:
        return cast("CheckCounts", ray.get(self._checks.counts.remote())) if self._checks else None

    def close(self) -> None:
        self._is_closed.set()
        self._collector.join()
        for reference in self._waiting:
            ray.cancel(reference, force=True)
        if self._checks:
            ray.kill(self._checks)

    def _collect(self) -> None:
        """Hand over rows as they come, for as long as the batch lasts."""
        while not self._is_closed.is_set():
            with contextlib.suppress(queue.Empty):
                while True:
                    reference, task, done = self._submitted.get(timeout=0 if self._waiting else TICK_S)
                    self._waiting[reference] = task, done
            if self._waiting:
                ready, _ = ray.wait(list(self._waiting), num_returns=1, timeout=TICK_S)
                for reference in ready:
                    task, done = self._waiting.pop(reference)
                    done(self._row(reference, task))

    def _row(self, reference: Any, task: Task) -> Row:
        try:
            row, advice_hash = ray.get(reference)
        except Exception as error:
            words = str(error).strip().splitlines()
            return error_row(task, self._settings, RowFault("worker_lost", f"{type(error).__name__}: {words[-1] if words else ''}"))
        if advice_hash != self._settings.advice_hash:
            fault = RowFault("other_version", "a node of the cluster has another version, rule set or catalogue than this machine")
            return error_row(task, self._settings, fault)
        return Row(**row)


LOOK_S = 5.0  # how often it is looked whether the cluster still has the GPU that a check waits for
CONNECTING_S = 10.0  # Ray by itself goes on trying for minutes
TICK_S = 0.05  # how soon a submitted task is looked at when nothing else happens


def count_cpus() -> int:
    """Of the whole cluster, as it is now."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


@contextlib.contextmanager
def open_cluster(settings: Settings, jobs: int, *, use_cache: bool) -> Iterator[Cluster]:
    """The cluster that this process has joined, or that RAY_ADDRESS names, or one of `jobs` processors started here and ended again.

    Raises:
        KnowledgeError: a rule folder is faulty.
        UsageError: there is no such cluster.
    """
    settings.advice_hash  # noqa: B018 - a faulty pack is found before anything is started
    is_ours = not ray.is_initialized()
    if is_ours:
        _join(jobs)
    try:
        cluster = Cluster(settings, use_cache=use_cache)
        try:
            yield cluster
        finally:
            cluster.close()
    finally:
        if is_ours:
            ray.shutdown()


def _join(jobs: int) -> None:
    address = os.environ.get(ADDRESS_VARIABLE)
    local = {} if address else {"num_cpus": jobs, "include_dashboard": False}
    host, _, port = (address or "").rpartition(":")
    try:
        if host and port.isdigit() and "//" not in host:
            socket.create_connection((host, int(port)), CONNECTING_S).close()
        ray.init(address=address or "local", logging_level="ERROR", log_to_driver=False, **local)
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(f"--engine ray: no cluster answers at {address or 'this machine'}: {error}") from error


# --- what runs on the cluster ----------------------------------------------------------------------------------------


def _answer_row(task: dict[str, Any], settings: dict[str, Any], checks: Any) -> tuple[dict[str, Any], str]:
    """A row as plain data, and the hash of what gave it."""
    here = Settings(**tupled(settings))
    row = answer(Task(**task), here, cast("Checker", _Asking(checks)) if checks else None)
    return {"line": row.line, "status": row.status, "data": row.data, "seconds": row.seconds, "end": row.end}, here.advice_hash


class _Asking:
    """The `Checker` of a row's task: it asks the actor."""

    def __init__(self, checks: Any) -> None:
        self._checks = checks

    def static(self, job: Job) -> StaticEvidence | Refusal:
        return cast("StaticEvidence | Refusal", self._ask(job.model_copy(update={"check": "static"})))

    def smoke(self, job: Job) -> SmokeEvidence | Refusal:
        return cast("SmokeEvidence | Refusal", self._ask(job.model_copy(update={"check": "smoke"})))

    def deploy(self, job: Job) -> DeployEvidence | Refusal:
        return cast("DeployEvidence | Refusal", self._ask(job.model_copy(update={"check": "deploy"})))

    def _ask(self, job: Job) -> Evidence | Refusal:
        return parse_answer(job, ray.get(self._checks.check.remote(job.model_dump_json())))


class _Checks:
    """Knows every check that is under way or was lately done."""

    def __init__(self, use_cache: bool) -> None:
        self._use_cache = use_cache
        self._room = asyncio.Semaphore(count_cpus())
        self._answers: OrderedDict[str, asyncio.Task[dict[str, Any]]] = OrderedDict()
        self._counts = CheckCounts()

    async def check(self, job: str) -> dict[str, Any]:
        """Evidence or a refusal as plain data."""
        known = self._answers.get(job)
        if known is None:
            known = self._answers[job] = asyncio.create_task(self._run(job))
            if len(self._answers) > MOST_REMEMBERED and next(iter(self._answers.values())).done():
                self._answers.popitem(last=False)
        else:
            self._counts = replace(self._counts, shared=self._counts.shared + 1)
        return await asyncio.shield(known)

    async def counts(self) -> CheckCounts:
        return self._counts

    async def _run(self, job: str) -> dict[str, Any]:
        wants_gpu = json.loads(job)["check"] == "smoke"
        try:
            async with self._room:
                answered, was_cached = await self._on_cluster(job, wants_gpu and _has_gpus())
        except Exception as error:  # its node was lost more often than Ray tries again, or there is none that could run it
            self._answers.pop(job, None)
            return write_answer(broken_down("lost", f"the cluster lost the check: {type(error).__name__}"))
        self._counts = replace(self._counts, cached=self._counts.cached + was_cached, computed=self._counts.computed + (not was_cached))
        return answered

    async def _on_cluster(self, job: str, on_gpu: bool) -> tuple[dict[str, Any], bool]:
        """What `_run_check` gives. When the last GPU leaves the cluster, Ray would wait for another one without end: the check goes on
        without it.
        """
        task = _check_task.options(num_gpus=int(on_gpu)).remote(job, self._use_cache)
        answer = asyncio.ensure_future(task)
        while on_gpu and not (await asyncio.wait({answer}, timeout=LOOK_S))[0]:
            if not _has_gpus():
                ray.cancel(task, force=True)
                return await self._on_cluster(job, on_gpu=False)
        return cast("tuple[dict[str, Any], bool]", await answer)


def _has_gpus() -> bool:
    return bool(ray.cluster_resources().get("GPU", 0) >= 1)


def _run_check(job: str, use_cache: bool) -> tuple[dict[str, Any], bool]:
    """One check in this process's sandbox, and whether this node's cache had it.

    No processor is asked for: the row that waits for the check keeps its own meanwhile, since it waits in threads, where Ray does not
    take it away; if checks asked for one too, rows could hold them all and wait for ever. CUDA is touched in the sandbox's children
    alone, so that the process keeps no GPU memory and need not end after the check, as Ray would have it (hence `max_calls`).
    """
    verifier = _verifier(os.environ.get("CUDA_VISIBLE_DEVICES"), use_cache)
    before = verifier.counts.cached
    answered = verifier.submit(Job.model_validate_json(job)).result()
    return write_answer(answered), verifier.counts.cached > before


@cache
def _verifier(visible_gpus: str | None, use_cache: bool) -> Verifier:
    """This process's sandbox for these GPUs; it lives as long as the process, and its launcher ends with it."""
    from advisor.cache import EvidenceCache

    return Verifier(cache=EvidenceCache() if use_cache else None)


_answer_task: Any = ray.remote(num_cpus=1, max_retries=MOST_RETRIES)(_answer_row)
_check_task: Any = ray.remote(num_cpus=0, max_retries=MOST_RETRIES, max_calls=0, scheduling_strategy="SPREAD")(_run_check)
_checks_actor: Any = ray.remote(num_cpus=0, max_concurrency=CHECKS_AT_ONCE)(_Checks)

"""Workers beside this process: each is given a task and one more, so that it never waits, and is replaced when it dies."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from dataclasses import asdict, replace
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from advisor.batch.forking import Forkery
from advisor.batch.rows import Row, Settings, answer, error_row
from advisor.batch.stream import Done
from advisor.batch.tasks import RowFault, Task
from advisor.verify.evidence import Job
from advisor.verify.sandbox import write_answer
from advisor.verify.verifier import MOST_REMEMBERED, CheckCounts

if TYPE_CHECKING:
    from concurrent.futures import Future

    from advisor.verify.verifier import Verifier

COMMAND = (sys.executable, "-m", "advisor.batch.worker")
TASKS_PER_WORKER = 2  # one to work on, one to go on with
ROWS_PER_WORKER = 16  # under way at once: a slow row holds back the others' writing, not their work, up to here
MOST_ATTEMPTS = 2  # a task that its worker did not survive twice is the likely reason


class Workers:
    """`jobs` processes that answer tasks. A context manager: leaving it ends them."""

    def __init__(self, settings: Settings, jobs: int, verifier: Verifier | None) -> None:
        self.window = jobs * ROWS_PER_WORKER
        self.settings, self._jobs, self._verifier = settings, jobs, verifier
        self._lock = threading.RLock()
        self._backlog: deque[tuple[Task, Done]] = deque()
        self._attempts: Counter[int] = Counter()
        self._is_closed = False
        cache = verifier.cache if verifier else None
        self._forkery = Forkery(COMMAND, {"settings": asdict(settings), "cache": str(cache.folder.parent) if cache else None})
        self._named: OrderedDict[str, None] = OrderedDict()  # the evidence that was lately asked for or found
        self._found = CheckCounts()
        self._workers = [_Worker(self, self._forkery.fork()) for _ in range(jobs)]

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._is_closed = True
        self._forkery.close()

    def submit(self, task: Task, done: Done) -> None:
        if task.fault is not None:
            done(answer(task, self.settings, None))
            return
        with self._lock:
            self._backlog.append((task, done))
            self._hand_out()

    def counts(self) -> CheckCounts | None:
        if self._verifier is None:
            return None
        counts = self._verifier.counts
        return replace(counts, cached=counts.cached + self._found.cached, shared=counts.shared + self._found.shared)

    def _hand_out(self) -> None:
        """Give the backlog to whoever has the least to do, with the lock held."""
        while self._backlog and not self._is_closed:
            while len(self._workers) < self._jobs:
                self._workers.append(_Worker(self, self._forkery.fork()))
            worker = min(self._workers, key=lambda one: len(one.tasks))
            if len(worker.tasks) == TASKS_PER_WORKER:
                return
            worker.give(*self._backlog.popleft())

    # --- what the workers' threads report ---

    def finished(self, worker: _Worker, row: Row, found: Iterable[str]) -> None:
        """A row is there; `found` are the names of the evidence that its worker found in the cache by itself."""
        with self._lock:
            for name in found:
                before = self._found
                self._found = replace(before, shared=before.shared + 1) if self._name(name) else replace(before, cached=before.cached + 1)
            done = worker.tasks.pop(row.line)[1]
            self._attempts.pop(row.line, None)
            self._hand_out()
        done(row)

    def check(self, job: Job, name: str | None) -> Future[Any]:
        assert self._verifier is not None
        with self._lock:
            self._name(name or "")
        return self._verifier.submit(job)

    def _name(self, name: str) -> bool:
        """Whether this evidence was asked for or found before, as far back as is remembered."""
        is_known = name in self._named
        self._named[name] = None
        self._named.move_to_end(name)
        if len(self._named) > MOST_REMEMBERED:
            self._named.popitem(last=False)
        return is_known

    def lost(self, worker: _Worker, process: int | None) -> None:
        """A worker is dead. What it had is done again, but for a task that has been its worker's end before."""
        ending = "it never began" if process is None else f"status {self._forkery.status(process)}"
        lost_for_good: list[tuple[Task, Done]] = []
        with self._lock:
            if self._is_closed:
                return
            self._workers.remove(worker)
            for place, (task, done) in reversed(list(enumerate(worker.tasks.values()))):
                self._attempts[task.line] += place == 0  # the others had not begun
                if self._attempts[task.line] < MOST_ATTEMPTS:
                    self._backlog.appendleft((task, done))
                else:
                    lost_for_good.append((task, done))
            self._hand_out()
        for task, done in lost_for_good:
            fault = RowFault("worker_lost", f"the process that worked on it ended {MOST_ATTEMPTS} times ({ending})")
            done(error_row(task, self.settings, fault))


class _Worker:
    """One process, its socket, and the tasks that it has, by line."""

    def __init__(self, workers: Workers, connection: Connection) -> None:
        self._workers, self._connection = workers, connection
        self.tasks: dict[int, tuple[Task, Done]] = {}
        self._sending = threading.Lock()
        threading.Thread(target=self._read, name="advisor-worker", daemon=True).start()

    def give(self, task: Task, done: Done) -> None:
        self.tasks[task.line] = task, done
        self._send({"task": asdict(task)})

    def _send(self, message: dict[str, Any]) -> None:
        """Where the worker is gone, the reader finds that out."""
        with self._sending, contextlib.suppress(OSError):
            self._connection.send_bytes(json.dumps(message).encode())

    def _read(self) -> None:
        process = None
        try:
            process = int(self._connection.recv_bytes())  # it says so itself, when it has begun
            while True:
                head, _, data = self._connection.recv_bytes().partition(b"\n")
                message = json.loads(head)
                if "check" in message:
                    answered = self._workers.check(Job.model_validate(message["job"]), message["name"])
                    answered.add_done_callback(partial(self._answer_check, message["check"]))
                else:
                    found = message.pop("found")
                    self._workers.finished(self, Row(data=data, **message), found)
        except (EOFError, OSError):
            self._connection.close()
            self._workers.lost(self, process)

    def _answer_check(self, number: int, answered: Future[Any]) -> None:
        self._send({"check": number, **write_answer(answered.result())})

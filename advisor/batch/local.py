"""Workers beside this process: each is given a task and one more, so that it never waits, and is replaced when it dies."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections import Counter, deque
from dataclasses import asdict
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor.batch.rows import Row, Settings, answer, error_row
from advisor.batch.stream import Done
from advisor.batch.tasks import RowFault, Task
from advisor.verify.evidence import Job
from advisor.verify.sandbox import write_answer

if TYPE_CHECKING:
    from concurrent.futures import Future

    from advisor.verify.verifier import CheckCounts, Verifier

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
        self._workers = [_Worker(self) for _ in range(jobs)]

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._is_closed = True
            workers, self._workers = self._workers, []
        for worker in workers:
            worker.close()

    def submit(self, task: Task, done: Done) -> None:
        if task.fault is not None:
            done(answer(task, self.settings, None))
            return
        with self._lock:
            self._backlog.append((task, done))
            self._hand_out()

    def counts(self) -> CheckCounts | None:
        return self._verifier.counts if self._verifier else None

    def _hand_out(self) -> None:
        """Give the backlog to whoever has the least to do, with the lock held."""
        while self._backlog and not self._is_closed:
            while len(self._workers) < self._jobs:
                self._workers.append(_Worker(self))
            worker = min(self._workers, key=lambda one: len(one.tasks))
            if len(worker.tasks) == TASKS_PER_WORKER:
                return
            worker.give(*self._backlog.popleft())

    # --- what the workers' threads report ---

    def finished(self, worker: _Worker, row: Row) -> None:
        with self._lock:
            done = worker.tasks.pop(row.line)[1]
            self._attempts.pop(row.line, None)
            self._hand_out()
        done(row)

    def check(self, job: Job) -> Future[Any]:
        assert self._verifier is not None
        return self._verifier.submit(job)

    def lost(self, worker: _Worker) -> None:
        """A worker is dead. What it had is done again, but for a task that has been its worker's end before."""
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
            fault = RowFault("worker_lost", f"the process that worked on it ended {MOST_ATTEMPTS} times ({worker.ending()})")
            done(error_row(task, self.settings, fault))


class _Worker:
    """One process, its socket, and the tasks that it has, by line."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self.tasks: dict[int, tuple[Task, Done]] = {}
        self._sending = threading.Lock()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [*COMMAND, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environment(),
                start_new_session=True,  # Ctrl-C at a terminal is the parent's business
            )
        self._connection = Connection(ours.detach())
        self._send(asdict(workers.settings))
        threading.Thread(target=self._read, name="advisor-worker", daemon=True).start()

    def give(self, task: Task, done: Done) -> None:
        self.tasks[task.line] = task, done
        self._send({"task": asdict(task)})

    def close(self) -> None:
        self._process.kill()  # it holds nothing that would need a farewell
        self._process.wait()

    def ending(self) -> str:
        return f"status {self._process.returncode}"

    def _send(self, message: dict[str, Any]) -> None:
        """Where the worker is gone, the reader finds that out."""
        with self._sending, contextlib.suppress(OSError):
            self._connection.send_bytes(json.dumps(message).encode())

    def _read(self) -> None:
        try:
            while True:
                head, _, data = self._connection.recv_bytes().partition(b"\n")
                message = json.loads(head)
                if "check" in message:
                    answered = self._workers.check(Job.model_validate(message["job"]))
                    answered.add_done_callback(partial(self._answer_check, message["check"]))
                else:
                    self._workers.finished(self, Row(data=data, **message))
        except (EOFError, OSError):
            self._connection.close()
            self.close()
            self._workers.lost(self)

    def _answer_check(self, number: int, answered: Future[Any]) -> None:
        self._send({"check": number, **write_answer(answered.result())})


def environment() -> dict[str, str]:
    """For a process that finds this very package."""
    root = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}

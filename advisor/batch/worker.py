"""The processes that answer a batch: tasks come in over a socket, rows go out, and checks are asked of the parent.

The program reads everything once and then forks the workers, each for a socket that the parent sends. Messages are JSON, never
pickles. The parent alone owns the sandbox and the cache, so that a check which several workers want is run once. All of these
processes end when their parent does, however that happens: their sockets are then at their end.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import os
import queue
import signal
import socket
import sys
import threading
from concurrent.futures import Future
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn, cast

from advisor.batch.forking import FORK, NOBODY_KNOWS, NUMBER
from advisor.batch.rows import Row, Settings, answer
from advisor.batch.tasks import Task
from advisor.cache import EvidenceCache
from advisor.errors import AdvisorError
from advisor.verify.evidence import DeployEvidence, Job, Refusal, SmokeEvidence, StaticEvidence
from advisor.verify.sandbox import Evidence, parse_answer


class Parent:
    """The other end of the socket, and the `Checker` that asks it."""

    def __init__(self, connection: Connection, cache: EvidenceCache | None) -> None:
        self._connection, self._cache = connection, cache
        self._evidence: dict[str, StaticEvidence | Refusal] = {}
        self._found: list[str] = []
        self._sending = threading.Lock()
        self._numbers = itertools.count()
        self._asked: dict[int, Future[dict[str, Any]]] = {}
        self.tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._send(str(os.getpid()).encode())
        threading.Thread(target=self._receive, daemon=True).start()

    def known(self, job: Job) -> StaticEvidence | Refusal | None:
        """What the cache holds of a static check. It is read here: to have the parent read it would cost more than the reading."""
        if self._cache is None:
            return None
        name = self._cache.name(job, 1)
        answer = self._evidence.get(name) or cast("StaticEvidence | Refusal | None", self._cache.read(job, name))
        if answer is not None:
            self._found.append(name)
            if len(self._evidence) == MOST_AT_HAND:
                self._evidence.clear()
            self._evidence[name] = answer
        return answer

    def static(self, job: Job) -> StaticEvidence | Refusal:
        job = job.model_copy(update={"check": "static"})
        return self.known(job) or cast("StaticEvidence | Refusal", self._ask(job))

    def smoke(self, job: Job) -> SmokeEvidence | Refusal:
        return cast("SmokeEvidence | Refusal", self._ask(job.model_copy(update={"check": "smoke"})))

    def deploy(self, job: Job) -> DeployEvidence | Refusal:
        return cast("DeployEvidence | Refusal", self._ask(job.model_copy(update={"check": "deploy"})))

    def send(self, row: Row) -> None:
        """The row's line goes as it is, after a line that says what the parent wants to know of it."""
        found, self._found = self._found, []
        head = {"line": row.line, "status": row.status, "seconds": row.seconds, "end": row.end, "found": found}
        self._send(json.dumps(head).encode() + b"\n" + row.data)

    def _ask(self, job: Job) -> Evidence | Refusal:
        number, future = next(self._numbers), Future[dict[str, Any]]()
        self._asked[number] = future
        name = self._cache.name(job, 1) if self._cache and job.check == "static" else None
        self._send(json.dumps({"check": number, "job": job.to_wire(), "name": name}).encode())
        return parse_answer(job, future.result())

    def _send(self, message: bytes) -> None:
        with self._sending, contextlib.suppress(OSError):  # where the parent is gone, the receiver finds that out
            self._connection.send_bytes(message)

    def _receive(self) -> None:
        try:
            while True:
                message = json.loads(self._connection.recv_bytes())
                if "task" in message:
                    self.tasks.put(Task(**message["task"]))
                else:
                    self._asked.pop(message.pop("check")).set_result(message)
        finally:
            os._exit(0)  # the parent is done, or dead; the main thread may be anywhere


MOST_AT_HAND = 500  # pieces of evidence that a worker keeps, of some 30 kB each


def tupled(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as they were before JSON made lists of tuples."""
    return {**settings, "rules": tuple(settings["rules"])}


ENDING = {signal.SIGTERM}

# The batch's first request in its stead: what is only made when it is first needed is made before the workers are forked.
_FIRST = {
    "task": {"type": "classification", "domain": "CV", "specificTask": "image classification"},
    "data": {"size": "1,000 images, 10 classes"},
    "constraints": {"computeResources": "RTX 3090"},
}


def main() -> None:
    """Read all that there is to read, and fork workers for as long as there is a parent."""
    control, given = socket.socket(fileno=int(sys.argv[1])), json.loads(sys.argv[2])
    settings = Settings(**tupled(given["settings"]))
    cache = EvidenceCache(Path(given["cache"])) if given["cache"] else None
    with contextlib.suppress(AdvisorError):  # which the parent meets as well, and says
        settings.advice_hash  # noqa: B018
        answer(Task(0, "", 0, _FIRST), settings, None)
    if settings.depth != "none":
        from advisor.planning import operator_timing  # noqa: F401 - numpy
    gc.freeze()  # what has been read stays
    workers: set[int] = set()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        while (asked := socket.recv_fds(control, 1, 1))[0]:
            if asked[0] == FORK:
                signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # until the worker is counted
                workers.add(_forked(control, asked[1][0], settings, cache))
                signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
            else:
                (process,) = NUMBER.unpack(control.recv(NUMBER.size, socket.MSG_WAITALL))
                control.sendall(NUMBER.pack(_ending(process) if process in workers else NOBODY_KNOWS))
                workers.discard(process)
    finally:
        for process in workers:
            os.kill(process, signal.SIGKILL)
            _ending(process)


def _forked(control: socket.socket, given: int, settings: Settings, cache: EvidenceCache | None) -> int:
    """Fork a worker for one end of a socket; returns its number, and in the worker never."""
    process = os.fork()
    if process == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        control.close()
        serve(Parent(Connection(given), cache), settings)
    os.close(given)
    return process


def _ending(process: int) -> int:
    """How a worker ended, when it has."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def serve(parent: Parent, settings: Settings) -> NoReturn:
    """Answer tasks for as long as there is a parent."""
    while True:
        parent.send(answer(parent.tasks.get(), settings, None if settings.depth == "none" else parent))


if __name__ == "__main__":
    main()

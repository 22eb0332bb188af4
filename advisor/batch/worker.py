"""One of the processes that answer a batch: tasks come in over a socket, rows go out, and checks are asked of the parent.

Messages are JSON, never pickles. The parent alone owns the sandbox and the cache, so that a check which several workers want is
run once. The process ends when its parent does, however that happens: the socket is then at its end.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import os
import queue
import sys
import threading
from concurrent.futures import Future
from multiprocessing.connection import Connection
from typing import Any, cast

from advisor.batch.rows import Row, Settings, answer
from advisor.batch.tasks import Task
from advisor.verify.evidence import DeployEvidence, Job, Refusal, SmokeEvidence, StaticEvidence
from advisor.verify.sandbox import Evidence, parse_answer


class Parent:
    """The other end of the socket, and the `Checker` that asks it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._numbers = itertools.count()
        self._asked: dict[int, Future[dict[str, Any]]] = {}
        self.settings = Settings(**tupled(json.loads(connection.recv_bytes())))
        self.tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        threading.Thread(target=self._receive, daemon=True).start()

    def static(self, job: Job) -> StaticEvidence | Refusal:
        return cast("StaticEvidence | Refusal", self._ask(job.model_copy(update={"check": "static"})))

    def smoke(self, job: Job) -> SmokeEvidence | Refusal:
        return cast("SmokeEvidence | Refusal", self._ask(job.model_copy(update={"check": "smoke"})))

    def deploy(self, job: Job) -> DeployEvidence | Refusal:
        return cast("DeployEvidence | Refusal", self._ask(job.model_copy(update={"check": "deploy"})))

    def send(self, row: Row) -> None:
        """The row's line goes as it is, after a line that says what the parent wants to know of it."""
        head = {"line": row.line, "status": row.status, "seconds": row.seconds, "end": row.end}
        self._send(json.dumps(head).encode() + b"\n" + row.data)

    def _ask(self, job: Job) -> Evidence | Refusal:
        number, future = next(self._numbers), Future[dict[str, Any]]()
        self._asked[number] = future
        self._send(json.dumps({"check": number, "job": job.to_wire()}).encode())
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


def tupled(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as they were before JSON made lists of tuples."""
    return {**settings, "rules": tuple(settings["rules"])}


def main() -> None:
    """Answer tasks for as long as there is a parent."""
    parent = Parent(Connection(int(sys.argv[1])))
    parent.settings.advice_hash  # noqa: B018 - everything is read before the first task comes
    gc.freeze()  # what has been read stays
    while True:
        parent.send(answer(parent.tasks.get(), parent.settings, None if parent.settings.depth == "none" else parent))


if __name__ == "__main__":
    main()

"""The process that workers are forked from, seen from the batch: it reads rules and catalogue once for all of them.

It is a program of its own, started afresh, because it must have no threads: what is forked beside a thread may hang. For each worker
it is sent one end of a socket; it tells how a worker ended when it is asked.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

FORK, STATUS = b"f", b"s"  # what is asked: a worker on the socket that comes along; how the process of that number ended
NUMBER = struct.Struct("!i")
CLOSING_S = 10.0  # within which workers are killed and waited for, on a machine that is busy
NOBODY_KNOWS = 2**31 - 1  # no exit status


class Forkery:
    """Starts workers, all in one process group. Where the program that forks them is gone, another is started."""

    def __init__(self, command: Sequence[str], settings: dict[str, Any]) -> None:
        self._command, self._settings = command, settings
        self._lock = threading.Lock()
        self._start()

    def fork(self) -> Connection:
        """The socket of a new worker, which is at its end when the worker is gone, or never came to be."""
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            try:
                socket.send_fds(self._control, [FORK], [theirs.fileno()])
            except OSError:
                self._kill()
                self._start()
                with contextlib.suppress(OSError):
                    socket.send_fds(self._control, [FORK], [theirs.fileno()])
        return Connection(ours.detach())

    def status(self, process: int) -> int | str:
        """The exit status of a worker that is gone, as far as it can still be known."""
        status = NOBODY_KNOWS
        with self._lock, contextlib.suppress(OSError, struct.error):
            self._control.sendall(STATUS + NUMBER.pack(process))
            (status,) = NUMBER.unpack(self._control.recv(NUMBER.size, socket.MSG_WAITALL))
        return "unknown" if status == NOBODY_KNOWS else status

    def close(self) -> None:
        """End every worker, whatever it is doing: it holds nothing that would need a farewell."""
        with self._lock:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(CLOSING_S)
                self._control.close()
                return
            self._kill()

    def _start(self) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [*self._command, str(theirs.fileno()), json.dumps(self._settings)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environment(),
                start_new_session=True,  # Ctrl-C at a terminal is the parent's business
            )

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._control.close()


def environment() -> dict[str, str]:
    """For a process that finds this very package, and has no threads from numpy."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}

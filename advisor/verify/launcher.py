"""The sandbox's process: it imports the libraries once, computes nothing, and forks a child for each check.

Why a fork: the imports take seconds and are paid once. Why nothing is computed before it: a child forked after an OpenMP
region hangs in its own first one; after the imports alone it works, and CUDA is first touched in the child.

Requests and answers are lines of JSON on two pipes of their own, because libraries write to stdout. One thread does
everything, so that a fork never copies a lock that another thread holds. A check that crashes, hangs, runs out of memory or
talks nonsense is a `Refusal`; the launcher goes on. When the requests end (the parent closed them, or died), it kills what
runs, removes its folder and exits.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import selectors
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from advisor.verify.confine import confine, isolate_network, refuse
from advisor.verify.evidence import Job, Refusal, SmokeEvidence, StaticEvidence
from advisor.verify.light_imports import import_without_compiler

GIB = 2**30
TICK_S = 0.05  # how often time and memory of running checks are looked at
IDLE_TICK_S = 1.0
GRACE_S = 2.0  # a check minds its time limit itself; this is what it may need to notice
MEMORY_SHARE = 0.9  # of the memory that is free when the check starts, where the job names no limit
READ_BYTES = 2**16
LONGEST_ANSWER_BYTES = 2**22
TAIL_BYTES = 2**12  # of what a check prints: the end of it says why it crashed

_MODULES = {
    "torch": ("torch",),
    "timm": ("torch", "timm"),
    "transformers": ("torch", "transformers.modeling_utils", "transformers.models.auto.modeling_auto"),
    "peft": ("torch", "peft"),
    "tabular": ("torch", "tabicl"),
}

Check = Callable[[Job], "StaticEvidence | SmokeEvidence | Refusal"]


@dataclass
class _Running:
    """A check's child process: what it has said so far, and what it may use."""

    id: int
    pid: int
    folder: Path
    deadline: float
    memory_limit: float
    limit_s: float
    answer_fd: int
    output_fd: int
    answer: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)
    has_answered: bool = False
    status: int | None = None
    stopped_because: str | None = None


def check(job: Job) -> StaticEvidence | SmokeEvidence | Refusal:
    """Run one check, in this process."""
    if job.check == "static":
        from advisor.verify.static import check_static
        return check_static(job)
    from advisor.verify.smoke import run_smoke
    return run_smoke(job)


def main(run: Check = check) -> None:
    """Serve requests until they end. `run` is what a child does with its job."""
    parser = argparse.ArgumentParser(description="Serves checks over two pipes; started by advisor itself.")
    for name in ("--requests", "--answers", "--jobs"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business; it closes the pipe
    launcher = Launcher(arguments.requests, arguments.answers, arguments.folder, arguments.jobs, run)
    try:
        launcher.serve()
    finally:
        launcher.stop()
        os._exit(0)  # tearing down torch takes a third of a second and does nothing


class Launcher:
    """Reads requests, forks checks, watches them, and writes answers."""

    def __init__(self, requests: int, answers: int, folder: Path, jobs: int, run: Check) -> None:
        self._requests, self._answers, self._folder, self._jobs, self._run = requests, answers, folder, jobs, run
        self._parent = os.getppid()
        self._selector = selectors.DefaultSelector()
        self._selector.register(requests, selectors.EVENT_READ)
        self._unread = bytearray()
        self._waiting: deque[tuple[int, Job]] = deque()
        self._running: dict[int, _Running] = {}
        self._imported: set[str] = set()

    def serve(self) -> None:
        """Until the requests end or the parent is gone."""
        self._say({"ready": True, "networkIsolated": _can_isolate()})
        is_open = True
        while is_open and os.getppid() == self._parent:
            for key, _ in self._selector.select(TICK_S if self._running else IDLE_TICK_S):
                if key.fd == self._requests:
                    is_open = self._read_requests()
                elif not _read(key.data, key.fd):
                    self._selector.unregister(key.fd)  # at its end a pipe is always ready
            for running in list(self._running.values()):
                self._watch(running)
            while self._waiting and len(self._running) < self._jobs:
                self._start(*self._waiting.popleft())

    def stop(self) -> None:
        """Kill what runs and leave nothing behind."""
        for running in self._running.values():
            _kill(running)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _read_requests(self) -> bool:
        data = os.read(self._requests, READ_BYTES)
        self._unread += data
        *lines, rest = self._unread.split(b"\n")
        self._unread = bytearray(rest)
        for line in lines:
            request = json.loads(line)
            if "prepare" in request:
                self._prepare(request["prepare"])
            else:
                self._waiting.append((request["id"], Job.model_validate(request["job"])))
        return bool(data)

    def _prepare(self, libraries: list[str]) -> None:
        """Import now what a child would import each time. A failure is the check's to report: its child meets it again."""
        modules = [module for library in libraries for module in _MODULES.get(library, ()) if module not in self._imported]
        for module in dict.fromkeys(modules):
            with contextlib.suppress(Exception):
                import_without_compiler((module,))
            self._imported.add(module)
        gc.freeze()  # what is imported stays; a child's collector need not touch, and so copy, it

    def _start(self, id: int, job: Job) -> None:
        self._prepare([job.build.library, *(["peft"] if job.recipe.lora else [])])
        folder = self._folder / str(id)
        folder.mkdir()
        answer_out, answer_in = os.pipe()
        output_out, output_in = os.pipe()
        pid = os.fork()
        if pid == 0:
            self._be_child(job, folder, answer_in, output_in)
        os.close(answer_in)
        os.close(output_in)
        running = _Running(id, pid, folder, time.monotonic() + job.time_limit_s + GRACE_S, self._memory_limit(job), job.time_limit_s,
                           answer_out, output_out)
        for descriptor in (answer_out, output_out):
            os.set_blocking(descriptor, False)
            self._selector.register(descriptor, selectors.EVENT_READ, running)
        self._running[id] = running

    def _memory_limit(self, job: Job) -> float:
        """Bytes of resident memory, the shared libraries included."""
        if job.memory_limit_gib is not None:
            return job.memory_limit_gib * GIB
        return psutil.virtual_memory().available * MEMORY_SHARE / self._jobs

    def _be_child(self, job: Job, folder: Path, answer_in: int, output_in: int) -> None:
        """Run the job and exit, whatever happens: a forked child must never return into the launcher's loop."""
        try:
            launcher = os.getppid()
            for number in (1, 2):
                os.dup2(output_in, number)
            for descriptor in (self._requests, self._answers):
                os.close(descriptor)
            try:
                confine(folder, launcher)
                answer = self._run(job)
            except BaseException as error:
                answer = refuse(error)
            kind = "refusal" if isinstance(answer, Refusal) else "evidence"
            with os.fdopen(answer_in, "wb") as pipe:
                pipe.write(json.dumps({kind: answer.to_wire()}).encode())
        finally:
            os._exit(1 if sys.exc_info()[0] else 0)

    def _watch(self, running: _Running) -> None:
        if not running.has_answered:
            running.stopped_because = running.stopped_because or _reason_to_stop(running)
            if running.stopped_because is None and not _has_exited(running):
                return
        _kill(running)
        for descriptor in (running.answer_fd, running.output_fd):
            for _ in range(LONGEST_ANSWER_BYTES // READ_BYTES):
                if not _read(running, descriptor):
                    break
            with contextlib.suppress(KeyError):
                self._selector.unregister(descriptor)
            os.close(descriptor)
        shutil.rmtree(running.folder, ignore_errors=True)
        del self._running[running.id]
        self._say({"id": running.id, **_answer(running)})

    def _say(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(self._answers, data):]


def _can_isolate() -> bool:
    """Tried in a child, since it cannot be undone."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if isolate_network() else 1)
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def _read(running: _Running, descriptor: int) -> bool:
    """Take what the child has written: all of its answer up to a limit, and the end of what it prints. False at the end."""
    try:
        data = os.read(descriptor, READ_BYTES)
    except BlockingIOError:
        return False
    if descriptor == running.output_fd:
        running.tail = (running.tail + data)[-TAIL_BYTES:]
    elif len(running.answer) <= LONGEST_ANSWER_BYTES:
        running.answer += data
        running.has_answered = not data
    return bool(data)


def _reason_to_stop(running: _Running) -> str | None:
    if time.monotonic() > running.deadline:
        return f"the check did not finish within {running.limit_s:g} s here"
    if len(running.answer) > LONGEST_ANSWER_BYTES:
        return "the check's answer had no end"
    try:
        used = psutil.Process(running.pid).memory_info().rss
    except psutil.Error:
        return None
    if used > running.memory_limit:
        return f"the check needed more than {running.memory_limit / GIB:.1f} GiB of memory here"
    return None


def _has_exited(running: _Running) -> bool:
    pid, status = os.waitpid(running.pid, os.WNOHANG)
    if pid:
        running.status = status
    return bool(pid)


def _kill(running: _Running) -> None:
    """End the child and all it started. Harmless where it is over already: a status once set stays."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(running.pid, signal.SIGKILL)
    if running.status is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGKILL)  # it may not have made its session yet
        running.status = os.waitpid(running.pid, 0)[1]


def _answer(running: _Running) -> dict[str, Any]:
    """The message that a finished child's status and answer come to."""
    status = running.status or 0
    if running.stopped_because:
        reason = running.stopped_because
    elif not running.answer and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        reason = "the check was killed from outside, most likely by the system for want of memory"
    elif not running.answer and os.WIFSIGNALED(status):
        reason = f"the check crashed in native code ({signal.Signals(os.WTERMSIG(status)).name}){_last_words(running)}"
    elif not running.answer:
        reason = f"the check ended with status {os.waitstatus_to_exitcode(status)} and no answer{_last_words(running)}"
    else:
        try:
            answer = json.loads(running.answer)
            if isinstance(answer, dict) and len(answer) == 1 and set(answer) <= {"evidence", "refusal"}:
                return answer
        except (ValueError, RecursionError):
            pass
        reason = "the check's answer cannot be read"
    return {"refusal": Refusal(status="skipped", reason=reason).to_wire()}


def _last_words(running: _Running) -> str:
    lines = running.tail.decode(errors="replace").strip().splitlines()
    return f": {lines[-1].strip()}" if lines else ""


if __name__ == "__main__":
    main()

"""The sandbox's process: it imports the libraries once, computes nothing, and forks children for the checks.

Why a fork: the imports take seconds and are paid once. Why nothing is computed before it: a child forked after an OpenMP
region hangs in its own first one; after the imports alone it works, and CUDA is first touched in the child. A process that
was forked after CUDA started has none, so that a library which starts it when imported is left to the child, and those that
only ask for it are answered by NVML (torch.cuda.is_available, PYTORCH_NVML_BASED_CUDA_CHECK).

Requests and answers are lines of JSON on two pipes of their own, because libraries write to stdout. One thread does
everything, so that a fork never copies a lock that another thread holds. A check that crashes, hangs, runs out of memory or
talks nonsense is a `Refusal`; the launcher goes on. A child that has answered a static check is given the next one, and what is
refused there is found out again in a child of its own: docs/decisions/static-checks-share-a-process.md.

When the requests end (the parent closed them, or died), it kills what runs, removes its folder and exits.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import selectors
import shutil
import signal
from collections import deque
from pathlib import Path
from typing import Any

import psutil

from advisor.verify.child import (
    GIB,
    LONGEST_ANSWER_BYTES,
    READ_BYTES,
    Child,
    can_go_on,
    empty,
    has_exited,
    interpret,
    kill,
    read,
    reason_to_stop,
)
from advisor.verify.confine import become_subreaper, isolate_network, refuse
from advisor.verify.evidence import DeployEvidence, Job, Refusal, SmokeEvidence, StaticEvidence
from advisor.verify.inside import Answer, Check, be_a_check
from advisor.verify.libraries import import_for
from advisor.verify.pieces import Kept, Pieces

TICK_S = 0.1  # how often time and memory of running checks are looked at; it takes less than a hundredth of a processor
IDLE_TICK_S = 1.0
PIECES = "pieces"  # the folder, beside those of checks, of what static checks have in common
MOST_SERVED = 200  # static checks, by one process
MEMORY_SHARE = 0.9  # of the memory that is free when the check starts, where the job names no limit


def check(job: Job) -> StaticEvidence | SmokeEvidence | DeployEvidence | Refusal:
    """Run one check, in this process, which has a folder of its own."""
    if job.check == "deploy":
        from advisor.verify.deploy import run_deploy

        return run_deploy(job)
    if job.check == "static":
        from advisor.verify.static import check_static

        return check_static(job, Pieces(Path.cwd().parent / PIECES, Path.cwd() / PIECES))  # its folder lies in its launcher's
    from advisor.verify.smoke import run_smoke

    return run_smoke(job)


def answer(job: Job) -> Answer:
    """Run a check, or work out an estimate, in this process."""
    if job.check == "estimate":
        from advisor.verify.estimate import check_estimate

        return check_estimate(job)
    return check(job)


def main(run: Check = answer) -> None:
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
        self._running: dict[int, Child] = {}
        self._idle: list[Child] = []  # they have answered, and may be given another job
        self._again: set[int] = set()  # jobs that were refused in a process that had answered others
        self._imported: set[str] = set()
        self._kept = Kept(folder / PIECES)

    def serve(self) -> None:
        """Until the requests end or the parent is gone."""
        become_subreaper()
        self._say({"ready": True, "networkIsolated": _can_isolate()})
        is_open = True
        while is_open and os.getppid() == self._parent:
            for key, _ in self._selector.select(TICK_S if self._running else IDLE_TICK_S):
                if key.fd == self._requests:
                    is_open = self._read_requests()
                elif not read(key.data, key.fd):
                    self._selector.unregister(key.fd)  # at its end a pipe is always ready
            for running in list(self._running.values()):
                self._watch(running)
            while self._waiting and len(self._running) < self._jobs:
                self._start(*self._waiting.popleft())

    def stop(self) -> None:
        """Kill what runs and leave nothing behind."""
        for child in (*self._running.values(), *self._idle):
            kill(child)
        self._running.clear()
        self._idle.clear()
        self._kill_strays()
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

    def _prepare(self, libraries: list[str], check: str = "static") -> None:
        """Import now what a child would import each time."""
        self._imported |= import_for(libraries, check, self._imported)

    def _start(self, id: int, job: Job) -> None:
        self._prepare(
            [job.build.library, *(["peft"] if job.recipe.lora else []), *(["export"] if job.check == "deploy" else [])], job.check
        )
        is_shared = job.check == "static" and not job.cross_check and job.memory_limit_gib is None
        if not (is_shared and id not in self._again and self._handed_over(id, job)):
            self._fork(id, job, is_shared)

    def _handed_over(self, id: int, job: Job) -> bool:
        """Whether a process that has answered before took the job; one that lacks what was imported since then is ended."""
        while self._idle:
            kept = self._idle.pop()
            if kept.imported == self._imported and not has_exited(kept):
                with contextlib.suppress(BrokenPipeError):
                    kept.hand_over(id, job)
                    self._running[id] = kept
                    return True
            self._end(kept)
        return False

    def _fork(self, id: int, job: Job, is_shared: bool) -> None:
        folder = self._folder / str(id)
        try:
            folder.mkdir()
        except OSError as error:  # a full disk, or a temporary folder that somebody cleaned up
            self._say({"id": id, "refusal": refuse(error).to_wire()})
            return
        limit = self._memory_limit(job)  # the check is told, so that what it trains keeps within its share
        answer_out, answer_in = os.pipe()
        output_out, output_in = os.pipe()
        jobs_out, jobs_in = os.pipe() if is_shared else (None, None)
        pid = os.fork()
        if pid == 0:
            others = [kept.jobs_fd for kept in (*self._running.values(), *self._idle)]  # open ends keep their readers waiting
            for descriptor in (self._requests, self._answers, jobs_in, *others):
                if descriptor is not None:
                    os.close(descriptor)
            be_a_check(self._run, job.model_copy(update={"memory_limit_gib": limit / GIB}), folder, answer_in, output_in, jobs_out)
        for descriptor in (answer_in, output_in, jobs_out):
            if descriptor is not None:
                os.close(descriptor)
        running = Child(id, job, pid, folder, limit, answer_out, output_out, jobs_in, frozenset(self._imported))
        for descriptor in (answer_out, output_out):
            os.set_blocking(descriptor, False)
            self._selector.register(descriptor, selectors.EVENT_READ, running)
        self._running[id] = running

    def _memory_limit(self, job: Job) -> float:
        """Bytes of resident memory, the shared libraries included."""
        if job.memory_limit_gib is not None:
            return job.memory_limit_gib * GIB
        return psutil.virtual_memory().available * MEMORY_SHARE / self._jobs

    def _watch(self, running: Child) -> None:
        if not running.has_answered:
            running.stopped_because = running.stopped_because or reason_to_stop(running)
            if running.stopped_because is None and not has_exited(running):
                return
        del self._running[running.id]
        is_kept = can_go_on(running) and running.served < MOST_SERVED
        if not is_kept:
            self._drain(running)
        found = interpret(running)
        if "evidence" in found:
            self._kept.take(running.folder / PIECES)
        if is_kept and "evidence" in found:
            empty(running.folder)
            self._idle.append(running)
        else:
            self._end(running)
        self._kill_strays()
        if "refusal" in found and running.served:  # what an earlier check left behind may have done it
            self._again.add(running.id)
            self._waiting.appendleft((running.id, running.job))
            return
        self._again.discard(running.id)
        self._say({"id": running.id, **found})

    def _drain(self, running: Child) -> None:
        """End the process, and read what it still has to say."""
        kill(running)
        for descriptor in (running.answer_fd, running.output_fd):
            for _ in range(LONGEST_ANSWER_BYTES // READ_BYTES):
                if not read(running, descriptor):
                    break

    def _end(self, child: Child) -> None:
        """Leave nothing of it. Harmless where it is over already."""
        kill(child)
        for descriptor in (child.answer_fd, child.output_fd):
            with contextlib.suppress(KeyError):
                self._selector.unregister(descriptor)
            os.close(descriptor)
        if child.jobs_fd is not None:
            os.close(child.jobs_fd)
        shutil.rmtree(child.folder, ignore_errors=True)

    def _kill_strays(self) -> None:
        """End what left its check's session and so survived it: it became the launcher's own child when its parent died."""
        known = {child.pid for child in (*self._running.values(), *self._idle)}
        while strays := [child.pid for child in psutil.Process().children() if child.pid not in known]:
            for pid in strays:
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)

    def _say(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(self._answers, data) :]


def _can_isolate() -> bool:
    """Tried in a child, since it cannot be undone."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if isolate_network() else 1)
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


if __name__ == "__main__":
    main()

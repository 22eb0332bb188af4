"""A check's process as its launcher sees it: reading what it writes, stopping it, and making sense of how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from advisor.verify.evidence import UNREADABLE, Job, Refusal, broken_down

GIB = 2**30
GRACE_S = 2.0  # a check minds its time limit itself; this is what it may need to notice
READ_BYTES = 2**16
LONGEST_ANSWER_BYTES = 2**22
TAIL_BYTES = 2**12  # of what a check prints: the end of it says why it crashed


@dataclass
class Child:
    """A check's process: what it may use, and what it has said so far.

    One that can be given another job afterwards has a `jobs_fd` to write it to, and knows what had been imported when it began.
    """

    id: int
    job: Job
    pid: int
    folder: Path
    memory_limit: float
    answer_fd: int
    output_fd: int
    jobs_fd: int | None = None
    imported: frozenset[str] = frozenset()
    served: int = 0  # jobs before this one
    begun: float = field(default_factory=time.monotonic)
    answer: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)
    has_answered: bool = False
    status: int | None = None
    stopped_because: Refusal | None = None

    @property
    def deadline(self) -> float:
        return self.begun + self.job.time_limit_s + GRACE_S

    def hand_over(self, id: int, job: Job) -> None:
        """Give it a further job, now that it has answered. Raises OSError where it is gone."""
        assert self.jobs_fd is not None
        told = job.model_copy(update={"memory_limit_gib": self.memory_limit / GIB})
        os.write(self.jobs_fd, told.model_dump_json(by_alias=True).encode() + b"\n")  # less than a pipe holds, which is empty
        self.id, self.job, self.served, self.has_answered, self.begun = id, job, self.served + 1, False, time.monotonic()
        self.answer.clear()


def read(child: Child, descriptor: int) -> bool:
    """Take what the child has written: all of its answer up to a limit, and the end of what it prints. False at the end."""
    try:
        data = os.read(descriptor, READ_BYTES)
    except BlockingIOError:
        return False
    if descriptor == child.output_fd:
        child.tail = (child.tail + data)[-TAIL_BYTES:]
    elif len(child.answer) <= LONGEST_ANSWER_BYTES:
        child.answer += data
        child.has_answered = not data or data.endswith(b"\n")
    return bool(data)


def reason_to_stop(child: Child) -> Refusal | None:
    if time.monotonic() > child.deadline:
        return broken_down("timeout", f"the check did not finish within {child.job.time_limit_s:g} s here")
    if len(child.answer) > LONGEST_ANSWER_BYTES:
        return broken_down("crashed", "the check's answer had no end")
    if _used(child.pid) > child.memory_limit:
        return broken_down("memory", f"the check needed more than {child.memory_limit / GIB:.1f} GiB of memory here")
    return None


def _used(pid: int) -> int:
    """Resident bytes of the check and, where it started processes, of what these have to themselves: a fork shares the rest."""
    try:
        process = psutil.Process(pid)
        used: int = process.memory_info().rss
        started = process.children(recursive=True) if _has_children(pid) else []
    except psutil.Error:
        return 0
    for one in started:
        with contextlib.suppress(psutil.Error):
            used += one.memory_full_info().uss
    return used


def _has_children(pid: int) -> bool:
    """Told by the kernel where it can tell; going through all processes, ten times a second, is dear."""
    try:
        lists = [path.read_text(encoding="ascii") for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:  # a thread ended meanwhile
        return True
    return not lists or any(lists)


def can_go_on(child: Child) -> bool:
    """Whether a process that has answered can be given another job: it lives, listens, and started nothing that is still there."""
    is_whole = child.answer.endswith(b"\n") and child.stopped_because is None
    return child.jobs_fd is not None and is_whole and not has_exited(child) and not _has_children(child.pid)


def empty(folder: Path) -> None:
    """Remove what a check left in its folder, which the next one has as its own."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def has_exited(child: Child) -> bool:
    if child.status is None:
        pid, status = os.waitpid(child.pid, os.WNOHANG)
        child.status = status if pid else None
    return child.status is not None


def kill(child: Child) -> None:
    """End the child and all it started. Harmless where it is over already: a status once set stays."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    if child.status is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)  # it may not have made its session yet
        child.status = os.waitpid(child.pid, 0)[1]


def interpret(child: Child) -> dict[str, Any]:
    """The message that a finished child's status and answer come to."""
    if not child.stopped_because and child.answer:
        try:
            answer = json.loads(child.answer)
            if isinstance(answer, dict) and len(answer) == 1 and set(answer) <= {"evidence", "refusal"}:
                return answer
        except (ValueError, RecursionError):
            pass
        return {"refusal": UNREADABLE.to_wire()}
    return {"refusal": (child.stopped_because or _ending(child)).to_wire()}


def _ending(child: Child) -> Refusal:
    """Of a child that ended by itself, without an answer."""
    status = child.status or 0
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return broken_down("memory", "the check was killed from outside, most likely by the system for want of memory")
    if os.WIFSIGNALED(status):
        return broken_down("crashed", f"the check crashed in native code ({signal.Signals(os.WTERMSIG(status)).name}){_last_words(child)}")
    return broken_down("crashed", f"the check ended with status {os.waitstatus_to_exitcode(status)} and no answer{_last_words(child)}")


def _last_words(child: Child) -> str:
    lines = child.tail.decode(errors="replace").strip().splitlines()
    return f": {lines[-1].strip()}" if lines else ""

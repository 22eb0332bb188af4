"""The sandbox's process as the rest of the program holds it: jobs go down one pipe, answers come up another. Never imports torch."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from advisor.estimating.answer import Estimate
from advisor.verify.evidence import UNREADABLE, DeployEvidence, Job, Refusal, SmokeEvidence, StaticEvidence, broken_down
from advisor.verify.light_imports import NVML_ANSWERS

Evidence = StaticEvidence | SmokeEvidence | DeployEvidence | Estimate
CLOSING_S = 2.0  # how long a launcher may take to clean up after itself; it may be in the middle of an import
LAST_WORDS_BYTES = 2000
# GCC's OpenMP lets a waiting thread spin for milliseconds. Where another process holds one of two processors, that made a step
# of ResNet-18 take 1.4 s instead of 0.1 s; after a thousand spins it sleeps, which costs nothing on a free machine.
SPINS = "1000"
_PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])


class Sandbox:
    """One launcher process: its two pipes, its folder, and the futures that wait for it. Raises OSError where none can be started."""

    def __init__(self, command: tuple[str, ...], jobs: int) -> None:
        self.is_dead = False
        self.is_network_isolated: bool | None = None
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[Job, Future[Evidence | Refusal]]] = {}
        self._count = 0
        self._folder = Path(tempfile.mkdtemp(prefix="advisor-"))
        requests_out, self._requests = os.pipe()
        self._answers, answers_in = os.pipe()
        self._log = self._folder / "launcher.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *command,
                    "--requests",
                    str(requests_out),
                    "--answers",
                    str(answers_in),
                    "--jobs",
                    str(jobs),
                    "--folder",
                    str(self._folder),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(requests_out, answers_in),
                env=environment(jobs),
                start_new_session=True,
            )  # Ctrl-C at a terminal reaches the parent only, which then closes
        os.close(requests_out)
        os.close(answers_in)
        self._reader = threading.Thread(target=self._read, name="advisor-verifier", daemon=True)
        self._reader.start()

    def submit(self, job: Job) -> Future[Evidence | Refusal]:
        future: Future[Evidence | Refusal] = Future()
        with self._lock:
            self._count += 1
            number = self._count
            self._waiting[number] = (job, future)
        self.send({"id": number, "job": job.to_wire()})
        if self.is_dead:
            self._lose_all()
        return future

    def send(self, message: dict[str, Any]) -> None:
        """Write a line; where the launcher is gone, the reader finds that out."""
        data = json.dumps(message).encode() + b"\n"
        with self._lock, contextlib.suppress(BrokenPipeError, OSError):
            while data:
                data = data[os.write(self._requests, data) :]

    def close(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            os.close(self._requests)
            self._requests = -1
        if not self._waiting:  # it has no children to end; it may be in the middle of an import, which nobody needs any more
            self._process.kill()
        try:
            self._process.wait(CLOSING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its children die with it
            self._process.wait()
        self._reader.join(CLOSING_S)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _read(self) -> None:
        with os.fdopen(self._answers, "rb") as answers:
            for line in answers:
                message = json.loads(line)
                if "ready" in message:
                    self.is_network_isolated = message["networkIsolated"]
                    continue
                with self._lock:
                    job, future = self._waiting.pop(message["id"])
                future.set_result(parse_answer(job, message))
        self.is_dead = True
        self._lose_all()

    def _lose_all(self) -> None:
        with self._lock:
            lost = [future for _, future in self._waiting.values()]
            self._waiting.clear()
        words = self._last_words()
        for future in lost:
            future.set_result(broken_down("lost", f"the sandbox ended before the check did{words}"))

    def _last_words(self) -> str:
        try:
            lines = self._log.read_bytes()[-LAST_WORDS_BYTES:].decode(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return f": {lines[-1].strip()}" if lines else ""


def parse_answer(job: Job, message: dict[str, Any]) -> Evidence | Refusal:
    """An answer as the sandbox, and `write_answer`, put it: {"evidence": …} or {"refusal": …}."""
    kinds: dict[str, type[Evidence]] = {"static": StaticEvidence, "smoke": SmokeEvidence, "deploy": DeployEvidence, "estimate": Estimate}
    kind = kinds[job.check]
    try:
        return Refusal.model_validate(message["refusal"]) if "refusal" in message else kind.model_validate(message["evidence"])
    except ValidationError:
        return UNREADABLE


def write_answer(answer: Evidence | Refusal) -> dict[str, Any]:
    """What `parse_answer` reads."""
    return {"refusal" if isinstance(answer, Refusal) else "evidence": answer.to_wire()}


def threads_per_check(jobs: int) -> int:
    """An equal share of the processors."""
    return max(1, (os.cpu_count() or 1) // jobs)


def environment(jobs: int) -> dict[str, str]:
    """The launcher's: no downloads, an equal share of the processors for each check, and this very package."""
    threads = str(threads_per_check(jobs))
    path = os.pathsep.join(filter(None, (_PACKAGE_ROOT, os.environ.get("PYTHONPATH"))))
    return {
        **os.environ,
        "PYTHONPATH": path,
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        NVML_ANSWERS: "1",
        "GOMP_SPINCOUNT": SPINS,
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": "1",
    }

"""A check's process as it sees itself: it confines itself, runs its job, and answers; one that may be kept waits for the next job."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from advisor.estimating.answer import Estimate
from advisor.verify.confine import LARGEST_EXPORT_BYTES, LARGEST_FILE_BYTES, confine, refuse
from advisor.verify.evidence import DeployEvidence, Job, Refusal, SmokeEvidence, StaticEvidence
from advisor.verify.light_imports import NVML_ANSWERS

COLLECT_AFTER = 50_000  # new objects; at CPython's 700, graphs of operators cost a check a tenth of its time, and free nothing

Answer = StaticEvidence | SmokeEvidence | DeployEvidence | Estimate | Refusal
Check = Callable[[Job], Answer]


def be_a_check(run: Check, job: Job, folder: Path, answers: int, output: int, jobs: int | None) -> None:
    """Answer on `answers`, a line for a job: this one, and those that come on `jobs`, if there is such a pipe, until it ends.

    Never returns: a forked child must not get into its launcher's loop.
    """
    try:
        launcher = os.getppid()
        gc.set_threshold(COLLECT_AFTER)
        os.environ.pop(NVML_ANSWERS, None)  # from here on CUDA itself may be asked
        for number in (1, 2):
            os.dup2(output, number)
        closed: dict[str, bool] = {}
        for following in _in_turn(job, jobs):
            try:
                closed = closed or confine(folder, launcher, LARGEST_EXPORT_BYTES if job.check == "deploy" else LARGEST_FILE_BYTES)
                answer = run(following)
                if isinstance(answer, StaticEvidence | SmokeEvidence):
                    answer = answer.model_copy(update=closed)
            except BaseException as error:
                answer = refuse(error)
            kind = "refusal" if isinstance(answer, Refusal) else "evidence"
            _write(answers, json.dumps({kind: answer.to_wire()}).encode() + b"\n")
    finally:
        os._exit(1 if sys.exc_info()[0] else 0)


def _in_turn(job: Job, jobs: int | None) -> Iterator[Job]:
    yield job
    if jobs is not None:
        with os.fdopen(jobs, "rb") as lines:
            yield from map(Job.model_validate_json, lines)


def _write(pipe: int, data: bytes) -> None:
    while data:
        data = data[os.write(pipe, data) :]

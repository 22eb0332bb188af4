"""The real launcher with checks that misbehave where the model has a certain number of outputs. Started by test_verification."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Any

from advisor.verify import launcher
from advisor.verify.evidence import Job, StaticEvidence

CRASH, HANG, EAT_MEMORY, END_SANDBOX, END_SANDBOX_ONCE = 11, 12, 13, 14, 15
MARK_VARIABLE = "ADVISOR_TEST_MARK"  # names the file that says that the sandbox was ended once
SANDBOX = os.getpid()  # a check is forked from it
TIME_LIMIT_S, MEMORY_LIMIT_GIB = 1.0, 0.5  # the time of those that hang; others have what a busy machine makes them need


def misbehave(job: Job) -> StaticEvidence:
    outputs = job.recipe.input.outputs
    if outputs == CRASH:
        ctypes.string_at(0)
    if outputs == HANG:
        while True:
            signal.pause()
    if outputs == EAT_MEMORY:
        eaten = []
        while True:
            eaten.append(bytearray(b"\1") * 2**25)
    if outputs == END_SANDBOX:
        os.kill(SANDBOX, signal.SIGKILL)
        signal.pause()
    return StaticEvidence(parameters=10**6, trainable_parameters=10**6, buffers=0, flops_forward=10**9, file_bytes={"fp32": 4 * 10**6})


class StrictLauncher(launcher.Launcher):
    """It gives checks little time and memory, and imports nothing."""

    def _start(self, id: int, job: Job, *rest: Any) -> None:
        time_limit = TIME_LIMIT_S if job.recipe.input.outputs == HANG else job.time_limit_s
        changes = {"time_limit_s": time_limit, "memory_limit_gib": MEMORY_LIMIT_GIB, "recipe": job.recipe.model_copy(deep=True)}
        job, mark = job.model_copy(update=changes), Path(os.environ.get(MARK_VARIABLE, os.devnull))
        if job.recipe.input.outputs == END_SANDBOX_ONCE and not mark.exists():
            mark.touch()  # by the launcher: a check may write in its own folder only
            job.recipe.input.outputs = END_SANDBOX
        super()._start(id, job, *rest)

    def _prepare(self, *_: Any) -> None:
        return None


if __name__ == "__main__":
    launcher.Launcher = StrictLauncher  # type: ignore[misc]
    launcher.main(misbehave)
    sys.exit()

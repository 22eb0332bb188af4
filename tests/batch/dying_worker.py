"""The real worker, but for a task named `deadly`, which kills it. Started in its place by test_stream, never imported."""

from __future__ import annotations

import os
import signal
from typing import Any

from advisor.batch import worker
from advisor.batch.tasks import Task

answer = worker.answer


def answer_or_die(task: Task, *rest: Any) -> Any:
    if task.id == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    return answer(task, *rest)


if __name__ == "__main__":
    worker.answer = answer_or_die
    worker.main()

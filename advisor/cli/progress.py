"""On a terminal, what is being checked and for how long; elsewhere nothing. On standard error: standard output is for the answer."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from advisor.planning.designing import Checker
    from advisor.verify.evidence import DeployEvidence, Job, Refusal, SmokeEvidence, StaticEvidence

E = TypeVar("E", "StaticEvidence", "SmokeEvidence", "DeployEvidence")


class Shown:
    """A `Checker` with a line for each check that is under way."""

    def __init__(self, checker: Checker, progress: Progress) -> None:
        self._checker, self._progress = checker, progress

    def static(self, job: Job) -> StaticEvidence | Refusal:
        what = "counting the FLOPs of {} a second way" if job.cross_check else "building {} and predicting its memory"
        return self._show(self._checker.static, job, what)

    def smoke(self, job: Job) -> SmokeEvidence | Refusal:
        return self._show(self._checker.smoke, job, "training {} a little, on synthetic data")

    def deploy(self, job: Job) -> DeployEvidence | Refusal:
        return self._show(self._checker.deploy, job, "compressing and exporting {}")

    def _show(self, ask: Callable[[Job], E | Refusal], job: Job, what: str) -> E | Refusal:
        line = self._progress.add_task(what.format(job.recipe.model.id), total=None)
        try:
            return ask(job)
        finally:
            self._progress.remove_task(line)


@contextlib.contextmanager
def show_progress(checker: Checker | None, console: Console | None = None) -> Iterator[Checker | None]:
    """The checker, and on a terminal its checks as they go."""
    if checker is None or (console is None and not sys.stderr.isatty()):
        yield checker
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console or Console(stderr=True), transient=True) as progress:
        yield Shown(checker, progress)

"""Checks as a batch wants them: one that crashes, hangs or runs out of memory is its row's error, not a remark in its report.

Someone who reads one report sees that a check was skipped, and why. Whoever sends thousands selects rows by their status, and a
design that nobody could check would pass there for a checked one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from advisor.errors import BreakdownError
from advisor.verify.evidence import Refusal

if TYPE_CHECKING:
    from advisor.planning.designing import Checker
    from advisor.verify.evidence import Breakdown, DeployEvidence, Job, SmokeEvidence, StaticEvidence

CODES: dict[Breakdown, str] = {
    "crashed": "verification_crashed",
    "lost": "verification_crashed",
    "timeout": "verification_timeout",
    "memory": "verification_memory",
}
MOST_ATTEMPTS = 2  # a sandbox that dies takes the checks of other rows along; one that dies again over the same check is its doing


class Strict:
    """A `Checker` that raises BreakdownError where a check broke down. What could not begin, or failed, is an answer as ever."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker

    def known(self, job: Job) -> StaticEvidence | Refusal | None:
        """Evidence that is at hand; of a check that broke down `static` has to tell."""
        from advisor.planning.designing import Remembering

        answer = self._checker.known(job) if isinstance(self._checker, Remembering) else None
        return None if isinstance(answer, Refusal) and answer.cause else answer

    def static(self, job: Job) -> StaticEvidence | Refusal:
        return _answered(self._checker.static, job, "flops" if job.cross_check else "build")

    def smoke(self, job: Job) -> SmokeEvidence | Refusal:
        return _answered(self._checker.smoke, job, "smoke_train")

    def deploy(self, job: Job) -> DeployEvidence | Refusal:
        return _answered(self._checker.deploy, job, "deploy")


E = TypeVar("E", "StaticEvidence", "SmokeEvidence", "DeployEvidence")


def _answered(ask: Callable[[Job], E | Refusal], job: Job, check: str) -> E | Refusal:
    answer = ask(job)
    for _ in range(MOST_ATTEMPTS - 1):
        if getattr(answer, "cause", None) == "lost":
            answer = ask(job)
    if isinstance(answer, Refusal) and answer.cause:
        raise BreakdownError(CODES[answer.cause], f"{job.recipe.model.id}: {answer.reason}", f"verification.{check}")
    return answer

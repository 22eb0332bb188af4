"""A time budget for one design, divided over its checks by what each is worth. What it does not reach is `skipped`, and says so.

Building and counting come first: they are quick, and without them nothing is known. The smoke-train of the chosen design gets
most of what is left then, compression and export what it leaves; the second count of the FLOPs is worth least. Never imports torch.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from advisor.errors import UsageError
from advisor.quantity import DURATION, NUMBER, number, seconds
from advisor.verify.evidence import Refusal

if TYPE_CHECKING:
    from advisor.planning.designing import Checker
    from advisor.verify.evidence import DeployEvidence, Job, SmokeEvidence, StaticEvidence

TRAINING_SHARE = 0.5  # of the budget, which building and counting may not touch where the design is to be trained as well
SHARES = {"cross_check": 0.1, "smoke": 0.7, "deploy": 1.0}  # of what is left when its turn comes
LEAST_S = {"static": 1.0, "smoke": 8.0, "cross_check": 8.0, "deploy": 8.0}
"""Below which a check would begin and not end."""
_DURATION = re.compile(rf"\s*(?P<value>{NUMBER})\s*(?P<unit>{DURATION})?\s*", re.IGNORECASE)

E = TypeVar("E", "StaticEvidence", "SmokeEvidence", "DeployEvidence")


def parse_budget(said: str | float) -> float:
    """Seconds: `60s`, `5 min`, `0.5h`, or a plain number of seconds. Raises UsageError."""
    found = _DURATION.fullmatch(str(said).lower())
    budget = number(found["value"]) * seconds(found["unit"] or "s") if found else math.nan
    if not budget > 0 or math.isinf(budget):
        raise UsageError(f"the budget {said!r} is not understood; write it as '60s' or '5min'")
    return budget


class Budgeted:
    """A `Checker` that gives each check a part of the time that is left, one check after the other."""

    def __init__(self, checker: Checker, budget_s: float, *, trains: bool) -> None:
        self._checker, self._budget_s = checker, budget_s
        self._deadline = time.monotonic() + budget_s
        self._kept_s = TRAINING_SHARE * budget_s if trains else 0.0
        self._turn = threading.Lock()

    def static(self, job: Job) -> StaticEvidence | Refusal:
        return self._ask(self._checker.static, job, "cross_check" if job.cross_check else "static")

    def smoke(self, job: Job) -> SmokeEvidence | Refusal:
        return self._ask(self._checker.smoke, job, "smoke")

    def deploy(self, job: Job) -> DeployEvidence | Refusal:
        return self._ask(self._checker.deploy, job, "deploy")

    def _ask(self, ask: Callable[[Job], E | Refusal], job: Job, worth: str) -> E | Refusal:
        with self._turn:
            limit = self._part(worth)
            if limit < LEAST_S[worth]:
                why = f"not reached: of the budget of {self._budget_s:g} s, {max(0.0, limit):.2g} s were left for it"
                return Refusal(status="skipped", reason=f"{why}, and {LEAST_S[worth]:g} s are needed")
            # in powers of two, so that the evidence of a like budget can be found again
            limit = min(job.time_limit_s, 2.0 ** math.floor(math.log2(limit)))
            answer = ask(job.model_copy(update={"time_limit_s": limit}))
        if isinstance(answer, Refusal) and answer.cause == "timeout" and limit < job.time_limit_s:
            return Refusal(status="skipped", reason=f"not finished in {limit:g} s, its part of the budget of {self._budget_s:g} s")
        return answer

    def _part(self, worth: str) -> float:
        """Seconds that a check may use now."""
        left = self._deadline - time.monotonic()
        if worth == "static":
            return left - self._kept_s
        return left * SHARES[worth]

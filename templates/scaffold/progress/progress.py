"""Where a run stands, and what an evaluation makes of that."""

from __future__ import annotations

from dataclasses import dataclass

from settings import LOWER_IS_BETTER, Settings


@dataclass
class Progress:
    """What checkpoints keep of a run besides weights. `stale` counts the evaluations since the best one."""

    step: int = 0
    best: float | None = None
    stale: int = 0
    rate_scale: float = 1.0

    def judge(self, score: float, settings: Settings) -> bool:
        """Whether the score is the best so far; what is no better is counted, and lowers the rate on a plateau."""
        sign = -1 if settings["project"]["watch"] in LOWER_IS_BETTER else 1
        if self.best is None or sign * score > sign * self.best:
            self.best, self.stale = score, 0
            return True
        self.stale += 1
        plateau = settings["project"]["plateau"]
        if settings["recipe"]["schedule"]["name"] == "plateau" and self.stale % plateau["patience"] == 0:
            self.rate_scale *= plateau["factor"]
        return False

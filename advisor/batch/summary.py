"""What a batch came to, in a few lines."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from advisor.batch.rows import ERROR, Row

if TYPE_CHECKING:
    from advisor.verify.verifier import CheckCounts

SLOWEST = 3


@dataclass
class Summary:
    """Counts rows as they come; `kept` are those of an earlier run."""

    statuses: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    _slowest: list[tuple[float, int]] = field(default_factory=list)
    _started: float = field(default_factory=time.perf_counter)

    @property
    def has_errors(self) -> bool:
        return self.statuses[ERROR] + self.kept[ERROR] > 0

    def add(self, row: Row) -> None:
        self.statuses[row.status] += 1
        self._slowest = heapq.nlargest(SLOWEST, [*self._slowest, (row.seconds, row.line)])

    def lines(self, counts: CheckCounts | None) -> list[str]:
        """Statuses, throughput, where the evidence came from, and the slowest rows."""
        seconds, rows = time.perf_counter() - self._started, self.statuses.total()
        said = ", ".join(f"{count:,} {status}" for status, count in sorted(self.statuses.items())) or "no lines"
        kept = f"; {self.kept.total():,} were there already" if self.kept else ""
        lines = [f"{said}, in {seconds:.1f} s ({rows / seconds:,.1f} a second){kept}"]
        if counts is not None:
            lines.append(f"checks: {counts.computed:,} run, {counts.cached:,} from the cache, {counts.shared:,} shared between rows")
        if rows > SLOWEST:
            slow = ", ".join(f"line {line} ({taken:.2f} s)" for taken, line in self._slowest)
            lines.append(f"slowest: {slow}")
        return lines

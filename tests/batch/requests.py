"""A request that is designed for, and what two runs of a batch may differ in."""

from __future__ import annotations

import json
from typing import Any

from advisor.batch.rows import Row

GOOD: dict[str, Any] = {
    "task": {"type": "classification", "domain": "CV"},
    "data": {"size": "5,000 images"},
    "constraints": {"computeResources": "RTX 3060 12GB"},
}


def without_times(row: Row | str | bytes) -> dict[str, Any]:
    """A row as plain data but for the moment and the time it took."""
    content: dict[str, Any] = json.loads(row.data if isinstance(row, Row) else row)
    if "report" in content:
        for name in ("created", "seconds"):
            del content["report"]["provenance"][name]
    return content

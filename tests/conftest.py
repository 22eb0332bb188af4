"""What several parts of the tests share: where the examples are, and one sandbox for a whole worker."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from advisor.verify.verifier import Verifier

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
_CACHE = tempfile.TemporaryDirectory(prefix="advisor-tests-")  # no test finds or leaves evidence in its user's own cache
os.environ["ADVISOR_CACHE_DIR"] = _CACHE.name


@pytest.fixture(scope="session")
def checker() -> Iterator[Verifier]:
    """One sandbox for all tests of a worker: it imports torch once, and the same check runs once."""
    with Verifier() as verifier:
        yield verifier


@pytest.fixture(scope="session")
def report_schema() -> dict[str, Any]:
    return json.loads((ROOT / "schemas" / "report.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def row_schema() -> dict[str, Any]:
    return json.loads((ROOT / "schemas" / "batch_row.schema.json").read_text(encoding="utf-8"))

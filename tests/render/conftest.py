"""The reports that the renderers are tried on, and the golden files that their output is held against.

Look at the difference first; then `ADVISOR_UPDATE_GOLDEN=1 pytest tests/render` writes the golden files anew.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from advisor.report import Report
from advisor.request import Request

HERE = Path(__file__).parent
_SPEC = importlib.util.spec_from_file_location("render_reports", HERE / "reports.py")
assert _SPEC and _SPEC.loader
reports = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(reports)

Pair = tuple[Report, Request]


@pytest.fixture
def designed() -> Pair:
    return reports.designed()


@pytest.fixture
def hostile() -> Pair:
    return reports.hostile()


@pytest.fixture
def attack() -> str:
    return reports.ATTACK


@pytest.fixture
def made() -> Callable[[str], Pair]:
    return lambda name: reports.EVERY[name]()


@pytest.fixture(params=list(reports.EVERY))
def every(request: pytest.FixtureRequest) -> Pair:
    return reports.EVERY[request.param]()


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    def compare(name: str, text: str) -> None:
        path = HERE / "golden" / name
        if os.environ.get("ADVISOR_UPDATE_GOLDEN"):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"{name} has changed; see tests/render/conftest.py"

    return compare

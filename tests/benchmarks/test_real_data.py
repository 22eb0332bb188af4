"""Generated projects learn real data, of every kind that an installed package ships: with one seed, on a part that they never saw."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("case", "measure", "least", "most"),
    [
        ("digits", "accuracy", 0.97, 1.0),  # images in class folders; 0.1 by chance
        ("wine", "accuracy", 0.88, 1.0),  # a table; 27 rows, so that one of them is 0.04
        ("docstrings", "accuracy", 0.85, 1.0),  # texts; 0.25 by chance
        ("prices", "mase", 0.0, 1.5),  # a series
    ],
)
def test_a_generated_project_reaches_what_it_is_said_to_reach(
    case: str, measure: str, least: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from real_data import CASES, run_case

    assert least <= run_case(CASES[case], seed=0)[measure] <= most

"""Progress: on a terminal a line for each check under way; elsewhere nothing."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from advisor.cli.progress import show_progress
from advisor.verify.evidence import Job
from tests.verify.jobs import mlp_job
from tests.verify.test_budget import COUNTED, Recorded


def test_each_check_shows_while_it_runs_and_goes_when_it_ends() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    shown: list[str] = []

    def look(job: Job) -> None:
        time.sleep(0.3)  # the screen is drawn ten times a second
        shown.append(screen.getvalue())

    with show_progress(Recorded(look), console) as checker:
        assert checker is not None
        assert checker.static(mlp_job()) == COUNTED
        checker.smoke(mlp_job())
    assert "building test and predicting its memory" in shown[0]
    assert "training test a little" in shown[1]


def test_where_nobody_watches_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    given = Recorded()
    with show_progress(given) as checker:
        assert checker is given
    with show_progress(None) as nothing:
        assert nothing is None
    assert capsys.readouterr() == ("", "")

"""How candidates are tried: side by side, and never in the way of who wants to stop."""

from __future__ import annotations

import threading

import pytest

from advisor.planning.designing import _side_by_side


def test_an_interruption_does_not_wait_for_the_checks_under_way() -> None:
    release = threading.Event()
    with pytest.raises(KeyboardInterrupt), _side_by_side(1) as pool:
        waiting = pool.submit(release.wait, 60)
        raise KeyboardInterrupt
    assert not waiting.done()
    release.set()

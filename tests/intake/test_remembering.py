"""What was read from a text is kept: short texts, so many, and nothing that failed."""

from __future__ import annotations

import pytest

from advisor.intake.remembering import LONGEST, MOST_TEXTS, Remembered


def test_a_text_is_read_once_for_each_way_of_reading() -> None:
    known, readings = Remembered[str](), []
    for text, how in (("a", 1), ("a", 2), ("a", 1)):
        assert known.get(text, how, read=lambda asked=(text, how): readings.append(asked) or str(asked)) == str((text, how))  # type: ignore[misc, func-returns-value]
    assert readings == [("a", 1), ("a", 2)]


def test_long_texts_and_failed_readings_are_not_kept() -> None:
    known, text = Remembered[int](), "x" * (LONGEST + 1)
    assert [known.get(text, read=lambda number=number: number) for number in (1, 2)] == [1, 2]  # type: ignore[misc]
    with pytest.raises(ZeroDivisionError):
        known.get("y", read=lambda: 1 // 0)
    assert known.get("y", read=lambda: 3) == 3


def test_no_more_texts_are_kept_than_are_allowed() -> None:
    known = Remembered[int]()
    for number in range(3 * MOST_TEXTS):
        known.get(str(number), read=lambda number=number: number)  # type: ignore[misc]
    assert len(known._known) <= MOST_TEXTS

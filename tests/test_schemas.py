"""The schema files say what the types say."""

from __future__ import annotations

from advisor.schemas import stale_schemas


def test_every_file_is_up_to_date() -> None:
    assert stale_schemas() == []

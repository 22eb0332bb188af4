"""Facts: what is known about a request, each with how it came to be known. A fact that is not there is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

Value = bool | int | float | str


class Origin(StrEnum):
    """How a fact came to be known."""

    STATED = "stated"
    DERIVED = "derived"
    DETECTED = "detected"
    ASSUMED = "assumed"
    CANDIDATE = "candidate"
    DECIDED = "decided"


class Fact(NamedTuple):
    """A known value. `detail` quotes the text it was read from, or says what it was derived from."""

    value: Value
    origin: Origin
    detail: str = ""


Facts = Mapping[str, Fact]

"""Facts: what is known about a request, each with how it came to be known. A fact that is not there is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

Value = bool | int | float | str


class Origin(StrEnum):
    """How a fact came to be known."""

    STATED = "stated"
    DERIVED = "derived"
    DETECTED = "detected"
    ASSUMED = "assumed"
    CANDIDATE = "candidate"
    DECIDED = "decided"


@dataclass(frozen=True, slots=True)
class Fact:
    """A known value. `detail` quotes the text it was read from, or says what it was derived from."""

    value: Value
    origin: Origin
    detail: str = ""


Facts = Mapping[str, Fact]

"""The fact vocabulary: which facts there are, of which type, and what to do when one is missing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from advisor.engine.facts import Value

FactType = Literal["bool", "enum", "name", "integer", "number"]
NUMERIC = ("integer", "number")


class Assume(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    assume: bool | int | float | str


class FactSpec(BaseModel):
    """One fact: its type and bounds, the question that asks for it, and what holds when nobody answers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = ""
    type: FactType
    about: str = ""
    values: tuple[str, ...] = Field((), strict=False)
    unit: str | None = None
    min: int | float | None = None
    max: int | float | None = None
    question: str | None = None
    examples: tuple[str, ...] = Field((), strict=False)
    when_missing: Literal["ask", "open"] | Assume | None = None
    needed_if: dict[str, dict[str, Any]] | None = None
    derived: bool = False

    @property
    def is_numeric(self) -> bool:
        return self.type in NUMERIC

    @cached_property
    def universe(self) -> frozenset[Value] | None:
        """Every value it can have, or None where there is no end of them."""
        if self.type == "bool":
            return frozenset({True, False})
        return frozenset(self.values) if self.type == "enum" else None

    def problem_with(self, value: object, *, bounded: bool = True) -> str | None:
        """Why `value` cannot be this fact's, or None if it can; where not `bounded`, it may lie outside, as a threshold may."""
        if self.type == "bool":
            return None if isinstance(value, bool) else f"must be true or false, not {value!r}"
        if self.is_numeric:
            return self._problem_with_number(value, bounded)
        if not isinstance(value, str):
            return f"must be text, not {value!r}"
        if self.type == "enum" and value not in self.values:
            return f"must be one of {', '.join(self.values)}, not {value!r}"
        return None

    def _problem_with_number(self, value: object, bounded: bool) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:  # noqa: PLR0124 - NaN
            return f"must be a number, not {value!r}"
        try:
            whole = float(value).is_integer()
        except OverflowError:
            return "must be a number that a computer can hold"
        if self.type == "integer" and not whole:
            return f"must be a whole number, not {value!r}"
        if bounded and self.min is not None and value < self.min:
            return f"must be at least {self.min}, not {value}"
        if bounded and self.max is not None and value > self.max:
            return f"must be at most {self.max}, not {value}"
        return None


Vocabulary = Mapping[str, FactSpec]

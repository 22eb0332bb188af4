"""The base of every type that crosses the boundary: snake_case in Python, camelCase on the wire, frozen, closed."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Wire(BaseModel):
    """A value on the wire. Unknown fields are errors; a value never changes after it is made."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        serialize_by_alias=True,
        ser_json_inf_nan="null",
        protected_namespaces=(),
    )

    def to_wire(self) -> dict[str, Any]:
        """The JSON form: camelCase, nulls left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Basis(StrEnum):
    """Where a figure comes from, strongest first."""

    MEASURED = "measured"
    COMPUTED = "computed"
    ESTIMATED = "estimated"
    PUBLISHED = "published"
    RULED = "ruled"


class Quantity(Wire):
    """A number with its unit, its interval where it is not exact, and its basis."""

    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    basis: Basis
    source: str | None = None

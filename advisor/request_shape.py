"""What the request's fields are called and hold, and how to say that a value is not that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from advisor.request import Request

FACTS = "facts"
MAX_SHOWN = 60

Path_ = tuple[str | int, ...]


def annotation(path: Path_) -> Any:
    """What the field at `path` holds; None where the request has no such field, which is said when it is validated."""
    here: Any = Request
    for step in path:
        inside = fields(here) if isinstance(here, type) and issubclass(here, BaseModel) else {}
        if step not in inside:
            return None
        here = inside[str(step)]
    return here


def fields(model: type[BaseModel]) -> dict[str, Any]:
    """Alias → annotation."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def message(path: Path_, kind: str, value: Any, said: str) -> str:
    """Pydantic's complaint of a `kind`, in the words of the field at `path`; `said` where there are none of ours."""
    if kind == "missing":
        return f"is missing: {_description(path)}"
    wanted = "text, in quotes where it is a number"
    held = annotation(path)
    if kind == "string_unicode":
        return "holds half of a surrogate pair, which is no character"
    if kind == "string_too_short":
        return f"is empty: {_description(path)}"
    if kind == "model_type" or (isinstance(held, type) and issubclass(held, BaseModel)):
        wanted = f"a mapping with {', '.join(fields(held))}"
    elif "list" in str(held):
        wanted = "a list of texts, such as [few-shot, long-tail]"
    elif "bool" in str(held) and path[0] != FACTS:
        wanted = "true or false"
    elif path[:1] == (FACTS,):
        wanted = "one number, word, or true or false" if len(path) > 1 else "a mapping of facts to values"
    elif path == ("data", "size"):
        wanted = "text or a whole number"
    elif not (kind.endswith(("_type", "_parsing"))):
        return said
    example = f"; {_description(path)}" if _description(path) and wanted.startswith("text") else ""
    return f"must be {wanted}, not {described(value)}{example}"


def _description(path: Path_) -> str:
    """The request's own words about a field."""
    model: Any = annotation(path[:-1]) if len(path) > 1 else Request
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return ""
    field = next((field for name, field in model.model_fields.items() if (field.alias or name) == path[-1]), None)
    if field is None:
        return ""
    inside = (
        f"with {', '.join(fields(field.annotation))}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        else ""
    )
    return field.description or inside


def described(value: object) -> str:
    """What was found instead, short and on one line."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"the text {value[:MAX_SHOWN]!r}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value:g}" if abs(value) < 1e15 else "so large a number"
    return "a list" if isinstance(value, list | tuple | set) else "a mapping" if isinstance(value, Mapping) else f"a {type(value).__name__}"

"""Reads the catalogue's YAML into entries, and finds every fault in every file before it gives up."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, Field, ValidationError

from advisor.catalogue.entries import DatasetEntry, DeviceEntry, Entry, ModelEntry, StandIn
from advisor.errors import Fault, KnowledgeError
from advisor.located import Document, parse_yaml, path_text, read_text
from advisor.parsed import Parse

Kind = TypeVar("Kind", bound=ModelEntry | DeviceEntry | DatasetEntry | StandIn)


class CatalogueFile(Entry, Generic[Kind]):
    """One file: its entries, and the texts that their figures point to with YAML aliases."""

    sources: dict[str, str] = Field(default_factory=dict)
    entries: list[Kind]


def load_entries(files: Iterable[Path], kind: type[Kind], parse: Parse = parse_yaml) -> dict[str, Kind]:
    """The entries of all files by id, in the order in which they stand.

    Raises:
        KnowledgeError: with every fault found, each at its file, line and column.
    """
    shape: type[CatalogueFile[Kind]] = CatalogueFile[kind]  # type: ignore[valid-type]
    entries: dict[str, Kind] = {}
    faults: list[Fault] = []
    for file in files:
        text, unreadable = read_text(file)
        document = parse(text, str(file))
        faults += unreadable or document.faults
        if unreadable or document.faults:
            continue
        try:
            # Strict JSON mode takes an ISO date for a date, but neither a quoted number nor a number for a date.
            found = shape.model_validate_json(json.dumps(document.data), strict=True)
        except ValidationError as error:
            faults += _placed(error, document)
            continue
        for index, entry in enumerate(found.entries):
            if entry.id in entries:
                faults.append(Fault(document.place(("entries", index, "id")), f"the id {entry.id!r} is taken by an earlier entry"))
            entries.setdefault(entry.id, entry)
    if faults:
        raise KnowledgeError(sorted(faults))
    return entries


def _placed(error: ValidationError, document: Document) -> Iterator[Fault]:
    for problem in error.errors(include_url=False):
        message = "unknown field" if problem["type"] == "extra_forbidden" else problem["msg"]
        place = document.place(problem["loc"], key=problem["type"] == "extra_forbidden")
        yield Fault(place, f"{path_text(problem['loc'])}: {message}")


def checked_dates(entry: BaseModel) -> Iterator[datetime.date]:
    """The day each figure of an entry was read: the entry's own, and those of the figures inside it."""
    for _, value in entry:
        if isinstance(value, datetime.date):
            yield value
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, BaseModel):
                yield from checked_dates(part)

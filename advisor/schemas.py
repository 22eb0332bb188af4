"""The JSON Schemas of what crosses the boundary, generated from the types: `python -m advisor.schemas [--check]`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from pydantic import BaseModel

from advisor.authoring.rule_schema import rule_schema
from advisor.batch.row_schema import BatchRow
from advisor.estimating.answer import Estimate
from advisor.report import Report
from advisor.request import Request
from advisor.resources import data_folder

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def wire_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a type's wire form."""
    return model.model_json_schema(by_alias=True, mode="validation")


SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "request": partial(wire_schema, Request),
    "report": partial(wire_schema, Report),
    "batch_row": partial(wire_schema, BatchRow),
    "estimate": partial(wire_schema, Estimate),
    "rule": rule_schema,
}


def make_schema(name: str) -> str:
    """A schema as the text of its file."""
    return json.dumps({"$schema": DIALECT, **SCHEMAS[name]()}, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def stale_schemas() -> list[str]:
    """The names of the schema files that differ from what the types say."""
    folder = data_folder("schemas")
    return [
        name
        for name in SCHEMAS
        if not (folder / f"{name}.schema.json").exists()
        or (folder / f"{name}.schema.json").read_text(encoding="utf-8") != make_schema(name)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is stale")
    stale = stale_schemas()
    if parser.parse_args().check:
        print(f"stale: {', '.join(stale)}; run `make schemas`" if stale else "schemas are up to date")
        return 1 if stale else 0
    for name in stale:
        (data_folder("schemas") / f"{name}.schema.json").write_text(make_schema(name), encoding="utf-8")
        print(f"wrote {name}.schema.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())

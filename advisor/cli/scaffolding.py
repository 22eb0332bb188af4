"""`advisor scaffold`: the training project of a design."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from advisor.errors import UsageError
from advisor.report import Report
from advisor.request import Request


def run(arguments: argparse.Namespace) -> int:
    """Read a report, or design the request by rules alone, and write the project."""
    from advisor.scaffolding import scaffold
    from advisor.scaffolding.project import notes_on_framework

    report, request = _read(arguments)
    for path in scaffold(report, arguments.output, arguments.force, request=request):
        print(f"wrote {path}", file=sys.stderr)
    for note in notes_on_framework(report):
        print(note)
    print(f"Try it: cd {arguments.output} && pip install -r requirements.txt && python train.py --smoke")
    return 0


def _read(arguments: argparse.Namespace) -> tuple[Report, Request | None]:
    found = _report(arguments.request)
    if found is not None:
        if arguments.settings:
            raise UsageError("--set: changes a request, and this is a report; name the request instead")
        return found, None
    from advisor.pipeline import design
    from advisor.reading import read_request

    request = read_request(arguments.request, settings=arguments.settings)
    return design(request, "none", rules=arguments.rules), request


def _report(name: str) -> Report | None:
    """The report that a JSON file holds, or None where it is something else: a request, which its own reader judges."""
    path = Path(name)
    if path.suffix != ".json" or not path.is_file():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(data, Mapping) or "provenance" not in data:
        return None
    return _validated(name, dict(data))


def _validated(name: str, data: dict[str, Any]) -> Report:
    try:
        return Report.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{name}: is no report of this version: {place}: {first['msg']}; design the request anew") from error

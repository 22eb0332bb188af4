"""The source of this package's own small networks, for projects that do not depend on this package."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

_MODULES = ("plain.py", "plain_series.py")
_PRIVATE = re.compile(r"\b_(?=[A-Z])")


@cache
def source_of(factory: str) -> str:
    """The function `factory` with the classes and constants that it needs, in order. Names lose their underscore."""
    texts = [(Path(__file__).parents[1] / "verify" / name).read_text(encoding="utf-8") for name in _MODULES]
    found: dict[str, str] = {}
    for text in texts:
        for node in ast.parse(text).body:
            if (name := _name(node)) is not None:
                found[name] = ast.get_source_segment(text, node) or ""
    if factory not in found:
        return ""
    wanted = _needed(factory, found)
    parts = [found[name] for name in found if name in wanted]
    constants = [part for part in parts if not part.startswith(("class", "def"))]
    rest = [part for part in parts if part.startswith(("class", "def"))]
    return _PRIVATE.sub("", "\n\n\n".join(["\n".join(constants), *rest] if constants else rest))


def _name(node: ast.stmt) -> str | None:
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return node.name
    return node.targets[0].id if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) else None


def _needed(name: str, found: dict[str, str]) -> set[str]:
    wanted, open_ = set[str](), [name]
    while open_:
        current = open_.pop()
        wanted.add(current)
        used = {node.id for node in ast.walk(ast.parse(found[current])) if isinstance(node, ast.Name)}
        open_ += [other for other in used if other in found and other not in wanted]
    return wanted

"""The requirements of a project, pinned to the versions that this package is tested with."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from advisor.resources import data_file


def pinned(names: Iterable[str]) -> str:
    """One `name==version` a line, sorted."""
    return "".join(f"{name}=={_versions()[name]}\n" for name in sorted(set(names)))


@cache
def _versions() -> dict[str, str]:
    lines = data_file("constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line)

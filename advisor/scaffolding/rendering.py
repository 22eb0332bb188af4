"""A family's template made into source code. It is told of kinds and switches only: no text of a request becomes code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from advisor.recipe import Recipe
from advisor.render.environment import environment
from advisor.resources import data_folder
from advisor.scaffolding.families import Family, family_of

SKELETONS = {"training": ("training", "tuning"), "agent": ("agent", "tuning"), "untrained": ("untrained",)}
_GAP = re.compile(r"\n{4,}")
_OPTIMIZER = re.compile(r"# --- optimizer and schedule .*?(?=# --- )", re.DOTALL)


def render_task(family: Family, values: Mapping[str, Any]) -> str:
    """The text of task.py."""
    template = environment().get_template(f"scaffold/{family.name}/task.py.j2")
    return _GAP.sub("\n\n\n", template.render(values)).strip("\n") + "\n"


def shared_files(family: Family) -> dict[str, str]:
    """The files that projects of this kind have in common, by name; a family may have its own in their place."""
    root = data_folder("templates") / "scaffold"
    folders = ("common", *SKELETONS[family.skeleton], *family.modules, family.name)  # what comes later wins
    paths = [path for folder in folders for path in sorted((root / folder).glob("*.py"))]
    scripts = {path.name: path.read_text(encoding="utf-8") for path in paths}
    return {**scripts, "pyproject.toml": (root / "settings.toml").read_text(encoding="utf-8")}


def render_core(recipe: Recipe, task: str, facts: Mapping[str, Any]) -> str | None:
    """The core of the training code, or None for a design that no project covers yet: task.py, the optimizer and the schedule."""
    family = family_of(recipe, task)
    if family is None:
        return None
    return _core(family, tuple(sorted(family.values(recipe, task, facts).items())))


@cache
def _core(family: Family, values: tuple[tuple[str, Any], ...]) -> str:
    optimizer = _OPTIMIZER.search(shared_files(family).get("train.py", ""))
    return render_task(family, dict(values)) + (f"\n\n{optimizer[0].rstrip()}\n" if optimizer else "")

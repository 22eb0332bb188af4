"""A family's template made into source code. It is told of kinds and switches only: no text of a request becomes code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from advisor.recipe import Recipe
from advisor.render.environment import environment
from advisor.resources import data_folder
from advisor.scaffolding.families import Family
from advisor.scaffolding.frameworks import family_for

SKELETONS = {
    "training": ("schedule", "progress", "training", "tuning"),
    "lightning": ("schedule", "training", "lightning", "tuning"),
    "keras": ("schedule", "arrays", "keras", "tuning"),
    "jax": ("schedule", "progress", "arrays", "jax", "tuning"),
    "agent": ("agent", "tuning"),
    "untrained": ("untrained",),
}
_GAP = re.compile(r"\n{4,}")
CORE = ("optimizer.py", "schedule.py")  # what the report shows below task.py


def render_sources(family: Family, values: Mapping[str, Any]) -> dict[str, str]:
    """The files that are the family's own, by name: task.py first."""
    folder = data_folder("templates") / "scaffold" / family.name
    names = sorted((path.name for path in folder.glob("*.py.j2")), key=lambda name: (name != "task.py.j2", name))
    texts = {name: environment().get_template(f"scaffold/{family.name}/{name}").render(values) for name in names}
    return {name.removesuffix(".j2"): _GAP.sub("\n\n\n", text).strip("\n") + "\n" for name, text in texts.items()}


def shared_files(family: Family) -> dict[str, str]:
    """The files that projects of this kind have in common, by name; a family may have its own in their place."""
    root = data_folder("templates") / "scaffold"
    folders = ("common", *SKELETONS[family.skeleton], *family.modules, family.name)  # what comes later wins
    paths = [path for folder in folders for path in sorted((root / folder).glob("*.py"))]
    scripts = {path.name: path.read_text(encoding="utf-8") for path in paths}
    return {**scripts, "pyproject.toml": (root / "settings.toml").read_text(encoding="utf-8")}


def render_core(recipe: Recipe, task: str, facts: Mapping[str, Any]) -> str | None:
    """The core of the training code, or None for a design that no project covers yet: task.py, the optimizer and the schedule."""
    family = family_for(recipe, task, facts)
    if family is None:
        return None
    return _core(family, tuple(sorted(family.values(recipe, task, facts).items())))


@cache
def _core(family: Family, values: tuple[tuple[str, Any], ...]) -> str:
    files = shared_files(family)
    functions = [files[name][files[name].index("def ") :] for name in CORE if name in files]
    return "\n\n".join([*render_sources(family, dict(values)).values(), *functions])

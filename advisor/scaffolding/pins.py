"""The requirements of a project, pinned to the versions that this package is tested with."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from advisor.recipe import Recipe
from advisor.resources import data_file

# The newest on 2026-11-21. The first needs a GPU; the second is the default backend of Keras, whose projects are tested on PyTorch.
UNTESTED = {"bitsandbytes": "0.50.2", "tensorflow": "2.21.0"}


def pinned(names: Iterable[str]) -> str:
    """One `name==version` a line, sorted."""
    return "".join(f"{name}=={_versions()[name]}\n" for name in sorted(set(names)))


def of_optimizer(recipe: Recipe) -> list[str]:
    """The packages that optimizers outside torch.optim and 4-bit bases come from."""
    quantized = recipe.lora is not None and recipe.lora.base_precision in ("nf4", "int8")
    names = ["timm"] if recipe.optimizer.name in ("lamb", "lion") else []
    return [*names, "bitsandbytes"] if quantized or recipe.optimizer.name.endswith("8bit") else names


@cache
def _versions() -> dict[str, str]:
    lines = data_file("constraints.txt").read_text(encoding="utf-8").splitlines()
    return {**UNTESTED, **dict(line.split("==") for line in lines if "==" in line)}

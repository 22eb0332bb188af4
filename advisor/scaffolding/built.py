"""What the catalogue builds the model of a design with."""

from __future__ import annotations

from advisor import catalogue
from advisor.recipe import Recipe


def factory(recipe: Recipe) -> str:
    """The class or function that the catalogue builds the model with."""
    entry = catalogue.models().get(recipe.model.id)
    return entry.build.factory if entry else ""


def model_type(recipe: Recipe) -> str:
    """The architecture by transformers' name."""
    entry = catalogue.models().get(recipe.model.id)
    return str(entry.build.config.get("model_type", "")) if entry else ""

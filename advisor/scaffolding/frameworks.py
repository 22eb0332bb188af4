"""Projects in other frameworks than plain PyTorch: which families there are, and what is said where there is none.

Lightning's projects are PyTorch's with another train.py. Its package is `pytorch-lightning`: `lightning` brings the same code a second
time, and its versions 2.6.2 and 2.6.3 were malware (GHSA-w37p-236h-pfx3).
"""

from __future__ import annotations

from dataclasses import replace

from advisor.recipe import Recipe
from advisor.scaffolding.families import FAMILIES, Facts, Family

TITLES = {"lightning": "Lightning"}
_SOURCE = {"lightning": "lightning"}  # what a request names, and the framework of the project that it gets

LIGHTNING = tuple(replace(family, framework="lightning", skeleton="lightning") for family in FAMILIES if family.skeleton == "training")
EVERY = (*FAMILIES, *LIGHTNING)


def family_for(recipe: Recipe, task: str, facts: Facts) -> Family | None:
    """The family that covers a design in the framework that the request names; where there is none, the one in PyTorch; or None."""
    covering = [family for family in EVERY if family.covers(recipe, task)]
    wanted = framework_of(facts)
    return next((family for family in covering if family.framework == wanted), next(iter(covering), None))


def framework_of(facts: Facts) -> str:
    return _SOURCE.get(str(facts.get("setup.framework")), "pytorch")


def framework_notes(family: Family, facts: Facts) -> list[str]:
    """What a user who named a framework has to know of the one that the project is written in."""
    wanted = framework_of(facts)
    if wanted == family.framework:
        return []
    return [f"The request names {TITLES[wanted]}, and there is no project in it for this kind of design: this one is written in PyTorch."]

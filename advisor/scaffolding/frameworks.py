"""Projects in other frameworks than plain PyTorch: which families there are, and what their users have to know.

Lightning's projects are PyTorch's with another train.py. Its package is `pytorch-lightning`: `lightning` brings the same code a second
time, and its versions 2.6.2 and 2.6.3 were malware (GHSA-w37p-236h-pfx3).
"""

from __future__ import annotations

from dataclasses import replace

from advisor.recipe import Recipe
from advisor.scaffolding import counterparts, miniature
from advisor.scaffolding.families import FAMILIES, TABLES, Changes, Facts, Family, image_values, table_values

TITLES = {"lightning": "Lightning", "tensorflow": "TensorFlow", "keras": "Keras", "jax": "JAX"}
WRITTEN_IN = {"tensorflow": "keras"}  # else the framework that the request names
IMAGES = ("image_classification", "image_regression")
OF_TABLES = ("torch", "rtdl_revisiting_models")

LIGHTNING = tuple(replace(family, framework="lightning", skeleton="lightning") for family in FAMILIES if family.skeleton == "training")


def _images(recipe: Recipe, task: str, facts: Facts) -> Changes:
    return {**image_values(recipe, task, facts), "scaled": False}


def _networks(recipe: Recipe, task: str, facts: Facts) -> Changes:
    return {**_images(recipe, task, facts), "network": "vit" if "width" in counterparts.flax_image(recipe) else "convnext"}


def _tables(recipe: Recipe, task: str, facts: Facts) -> Changes:
    return {**table_values(recipe, task, facts), "scaled": True}


KERAS_IMAGE = Family(
    name="keras_image",
    about="images with keras.applications: classification and regression",
    library=("timm",),
    tasks=IMAGES,
    requirements=("pillow",),
    miniature=miniature.keras_image,
    values=_images,
    left_out=("drop_path",),
    architecture=counterparts.keras_image,
    skeleton="keras",
    framework="keras",
)
KERAS_TABLE = Family(
    name="keras_table",
    about="tables with a perceptron in Keras",
    library=OF_TABLES,
    tasks=TABLES,
    requirements=(),
    miniature=miniature.perceptron,
    values=_tables,
    architecture=counterparts.perceptron,
    skeleton="keras",
    framework="keras",
)
JAX_IMAGE = Family(
    name="jax_image",
    about="images with a network written out in Flax NNX: classification and regression",
    library=("timm",),
    tasks=IMAGES,
    requirements=("huggingface-hub", "pillow", "safetensors"),
    miniature=miniature.flax_image,
    values=_networks,
    architecture=counterparts.flax_image,
    skeleton="jax",
    framework="jax",
)
JAX_TABLE = replace(KERAS_TABLE, name="jax_table", about="tables with a perceptron in Flax NNX", skeleton="jax", framework="jax")
EVERY = (*FAMILIES, *LIGHTNING, KERAS_IMAGE, KERAS_TABLE, JAX_IMAGE, JAX_TABLE)


def family_for(recipe: Recipe, task: str, facts: Facts) -> Family | None:
    """The family that covers a design in the framework that the request names; where there is none, the one in PyTorch; or None."""
    covering = [family for family in EVERY if family.covers(recipe, task)]
    asked = str(facts.get("setup.framework"))
    wanted = WRITTEN_IN.get(asked, asked)
    return next((family for family in covering if family.framework == wanted), next(iter(covering), None))


def framework_notes(family: Family, recipe: Recipe, facts: Facts) -> list[str]:
    """What a user who named a framework has to know of the one that the project is written in, and of its model."""
    asked = str(facts.get("setup.framework"))
    if asked not in TITLES or family.framework == "lightning":
        return []
    if family.framework == "pytorch":
        return [
            f"The request names {TITLES[asked]}, and there is no project in it for this kind of design: this one is written in PyTorch."
        ]
    return counterparts.notes(family.framework, family.name, recipe)

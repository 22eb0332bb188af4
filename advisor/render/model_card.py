"""The model card of a design, in the Hugging Face Hub's form, before there is a model: nothing predicted is shown as a result."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from advisor.recipe import Recipe
from advisor.render.environment import render_markdown_template
from advisor.render.escape import clean
from advisor.render.hub import REPOSITORY_ID, UNKNOWN_LICENSE, UNLISTED_LICENSE, hub_names
from advisor.render.markdown import document_values
from advisor.report import Report, Status
from advisor.request import Request

if TYPE_CHECKING:
    from huggingface_hub import ModelCardData

_NO_LICENSE = {"", "none", "unclear", "unknown"}
_UNTRAINED = {"in_context", "zero_shot"}
_HUB_SOURCE = re.compile(rf"(?:Hugging Face|huggingface\.co)[:/]\s*({REPOSITORY_ID.pattern})", re.ASCII)
_ADAPTERS = {"adapter", "lora", "qlora"}


def has_card(report: Report) -> bool:
    """Whether there is a model to write a card about: only a design has one."""
    return report.status is Status.DESIGNED and report.recipe is not None


def render_model_card(report: Report, request: Request | None = None) -> str:
    """The card as Markdown with YAML front matter, ready to be a repository's README.md; without the request, less the user's words.

    Raises:
        ValueError: the report is not a design; ask `has_card` first.
    """
    recipe = report.recipe
    if not has_card(report) or recipe is None:
        raise ValueError(f"a model card describes a design, and this report is {report.status.value!r}: render it as Markdown instead")
    body = render_markdown_template("model_card.md.j2", **document_values(report, request))
    return f"---\n{_front_matter(report, recipe).to_yaml().strip()}\n---\n\n{body}"


def _front_matter(report: Report, recipe: Recipe) -> ModelCardData:
    """Metadata by the Hub's own names. Its language is left out: a request does not say which the data are in."""
    from huggingface_hub import ModelCardData

    names, library = hub_names(), _library(recipe)
    task = next((str(fact.value) for fact in report.facts if fact.fact == "task.kind"), "")
    base = _base_model(report, recipe)
    license_id = clean(recipe.model.license).lower() if recipe.model.license.lower() not in _NO_LICENSE else UNKNOWN_LICENSE
    listed = license_id in names.licenses
    tags = ["advisor", "design", "untrained", recipe.model.architecture_family, recipe.model.adaptation.replace("_", "-")]
    return ModelCardData(
        license=license_id if listed else UNLISTED_LICENSE,
        license_name=None if listed else _slug(license_id),
        library_name=library if library in names.libraries else None,
        pipeline_tag=names.task_tags.get(task),
        tags=tags if library in names.libraries else [*tags, library],
        base_model=base,
        base_model_relation=_relation(recipe) if base else None,
    )


def _library(recipe: Recipe) -> str:
    """The library that loads the weights: PEFT's where only adapters are saved."""
    if recipe.lora and recipe.model.library == "transformers":
        return "peft"
    return {"torch": "pytorch"}.get(recipe.model.library, recipe.model.library)


def _base_model(report: Report, recipe: Recipe) -> str | None:
    """The Hub repository that the weights come from, where they come from one."""
    if not recipe.model.pretrained:
        return None
    pretrained = report.model_design.pretrained_model if report.model_design else None
    named = _HUB_SOURCE.search(pretrained.source) if pretrained else None
    candidates = [named[1] if named else "", f"timm/{recipe.model.id}" if recipe.model.library == "timm" else recipe.model.id]
    return next((name for name in candidates if REPOSITORY_ID.fullmatch(name)), None)


def _relation(recipe: Recipe) -> str | None:
    """How the result relates to its base, in the Hub's words; nothing is derived where nothing is trained."""
    adaptation = recipe.model.adaptation
    return "adapter" if adaptation in _ADAPTERS else None if adaptation in _UNTRAINED else "finetune"


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", name).strip("-")[:96] or "unnamed"

"""The folder that `advisor scaffold` writes."""

from __future__ import annotations

from pathlib import Path

from advisor import catalogue
from advisor.errors import UsageError
from advisor.files import write_whole
from advisor.recipe import Recipe
from advisor.render.environment import render_markdown_template
from advisor.render.model_card import render_model_card
from advisor.report import Report
from advisor.request import Request
from advisor.scaffolding.families import COMMON, FAMILIES, Family, family_of
from advisor.scaffolding.pins import of_optimizer, pinned
from advisor.scaffolding.rendering import render_task, shared_files
from advisor.scaffolding.settings import settings_of, settings_text


def scaffold(report: Report, directory: str | Path, force: bool = False, *, request: Request | None = None) -> list[Path]:
    """Write the training project of a design into `directory`; returns the paths of its files.

    With `request` the model card quotes the user's words.

    Raises:
        UsageError: the report is no design, its kind of model is not covered yet, or the folder is not empty and `force` is not set.
    """
    texts = project_texts(report, request)
    folder = Path(directory)
    try:
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder}: is a file; name a folder")
        if folder.is_dir() and any(folder.iterdir()) and not force:
            raise UsageError(f"{folder}: is not empty; name a new folder, or say --force to overwrite the project's files in it")
        folder.mkdir(parents=True, exist_ok=True)
        return [write_whole(folder / name, text) for name, text in texts.items()]
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror or error}") from error


def project_texts(report: Report, request: Request | None = None) -> dict[str, str]:
    """Every file of the project by name. Raises UsageError as `scaffold` does."""
    recipe, family, task = _covered(report)
    facts = {fact.fact: fact.value for fact in report.facts}
    values = family.values(recipe, task, facts)
    build = catalogue.models()[recipe.model.id].build
    return {
        **shared_files(family),
        "task.py": render_task(family, values),
        "config.yaml": settings_text(settings_of(report, recipe, family, build.config, values.get("watch", recipe.metric))),
        "requirements.txt": pinned(
            (*COMMON[family.skeleton], *family.requirements, *values.get("requirements", ()), *of_optimizer(recipe))
        ),
        "README.md": render_markdown_template("scaffold/README.md.j2", report=report, family=family, data=values["data"]),
        "model_card.md": render_model_card(report, request),
    }


def _covered(report: Report) -> tuple[Recipe, Family, str]:
    recipe = report.recipe
    if recipe is None:
        raise UsageError(f"a project trains a design, and this report is {report.status.value!r}: {report.headline}")
    task = next((str(fact.value) for fact in report.facts if fact.fact == "task.kind"), "")
    family = family_of(recipe, task)
    if family is None:
        covered = "; ".join(family.about for family in FAMILIES if family.about)
        raise UsageError(f"no project yet for {task.replace('_', ' ')} with {recipe.model.library}; covered are: {covered}")
    if recipe.model.id not in catalogue.models():
        raise UsageError(f"recipe.model.id {recipe.model.id!r}: is not in this catalogue; design the request anew")
    return recipe, family, task

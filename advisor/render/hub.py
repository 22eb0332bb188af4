"""The Hugging Face Hub's own names, and a check of a model card against them that needs no network.

`huggingface_hub` validates on the server only and takes any licence offline; the lists in `catalogue/hub.yaml` close that gap.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import Field

from advisor.catalogue.entries import Entry
from advisor.report import Source
from advisor.resources import data_folder

PLACEHOLDER = "[More Information Needed]"
UNLISTED_LICENSE = "other"
UNKNOWN_LICENSE = "unknown"
REPOSITORY_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+", re.ASCII)

_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z]+)?|code|multilingual")


class HubNames(Entry):
    """The identifiers that the Hub accepts, and the pipeline tag of each `task.kind` that has one."""

    sources: dict[str, Source] = Field(default_factory=dict)
    task_tags: dict[str, str]
    licenses: frozenset[str]
    pipeline_tags: frozenset[str]
    libraries: frozenset[str]


@cache
def hub_names() -> HubNames:
    """The lists of `catalogue/hub.yaml`."""
    import yaml

    # The base loader leaves every scalar a string: no date, number or truth value is read into a name.
    with (data_folder("catalogue") / "hub.yaml").open(encoding="utf-8") as file:
        return HubNames.model_validate(yaml.load(file, yaml.BaseLoader))


def check_card(text: str) -> list[str]:
    """What the Hub would reject or misread in a model card, as sentences; empty where the card is sound."""
    import yaml
    from huggingface_hub import ModelCard

    found = _FRONT_MATTER.match(text)
    if found is None:
        return ["the card does not begin with a YAML block between two lines of ---"]
    try:
        data = yaml.safe_load(found[1])
        card = ModelCard(text)
    except (yaml.YAMLError, ValueError, TypeError) as error:
        return [f"the front matter cannot be read: {error}"]
    if not isinstance(data, dict):
        return ["the front matter is not a mapping"]
    faults = list(_front_matter_faults(data))
    if yaml.safe_load(card.data.to_yaml()) != data:
        faults.append("the front matter does not survive a round trip through huggingface_hub")
    if PLACEHOLDER.lower() in text.lower():
        faults.append(f"the card still holds the placeholder {PLACEHOLDER}")
    return faults


def _front_matter_faults(data: dict[str, Any]) -> Iterator[str]:
    names = hub_names()
    for key, known in (("license", names.licenses), ("pipeline_tag", names.pipeline_tags), ("library_name", names.libraries)):
        if key in data and data[key] not in known:
            yield f"{key}: {data[key]!r} is not a name that the Hub knows"
    if "license" not in data:
        yield "license: is missing; the Hub has `unknown` where it is not known"
    if (data.get("license") == UNLISTED_LICENSE) is not bool(data.get("license_name")):
        yield "license_name: belongs to `license: other`, and `license: other` needs one"
    if "model-index" in data:
        yield "model-index: a design has no results to index"
    tags = data.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        yield "tags: must be a list of strings"
    for base in _listed(data.get("base_model")):
        if not REPOSITORY_ID.fullmatch(str(base)):
            yield f"base_model: {base!r} is not the id of a repository, owner/name"
    for language in _listed(data.get("language")):
        if not _LANGUAGE.fullmatch(str(language)):
            yield f"language: {language!r} is not an ISO 639 code"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml

from advisor.recipe import Library
from advisor.render import check_card
from advisor.render.hub import hub_names
from advisor.resources import data_folder

SOUND = {
    "license": "mit",
    "library_name": "timm",
    "pipeline_tag": "image-classification",
    "tags": ["design"],
    "base_model": "timm/resnet50.a1_in1k",
}


def card(**changes: object) -> str:
    data = {
        key: value
        for key, value in (SOUND | {key.replace("model_index", "model-index"): value for key, value in changes.items()}).items()
        if value
    }
    return f"---\n{yaml.safe_dump(data)}---\n\n# A card\n"


def test_a_sound_card_has_no_faults() -> None:
    assert check_card(card()) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"license": "not-a-license"}, "license: 'not-a-license'"),
        ({"license": None}, "license: is missing"),
        ({"license": "other"}, "license_name:"),
        ({"license_name": "x"}, "license_name:"),
        ({"pipeline_tag": "picture-guessing"}, "pipeline_tag: 'picture-guessing'"),
        ({"library_name": "pytorch"}, "library_name: 'pytorch'"),
        ({"base_model": "resnet50"}, "base_model: 'resnet50'"),
        ({"language": "english"}, "language: 'english'"),
        ({"tags": ["a", 1]}, "tags:"),
        (
            {
                "model_index": [
                    {
                        "name": "x",
                        "results": [
                            {"task": {"type": "t"}, "dataset": {"name": "d", "type": "d"}, "metrics": [{"type": "acc", "value": 1}]}
                        ],
                    }
                ]
            },
            "model-index:",
        ),
    ],
)
def test_a_fault_in_the_front_matter_is_named(changes: dict[str, object], fault: str) -> None:
    assert any(found.startswith(fault) for found in check_card(card(**changes)))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("# no front matter\n", "does not begin with a YAML block"),
        ("---\na: [\n---\n", "cannot be read"),
        ("---\n- a\n---\n", "cannot be read"),
        (card() + "[More Information Needed]\n", "placeholder"),
    ],
)
def test_a_card_that_is_none_is_named(text: str, fault: str) -> None:
    assert any(fault in found for found in check_card(text))


def test_every_task_with_a_pipeline_tag_is_a_task_of_ours() -> None:
    kinds = yaml.safe_load((data_folder("rules") / "facts.yaml").read_text(encoding="utf-8"))["task.kind"]["values"]
    assert set(hub_names().task_tags) <= set(kinds)
    assert set(hub_names().task_tags.values()) <= hub_names().pipeline_tags


def test_the_libraries_that_the_hub_does_not_list_are_known_to_us() -> None:
    assert {"torch", "tabular"} <= set(Library.__args__) - hub_names().libraries
    assert {"timm", "transformers", "peft"} <= hub_names().libraries


def test_the_lists_name_their_source_and_date() -> None:
    assert all(source.ref.startswith("https://") and source.checked for source in hub_names().sources.values())


def test_importing_the_renderers_loads_neither_models_nor_templates() -> None:
    code = (
        "import sys, advisor.render; "
        "print(sorted({'torch', 'transformers', 'timm', 'rich', 'jinja2', 'huggingface_hub', 'markdown_it'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"

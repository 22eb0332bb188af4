from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from huggingface_hub import ModelCard

from advisor.render import check_card, has_card, render_model_card
from advisor.report import Report
from advisor.request import Request

Pair = tuple[Report, Request]


def with_model(pair: Pair, **changes: Any) -> Pair:
    """The design with another model in its recipe, and no pretrained model named in words."""
    report, request = pair
    wire = report.to_wire()
    wire["recipe"]["model"] |= changes.pop("model", {})
    wire["recipe"] |= changes
    wire["modelDesign"].pop("pretrainedModel")
    return Report.model_validate(wire), request


def front_matter(pair: Pair) -> dict[str, Any]:
    text = render_model_card(*pair)
    assert check_card(text) == []
    return ModelCard(text).data.to_dict()


def test_the_card_is_as_it_was_reviewed(designed: Pair, golden: Callable[[str, str], None]) -> None:
    golden("designed.card.md", render_model_card(*designed))


def test_the_front_matter_speaks_the_hub_s_language(designed: Pair) -> None:
    assert front_matter(designed) == {
        "license": "apache-2.0",
        "library_name": "timm",
        "pipeline_tag": "image-classification",
        "base_model": "timm/convnext_tiny.fb_in22k",
        "base_model_relation": "finetune",
        "tags": ["advisor", "design", "untrained", "cnn", "full"],
    }


def test_a_hostile_card_is_still_a_sound_card(hostile: Pair) -> None:
    assert front_matter(hostile)["license"] == "other"


def test_an_adapter_is_loaded_by_peft_and_is_an_adapter_of_its_base(designed: Pair) -> None:
    data = front_matter(
        with_model(
            designed,
            model={
                "id": "meta-llama/Llama-3.1-8B",
                "library": "transformers",
                "license": "llama3.1",
                "adaptation": "lora",
                "architectureFamily": "transformer",
            },
            lora={"rank": 16, "alpha": 32},
        )
    )
    assert (data["library_name"], data["base_model"], data["base_model_relation"]) == ("peft", "meta-llama/Llama-3.1-8B", "adapter")


def test_a_model_from_scratch_has_no_base_and_a_library_the_hub_does_not_list_is_a_tag(designed: Pair) -> None:
    data = front_matter(
        with_model(designed, model={"id": "lstm", "library": "torch", "pretrained": False, "adaptation": "scratch", "license": "none"})
    )
    assert "base_model" not in data and "library_name" not in data
    assert data["license"] == "unknown"
    assert "pytorch" in data["tags"]


def test_a_licence_that_the_hub_does_not_list_is_named(designed: Pair) -> None:
    data = front_matter(with_model(designed, model={"license": "CVNets License"}))
    assert (data["license"], data["license_name"]) == ("other", "cvnets-license")


@pytest.mark.parametrize("name", ["needs_input", "not_applicable", "infeasible"])
def test_without_a_design_there_is_no_card(name: str, made: Callable[[str], Pair]) -> None:
    report, request = made(name)
    assert not has_card(report)
    with pytest.raises(ValueError, match=f"a design, and this report is '{name}'"):
        render_model_card(report, request)


def test_the_card_says_at_once_that_nothing_was_trained(designed: Pair) -> None:
    text = ModelCard(render_model_card(*designed)).text
    assert "a design, not a trained model" in text[:200]
    assert "model-index" not in text and "eval_results" not in text


def test_every_figure_in_the_evidence_says_what_it_rests_on(designed: Pair) -> None:
    text = render_model_card(*designed)
    evidence = text.split("## Evidence")[1].split("## Expected")[0]
    basis = "measured|computed|estimated|published elsewhere|from a rule|not measured"
    rows = [line for line in evidence.splitlines() if re.search(r"\d [GM]iB|\d ms|FLOPs|\d M |\d MB", line) and line.startswith("|")]
    assert len(rows) == 12
    assert all(re.search(rf"\| ({basis})", row) for row in rows)


def test_a_prediction_for_a_device_is_never_called_measured(designed: Pair) -> None:
    text = render_model_card(*designed)
    assert "| estimated for RTX 3060 12GB |" in text
    assert "| on CPU, 2 cores |" in text
    assert "measured on RTX" not in text and "measured for" not in text


def test_a_rounded_figure_takes_its_interval_from_the_chosen_candidate(designed: Pair) -> None:
    report, request = designed
    memory = next(check for check in report.verification if check.name == "training_memory")
    bare = memory.model_copy(update={"value": round(memory.value or 0, -7), "figures": {}})
    checks = [bare if check is memory else check for check in report.verification]
    assert (
        "5.21 GiB (4.98–5.60 GiB)" in render_model_card(report.model_copy(update={"verification": checks}), request).split("## Evidence")[1]
    )


def test_expected_performance_carries_its_basis_and_sources(designed: Pair) -> None:
    section = render_model_card(*designed).split("## Expected performance")[1].split("## ")[0]
    assert "Predicted, not achieved" in section
    assert "published elsewhere, EXP003 | <https://github.com/huggingface/pytorch-image-models>" in section
    assert "| 8–16 ms at batch 1 | estimated |" in section


def test_bias_and_misuse_stand_where_a_reader_looks_for_them(designed: Pair) -> None:
    text = render_model_card(*designed)
    assert "safe to eat" in text.split("## Out-of-scope use and misuse")[1].split("\n## ")[0]
    assert "over-represent" in text.split("## Limitations and bias")[1].split("\n## ")[0]

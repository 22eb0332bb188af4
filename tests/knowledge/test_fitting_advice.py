"""A report says what fits its task: advice for a neighbouring task is not given along."""

from __future__ import annotations

from pathlib import Path

import pytest

import advisor
from advisor.render.markdown import render_markdown

EXAMPLES = Path(__file__).parents[2] / "examples"
# example; what its report says; what belongs to other tasks
FITTING: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = [
    ("volume_segmentation", ("128 × 128 × 128 voxels, 1 channel,", "not estimated for this model"), ("COCO's images", "128 × 128 px")),
    ("contrastive_pretraining", ("if the network has batch normalization", "embedding the whole collection again"), ("C2PA",)),
    ("link_prediction", ("ogbl-collab",), ("on molecules",)),
    ("natural_language_inference", ("One text alone",), ("TF-IDF", "channel, product", "clicks at rank one")),
    ("wide_table", (), ("Not understood",)),
    ("unlabelled_images", ("Four rates at a tenth of the schedule",), ("30 trials",)),
    (
        "logged_control",
        ("fitted Q evaluation", "Recompute each episode's return"),
        ("CartPole", "mean return over three seeds", "clip fraction"),
    ),
    ("image_regression", ("Dynamic batching",), ("live camera",)),
]


@pytest.mark.parametrize(("name", "said", "of_others"), FITTING, ids=[name for name, _, _ in FITTING])
def test_a_report_says_what_fits_its_task(name: str, said: tuple[str, ...], of_others: tuple[str, ...]) -> None:
    page = render_markdown(advisor.design(EXAMPLES / f"{name}.yaml", verify="none"))
    assert [words for words in said if words not in page] == []
    assert [words for words in of_others if words in page] == []


@pytest.mark.parametrize("name", ["volume_segmentation", "link_prediction", "logged_control", "unlabelled_images"])
def test_where_all_start_from_scratch_that_costs_no_candidate_anything(name: str) -> None:
    report = advisor.design(EXAMPLES / f"{name}.yaml", verify="none")
    page = render_markdown(report)
    assert "runner-up" in page
    assert "an expected loss of 3.6 points" not in page


def test_a_strategy_on_several_devices_ends_in_one_full_stop() -> None:
    report = advisor.design(EXAMPLES / "contrastive_pretraining.yaml", verify="none")
    assert ".." not in render_markdown(report).split("Distributed training: ")[1].split("\n")[0]

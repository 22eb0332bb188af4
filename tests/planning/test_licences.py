"""A request that states commercial use gets a model that allows it, or is told which one would."""

from __future__ import annotations

from typing import Any

import pytest

import advisor
from advisor.catalogue import models
from advisor.planning.candidates import NOT_FOR_PRODUCTS

TASKS = sorted({task for entry in models().values() for task in entry.tasks})
BARRED = [entry for entry in models().values() if entry.license_class in NOT_FOR_PRODUCTS]
COMPUTE = ["8x A100 80GB", "one RTX 3060 12GB", "CPU"]


def designed(task: str, compute: str, base: str | None = None, **facts: Any) -> advisor.Report:
    request: dict[str, Any] = {
        "task": {"type": task, "domain": "any"},
        "data": {"size": "20,000 samples, 10 classes"},
        "constraints": {"computeResources": compute},
        "facts": {"task.kind": task, "data.features": 8, "data.horizon": 4, "data.environments": "single", **facts},
    }
    if base:
        request["existingSetup"] = {"baseModel": base}
    report = advisor.design(request, verify="none")
    assert report.status == "designed", (task, report.headline)
    return report


@pytest.mark.parametrize("task", TASKS)
def test_a_product_gets_no_model_that_forbids_products(task: str) -> None:
    for compute in COMPUTE:
        report = designed(task, compute, **{"license.commercial": True})
        assert report.candidates
        assert not [one.model.id for one in report.candidates if models()[one.model.id].license_class in NOT_FOR_PRODUCTS], compute


@pytest.mark.parametrize("entry", BARRED, ids=lambda entry: entry.id)
def test_a_named_model_that_forbids_products_comes_with_a_warning_and_another_model(entry: Any) -> None:
    report = designed(entry.tasks[0], "8x A100 80GB", entry.id, **{"license.commercial": True})
    assert report.recipe is not None and report.recipe.model.id == entry.id
    warning = next(one.text for one in report.warnings if one.kind == "licence" and entry.name in one.text)
    assert "commercial use" in warning and "serves the same task under" in warning


def test_commercial_use_is_read_from_the_text() -> None:
    request = {
        "task": {"type": "segmentation", "domain": "CV", "specificTask": "semantic segmentation, for commercial use"},
        "data": {"size": "2,000 images, 5 classes"},
        "constraints": {"computeResources": "one RTX 3090"},
    }
    stated = advisor.design(request, verify="none")
    assert "license.commercial" not in {one.fact for one in stated.assumptions}
    assert next(one.value for one in stated.facts if one.fact == "license.commercial") is True

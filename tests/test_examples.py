"""The worked requests, each end to end: what its report must say, and that it validates against the schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
from huggingface_hub import ModelCard

from advisor import Report, Status, design
from advisor.reading import read_request
from advisor.render import check_card, render_model_card
from advisor.report import Check
from advisor.verify.verifier import Verifier
from tests.conftest import EXAMPLES

DESIGNS = ("defects", "tickets", "sales", "llm", "tabular")
pytestmark = pytest.mark.xdist_group("examples")
_REPORTS: dict[str, Report] = {}


def path_of(name: str) -> Path:
    return EXAMPLES / f"{name}.yaml"


@pytest.fixture
def report_of(checker: Verifier) -> Any:
    def made(name: str) -> Report:
        if name not in _REPORTS:
            _REPORTS[name] = design(path_of(name), "smoke", checker=checker)
        return _REPORTS[name]

    return made


def check_named(report: Report, name: str) -> Check:
    return next(check for check in report.verification if check.name == name)


@pytest.mark.slow
@pytest.mark.parametrize("name", DESIGNS)
def test_a_designed_example_has_every_section_and_no_failed_check(name: str, report_of: Any, report_schema: dict[str, Any]) -> None:
    report = report_of(name)
    assert report.status is Status.DESIGNED, report.headline
    wire = report.to_wire()
    jsonschema.validate(wire, report_schema)
    for section in (
        "modelDesign",
        "trainingStrategy",
        "debuggingGuidance",
        "engineeringPractice",
        "expectedPerformance",
        "recipe",
        "provenance",
    ):
        assert wire[section], section
    assert [check.name for check in report.verification if check.status == "failed"] == []
    assert all(check.detail for check in report.verification if check.status == "skipped")
    assert 2 <= len(report.candidates) <= 3
    assert len(report.workflow) == 7
    assert report.baselines


@pytest.mark.slow
@pytest.mark.parametrize("name", DESIGNS)
def test_the_model_card_of_an_example_parses_and_passes_our_own_check(name: str, report_of: Any) -> None:
    text = render_model_card(report_of(name), read_request(path_of(name)))
    assert check_card(text) == []
    assert ModelCard(text).data.to_dict()["license"]


@pytest.mark.slow
@pytest.mark.parametrize("name", DESIGNS)
def test_every_smoke_check_of_an_example_reaches_a_verdict(name: str, report_of: Any) -> None:
    report = report_of(name)
    smoke = [check for check in report.verification if check.name.startswith("smoke")]
    assert check_named(report, "smoke_train").status == "passed", check_named(report, "smoke_train")
    trains = report.recipe is not None and report.recipe.optimizer.name != "none"
    if trains:
        named = {check.name: check.status for check in smoke}
        for promise in ("every_trainable_moves", "no_frozen_moves", "optimizer_covers"):
            assert any(promise in name and status == "passed" for name, status in named.items()), (promise, named)


@pytest.mark.slow
def test_defects_fits_its_card_its_file_and_names_its_time(report_of: Any) -> None:
    report = report_of("defects")
    assert check_named(report, "training_memory").limit == 12
    assert check_named(report, "model_size").status in ("passed", "repaired")
    assert check_named(report, "model_size").limit == 100
    assert check_named(report, "latency").limit == 50
    assert report.recipe is not None and report.recipe.split == "stratified" and report.recipe.model.pretrained


@pytest.mark.slow
def test_sales_is_held_against_seasonal_naive_and_ets(report_of: Any) -> None:
    report = report_of("sales")
    names = " ".join(baseline.name.lower() for baseline in report.baselines)
    assert "seasonal naive" in names and "ets" in names
    assert report.recipe is not None and report.recipe.split == "time"
    assert report.recipe.input.horizon == 7 and report.recipe.input.sequence_length == 30
    assert report.recipe.metric != "mape"


@pytest.mark.slow
def test_llm_ends_in_a_quantized_base_with_adapters_that_fits_24_gib(report_of: Any) -> None:
    report = report_of("llm")
    assert report.recipe is not None and report.recipe.lora is not None
    assert report.recipe.model.adaptation == "qlora" and report.recipe.lora.base_precision == "nf4"
    memory = check_named(report, "training_memory")
    assert memory.status in ("passed", "repaired") and memory.limit == 24 and memory.value is not None and 5 < memory.value < 24
    built = check_named(report, "build")
    assert built.value is not None and 6e9 < built.value < 9.5e9
    assert "reduced" in (check_named(report, "smoke_train").detail or "")


@pytest.mark.slow
def test_tabular_trains_nothing_and_says_what_to_try_first(report_of: Any) -> None:
    report = report_of("tabular")
    assert report.recipe is not None and report.recipe.optimizer.name == "none"
    assert any("lightgbm" in baseline.name.lower() or "catboost" in baseline.name.lower() for baseline in report.baselines)
    assert report.model_design is not None and "first" in (report.model_design.tradeoff + " ".join(b.why for b in report.baselines)).lower()


def test_missing_asks_for_the_data_and_the_hardware_and_designs_nothing() -> None:
    report = design(path_of("missing"), "none")
    assert report.status is Status.NEEDS_INPUT
    critical = {question.fact for question in report.clarifications if question.critical}
    assert {"data.samples", "compute.kind"} <= critical
    assert report.model_design is None and report.recipe is None and report.debugging_guidance is None
    assert all(question.examples for question in report.clarifications if question.critical)


def test_trees_is_told_what_to_use_instead() -> None:
    report = design(path_of("trees"), "none")
    assert report.status is Status.NOT_APPLICABLE
    assert any(name in report.headline for name in ("LightGBM", "XGBoost", "CatBoost"))
    assert report.model_design is None


def test_impossible_names_the_binding_limits_and_the_smallest_changes() -> None:
    report = design(path_of("impossible"), "none")
    assert report.status is Status.INFEASIBLE
    binding = {change.fact for relaxation in report.relaxations for change in relaxation.changes}
    assert {"limit.accuracy", "limit.model_mb"} <= binding
    assert report.model_design is None


@pytest.mark.slow
def test_the_smallest_changes_to_an_impossible_request_are_really_checked() -> None:
    report = design(path_of("impossible"), "static")
    assert report.relaxations and all(relaxation.verified for relaxation in report.relaxations)
    needed = {change.fact: change.needed for change in report.relaxations[0].changes}
    assert 2.54 < needed["limit.model_mb"] < 3.0, "the size of the file as exported, not of the published parameters"


def test_who_gets_no_design_is_not_told_what_to_mind_in_one() -> None:
    assert design(path_of("missing"), "none").warnings == []
    assert design(path_of("defects"), "none").warnings


def test_nan_gets_ordered_guidance_at_once_and_the_questions_that_sharpen_it() -> None:
    report = design(path_of("nan"), "none")
    assert report.status is Status.NEEDS_INPUT
    assert report.debugging_guidance is not None
    first = report.debugging_guidance.common_issues[0]
    assert "nan" in first.issue.lower() and len(first.solution) >= 4
    assert report.clarifications and report.model_design is None


@pytest.mark.parametrize("name", ["missing", "trees", "impossible", "nan", *DESIGNS])
def test_rules_alone_answer_every_example_within_the_schema(name: str, report_schema: dict[str, Any]) -> None:
    jsonschema.validate(design(path_of(name), "none").to_wire(), report_schema)


@pytest.mark.parametrize("name", [*DESIGNS, "impossible"])
def test_the_same_request_gives_the_same_report_but_for_time(name: str) -> None:
    timeless = {"provenance": {"created", "seconds"}}
    first, second = (design(path_of(name), "none").model_dump_json(exclude=timeless) for _ in range(2))
    assert first == second

"""The four answers, their order, and what is in each."""

from __future__ import annotations

import json
from typing import Any

import pytest

from advisor import KnowledgeError, RequestError, Status, design
from advisor.request import Request


def image_request(**changes: Any) -> dict[str, Any]:
    request: dict[str, Any] = {
        "task": {"type": "classification", "domain": "CV", "specificTask": "image classification"},
        "data": {"size": "5,000 images", "distribution": "10 classes"},
        "constraints": {"computeResources": "RTX 3060 12GB"},
    }
    for path, value in changes.items():
        section, _, name = path.partition("__")
        request.setdefault(section, {})
        if name:
            request[section][name] = value
        else:
            request[section] = value
    return request


def test_a_dict_a_request_and_its_wire_form_give_the_same_answer() -> None:
    wire = image_request()
    as_request = Request.model_validate(wire)
    timeless: Any = {"provenance": {"created", "seconds"}}
    first, second = (design(one, "none").model_dump_json(exclude=timeless) for one in (wire, as_request))
    assert first == second


def test_not_applicable_comes_before_missing_facts() -> None:
    report = design({"task": {"type": "classification", "domain": "tabular", "specificTask": "XGBoost on churn"}}, "none")
    assert report.status is Status.NOT_APPLICABLE


def test_a_bad_request_comes_before_everything() -> None:
    with pytest.raises(RequestError, match="modelSizeLimit"):
        design(
            {
                "task": {"type": "classification", "domain": "tabular", "specificTask": "XGBoost"},
                "constraints": {"modelSizeLimit": "smallish"},
            },
            "none",
        )


def test_an_uncovered_task_says_so_and_designs_nothing() -> None:
    report = design({"task": {"type": "classification", "domain": "CV", "specificTask": "point cloud classification"}}, "none")
    assert report.status is Status.NOT_APPLICABLE and report.model_design is None
    assert "not covered" in report.headline


def test_the_documented_sections_are_there_only_with_a_design() -> None:
    designed = design(image_request(), "none")
    asked = design({"task": {"type": "classification", "domain": "CV"}}, "none")
    for section in ("model_design", "training_strategy", "engineering_practice", "expected_performance", "recipe"):
        assert getattr(designed, section) is not None
        assert getattr(asked, section) is None


def test_every_decision_names_its_rule_its_reason_and_the_facts_that_matched() -> None:
    report = design(image_request(), "none")
    assert report.decisions
    for decision in report.decisions:
        assert decision.rule_id and decision.why
        if decision.rule_id not in ("DEFAULT", "EDIT"):
            assert all(fact.origin for fact in decision.facts)


def test_answering_an_open_question_changes_a_decision_that_it_names() -> None:
    report = design(image_request(), "none")
    question = next(question for question in report.clarifications if question.fact == "data.balance")
    before = {decision.slot: decision.value for decision in report.decisions}
    answered = design(image_request(facts={"data.balance": "long_tail"}), "none")
    after = {decision.slot: decision.value for decision in answered.decisions}
    assert any(before.get(slot) != after.get(slot) for slot in question.decisions)


def test_text_that_nobody_understands_is_quoted_as_a_warning_and_decides_nothing() -> None:
    report = design(image_request(data__quality="somewhat flurbish"), "none")
    assert any("flurbish" in warning.text for warning in report.warnings)


def test_infinite_limits_never_reach_the_wire() -> None:
    text = design(image_request(), "none").model_dump_json(by_alias=True, exclude_none=True)
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON number"))


def test_a_pack_that_forbids_a_licence_keeps_its_models_out(tmp_path: Any) -> None:
    (tmp_path / "house.yaml").write_text(
        "slot: notice\nrules: []\nforbid:\n  - {id: HOUSE1, when: {candidate.line: {eq: convnext}}, why: we do not use ConvNeXt here}\n",
        encoding="utf-8",
    )
    free, held = design(image_request(), "none"), design(image_request(), "none", rules=[tmp_path])
    assert any("convnext" in candidate.model.id for candidate in free.candidates)
    assert not any("convnext" in candidate.model.id for candidate in held.candidates)


def test_a_faulty_pack_is_refused_with_its_place(tmp_path: Any) -> None:
    (tmp_path / "bad.yaml").write_text("slot: optimiser\nrules: []\n", encoding="utf-8")
    with pytest.raises(KnowledgeError, match=r"bad\.yaml:1:7: unknown slot 'optimiser'; did you mean 'optimizer'"):
        design(image_request(), "none", rules=[tmp_path])

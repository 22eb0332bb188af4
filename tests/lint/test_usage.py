"""What nobody uses, and names that the catalogue does not know."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import advisor
from advisor import catalogue
from advisor.engine.loading import load_knowledge, read_knowledge
from advisor.lint.candidates import Forbidden, UnbuildableCandidate, entry_place
from advisor.lint.finding import Context
from advisor.lint.usage import READ_BY_CODE, UnknownName, UnusedFact, UnusedSlot
from tests.lint.conftest import Linting, context_of
from tests.rule_sets import declare, knowledge_of, rule, write_rules


def test_a_fact_that_nothing_uses_is_found_where_it_is_declared(tmp_path: Path) -> None:
    folder = declare(tmp_path)
    with (folder / "facts.yaml").open("a") as file:
        file.write("data.colour: {type: name}\n")
    write_rules(folder, "optimizer", rule("ZZ001"))
    found = {finding.message: finding for finding in UnusedFact().findings(context_of(read_knowledge(folder)))}
    finding = found["no rule uses the fact data.colour"]
    assert (finding.place.line, finding.severity) == (len((folder / "facts.yaml").read_text().splitlines()), "warning")


def test_a_fact_that_a_rule_tests_or_a_text_mentions_is_used(linted: Linting) -> None:
    tests, mentions = rule("ZZ001", {"data.balance": {"eq": "balanced"}}), rule("ZZ002", why="There are {data.tokens} tokens.")
    unused = {finding.message.split()[-1] for finding in linted(UnusedFact, "optimizer", tests, mentions)}
    assert unused.isdisjoint({"data.balance", "data.tokens"})
    assert "data.noise" in unused


def test_facts_said_to_be_read_by_code_are_in_the_code() -> None:
    package = Path(advisor.__file__).parent
    text = "".join(
        path.read_text()
        for part in ("planning", "intake", "pipeline.py", "projection.py")
        for path in [*package.glob(f"{part}/*.py"), *package.glob(part)]
        if path.is_file()
    )
    assert {fact for fact in READ_BY_CODE if f'"{fact}"' not in text} == set()


def test_a_slot_without_rules_is_found(linted: Linting) -> None:
    found = {finding.message.split()[-1]: finding.severity for finding in linted(UnusedSlot, "optimizer", rule("ZZ001"))}
    assert "optimizer" not in found
    assert (found["metric"], found["ema"], found["checkpointing"]) == ("error", "warning", "warning")


@pytest.mark.parametrize(
    ("fact", "wrong", "near"),
    [("model.line", "resnett", "resnet"), ("setup.base_line", "berta", "bert"), ("model.license", "apache-2", "apache-2.0")],
)
def test_a_name_that_the_catalogue_does_not_have_is_found_with_the_nearest(linted: Linting, fact: str, wrong: str, near: str) -> None:
    (finding,) = linted(UnknownName, "optimizer", rule("ZZ001", {fact: {"eq": wrong}}))
    assert f"no {fact} is '{wrong}' in the catalogue; did you mean '{near}" in finding.message
    assert linted(UnknownName, "optimizer", rule("ZZ001", {"model.line": {"eq": "resnet"}, "setup.base_model": {"eq": "unknown"}})) == []


def test_an_entry_whose_library_lacks_its_factory_is_found_where_it_stands() -> None:
    entry = next(entry for entry in catalogue.models().values() if entry.build.library == "timm")
    broken = entry.model_copy(update={"build": entry.build.model_copy(update={"factory": "make_model"})})
    context = Context(load_knowledge(), {**catalogue.models(), entry.id: broken})
    (finding,) = UnbuildableCandidate().findings(context)
    assert "timm has no factory 'make_model'; known: TwoViews, create_model" in finding.message
    assert re.fullmatch(r"catalogue/models/\w+\.yaml:\d+:\d+", str(finding.place))
    assert list(UnbuildableCandidate().findings(context_of(load_knowledge()))) == []
    assert entry_place("nothing").line == 0


def test_a_prohibition_that_keeps_nothing_out_or_leaves_nothing_is_found(tmp_path: Path) -> None:
    folder = declare(tmp_path / "rules")
    write_rules(folder, "applicability", rule("ZZ001", {"task.kind": {"eq": "forecasting"}}))
    (tmp_path / "pack").mkdir()
    text = """forbid:
  - {id: NOTHING, when: {candidate.parameters_millions: {gt: 1.0e9}}, why: a test}
  - {id: ALMOST, when: {candidate.parameters_millions: {gt: 0}}, why: a test}
"""
    (tmp_path / "pack" / "forbid.yaml").write_text(text)
    found = list(Forbidden().findings(context_of(read_knowledge(folder, [tmp_path / "pack"]))))
    assert [finding.message for finding in found] == ["NOTHING forbids no model of the catalogue", "no model is left for forecasting"]
    assert found[0].place.line == 2
    assert list(Forbidden().findings(context_of(knowledge_of(tmp_path / "none", "optimizer")))) == []

"""A new rule: put in its place, ready to load, and nothing that stood there touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from advisor.authoring.scaffold import add_rule
from advisor.engine.loading import Knowledge, load_knowledge, read_knowledge
from advisor.errors import UsageError
from advisor.lint import Context, lint
from advisor.lint.examples import failing_examples, measure_coverage
from advisor.lint.prose import Unfinished
from advisor.resources import data_folder
from tests.rule_sets import declare, rule, write_rules

SHIPPED = data_folder("rules")


@pytest.fixture
def knowledge() -> Knowledge:
    return load_knowledge()


def test_a_scaffold_for_every_slot_loads_and_its_examples_hold_and_cover(knowledge: Knowledge, tmp_path: Path) -> None:
    for number, slot in enumerate(knowledge.rules.slots):
        add_rule(knowledge, slot.name, f"ZZ{number:03}", tmp_path)
    made = read_knowledge(SHIPPED, [tmp_path])
    assert len(made.rules.by_id) == len(knowledge.rules.by_id) + len(knowledge.rules.slots)
    assert failing_examples(made) == []
    assert not [fault for fault in measure_coverage(made).untried if "ZZ0" in fault.message]


def test_a_scaffold_says_that_it_is_not_finished(knowledge: Knowledge, tmp_path: Path) -> None:
    add_rule(knowledge, "ema", "ZZ001", tmp_path)
    (finding,) = lint(Context(read_knowledge(SHIPPED, [tmp_path]), {}), [Unfinished])
    assert "ZZ001" in finding.message


BLOCK = """
  - id: ZZ001
    title: a
    then: {decay: 0.9}
    why: |
      many
      lines
    confidence: low
    basis: judgement
"""
FLOW = "- {id: ZZ001, title: a, then: {decay: 0.9}, why: b, confidence: low, basis: judgement}"
FORBIDDING = "slot: ema\nforbid:\n  - {id: F, when: {candidate.license: {eq: gpl}}, why: c}\n"


@pytest.mark.parametrize(
    "text",
    [
        f"slot: ema\nrules:{BLOCK}",
        f"slot: ema\nrules:\n{FLOW}",
        f"rules:{BLOCK}\n# the end\n\n{FORBIDDING}",
        f"slot: ema\nrules:{BLOCK}\n  # about the next\n  {FLOW.replace('ZZ001', 'ZZ003')}\n",
    ],
)
def test_a_rule_is_appended_and_every_line_that_stood_there_stays(knowledge: Knowledge, tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    before = read_knowledge(SHIPPED, [tmp_path])
    assert add_rule(before, "ema", "ZZ002", tmp_path) == path
    after = path.read_text()
    rest = iter(after.splitlines())
    assert all(line in rest for line in text.splitlines())  # in the same order
    assert "ZZ002" in read_knowledge(SHIPPED, [tmp_path]).rules.by_id


def test_a_fresh_file_names_its_schema(knowledge: Knowledge, tmp_path: Path) -> None:
    path = add_rule(knowledge, "ema", "ZZ001", tmp_path / "new" / "pack")
    first, second = path.read_text().splitlines()[:2]
    schema = first.partition("$schema=")[2]
    assert (path.parent / schema).resolve() == (data_folder("schemas") / "rule.schema.json").resolve()
    assert second == "slot: ema"


@pytest.mark.parametrize(
    ("slot", "id_", "said"),
    [
        ("emma", "ZZ001", "no such slot; did you mean 'ema'?"),
        ("ema", "zz1", "an id is two to five capitals and three digits, such as EMA"),
        ("optimizer", "OPT010", "taken by the rule at rules/optimizer.yaml"),
        ("ema", "ZZ001\n", "an id is"),
    ],
)
def test_bad_usage_writes_nothing(knowledge: Knowledge, tmp_path: Path, slot: str, id_: str, said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("?", r"\?")):
        add_rule(knowledge, slot, id_, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_retired_id_is_refused(tmp_path: Path) -> None:
    write_rules(declare(tmp_path), "optimizer", rule("ZZ001"))
    (tmp_path / "retired.yaml").write_text("[ZZ002]\n")
    with pytest.raises(UsageError, match="ZZ002: belonged to a retired rule; the next free one is ZZ003"):
        add_rule(read_knowledge(tmp_path), "optimizer", "ZZ002", tmp_path)


@pytest.mark.parametrize("text", ["slot: ema\nrules: []\n", "{slot: ema, rules: [{id: ZZ001}]}\n"])
def test_a_file_that_a_rule_cannot_be_put_into_is_left_as_it_is(knowledge: Knowledge, tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UsageError, match="no block list of rules"):
        add_rule(knowledge, "ema", "ZZ002", tmp_path)
    assert (tmp_path / "mine.yaml").read_text() == text

"""The pages: whole, stable, and harmless whatever a rule says."""

from __future__ import annotations

from pathlib import Path

import pytest

from advisor.authoring.docs import INDEX, MARKER, make_pages, stale_pages, write_pages
from advisor.authoring.show import show
from advisor.authoring.words import condition_in_words, value_in_words
from advisor.engine.loading import load_rules
from advisor.errors import UsageError
from tests.rule_sets import knowledge_of, rule

HOSTILE = "a | b <script>alert(1)</script> [x](http://evil) `c` \n# Heading {{ 7 * 7 }} --> ![i](j)"


def test_every_rule_stands_on_the_page_of_its_slot_with_reason_and_sources() -> None:
    rules = load_rules()
    pages = make_pages(rules)
    assert set(pages) == {INDEX, *(f"{slot.name}.md" for slot in rules.slots)}
    for each in rules.by_id.values():
        page = pages[f"{each.slot}.md"]
        assert f"\n## {each.id}\n" in page
        assert f"[{each.id}](#{each.id.lower()})" in page
    assert "arXiv:" in pages["optimizer.md"]


def test_a_page_says_the_whole_condition(tmp_path: Path) -> None:
    tasks = ["image_classification", "object_detection", "semantic_segmentation", "forecasting", "translation", "summarization", "ranking"]
    condition = {"any": [{"task.scratch": {"eq": True}}, {"data.classes": {"ge": 3}}], "unless": [{"data.noise": {"eq": "clean"}}]}
    made = knowledge_of(tmp_path, "optimizer", rule("ZZ001", {"task.kind": {"in": tasks}}, **condition)).rules.by_id["ZZ001"]
    said = condition_in_words(made)
    assert all(task in said for task in tasks)
    assert said.endswith("; and one of: task.scratch is true; or data.classes is at least 3; but not where data.noise is clean")


def test_values_are_written_as_in_the_file(tmp_path: Path) -> None:
    then = {"name": "sgd", "learning_rate": {"value": 0.5, "at_batch": 256}, "betas": [0.9, 0.99]}
    made = knowledge_of(tmp_path, "optimizer", rule("ZZ001", then=then)).rules.by_id["ZZ001"]
    assert value_in_words(made.choice) == "name: sgd, learning_rate: {value: 0.5, at_batch: 256}, betas: [0.9, 0.99]"


def test_what_a_rule_says_never_acts_on_the_page(tmp_path: Path) -> None:
    hostile = rule(
        "ZZ001", why=HOSTILE, then={"name": HOSTILE, "text": HOSTILE}, sources=[{"ref": HOSTILE, "claim": HOSTILE, "checked": HOSTILE}]
    )
    page = make_pages(knowledge_of(tmp_path, "regularization", {**hostile, "title": HOSTILE}).rules)["regularization.md"]
    assert "<script" not in page
    assert "\n# Heading" not in page
    assert "](http" not in page.replace("\\]", "")
    row = next(line for line in page.splitlines() if line.startswith("| [ZZ001]"))
    assert row.replace("\\|", "").count("|") == 5


def test_stale_pages_are_named_rewritten_and_abandoned_ones_removed(tmp_path: Path) -> None:
    pages = make_pages(load_rules())
    assert len(stale_pages(tmp_path / "docs", pages)) == len(pages)
    write_pages(tmp_path / "docs", pages)
    assert stale_pages(tmp_path / "docs", pages) == []
    (tmp_path / "docs" / "ema.md").write_text("changed")
    (tmp_path / "docs" / "gone.md").write_text(f"{MARKER}\n\n# gone\n")
    (tmp_path / "docs" / "mine.md").write_text("# mine\n")
    assert write_pages(tmp_path / "docs", pages) == ["ema.md", "gone.md"]
    assert not (tmp_path / "docs" / "gone.md").exists()
    assert (tmp_path / "docs" / "mine.md").exists()


def test_a_rule_is_shown_on_lines_of_its_own(tmp_path: Path) -> None:
    rules = knowledge_of(tmp_path, "optimizer", rule("ZZ001", {"data.classes": {"ge": 3}}, overrides=["ZZ002"]), rule("ZZ002")).rules
    shown = dict(line.split(maxsplit=1) for line in show(rules, "ZZ001").splitlines())
    assert (shown["when"], shown["then"], shown["overrides"]) == ("data.classes is at least 3", "name: adamw", "ZZ002")
    assert "overridden  ZZ001" in show(rules, "ZZ002")
    with pytest.raises(UsageError, match="ZZ003: no rule has this id; did you mean 'ZZ00"):
        show(rules, "ZZ003")

"""Parsed rule files kept between runs: the same rules, and nothing trusted that lies in the cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from advisor import parsed
from advisor.engine.documents import Documents
from advisor.engine.loading import Knowledge, read_knowledge
from advisor.errors import KnowledgeError
from advisor.parsed import ParsedFiles
from tests.rule_sets import declare, rule, write_rules


def folder_of(tmp_path: Path, **parts: Any) -> Path:
    folder = declare(tmp_path / "rules")
    write_rules(folder, "optimizer", rule("ZZ001", {"data.samples": {"ge": 10}}, **parts))
    return folder


def read(folder: Path, cache: Path) -> Knowledge:
    kept = ParsedFiles(cache)
    knowledge = read_knowledge(folder, documents=Documents(parse=kept.parse))
    kept.keep()
    return knowledge


def test_a_second_reading_parses_nothing_and_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, cache = folder_of(tmp_path), tmp_path / "cache" / "rules.json"
    first = read(folder, cache)
    place = first.rules.by_id["ZZ001"].place
    monkeypatch.setattr(parsed, "parse_yaml", lambda text, file: pytest.fail(f"parsed {file}"))
    second = read(folder, cache)
    assert second.rules.digest == first.rules.digest
    assert second.rules.by_id["ZZ001"].place == place
    assert second.rules.by_id["ZZ001"].written == first.rules.by_id["ZZ001"].written
    assert second.places == first.places


def test_a_changed_file_is_parsed_again_and_the_old_text_forgotten(tmp_path: Path) -> None:
    folder, cache = folder_of(tmp_path), tmp_path / "rules.json"
    read(folder, cache)
    size = len(json.loads(cache.read_text())["files"])
    write_rules(folder, "optimizer", rule("ZZ002"))
    assert set(read(folder, cache).rules.by_id) == {"ZZ002"}
    assert len(json.loads(cache.read_text())["files"]) == size


def test_faults_in_remembered_files_are_at_their_places(tmp_path: Path) -> None:
    folder, cache = folder_of(tmp_path), tmp_path / "rules.json"
    read(folder, cache)
    facts = folder / "facts.yaml"
    facts.write_text(facts.read_text().replace("data.samples:", "data.sampels:"))
    with pytest.raises(KnowledgeError) as fresh:
        read_knowledge(folder)
    with pytest.raises(KnowledgeError) as remembered:
        read(folder, cache)
    assert remembered.value.faults == fresh.value.faults
    assert any(fault.place.file.endswith("optimizer.yaml") and fault.place.line for fault in remembered.value.faults)


@pytest.mark.parametrize(
    "text",
    ["", "[", "[]", "3", '{"format": "2"}', '{"format": "0", "files": {}}', '{"format": "2", "files": []}', "\x00", "[" * 100_000],
)
def test_a_broken_cache_is_no_cache(tmp_path: Path, text: str) -> None:
    cache = tmp_path / "rules.json"
    cache.write_text(text)
    assert set(read(folder_of(tmp_path), cache).rules.by_id) == {"ZZ001"}
    assert json.loads(cache.read_text())["format"] == parsed.FORMAT


@pytest.mark.parametrize("entry", [None, 3, {"data": {}}, {"data": {}, "places": 3}, {"places": {}}])
def test_a_broken_entry_is_parsed_again(tmp_path: Path, entry: Any) -> None:
    folder, cache = folder_of(tmp_path), tmp_path / "rules.json"
    read(folder, cache)
    kept = json.loads(cache.read_text())
    cache.write_text(json.dumps({**kept, "files": dict.fromkeys(kept["files"], entry)}))
    assert set(read(folder, cache).rules.by_id) == {"ZZ001"}


def test_what_the_cache_says_is_checked_like_a_file(tmp_path: Path) -> None:
    folder, cache = folder_of(tmp_path), tmp_path / "rules.json"
    read(folder, cache)
    cache.write_text(cache.read_text().replace('"adamw"', '"rm -rf"'))
    with pytest.raises(KnowledgeError, match="name: Input should be"):
        read(folder, cache)


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert set(read(folder_of(tmp_path), tmp_path / "file" / "rules.json").rules.by_id) == {"ZZ001"}

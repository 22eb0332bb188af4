"""YAML 1.2 and JSON as plain data with places, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.located import LONGEST_NAME, MAX_BYTES, Document, decode, parse_json, parse_yaml, path_text, read_text

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=80), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        ("no", "no"),
        ("off", "off"),
        ("Yes", "Yes"),
        ("true", True),
        ("FALSE", False),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2026-11-21", "2026-11-21"),
        (".5", 0.5),
        (".inf", float("inf")),
        ("-.INF", float("-inf")),
        ("null", None),
        ("~", None),
        ("=", "="),
        ("<<", "<<"),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: Any) -> None:
    document = parse_yaml(f"key: {text}\n", "a.yaml")
    assert document.faults == []
    assert document.data["key"] == value
    assert type(document.data["key"]) is type(value)


def test_places_are_one_based_and_fall_back_to_the_nearest_ancestor() -> None:
    document = parse_yaml("a:\n  b: [10, {c: 3}]\n", "a.yaml")
    assert str(document.place(("a", "b", 1, "c"))) == "a.yaml:2:15"
    assert str(document.place(("a", "b", 1, "c"), key=True)) == "a.yaml:2:12"
    assert str(document.place(("a", "b", 7, "x"))) == "a.yaml:2:6"
    assert str(Document(None, "a.yaml").place(("a", 1))) == "a.yaml: a[1]"
    assert path_text(("task", "items", 3, "x")) == "task.items[3].x"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' stands here a second time"),
        ("a: !!python/object/apply:os.system [ls]\n", 1, "is not allowed"),
        ("a: !mine 3\n", 1, "the tag '!mine' is not allowed"),
        ("a: !!binary aGk=\n", 1, "is not allowed"),
        ("[a]: 1\n", 1, "a key must be a plain word"),
        ("a: [1, 2\nb: 3\n", 2, "is not valid YAML"),
        ("a: *gone\n", 1, "is not valid YAML"),
        ("a: 1\n--- \nb: 2\n", 2, "is not valid YAML"),
        ("a: \x01\n", 1, "is not valid YAML"),
        ("a: " + "1" * 5000, 1, "is not a number that can be used"),
        ("a: &a [*a]\n", 1, "nested deeper than 64"),
    ],
)
def test_what_is_no_plain_data_is_refused_with_its_line(text: str, line: int, said: str) -> None:
    document = parse_yaml(text, "a.yaml")
    assert document.faults
    fault = document.faults[0]
    assert said in fault.message
    assert fault.place.line == line


def test_neither_bombs_nor_depth_exhaust_the_reader() -> None:
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    for text in (bomb, "[" * 200_000, "- " * 50_000, "{a: " * 30_000):
        assert any("expands" in fault.message or "nested" in fault.message for fault in parse_yaml(text, "a.yaml").faults)


@given(plain)
def test_json_comes_back_as_it_was(data: Any) -> None:
    document = parse_json(json.dumps(data), "a.json")
    assert document.faults == []
    assert document.data == data or json.dumps(document.data) == json.dumps(data)


def test_a_name_too_long_to_be_placed_is_refused_as_what_it_is() -> None:
    longest = "k" * (LONGEST_NAME - 2)
    assert parse_json(json.dumps({longest: 1}), "a.json").data == {longest: 1}
    (fault,) = parse_json(json.dumps({"a": 1, f"{longest}k": 1}, indent=1), "a.json").faults
    assert (fault.place.line, "1,024 characters" in fault.message) == (3, True)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_within_its_lines_and_never_an_exception(text: str) -> None:
    for parse in (parse_yaml, parse_json):
        for fault in parse(text, "a").faults:
            assert fault.place.file == "a"
            assert 0 <= fault.place.line <= len(text) + 1


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": 1, "a": 2}', "{'a': 1}", '{"a": 1,}', "", '{"a": Infinity}'])
def test_json_is_strict(text: str) -> None:
    assert parse_json(text, "a.json").faults


def test_files_that_cannot_be_read_are_one_fault_each(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("é".encode("latin-1"))
    (tmp_path / "nul.yaml").write_bytes(b"a\n\x00")
    (tmp_path / "long.yaml").write_bytes(b"a" * (MAX_BYTES + 1))
    said = {name: read_text(tmp_path / name)[1][0].message for name in ("latin.yaml", "nul.yaml", "long.yaml", "none.yaml", ".")}
    assert "is not UTF-8 text (byte 0xe9)" in said["latin.yaml"]
    assert "NUL" in said["nul.yaml"]
    assert "at most 5,000,000 are read" in said["long.yaml"]
    assert (said["none.yaml"], said["."]) == ("no such file", "is a folder; give a YAML or JSON file")


def test_a_byte_order_mark_is_no_text() -> None:
    assert decode(b"\xef\xbb\xbfa: 1", "a.yaml") == ("a: 1", [])

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.errors import RequestError, UsageError
from advisor.reading import apply_settings, read_request
from advisor.request import Request

TASK = {"type": "classification", "domain": "CV"}
MINIMAL = "task: {type: classification, domain: CV}\n"
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)

    def write(content: str | bytes, name: str = "request.yaml") -> Path:
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return Path(name)

    return write


def faults(source: Any, **more: Any) -> list[str]:
    with pytest.raises(RequestError) as caught:
        read_request(source, **more)
    return [str(fault) for fault in caught.value.faults]


# --- files that are no requests ---


@pytest.mark.parametrize(
    ("content", "place", "why"),
    [
        (b"", "request.yaml", "is empty"), (b" \n\t\n", "request.yaml", "is empty"), (b"\xff\xfe\x00t", "request.yaml:1:1", "not UTF-8"),
        (b"a: b\nc: \xe9", "request.yaml:2:4", "not UTF-8"),
        (b"task: a\0b", "request.yaml:1", "NUL"), (b"- a\n- b\n", "request.yaml:1:1", "a list"),
        (b"just words", "request.yaml:1:1", "the text 'just words'"),
        (b"42", "request.yaml:1:1", "the number 42"), (b"~", "request.yaml:1:1", "nothing"),
        (b"a: b: c", "request.yaml:1:5", "not valid YAML"), (b"\ta: 1", "request.yaml:1:1", "not valid YAML"),
        (b"task: {type: a", "request.yaml:2:1", "not valid YAML"),
        (MINIMAL.encode() + b"---\n" + MINIMAL.encode(), "request.yaml:2:1", "another document"),
        (b"task: {type: a, type: b, domain: c}", "request.yaml:1:17", "second time"),
        (b"task: !!python/object:os.system {type: a}", "request.yaml:1:7", "tag .* is not allowed"),
        (b"task: &a [*a]", "request.yaml:1", "deeper"), (b"[" * 100_000, "request.yaml", "deeper"),
        (b"- " * 50_000, "request.yaml", "deeper|not valid"),
        (b"task: " + b"[" * 300 + b"]" * 300, "request.yaml:1", "deeper"), (b"x" * 5_000_001, "request.yaml", "5,000,001 bytes"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_request_is_one_clear_error(write: Write, content: bytes, place: str, why: str) -> None:
    with pytest.raises(RequestError, match=why) as caught:
        read_request(write(content))
    assert str(caught.value.faults[0]).startswith(place)


def test_aliases_that_multiply_are_stopped(write: Write) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert any("expands to more" in fault for fault in faults(write("\n".join(lines))))


@pytest.mark.parametrize(
    ("content", "place", "why"),
    [
        ('{"task": {"type": "a", "domain": NaN}}', "request.json", "NaN"),
        ('{"task": {"type": "a", "domain": -Infinity}}', "request.json", "Infinity"),
        ('{"task": {"type": "a",\n "type": "b", "domain": "c"}}', "request.json:2:2", "second time"),
        ('{"task": {"type": "a"},}', "request.json:1:24", "not valid JSON"),
        ("{'task': 1}", "request.json:1:2", "not valid JSON"), (MINIMAL, "request.json:1:1", "not valid JSON"),
        ('{"task": {}} x', "request.json:1:14", "Extra data"),
        ("[" * 100_000, "request.json", "deeper"), ('{"task": {"type": "\\ud800", "domain": "b"}}', "request.json:1:2", "Unicode"),
        ('{"task": 5}', "request.json:1:10", "must be a mapping with type, domain"),
    ],
)  # fmt: skip
def test_json_that_is_no_request_is_one_clear_error(write: Write, content: str, place: str, why: str) -> None:
    with pytest.raises(RequestError, match=why) as caught:
        read_request(write(content, "request.json"))
    assert str(caught.value.faults[0]).startswith(place)


@pytest.mark.parametrize(("source", "why"), [("missing.yaml", "no such file"), (".", "is a folder")])
def test_what_is_no_file_is_an_error(write: Write, source: str, why: str) -> None:
    assert why in faults(source)[0]


# --- scalars ---


def test_scalars_are_those_of_yaml_1_2(write: Write) -> None:
    text = "task: {type: no, domain: on}\ndata: {size: 010, quality: 2026-01-01, distribution: 1:20}\n"
    text += "facts: {a: 1e-4, b: 0x10, c: true, d: yes, e: 010, f: '5'}\n"
    request = read_request(write(text))
    assert (request.task.type, request.task.domain, request.data.size, request.data.quality, request.data.distribution) == (
        "no",
        "on",
        10,
        "2026-01-01",
        "1:20",
    )
    assert request.facts == {"a": 1e-4, "b": 16, "c": True, "d": "yes", "e": 10, "f": "5"}


def test_a_byte_order_mark_is_passed_over(write: Write) -> None:
    assert read_request(write("\ufeff" + MINIMAL)).task.domain == "CV"


def test_json_keeps_its_characters(write: Write) -> None:
    said = "😀 \u2028 \u0085 \\ / \t"
    for content in (json.dumps({"task": {"type": said, "domain": "b"}}, indent="\t", ensure_ascii=ascii_) for ascii_ in (True, False)):
        assert read_request(write(content, "request.json")).task.type == said


# --- shape ---


def test_both_spellings_of_a_field_are_accepted(write: Write) -> None:
    camel = read_request({"task": TASK, "constraints": {"latencyRequirement": "10 ms"}, "existingSetup": {"trainingIssues": ["x"]}})
    snake = read_request({"task": TASK, "constraints": {"latency_requirement": "10 ms"}, "existing_setup": {"training_issues": ["x"]}})
    assert camel == snake
    assert "given twice" in faults({"task": {**TASK, "specificTask": "a", "specific_task": "b"}})[0]


def test_every_fault_of_a_file_is_told_at_its_line_and_column(write: Write) -> None:
    text = """\
task: {type: classification, domian: CV}
data:
  size: 1.5
  augmentation_needed: yes
constraints:
  latencyRequirement: 50
challenges: few-shot
facts: {a: [1], b: {c: }}
existing_setup:
  training_issues: [1, a]
"""
    expected = [
        "request.yaml:1:7: task.domain: is missing", "request.yaml:1:30: task.domian: unknown field 'domian'; did you mean 'domain'?",
        "request.yaml:3:9: data.size: must be text or a whole number",
        "request.yaml:4:24: data.augmentationNeeded: must be true or false, not the text 'yes'",
        "request.yaml:6:23: constraints.latencyRequirement: must be text",
        "request.yaml:7:13: challenges: must be a list of texts", "request.yaml:8:12: facts.a: a fact is one number",
        "request.yaml:8:24: facts.b.c: a fact is one number",
        "request.yaml:10:21: existingSetup.trainingIssues[0]: must be text",
    ]  # fmt: skip
    found = faults(write(text))
    assert len(found) == len(expected)
    assert all(fault.startswith(start) for fault, start in zip(found, expected, strict=True))


def test_a_mapping_s_faults_are_told_by_path() -> None:
    assert faults({"task": TASK, "data": {"size": ["x"]}}) == [
        'data.size: must be text or a whole number, not a list; "10k samples", "2 years of daily sales", "40 hours of audio", 5000'
    ]
    assert faults({})[0].startswith("task: is missing: with type, domain")
    assert "half of a surrogate pair" in faults({"task": {"type": "\ud800", "domain": "b"}})[0]
    assert "is empty" in faults({"task": {"type": "", "domain": "b"}})[0]


def test_an_empty_section_says_nothing(write: Write) -> None:
    assert read_request(write(MINIMAL + "data:\nconstraints:\nfacts:\n")) == Request.model_validate({"task": TASK})


def test_a_request_is_returned_as_it_is() -> None:
    request = Request.model_validate({"task": TASK, "facts": {"limit.latency_ms": float("inf")}})
    assert read_request(request) == request


def test_facts_may_be_nested(write: Write) -> None:
    nested = read_request(write(MINIMAL + "facts: {data: {classes: 10, samples: 5}, compute.kind: cpu}"))
    assert nested.facts == {"data.classes": 10, "data.samples": 5, "compute.kind": "cpu"}
    assert "given twice" in faults(write(MINIMAL + "facts: {data.classes: 1, data: {classes: 2}}"))[0]


def test_facts_that_hold_themselves_are_an_error() -> None:
    loop: dict[str, Any] = {}
    loop["a"] = loop
    assert "not a mapping" in faults({"task": TASK, "facts": loop})[0]


# --- standard input ---


@pytest.mark.parametrize("content", [MINIMAL, json.dumps({"task": TASK})])
def test_standard_input_is_json_or_yaml_by_its_content(content: str) -> None:
    assert read_request("-", stdin=io.StringIO(content)).task.domain == "CV"
    assert read_request("-", stdin=io.TextIOWrapper(io.BytesIO(content.encode()))).task.domain == "CV"


def test_faults_of_standard_input_have_a_place() -> None:
    assert faults("-", stdin=io.StringIO('{"task": {"type":"a","domain":"b"}, "x": 1}'))[0].startswith("<stdin>:1:37: x: unknown field")
    assert "not UTF-8" in faults("-", stdin=io.StringIO("task: \ud800"))[0]
    assert "not UTF-8" in faults("-", stdin=io.TextIOWrapper(io.BytesIO(b"\xff")))[0]
    assert "5,000,000" in faults("-", stdin=io.StringIO("x" * 5_000_001))[0]


# --- settings ---


def test_settings_are_applied_over_a_file(write: Write) -> None:
    path = write(MINIMAL + "constraints: {latency_requirement: 50 ms}\nfacts: {data: {classes: 2}}\n")
    settings = ["facts.data.classes=10", "facts.license.commercial=false", "constraints.latencyRequirement=10 ms",
                "challenges=few-shot, long-tail", "data.size=5000",
                "data.augmentation_needed=true", "existingSetup.trainingIssues=loss is NaN"]  # fmt: skip
    request = read_request(path, settings=settings)
    assert request.facts == {"data.classes": 10, "license.commercial": False}
    assert request.constraints.latency_requirement == "10 ms"
    assert request.challenges == ["few-shot", "long-tail"]
    assert (request.data.size, request.data.augmentation_needed, request.existing_setup.training_issues) == ("5000", True, ["loss is NaN"])


def test_settings_do_not_change_what_they_are_applied_to() -> None:
    raw = {"task": dict(TASK), "facts": {"data": {"classes": 2}}}
    changed = apply_settings(raw, ["facts.data.classes=3", "task.domain=NLP"])
    assert raw == {"task": TASK, "facts": {"data": {"classes": 2}}}
    assert (changed["task"]["domain"], changed["facts"]) == ("NLP", {"data.classes": 3})


def test_a_text_that_a_comma_cut_is_told_to_be_quoted(write: Write) -> None:
    said = faults(write("task: {type: classification, domain: NLP, specificTask: find names, streets and towns}"))
    assert "unknown field 'streets and towns'" in said[0] and "a comma in it needs quotes" in said[0]


def test_a_setting_of_an_unknown_field_is_told_by_its_path(write: Write) -> None:
    assert faults(write(MINIMAL), settings=["data.sise=1"])[0].startswith("data.sise: unknown field 'sise'; did you mean 'size'?")


@pytest.mark.parametrize("setting", ["x", "=1", "facts=1", "task=1", "facts.a=", "facts.a=[1]", "a..b=1", "facts.a={b: 1}", "facts.a='"])
def test_a_malformed_setting_is_a_usage_error(setting: str) -> None:
    with pytest.raises(UsageError, match="--set"):
        read_request({"task": TASK}, settings=[setting])


# --- anything ---

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    ["task", "data", "constraints", "challenges", "existingSetup", "existing_setup", "facts", "type", "domain", "size", "trainingIssues"]
)


@given(st.dictionaries(fields, json_values | st.dictionaries(fields, json_values, max_size=3), max_size=5))
def test_any_mapping_is_a_request_or_a_request_error(raw: dict[str, Any]) -> None:
    try:
        assert isinstance(read_request(raw), Request)
    except RequestError as error:
        assert all(fault.message for fault in error.faults)


@given(
    st.text(max_size=80)
    | st.lists(
        st.sampled_from(
            [
                "task:",
                "{",
                "}",
                "[",
                "]",
                "\n",
                "  ",
                "- ",
                "a",
                ": ",
                "&a ",
                "*a",
                "!x ",
                "'",
                '"',
                "|",
                ">",
                "---\n",
                "1e400",
                ".inf",
                "0o7",
            ]
        )
    ).map("".join)
)
def test_any_text_on_standard_input_is_a_request_or_a_request_error(text: str) -> None:
    try:
        read_request("-", stdin=io.StringIO(text))
    except RequestError as error:
        assert all(fault.message for fault in error.faults)

"""Reading rules: every fault at its place and in one pass, whatever a file holds; and what a pack may do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from advisor import catalogue
from advisor.engine.compiling import override_cycles
from advisor.engine.loading import Knowledge, load_knowledge, load_rules, load_vocabulary, read_knowledge, rule_paths
from advisor.engine.rules import box_truth
from advisor.errors import KnowledgeError
from advisor.planning.plan import model_facts
from advisor.resources import data_folder
from tests.rule_sets import declare, knowledge_of, rule, write_rules

SHIPPED = data_folder("rules")

SOUND = """\
slot: optimizer
rules:
  - id: ZZ001
    title: A rule
    when: {data.samples: {ge: 10}}
    then: {name: adamw}
    why: Because.
    confidence: low
    basis: judgement
"""


def faults(folder: Path, *packs: Path) -> list[str]:
    with pytest.raises(KnowledgeError) as raised:
        read_knowledge(folder, packs)
    return [f"{Path(fault.place.file).name}:{fault.place.line}:{fault.place.column}: {fault.message}" for fault in raised.value.faults]


def faults_of(tmp_path: Path, text: str | bytes) -> list[str]:
    """What is said of a pack of one file over no other rules."""
    (tmp_path / "pack").mkdir()
    path = tmp_path / "pack" / "mine.yaml"
    path.write_bytes(text) if isinstance(text, bytes) else path.write_text(text, encoding="utf-8")
    return faults(declare(tmp_path / "rules"), tmp_path / "pack")


# --- one fault, at its place, with the way out -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("data.samples:", "data.sample:", "mine.yaml:5:12: unknown fact 'data.sample'; did you mean 'data.samples'?"),
        ("{ge: 10}", "{gte: 10}", "mine.yaml:5:27: unknown operator 'gte'; write ge; known are eq, in, lt, le, gt, ge"),
        ("{ge: 10}", "{not_in: [10]}", "unknown operator 'not_in'; write in under `unless`; known are"),
        ("{ge: 10}", "{ge: many}", "mine.yaml:5:31: data.samples must be a number, not 'many'"),
        ("{ge: 10}", "{ge: 1.5}", "mine.yaml:5:31: data.samples must be a whole number, not 1.5"),
        ("{ge: 10}", "{eq: -1}", "mine.yaml:5:31: data.samples must be at least 0, not -1"),
        ("{ge: 10}", "{ge: 1" + "0" * 400 + "}", "mine.yaml:5:31: data.samples must be a number that a computer can hold"),
        ("{ge: 10}", "{in: []}", "mine.yaml:5:31: 'in' takes a list of at least one value"),
        ("{ge: 10}", "{}", "mine.yaml:5:26: must be a mapping of operators (eq, in, lt, le, gt, ge) to values"),
        ("{data.samples: {ge: 10}}", "{data.noise: {eq: no}}", "mine.yaml:5:29: data.noise must be one of clean, some, heavy, not 'no'"),
        ("{data.samples: {ge: 10}}", "{data.noise: {eq: clea}}", "not 'clea'; did you mean 'clean'?"),
        ("{data.samples: {ge: 10}}", "{data.noise: {lt: clean}}", "'lt' orders numbers, and data.noise is a enum"),
        ("{data.samples: {ge: 10}}", "{task.scratch: {eq: no}}", "task.scratch must be true or false, not 'no'"),
        ("{name: adamw}", "{name: adam_w}", "did you mean 'adamw'?"),
        ("{name: adamw}", "{name: adamw, weight_decy: 0.1}", "mine.yaml:6:25: unknown field 'weight_decy'; did you mean 'weight_decay'?"),
        ("{name: adamw}", "{name: adamw, weight_decay: high}", "mine.yaml:6:39: weight_decay: must be a number, not 'high'"),
        ("{name: adamw}", "{name: adamw, learning_rate: {value: 1e-4, at_bach: 32}}", "unknown field 'at_bach'; did you mean 'at_batch'?"),
        ("slot: optimizer", "slot: optimiser", "mine.yaml:1:7: unknown slot 'optimiser'; did you mean 'optimizer'?"),
        ("slot: optimizer\n", "", "a file of rules names its `slot`"),
        ("id: ZZ001", "id: zz1", "id: 'zz1' must be two to five capitals and three digits, such as OPT012"),
        ("    why: Because.\n", "", "mine.yaml:3:5: the field 'why' is missing"),
        ("confidence: low", "confidence: lo", "did you mean 'low'?"),
        ("    why:", "    overrides: [ZZ002]\n    why:", "mine.yaml:3:9: ZZ001 overrides the unknown rule 'ZZ002'; did you mean 'ZZ001'?"),
        ("    why:", "    salience: 3\n    why:", "unknown field 'salience'"),
        ("    why:", "    examples: [{expect: match, facts: {data.sample: 3}}]\n    why:", "unknown fact 'data.sample'"),
        ("    why:", "    examples: [{expect: match, facts: {data.samples: x}}]\n    why:", "data.samples must be a number, not 'x'"),
        (
            "then: {name: adamw}",
            "then: !!python/object/apply:os.system [ls]",
            "the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not",
        ),
        ("title: A rule", "title: A rule\n    title: Again", "mine.yaml:5:5: the key 'title' stands here a second time"),
        ("when: {", "when: [", "is not valid YAML"),
        (SOUND, "", "mine.yaml:0:0: is empty"),
        (SOUND, "- 1\n", "Input should be a valid dictionary"),
        (SOUND, "slot: optimizer\nrules: [1]\n", "mine.yaml:2:9: rules[0]: Input should be a valid dictionary"),
        (SOUND, SOUND + "---\n" + SOUND, "is not valid YAML"),
    ],
)
def test_a_fault_is_said_with_its_place_and_the_nearest_known_name(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in SOUND
    found = faults_of(tmp_path, SOUND.replace(old, new))
    assert any(said in fault for fault in found), found


def test_the_sound_rule_loads(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "mine.yaml").write_text(SOUND)
    assert set(read_knowledge(declare(tmp_path / "rules"), [write_rules(tmp_path / "pack", "ema").parent]).rules.by_id) == {"ZZ001"}


def test_a_small_number_in_scientific_notation_is_a_number(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "mine.yaml").write_text(SOUND.replace("{name: adamw}", "{name: adamw, weight_decay: 1e-4}"))
    made = read_knowledge(declare(tmp_path / "rules"), [write_rules(tmp_path / "pack", "ema").parent]).rules.by_id["ZZ001"]
    assert made.choice.model_dump()["weight_decay"] == 1e-4


def test_every_fault_in_every_file_is_said_at_once(tmp_path: Path) -> None:
    folder = declare(tmp_path)
    write_rules(
        folder,
        "optimizer",
        rule("ZZ001", {"data.sampels": {"ge": 1}}, then={"name": "adamx"}),
        rule("ZZ001"),
        rule("ZZ002", {"data.noise": {"eq": 3}}),
    )
    write_rules(folder, "ema", rule("ZZ003", then={"decay": 2}))
    assert len(faults(folder)) == 4
    (folder / "facts.yaml").write_text((folder / "facts.yaml").read_text() + "odd: {type: enum}\nodd.fact: {type: enum}\n")
    assert len(faults(folder)) == 6


# --- hostile files ---------------------------------------------------------------------------------------------------


def test_a_file_that_is_not_utf_8_is_named_with_the_byte(tmp_path: Path) -> None:
    assert faults_of(tmp_path, SOUND.encode().replace(b"A rule", b"A \xff rule")) == [
        "mine.yaml:4:14: is not UTF-8 text (byte 0xff); a binary file, or another encoding?"
    ]


def test_a_yaml_bomb_is_stopped(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    assert any("expands to more than 500,000 values" in fault for fault in faults_of(tmp_path, bomb))


def test_deep_nesting_is_stopped(tmp_path: Path) -> None:
    assert any("nested deeper than 64 levels" in fault for fault in faults_of(tmp_path, "a: " + "[" * 100_000))


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    outside = write_rules(tmp_path / "elsewhere", "optimizer", rule("ZZ001"))
    pack = write_rules(tmp_path / "pack", "ema").parent
    (pack / "link.yaml").symlink_to(outside)
    (pack / "loop.yaml").symlink_to(pack / "loop.yaml")
    found = faults(declare(tmp_path / "rules"), pack)
    assert any("link.yaml" in fault and "leads out of its folder" in fault for fault in found)
    assert any("loop.yaml" in fault for fault in found)


def test_a_pipe_named_like_a_rule_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    os.mkfifo(tmp_path / "pack" / "pipe.yaml")
    assert faults(declare(tmp_path / "rules"), tmp_path / "pack") == ["pipe.yaml:0:0: is not a file"]


@pytest.mark.parametrize("name", ["facts.yaml", "slots.yaml", "vocabulary.yaml"])
def test_a_pack_cannot_declare(tmp_path: Path, name: str) -> None:
    pack = write_rules(tmp_path / "pack", "ema").parent
    (pack / name).write_text("{}")
    assert any("cannot stand in a pack" in fault for fault in faults(declare(tmp_path / "rules"), pack))


def test_a_pack_without_rules_or_without_a_folder_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = faults(declare(tmp_path / "rules"), tmp_path / "empty", tmp_path / "missing")
    assert any("holds no rule file" in fault for fault in found)
    assert any("no such folder of rules" in fault for fault in found)


def test_three_thousand_rules_load(tmp_path: Path) -> None:
    letters = "ABC"
    rules = [rule(f"ZZ{letters[n // 1000]}{n % 1000:03}", {"data.samples": {"eq": n}}) for n in range(3000)]
    write_rules(tmp_path / "pack", "optimizer", *rules)
    assert len(read_knowledge(declare(tmp_path / "rules"), [tmp_path / "pack"]).rules.by_id) == 3000


def test_circles_of_overrides_are_named_once_each(tmp_path: Path) -> None:
    rules = [
        rule("ZZ001", overrides=["ZZ002"]),
        rule("ZZ002", overrides=["ZZ003"]),
        rule("ZZ003", overrides=["ZZ001"]),
        rule("ZZ004", overrides=["ZZ004"]),
    ]
    write_rules(declare(tmp_path), "optimizer", *rules)
    assert [fault.partition("circle: ")[2] for fault in faults(tmp_path)] == ["ZZ001 > ZZ002 > ZZ003 > ZZ001", "ZZ004 > ZZ004"]


def test_many_ways_through_overrides_without_a_circle_are_walked_once() -> None:
    layers = {f"A{n}": (f"A{n + 1}", f"B{n + 1}") for n in range(200)} | {f"B{n}": (f"A{n + 1}", f"B{n + 1}") for n in range(200)}
    assert override_cycles(layers) == []
    assert override_cycles({**layers, "B200": ("A0",)})


def test_an_override_of_another_slots_rule_is_a_fault(tmp_path: Path) -> None:
    write_rules(declare(tmp_path), "optimizer", rule("ZZ001", overrides=["ZZ002"]))
    write_rules(tmp_path, "ema", rule("ZZ002"))
    assert "ZZ001 overrides ZZ002, which fills another slot (ema)" in faults(tmp_path)[0]


def test_a_retired_id_is_never_used_again(tmp_path: Path) -> None:
    write_rules(declare(tmp_path), "optimizer", rule("ZZ001"))
    (tmp_path / "retired.yaml").write_text("[ZZ001]\n")
    assert "belonged to a retired rule" in faults(tmp_path)[0]


# --- what a pack may do ----------------------------------------------------------------------------------------------


def pack_of(tmp_path: Path, text: str) -> Knowledge:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "mine.yaml").write_text(text)
    return read_knowledge(SHIPPED, [tmp_path / "pack"])


def test_a_pack_adds_rules_and_puts_its_own_in_the_place_of_shipped_ones(tmp_path: Path) -> None:
    replaced = SOUND.replace("ZZ001", "OPT010") + SOUND.partition("rules:\n")[2].replace("{ge: 10}", "{ge: 11}")
    knowledge = pack_of(tmp_path, replaced)
    assert knowledge.rules.by_id["OPT010"].title == "A rule"
    assert knowledge.rules.by_id["ZZ001"].pack == str(tmp_path / "pack")
    assert len(knowledge.rules.by_id) == len(load_rules().by_id) + 1


def test_a_rule_in_the_place_of_another_fills_the_same_slot(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="OPT010 fills the slot optimizer"):
        pack_of(tmp_path, SOUND.replace("ZZ001", "OPT010").replace("slot: optimizer", "slot: ema").replace("name: adamw", "decay: 0.9"))


FORBIDDING = """\
forbid:
  - {id: SMALL, when: {candidate.parameters_millions: {gt: 1000}}, why: Nothing above a billion parameters.}
  - {id: FREE, unless: [{candidate.license: {in: [apache-2.0, mit]}}], why: Only Apache-2.0 or MIT.}
"""


def forbidden(knowledge: Knowledge, id_: str) -> set[str]:
    boxes = [forbid.box for forbid in knowledge.rules.forbids if forbid.id == id_]
    return {name for name, entry in catalogue.models().items() if any(box_truth(box, model_facts(entry)) for box in boxes)}


def test_a_pack_forbids_by_size_and_by_licence(tmp_path: Path) -> None:
    knowledge = pack_of(tmp_path, FORBIDDING)
    models = catalogue.models().items()
    assert forbidden(knowledge, "SMALL") == {name for name, entry in models if entry.parameters.value > 1e9} != set()
    assert forbidden(knowledge, "FREE") == {name for name, entry in models if entry.license not in ("apache-2.0", "mit")} != set()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("candidate.license", "candidate.licence", "unknown fact 'candidate.licence'; did you mean 'candidate.license'?"),
        ("id: FREE", "id: SMALL", "the id SMALL is taken by what is forbidden at"),
        ("when: {candidate.parameters_millions: {gt: 1000}}", "when: {}", "SMALL would forbid every model"),
        ("gt: 1000}}", "gt: 1000}, model.parameters_millions: {lt: 5000}}", "names a fact both as candidate.* and as model.*"),
        (", why: Only Apache-2.0 or MIT.", "", "the field 'why' is missing"),
    ],
)
def test_a_faulty_prohibition_is_said_with_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(KnowledgeError) as raised:
        pack_of(tmp_path, FORBIDDING.replace(old, new))
    assert any(said in fault.message and fault.place.line for fault in raised.value.faults), raised.value.faults


# --- the whole -------------------------------------------------------------------------------------------------------


def test_the_digest_follows_the_text_and_nothing_else(tmp_path: Path) -> None:
    first = knowledge_of(tmp_path / "a", "optimizer", rule("ZZ001")).rules.digest
    assert knowledge_of(tmp_path / "b", "optimizer", rule("ZZ001")).rules.digest == first
    assert knowledge_of(tmp_path / "c", "optimizer", rule("ZZ002")).rules.digest != first


def test_shipped_knowledge_is_read_once_and_places_its_facts() -> None:
    knowledge = load_knowledge()
    assert load_knowledge(rule_paths([])) is knowledge
    assert load_vocabulary()["decision.adaptation"].type == "enum"
    assert knowledge.places["data.samples"].line > 0


def test_a_deprecated_rule_is_known_and_does_not_decide(tmp_path: Path) -> None:
    knowledge = knowledge_of(tmp_path, "optimizer", rule("ZZ001", status="deprecated", superseded_by="ZZ002"), rule("ZZ002"))
    assert [each.id for each in knowledge.rules.rules["optimizer"]] == ["ZZ002"]
    assert "ZZ001" in knowledge.rules.by_id


def test_a_document_that_is_no_mapping_is_a_fault_of_the_vocabulary(tmp_path: Path) -> None:
    folder = declare(tmp_path)
    (folder / "facts.yaml").write_text("- 1\n")
    (folder / "slots.yaml").write_text("3\n")
    assert any("facts.yaml:1:1: must be a mapping" in fault for fault in faults(folder))


def test_declarations_are_checked_like_conditions(tmp_path: Path) -> None:
    folder = declare(tmp_path)
    extra = (
        "new.one: {type: bool, when_missing: {assume: 3}}\nnew.two: {type: bool, when_missing: ask, needed_if: {new.thre: {eq: true}}}\n"
    )
    (folder / "facts.yaml").write_text((folder / "facts.yaml").read_text() + extra)
    slots: Any = (folder / "slots.yaml").read_text().replace("specificity: [task.wants", "specificity: [task.want")
    (folder / "slots.yaml").write_text(slots)
    found = faults(folder)
    assert any("new.one must be true or false, not 3" in fault for fault in found)
    assert any("unknown fact 'new.thre'" in fault for fault in found)
    assert any("unknown fact 'task.want'" in fault and fault.startswith("slots.yaml") for fault in found)

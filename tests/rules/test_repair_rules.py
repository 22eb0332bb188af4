"""The edits as rules: each names a slot and its fields, costs something, and is bounded by the request's own wishes."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from advisor.choices import Repair
from advisor.engine.loading import load_knowledge
from advisor.planning.editing import repair_of

RULES = load_knowledge().rules


def test_every_edit_names_a_slot_with_such_fields() -> None:
    for rule in RULES.rules["repair"]:
        edit = repair_of(rule)
        if edit.slot is not None:
            fields = RULES.slot[edit.slot].choice.model_fields
            assert edit.set.keys() | edit.scale.keys() <= fields.keys(), rule.id
            assert edit.set or edit.scale, rule.id


def test_every_kind_of_limit_has_edits_that_help() -> None:
    helped = {limit for rule in RULES.rules["repair"] if repair_of(rule).slot for limit in repair_of(rule).helps}
    assert helped >= {"training_memory", "inference_memory", "model_size", "latency", "training_time", "budget", "cost"}


def test_an_edit_that_costs_nothing_and_saves_time_is_no_repair() -> None:
    with pytest.raises(ValidationError, match="better design"):
        Repair(name="free lunch", helps=["training_time"], time=0.5)


def test_what_the_request_asks_for_by_name_costs_more_to_change() -> None:
    by_id = {rule.id: repair_of(rule) for rule in RULES.rules["repair"]}
    assert by_id["REP021"].quality > by_id["REP020"].quality
    assert by_id["REP023"].quality > by_id["REP022"].quality
    assert by_id["REP068"].quality > by_id["REP060"].quality

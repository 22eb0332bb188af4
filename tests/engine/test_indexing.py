"""The index passes over false rules only, and keeps the order of the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from advisor.engine.facts import Value
from advisor.engine.indexing import Index
from tests.rule_sets import knowledge_of, rule, stated

KINDS = ["forecasting", "translation", "ranking"]
constraints = st.one_of(
    st.just({}),
    st.lists(st.sampled_from(KINDS), min_size=1, max_size=2).map(lambda kinds: {"task.kind": {"in": kinds}}),
    st.just({"data.classes": {"ge": 3}}),
    st.just({"data.noise": {"eq": "clean"}}),
)
known = st.fixed_dictionaries(
    {},
    optional={
        "task.kind": st.sampled_from([*KINDS, "other"]),
        "data.classes": st.integers(1, 5),
        "data.noise": st.sampled_from(["clean", "some"]),
    },
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(constraints, max_size=6), known)
def test_only_false_rules_are_passed_over(tmp_path: Path, conditions: list[dict[str, Any]], values: dict[str, Value]) -> None:
    rules = knowledge_of(tmp_path, "optimizer", *(rule(f"ZZ00{n}", when) for n, when in enumerate(conditions))).rules.rules["optimizer"]
    facts = stated(values)
    eligible = Index(rules).reach(facts).rules
    assert [each for each in rules if each in eligible] == list(eligible)
    assert all(each.truth(facts) is False for each in rules if each not in eligible)

"""What stands in for models that are not in the catalogue."""

from __future__ import annotations

from collections import Counter

import pytest

from advisor.catalogue import models, stand_ins


def test_what_stands_in_is_in_the_catalogue() -> None:
    assert {by for entry in stand_ins().values() for by in entry.by} <= models().keys()


@pytest.mark.parametrize("entry", stand_ins().values(), ids=lambda entry: entry.id)
def test_names_are_listed_once_and_models_of_one_task_are_of_one_family(entry) -> None:
    assert [name for name, times in Counter(map(str.lower, entry.names)).items() if times > 1] == []
    by_task: dict[str, set[str]] = {}
    for by in entry.by:
        for task in models()[by].tasks:
            by_task.setdefault(task, set()).add(models()[by].family)
    mixed = {task: families for task, families in by_task.items() if len(families) > 1}
    assert set(mixed) <= {"reinforcement_discrete", "reinforcement_continuous", "reinforcement_offline"}, (
        mixed
    )  # of agents the observations decide

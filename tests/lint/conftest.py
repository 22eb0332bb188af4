"""A rule set on disk, and what one check says of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from advisor import catalogue
from advisor.engine.loading import Knowledge
from advisor.lint import Context, Finding
from advisor.lint.finding import LintCheck
from tests.rule_sets import knowledge_of

Linting = Callable[..., list[Finding]]


def context_of(knowledge: Knowledge, **parts: Any) -> Context:
    return Context(
        knowledge, catalogue.models(), devices=catalogue.devices(), datasets=catalogue.datasets(), stand_ins=catalogue.stand_ins(), **parts
    )


@pytest.fixture
def linted(tmp_path: Path) -> Linting:
    """`linted(Check, slot, rule, rule …)`: the check's findings on these rules alone."""

    def lint_rules(check: type[LintCheck], slot: str, *rules: dict[str, Any], **parts: Any) -> list[Finding]:
        return list(check().findings(context_of(knowledge_of(tmp_path, slot, *rules), **parts)))

    return lint_rules

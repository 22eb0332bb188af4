"""Lint: what is wrong with a rule set, found before it runs. Each check is a small class; each finding has a place and, where it applies, a witness."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

from advisor.catalogue.entries import ModelEntry
from advisor.engine.loading import Knowledge
from advisor.lint.conditions import AlwaysTrue, Contradiction, Duplicate
from advisor.lint.conflicts import Overlap, Shadowed
from advisor.lint.finding import Context, Finding, LintCheck
from advisor.lint.gaps import Gap
from advisor.lint.prose import MissingExample, MissingSource, Staleness, UnknownPlaceholder
from advisor.lint.usage import UnbuildableCandidate, UnusedFact, UnusedSlot

CHECKS: tuple[type[LintCheck], ...] = (
    Contradiction, AlwaysTrue, Duplicate, Overlap, Shadowed, Gap, UnusedFact, UnusedSlot, UnbuildableCandidate, MissingSource, MissingExample,
    UnknownPlaceholder, Staleness,
)  # fmt: skip

__all__ = ["CHECKS", "Context", "Finding", "lint"]


def lint(knowledge: Knowledge, models: Mapping[str, ModelEntry], as_of: datetime.date | None = None) -> list[Finding]:
    """Every finding of every check, in the order of their places."""
    context = Context(knowledge, models, as_of)
    return sorted(finding for check in CHECKS for finding in check().findings(context))

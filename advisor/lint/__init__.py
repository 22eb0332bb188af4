"""Lint: what is wrong with a rule set, found before it runs.

Each check is a small class; each finding has a place and, where it applies, a witness.
"""

from __future__ import annotations

from collections.abc import Sequence

from advisor.lint.candidates import Forbidden, UnbuildableCandidate
from advisor.lint.conditions import AlwaysTrue, Contradiction, Unreachable
from advisor.lint.conflicts import Circle, Duplicate, Overlap, Shadowed
from advisor.lint.finding import Context, Finding, LintCheck
from advisor.lint.gaps import Gap
from advisor.lint.prose import Deprecated, MissingExample, MissingSource, Staleness, Unfinished, UnknownPlaceholder
from advisor.lint.usage import UnknownName, UnusedFact, UnusedSlot

CHECKS: tuple[type[LintCheck], ...] = (
    Contradiction,
    AlwaysTrue,
    Unreachable,
    Duplicate,
    Overlap,
    Circle,
    Shadowed,
    Gap,
    UnusedFact,
    UnusedSlot,
    UnknownName,
    UnbuildableCandidate,
    Forbidden,
    MissingSource,
    MissingExample,
    UnknownPlaceholder,
    Unfinished,
    Deprecated,
    Staleness,
)

__all__ = ["CHECKS", "Context", "Finding", "lint"]


def lint(context: Context, checks: Sequence[type[LintCheck]] = CHECKS) -> list[Finding]:
    """Every finding of every check, in the order of their places."""
    return sorted({finding for check in checks for finding in check().findings(context)})

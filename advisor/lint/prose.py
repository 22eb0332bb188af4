"""Checks of what surrounds a condition: sources, examples, placeholders, age."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from advisor.errors import did_you_mean
from advisor.lint.finding import Context, Finding, LintCheck
from advisor.projection import PLACEHOLDER

SHELF_LIFE_DAYS = 365  # a year: recipes in the field are replaced about as often


class MissingSource(LintCheck):
    """A rule that claims to be published and names no source, or a judgement that claims high confidence."""

    name = "missing-source"

    def findings(self, context: Context) -> Iterator[Finding]:
        for rule in context.rules:
            if rule.basis == "published" and not rule.sources:
                yield self.found(rule.place, f"{rule.id} names no source; add one, or say `basis: judgement`")
            if rule.basis == "judgement" and rule.confidence == "high":
                yield self.found(rule.place, f"{rule.id} is a judgement of high confidence; find a source or lower it")


class MissingExample(LintCheck):
    """A rule without an example that matches, or without one that does not."""

    name = "missing-example"

    def findings(self, context: Context) -> Iterator[Finding]:
        for rule in context.rules:
            given = {example.expect for example in rule.examples}
            needed = ["match"] + (["no-match"] if rule.leaves else [])
            missing = [kind for kind in needed if kind not in given]
            if missing:
                yield self.found(rule.place, f"{rule.id} has no example of {' and of '.join(missing)}")


class UnknownPlaceholder(LintCheck):
    """A `{fact}` in a text that is no fact."""

    name = "unknown-placeholder"

    def findings(self, context: Context) -> Iterator[Finding]:
        vocabulary = context.knowledge.vocabulary
        for rule in context.rules:
            text = " ".join([rule.title, rule.why, rule.choice.model_dump_json()])
            for name in sorted(set(PLACEHOLDER.findall(text)) - set(vocabulary)):
                yield self.found(rule.place, f"{rule.id} mentions the unknown fact {{{name}}}{did_you_mean(name, vocabulary)}")


class Staleness(LintCheck):
    """A source that was last checked longer ago than its shelf life. Only asked with a date, so that no calendar breaks a build."""

    name = "staleness"

    def findings(self, context: Context) -> Iterator[Finding]:
        if context.as_of is None:
            return
        for rule in context.rules:
            for source in rule.sources:
                checked = _date(source.checked)
                if checked is None:
                    yield self.found(rule.place, f"{rule.id}: the source {source.ref} does not say when it was checked", severity="warning")
                elif (context.as_of - checked).days > SHELF_LIFE_DAYS:
                    yield self.found(rule.place, f"{rule.id}: the source {source.ref} was last checked on {checked}", severity="warning")


def _date(text: str | None) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text) if text else None
    except ValueError:
        return None

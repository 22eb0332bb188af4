"""Checks of what surrounds a condition: sources, examples, placeholders, age, and what becomes of a rule that is given up."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from advisor.authoring.scaffold import UNFINISHED
from advisor.catalogue.entries import DatasetEntry, DeviceEntry, ModelEntry
from advisor.catalogue.loading import checked_dates
from advisor.engine.rules import PLACEHOLDER
from advisor.errors import Place, did_you_mean
from advisor.lint.finding import Context, Finding, LintCheck

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


class Unfinished(LintCheck):
    """A rule that still has the scaffold's words in it."""

    name = "unfinished"

    def findings(self, context: Context) -> Iterator[Finding]:
        for rule in context.rules:
            if UNFINISHED in f"{rule.title} {rule.why} {rule.choice.model_dump_json()}":
                yield self.found(rule.place, f"{rule.id} is not finished: replace each {UNFINISHED}")


class Deprecated(LintCheck):
    """A rule that is given up without saying what took its place, or that names a successor and is not given up."""

    name = "deprecated"

    def findings(self, context: Context) -> Iterator[Finding]:
        live = {rule.id: rule for rule in context.rules}
        for rule in (*live.values(), *context.knowledge.rules.deprecated):
            successor = rule.written.superseded_by if rule.written else None
            if rule.deprecated and successor is None:
                yield self.found(rule.place, f"{rule.id} is deprecated and names no rule in `superseded_by`")
            elif not rule.deprecated and successor is not None:
                yield self.found(rule.place, f"{rule.id} is superseded by {successor}, and not deprecated")
            elif successor is not None and successor not in live:
                yield self.found(
                    rule.place, f"{rule.id} is superseded by {successor}, which does not decide{did_you_mean(successor, live)}"
                )


class Staleness(LintCheck):
    """A source or a figure last checked longer ago than its shelf life. Only asked with a date, so that no calendar breaks a build."""

    name = "staleness"

    def findings(self, context: Context) -> Iterator[Finding]:
        if context.as_of is None:
            return
        for rule in context.rules:
            for source in rule.sources:
                checked = _date(source.checked)
                if checked is None:
                    yield self.found(rule.place, f"{rule.id}: the source {source.ref} does not say when it was checked", severity="warning")
                elif _is_stale(checked, context.as_of):
                    yield self.found(rule.place, f"{rule.id}: the source {source.ref} was last checked on {checked}", severity="warning")
        entries: list[ModelEntry | DeviceEntry | DatasetEntry] = [
            *context.models.values(),
            *context.devices.values(),
            *context.datasets.values(),
        ]
        for entry in entries:
            oldest = min(checked_dates(entry), default=None)
            if oldest is not None and _is_stale(oldest, context.as_of):
                yield self.found(
                    Place("catalogue", path=entry.id), f"{entry.id}: a figure was last checked on {oldest}", severity="warning"
                )


def _is_stale(checked: datetime.date, as_of: datetime.date) -> bool:
    return (as_of - checked).days > SHELF_LIFE_DAYS


def _date(text: str | None) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text) if text else None
    except ValueError:
        return None

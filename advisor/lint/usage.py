"""Checks of facts and slots that nobody uses, and of names that the catalogue does not know."""

from __future__ import annotations

from collections.abc import Iterator

from advisor.engine.facts import Value
from advisor.engine.region import Among
from advisor.engine.rules import PLACEHOLDER
from advisor.errors import did_you_mean
from advisor.lint.finding import Context, Finding, LintCheck, Severity

READ_BY_CODE = frozenset(
    {
        "task.benchmark",
        "setup.base_model",
        "setup.recipe",
        "setup.image_size",
        "limit.latency_ms",
        "limit.model_mb",
        "limit.accuracy",
        "limit.accuracy_metric",
        "limit.cost_usd",
        "limit.gpu_hours",
        "limit.days",
        "data.horizon",
        "data.context",
        "data.features",
        "data.classes",
        "compute.device",
        "compute.devices",
        "compute.nodes",
        "compute.memory_gib",
    }
)
UNLISTED = frozenset({"unknown"})  # what intake makes of a model that the catalogue does not have


class UnusedFact(LintCheck):
    """A fact of the vocabulary that no rule tests, no text mentions and no planning reads."""

    name = "unused-fact"

    def findings(self, context: Context) -> Iterator[Finding]:
        used = set(READ_BY_CODE)
        for rule in context.rules:
            used |= rule.facts | set(PLACEHOLDER.findall(rule.choice.model_dump_json() + rule.why + rule.title))
        used |= {fact for forbid in context.knowledge.rules.forbids for fact in forbid.box}
        for name, place in context.knowledge.places.items():
            if name not in used and not name.startswith("model."):
                yield self.found(place, f"no rule uses the fact {name}", severity="warning")


class UnusedSlot(LintCheck):
    """A slot without a rule."""

    name = "unused-slot"

    def findings(self, context: Context) -> Iterator[Finding]:
        for slot in context.knowledge.rules.slots:
            if not context.knowledge.rules.rules[slot.name]:
                severity: Severity = "error" if slot.presence == "required" and slot.default is None else "warning"
                yield self.found(slot.place, f"no rule fills the slot {slot.name}", severity=severity)


class UnknownName(LintCheck):
    """A model, line, licence, device or benchmark in a condition that the catalogue does not have, so that it never holds."""

    name = "unknown-name"

    def findings(self, context: Context) -> Iterator[Finding]:
        known = _names(context)
        boxes = [(rule.id, rule.place, leaf) for rule in context.rules for leaf in rule.leaves]
        boxes += [(forbid.id, forbid.place, leaf) for forbid in context.knowledge.rules.forbids for leaf in forbid.box.items()]
        for id_, place, (fact, domain) in boxes:
            if fact in known and isinstance(domain, Among):
                for name in sorted(map(str, domain.values - known[fact])):
                    yield self.found(place, f"{id_}: no {fact} is {name!r} in the catalogue{did_you_mean(name, map(str, known[fact]))}")


def _names(context: Context) -> dict[str, frozenset[Value]]:
    """What the facts that name an entry of the catalogue can be; a fact whose part of the catalogue is not at hand is not there."""
    models = context.models.values()
    ids, lines = frozenset(context.models), frozenset(entry.line for entry in models)
    recipes = lines | {entry.recipe for entry in context.stand_ins.values() if entry.recipe}
    named: dict[str, frozenset[Value]] = {
        "model.id": ids,
        "model.line": lines,
        "model.recipe": recipes,
        "model.license": frozenset(entry.license for entry in models),
        "setup.base_model": ids | UNLISTED,
        "setup.base_line": lines,
        "compute.device": frozenset(context.devices),
        "task.benchmark": frozenset(context.datasets),
    }
    return {fact: names for fact, names in named.items() if names - UNLISTED}

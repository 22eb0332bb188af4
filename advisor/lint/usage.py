"""Checks of what nobody uses, and of candidates that nothing can build."""

from __future__ import annotations

from collections.abc import Iterator

from advisor.errors import Place
from advisor.lint.finding import Context, Finding, LintCheck
from advisor.projection import PLACEHOLDER

READ_BY_CODE = frozenset({
    "task.benchmark", "setup.base_model", "limit.latency_ms", "limit.model_mb", "limit.accuracy", "limit.accuracy_metric", "limit.cost_usd",
    "limit.gpu_hours", "limit.days", "data.horizon", "data.context", "data.features", "data.classes", "compute.device", "compute.devices", "compute.memory_gib",
})  # fmt: skip
BUILDABLE = {"timm": {"create_model"}, "transformers": None, "torch": None, "tabular": {"TabICL"}}


class UnusedFact(LintCheck):
    """A fact of the vocabulary that no rule tests, no text mentions and no planning reads."""

    name = "unused-fact"

    def findings(self, context: Context) -> Iterator[Finding]:
        used = set(READ_BY_CODE)
        for rule in context.rules:
            used |= rule.facts | set(PLACEHOLDER.findall(rule.choice.model_dump_json() + rule.why + rule.title))
        used |= {fact for forbid in context.knowledge.rules.forbids for fact in forbid.box}
        for name in context.knowledge.vocabulary:
            if name not in used and not name.startswith(("decision.", "model.")):
                yield self.found(Place("rules/facts.yaml", path=name), f"no rule uses the fact {name}", severity="warning")


class UnusedSlot(LintCheck):
    """A slot without a rule."""

    name = "unused-slot"

    def findings(self, context: Context) -> Iterator[Finding]:
        for slot in context.knowledge.rules.slots:
            if not context.knowledge.rules.rules[slot.name]:
                yield self.found(slot.place, f"no rule fills the slot {slot.name}", severity="warning" if slot.presence == "optional" else "error")


class UnbuildableCandidate(LintCheck):
    """A catalogue entry that names a factory its library does not have. Building it for real is a test's work."""

    name = "unbuildable-candidate"

    def findings(self, context: Context) -> Iterator[Finding]:
        for entry in context.models.values():
            known = BUILDABLE.get(entry.build.library)
            if known is not None and entry.build.factory not in known:
                message = f"{entry.id}: {entry.build.library} has no factory {entry.build.factory!r}; known: {', '.join(sorted(known))}"
                yield self.found(Place("catalogue/models", path=entry.id), message)

"""Checks of the catalogue's models against what is to become of them: built, and not all forbidden."""

from __future__ import annotations

from collections.abc import Iterator

from advisor.catalogue.entries import ModelEntry
from advisor.engine.rules import Forbidding, box_truth
from advisor.errors import Place
from advisor.lint.finding import Context, Finding, LintCheck
from advisor.lint.gaps import designed_tasks
from advisor.planning.plan import model_facts
from advisor.resources import data_folder

BUILDABLE = {"timm": {"create_model", "TwoViews"}, "transformers": None, "torch": None, "tabular": {"TabICL"}}


class UnbuildableCandidate(LintCheck):
    """A catalogue entry that names a factory its library does not have. Building it for real is a test's work."""

    name = "unbuildable-candidate"

    def findings(self, context: Context) -> Iterator[Finding]:
        for entry in context.models.values():
            known = BUILDABLE.get(entry.build.library)
            if known is not None and entry.build.factory not in known:
                message = f"{entry.id}: {entry.build.library} has no factory {entry.build.factory!r}; known: {', '.join(sorted(known))}"
                yield self.found(entry_place(entry.id), message)


class Forbidden(LintCheck):
    """What a pack forbids: an entry that keeps nothing out, and a task for which nothing is left."""

    name = "forbidden"

    def findings(self, context: Context) -> Iterator[Finding]:
        forbids = context.knowledge.rules.forbids
        for id_ in dict.fromkeys(forbid.id for forbid in forbids):
            boxes = [forbid for forbid in forbids if forbid.id == id_]
            if not any(_keeps_out(boxes, entry, certain=False) for entry in context.models.values()):
                yield self.found(boxes[0].place, f"{id_} forbids no model of the catalogue", severity="warning")
        for task in designed_tasks(context) if forbids else ():
            serving = [entry for entry in context.models.values() if task in entry.tasks]
            if serving and all(_keeps_out(forbids, entry, certain=True) for entry in serving):
                witness = {"task.kind": task}
                yield self.found(forbids[0].place, f"no model is left for {task}", severity="warning", witness=witness)


def _keeps_out(forbids: tuple[Forbidding, ...] | list[Forbidding], entry: ModelEntry, *, certain: bool) -> bool:
    truths = [box_truth(forbid.box, model_facts(entry)) for forbid in forbids]
    return True in truths or (not certain and None in truths)


def entry_place(id_: str) -> Place:
    """Where an entry stands in the catalogue, found by its text: entries carry no place of their own."""
    for path in sorted((data_folder("catalogue") / "models").glob("*.yaml")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if f"id: {id_}" in line:
                return Place(f"catalogue/models/{path.name}", number, line.index("id:") + 1)
    return Place("catalogue/models", path=id_)

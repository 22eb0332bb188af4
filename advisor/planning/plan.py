"""`plan(brief, candidate, edits) -> Design`: the heart, and pure.

Request stages are decided once; candidate stages once for each candidate, with `model.*` as facts. An edit assigns a slot,
and every later stage is evaluated again, so that nothing stale survives: full fine-tuning edited to LoRA gets LoRA's rate.
Repair, what-if, sensitivity and relaxation are all searches over this one function.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from advisor.catalogue.entries import ModelEntry
from advisor.choices import Adaptation, Choice
from advisor.engine.deciding import Decided, Outcomes, decide
from advisor.engine.facts import Fact, Facts, Origin, Value
from advisor.engine.loading import Knowledge
from advisor.engine.rules import RuleSet
from advisor.planning.sizing import make_recipe
from advisor.recipe import Recipe
from advisor.verify.formulas import FULL, STATE_BYTES

Edits = Mapping[str, Decided]
NO_EDITS: Edits = {}
GIB = 2**30
BYTES_TRAINED = 2 * FULL + STATE_BYTES["adamw"]  # of a parameter: weight, gradient, Adam's two moments


@dataclass(frozen=True)
class Brief:
    """What was decided about the request, before any candidate. `given` are its facts without the decisions."""

    given: Facts
    facts: Facts
    outcomes: Outcomes

    def choice(self, slot: str) -> Choice | None:
        outcome = self.outcomes.get(slot)
        return outcome.choice if outcome else None


@dataclass(frozen=True)
class Design:
    """A candidate with every slot decided, and the recipe that follows."""

    candidate: ModelEntry
    facts: Facts
    made: Outcomes
    recipe: Recipe
    edits: Edits
    rules: RuleSet

    @cached_property
    def outcomes(self) -> Outcomes:
        """Every outcome. Guidance shapes no recipe, and is decided when first asked for: for the design shown, not for each compared."""
        guidance, _ = decide(self.rules, self.rules.guidance, self.facts, self.edits)
        return {**self.made, **guidance}

    def choice(self, slot: str) -> Choice | None:
        outcome = self.made.get(slot) or self.outcomes.get(slot)
        return outcome.choice if outcome else None


def brief(knowledge: Knowledge, facts: Facts, edits: Edits = NO_EDITS) -> Brief:
    """Decide the request stages."""
    outcomes, known = decide(knowledge.rules, knowledge.rules.per("request"), facts, edits)
    return Brief(facts, known, outcomes)


def plan(knowledge: Knowledge, request: Brief, candidate: ModelEntry, edits: Edits = NO_EDITS) -> Design:
    """Decide everything for one candidate; about the request again only where an edit is to one of its slots."""
    every = {**forced(knowledge, candidate), **edits}
    if any(edit.slot.per == "request" for edit in every.values()):
        request = brief(knowledge, request.given, every)
    known = {**request.facts, **model_facts(candidate), **_named_recipe(request.facts, candidate), **shares(request.facts, candidate)}
    outcomes, decided = decide(knowledge.rules, knowledge.rules.before_guidance, known, every)
    together = {**request.outcomes, **outcomes}
    return Design(candidate, decided, together, make_recipe(candidate, decided, together), edits, knowledge.rules)


def forced(knowledge: Knowledge, candidate: ModelEntry) -> Edits:
    """A model without published weights can only be trained from scratch, whatever was decided for the others."""
    if candidate.pretrained:
        return NO_EDITS
    slot = knowledge.rules.slot["adaptation"]
    return {
        "adaptation": Decided(slot, Adaptation(name="scratch"), None, reason=f"no pretrained weights are published for {candidate.name}")
    }


def shares(facts: Facts, entry: ModelEntry) -> dict[str, Fact]:
    """How many devices, and machines of such devices, full training states of the model fill; unknown where their memory is."""
    memory, devices, nodes = (facts.get(f"compute.{name}") for name in ("memory_gib", "devices", "nodes"))
    if memory is None or not memory.value:
        return {}
    device_share = BYTES_TRAINED * entry.parameters.value / GIB / float(memory.value)
    found = {"model.device_share": device_share}
    if devices is not None and nodes is not None:
        found["model.node_share"] = device_share * float(nodes.value) / float(devices.value)
    return {name: Fact(round(share, 3), Origin.CANDIDATE, f"{BYTES_TRAINED:g} bytes a parameter") for name, share in found.items()}


def _named_recipe(facts: Facts, entry: ModelEntry) -> dict[str, Fact]:
    """The recipe of the model that the request names, for the candidate that stands in for it."""
    named, recipe = facts.get("setup.base_model"), facts.get("setup.recipe")
    return {"model.recipe": recipe} if named and recipe and named.value == entry.id else {}


def model_facts(entry: ModelEntry) -> dict[str, Fact]:
    """The `model.*` facts of a catalogue entry."""
    values: dict[str, Value | None] = {
        "model.id": entry.id,
        "model.family": entry.family,
        "model.line": entry.line,
        "model.recipe": entry.line,
        "model.library": entry.build.library,
        "model.parameters_millions": entry.parameters.value / 1e6,
        "model.pretrained": entry.pretrained,
        "model.norm": entry.norm,
        "model.tier": entry.tier,
        "model.license_class": entry.license_class,
        "model.license": entry.license,
        "model.image_size": entry.image_size,
        "model.positions": entry.positions,
    }
    return {name: Fact(value, Origin.CANDIDATE, f"catalogue: {entry.id}") for name, value in values.items() if value is not None}

"""Rules and slots as they are written, and compiled: a condition is a region, a value is typed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from advisor.choices import Choice, Technique
from advisor.engine.facts import Fact, Facts, Origin, Value
from advisor.engine.indexing import Index
from advisor.engine.region import Box, Domain, meet, without
from advisor.errors import Place
from advisor.report import Source

OPERATORS = ("eq", "in", "lt", "le", "gt", "ge")
Operator = Literal["eq", "in", "lt", "le", "gt", "ge"]
HitPolicy = Literal["unique", "collect", "any", "min", "max"]
Per = Literal["request", "candidate", "repair"]  # a request, each of its candidates, each design that breaks a limit

GUIDANCE = "guidance"  # the stage of words about a design
PLACEHOLDER = re.compile(r"\{([a-z_]+\.[a-z_0-9]+)\}")  # a fact's value in a text
RULE_ID = r"^[A-Z]{2,5}[0-9]{3,4}$"


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RuleExample(Strict):
    """Facts that a rule is tried on, and what it must say of them."""

    expect: Literal["match", "no-match", "unknown"]
    facts: dict[str, bool | int | float | str] = Field(default_factory=dict)
    name: str | None = None


class RuleText(Strict):
    """A rule as it is written."""

    id: str = Field(pattern=RULE_ID)
    title: str = Field(min_length=1)
    when: dict[str, dict[str, Any]] = Field(default_factory=dict)
    any: list[dict[str, dict[str, Any]]] = Field(default_factory=list)
    unless: list[dict[str, dict[str, Any]]] = Field(default_factory=list)
    overrides: list[str] = Field(default_factory=list)
    then: dict[str, Any]
    why: str = Field(min_length=1)
    confidence: Literal["high", "medium", "low"]
    basis: Literal["published", "judgement"] = "published"
    sources: list[Source] = Field(default_factory=list)
    examples: list[RuleExample] = Field(default_factory=list)
    status: Literal["stable", "deprecated"] = "stable"
    superseded_by: str | None = None


class RuleFile(Strict):
    slot: str | None = None
    rules: list[dict[str, Any]] = Field(default_factory=list)
    forbid: list[dict[str, Any]] = Field(default_factory=list)


class ForbidText(Strict):
    """What a pack forbids, as it is written: candidates in `when` (all of them, if absent), but for those in `unless`."""

    id: str = Field(min_length=1)
    when: dict[str, dict[str, Any]] = Field(default_factory=dict)
    unless: list[dict[str, dict[str, Any]]] = Field(default_factory=list)
    why: str = Field(min_length=1)


class StageText(Strict):
    name: str
    per: Per


class SlotText(Strict):
    """A slot as it is declared: `presence` says what an empty one means."""

    stage: str
    type: str
    hit: HitPolicy
    presence: Literal["required", "optional"] = "optional"
    default: dict[str, Any] | None = None
    path: str | None = None
    specificity: list[str] = Field(default_factory=list)
    about: str | None = None


class SlotFile(Strict):
    stages: list[StageText]
    slots: dict[str, SlotText]


@dataclass(frozen=True)
class Slot:
    """A decision to be made."""

    name: str
    stage: str
    per: Per
    choice: type[Choice]
    hit: HitPolicy
    presence: Literal["required", "optional"]
    default: Choice | None
    path: str | None
    specificity: tuple[str, ...]
    place: Place

    @cached_property
    def fact(self) -> str | None:
        """The fact that later stages see, for slots whose choice has a key."""
        return f"decision.{self.name}" if self.hit != "collect" else None

    @cached_property
    def shapes_recipe(self) -> bool:
        """Whether it changes what is built and trained, and not the guidance around it alone."""
        return self.choice is Technique if self.hit == "collect" else (self.path or "recipe").startswith("recipe")


@dataclass(frozen=True, eq=False)
class Rule:
    """A compiled rule. Its region is (`when` and one of `any`) minus `unless`."""

    id: str
    slot: str
    title: str
    when: Box
    any: tuple[Box, ...]
    unless: tuple[Box, ...]
    overrides: frozenset[str]
    choice: Choice
    why: str
    confidence: Literal["high", "medium", "low"]
    basis: Literal["published", "judgement"]
    sources: tuple[Source, ...]
    examples: tuple[RuleExample, ...]
    place: Place
    pack: str
    specificity: tuple[str, ...] = ()
    deprecated: bool = False
    written: RuleText | None = field(default=None, repr=False)

    @cached_property
    def key(self) -> Value | None:
        """What later stages see of the choice."""
        return self.choice.key

    @cached_property
    def fact(self) -> Fact | None:
        """The key as a fact, where the rule decides."""
        return None if self.key is None else Fact(self.key, Origin.DECIDED, self.id)

    @cached_property
    def plain_choice(self) -> dict[str, Any]:
        """The choice as plain data, made once."""
        return self.choice.to_plain()

    @cached_property
    def placeholders(self) -> tuple[str, ...]:
        """The facts whose values stand in its texts: title, reason and choice."""
        return tuple(sorted(set(PLACEHOLDER.findall(f"{self.title} {self.why} {self.plain_choice!r}"))))

    @cached_property
    def facts(self) -> frozenset[str]:
        """Every fact that the condition names."""
        return frozenset(fact for box in (self.when, *self.any, *self.unless) for fact in box)

    @cached_property
    def facts_in_order(self) -> tuple[str, ...]:
        """The facts by name: the order in which a report tells them."""
        return tuple(sorted(self.facts))

    @cached_property
    def leaves(self) -> tuple[tuple[str, Domain], ...]:
        """Every single-fact constraint, in the order written."""
        return tuple((fact, domain) for box in (self.when, *self.any, *self.unless) for fact, domain in box.items())

    @cached_property
    def region(self) -> tuple[Box, ...] | None:
        """The condition as a union of boxes, or None where that union is too large to write down.

        Exact under Kleene too: the condition is true of some known facts if and only if one of the boxes is.
        """
        if not self.any:
            return without([self.when], self.unless)
        return without([both for box in self.any if (both := meet(self.when, box)) is not None], self.unless)

    def truth(self, facts: Facts) -> bool | None:
        """Kleene's three values: whether the condition holds, or None where unknown facts decide."""
        when, any_of, unless = self._tests
        holds = _all_hold(when, facts)
        if holds is False:
            return False
        if any_of:
            holds = _both(holds, _either(_all_hold(tests, facts) for tests in any_of))
            if holds is False:
                return False
        if unless:
            barred = _either(_all_hold(tests, facts) for tests in unless)
            holds = _both(holds, None if barred is None else not barred)
        return holds

    @cached_property
    def _tests(self) -> tuple[Tests, tuple[Tests, ...], tuple[Tests, ...]]:
        """The boxes as calls: a thousand constraints are tried for a report, and the look-ups would take most of the time."""
        return _tests_of(self.when), tuple(map(_tests_of, self.any)), tuple(map(_tests_of, self.unless))

    def unknown(self, facts: Facts) -> frozenset[str]:
        """The unknown facts on which an undecided condition hangs."""
        parts = ([self.when], self.any, self.unless)
        hanging = [part for part in parts if part and _either(box_truth(box, facts) for box in part) is None]
        return frozenset(fact for part in hanging for box in part if box_truth(box, facts) is None for fact in box if fact not in facts)


Tests = tuple[tuple[str, Callable[[Value], bool]], ...]


def _tests_of(box: Box) -> Tests:
    return tuple((name, domain.test) for name, domain in box.items())


def _all_hold(tests: Tests, facts: Facts) -> bool | None:
    truth: bool | None = True
    for name, holds in tests:
        fact = facts.get(name)
        if fact is None:
            truth = None
        elif not holds(fact.value):
            return False
    return truth


def box_truth(box: Box, facts: Facts) -> bool | None:
    """Whether every constraint holds; None where none fails and one is unknown."""
    return _all_hold(_tests_of(box), facts)


def _both(left: bool | None, right: bool | None) -> bool | None:
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def _either(truths: Iterator[bool | None]) -> bool | None:
    seen: bool | None = False
    for truth in truths:
        if truth:
            return True
        if truth is None:
            seen = None
    return seen


@dataclass(frozen=True)
class Forbidding:
    """A box over `candidate.*` (or `model.*`) facts that a pack forbids, and why. An entry with exceptions is several, of one id."""

    id: str
    box: Box
    why: str
    place: Place


@dataclass(frozen=True)
class RuleSet:
    """All that decides: slots in the order of their stages, the rules of each, and what is forbidden."""

    slots: tuple[Slot, ...]
    rules: Mapping[str, tuple[Rule, ...]]
    forbids: tuple[Forbidding, ...]
    digest: str
    deprecated: tuple[Rule, ...] = ()  # these no longer decide; they are kept for reports that name them
    retired: frozenset[str] = frozenset()  # ids of rules that are gone

    @cached_property
    def by_id(self) -> dict[str, Rule]:
        return {rule.id: rule for rules in (*self.rules.values(), self.deprecated) for rule in rules}

    @cached_property
    def index(self) -> dict[str, Index]:
        """Each slot's rules, indexed."""
        return {name: Index(rules) for name, rules in self.rules.items()}

    @cached_property
    def facts_of(self) -> dict[str, frozenset[str]]:
        """Each slot's facts: all that its rules name."""
        return {name: frozenset().union(*(rule.facts for rule in rules)) for name, rules in self.rules.items()}

    @cached_property
    def slot(self) -> dict[str, Slot]:
        return {slot.name: slot for slot in self.slots}

    @cached_property
    def guidance(self) -> tuple[Slot, ...]:
        """The slots of words about a design, on which no other slot and no recipe rests."""
        return tuple(slot for slot in self.slots if slot.stage == GUIDANCE)

    @cached_property
    def before_guidance(self) -> tuple[Slot, ...]:
        """What is decided for each candidate, without the words about it."""
        return tuple(slot for slot in self.per("candidate") if slot.stage != GUIDANCE)

    @cached_property
    def shaping(self) -> tuple[Slot, ...]:
        """The slots that change what is built and trained; guidance changes its wording at many thresholds that matter less."""
        return tuple(slot for slot in self.slots if slot.shapes_recipe)

    def per(self, kind: Per) -> tuple[Slot, ...]:
        return tuple(slot for slot in self.slots if slot.per == kind)

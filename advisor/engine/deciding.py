"""Deciding slots: three-valued evaluation, then who wins, with the whole justification kept.

Only rules that are *true* compete. In a `unique` slot rule B beats rule A if B names A in `overrides`; else if B's region
is properly inside A's (the special case beats the general); else if B constrains the earlier fact in the slot's
`specificity`. An *unknown* rule that would beat the winner is kept: its unknown facts are what to ask about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from advisor.choices import Choice
from advisor.engine.facts import Fact, Facts, Origin, Value
from advisor.engine.indexing import Index
from advisor.engine.region import contains
from advisor.engine.rules import Rule, RuleSet, Slot
from advisor.errors import Fault, KnowledgeError

DEFAULT_ID = "DEFAULT"
EDIT_ID = "EDIT"
MOST_REMEMBERED = 32  # outcomes of one part of an index: those of a report's candidates and of what it varies


class Decided(NamedTuple):
    """A value for a slot and where it came from: a rule, the slot's default, or an edit (then `rule` is None)."""

    slot: Slot
    choice: Choice
    rule: Rule | None
    overrode: tuple[Rule, ...] = ()
    reason: str = ""

    @property
    def key(self) -> Value | None:
        """What later stages see of the choice."""
        return self.rule.key if self.rule is not None else self.choice.key

    @property
    def fact(self) -> Fact | None:
        """The key as a fact."""
        if self.rule is not None:
            return self.rule.fact
        return None if self.key is None else Fact(self.key, Origin.DECIDED, self.rule_id)

    @property
    def plain_choice(self) -> dict[str, Any]:
        """The choice as plain data."""
        return self.rule.plain_choice if self.rule is not None else self.choice.to_plain()

    @property
    def rule_id(self) -> str:
        return self.rule.id if self.rule else EDIT_ID if self.reason else DEFAULT_ID


class Outcome(NamedTuple):
    """What became of one slot. `open_rules` are undecided for want of facts and would change the outcome if true."""

    slot: Slot
    decided: tuple[Decided, ...]
    open_rules: tuple[Rule, ...] = ()

    @property
    def choice(self) -> Choice | None:
        return self.decided[0].choice if self.decided else None


Outcomes = Mapping[str, Outcome]


def decide(
    rules: RuleSet, slots: Iterable[Slot], facts: Facts, assigned: Mapping[str, Decided] | None = None
) -> tuple[dict[str, Outcome], Facts]:
    """Fill `slots` in order; each decided slot with a key becomes a fact for the later ones.

    Returns the outcomes and the facts with the decisions among them. `assigned` slots take the given value.
    """
    known, assigned = dict(facts), assigned or {}
    outcomes: dict[str, Outcome] = {}
    for slot in slots:
        name = slot.name
        given = assigned.get(name)
        outcomes[name] = _filled(slot, rules.index[name].reach(known), known) if given is None else Outcome(slot, (given,))
        _tell(known, outcomes[name])
    return outcomes, known


def redecide(
    rules: RuleSet,
    slots: Iterable[Slot],
    facts: Facts,
    before: Outcomes,
    changed: Iterable[str],
    assigned: Mapping[str, Decided] | None = None,
) -> dict[str, Outcome]:
    """`decide` again after some facts changed: only slots whose rules, those that may hold, name a changed fact or decision."""
    slots, moved, assigned = tuple(slots), set(changed), assigned or {}
    known = dict(facts)
    for slot in slots:
        known.pop(slot.fact or "", None)
    outcomes: dict[str, Outcome] = {}
    for slot in slots:
        name = slot.name
        outcome = was = before[name]
        if name in assigned:
            outcome = Outcome(slot, (assigned[name],))
        elif not moved.isdisjoint(rules.facts_of[name]) and not moved.isdisjoint((part := rules.index[name].reach(known)).facts):
            outcome = _filled(slot, part, known)
        if outcome is not was and slot.fact is not None and _key(outcome) != _key(was):
            moved.add(slot.fact)
        outcomes[name] = outcome
        _tell(known, outcome)
    return outcomes


def _tell(known: dict[str, Fact], outcome: Outcome) -> None:
    """Make a decision a fact for the slots after it."""
    name = outcome.slot.fact
    if name is not None and outcome.decided and (fact := outcome.decided[0].fact) is not None:
        known[name] = fact


def _key(outcome: Outcome) -> Value | None:
    return outcome.decided[0].key if outcome.decided else None


def _filled(slot: Slot, part: Index, facts: Facts) -> Outcome:
    """The slot's outcome, which rests on the values of the facts that the part's rules name: decided once for each set of them."""
    values = tuple([None if (fact := facts.get(name)) is None else fact.value for name in part.tested])
    outcome = part.outcomes.get(values)
    if outcome is None:
        if len(part.outcomes) == MOST_REMEMBERED:
            part.outcomes.clear()
        outcome = part.outcomes[values] = _fill(slot, part.rules, facts)
    return outcome


def _fill(slot: Slot, rules: tuple[Rule, ...], facts: Facts) -> Outcome:
    true: list[Rule] = []
    unknown: list[Rule] = []
    for rule in rules:
        truth = rule.truth(facts)
        if truth:
            true.append(rule)
        elif truth is None:
            unknown.append(rule)
    if slot.hit == "collect":
        return _collected(slot, true, unknown)
    if not true:
        default = () if slot.default is None else (Decided(slot, slot.default, None),)
        return Outcome(slot, default, tuple(rule for rule in unknown if rule.choice != slot.default))
    winner = true[0] if len(true) == 1 else _winner(slot, true)
    losers = tuple([rule for rule in true if rule is not winner])
    rivals = tuple([rule for rule in unknown if beats(rule, winner) and rule.choice != winner.choice])
    return Outcome(slot, (Decided(slot, winner.choice, winner, losers),), rivals)


def _collected(slot: Slot, true: list[Rule], unknown: list[Rule]) -> Outcome:
    """Every true rule that no other true one overrides, in the order of their ids; one value a name."""
    overridden = {id_ for rule in true for id_ in rule.overrides}
    kept = [rule for rule in true if rule.id not in overridden]
    decided: dict[str, Decided] = {}
    for rule in kept:
        name = str(rule.key or rule.id)
        earlier = decided.get(name)
        if earlier is None or (earlier.rule is not None and beats(rule, earlier.rule)):
            decided[name] = Decided(slot, rule.choice, rule, tuple([other for other in true if other.id in rule.overrides]))
    rivals = tuple([rule for rule in unknown if rule.id not in overridden and _adds(rule, decided)])
    return Outcome(slot, tuple(decided.values()), rivals)


def _adds(rule: Rule, decided: Mapping[str, Decided]) -> bool:
    """Whether a rule of a `collect` slot, if it were true, would add a value or replace or take away one."""
    earlier = decided.get(str(rule.key or rule.id))
    if earlier is None or any(other.rule is not None and other.rule.id in rule.overrides for other in decided.values()):
        return True
    return earlier.rule is not None and rule.choice != earlier.choice and beats(rule, earlier.rule)


def _winner(slot: Slot, true: list[Rule]) -> Rule:
    if slot.hit in ("min", "max"):
        return (min if slot.hit == "min" else max)(true, key=lambda rule: (rule.key, rule.id))
    unbeaten = [rule for rule in true if not any(beats(other, rule) for other in true if other is not rule)]
    if len(unbeaten) == 1:
        return unbeaten[0]
    if slot.hit == "any" and len({rule.choice.model_dump_json() for rule in unbeaten}) == 1:
        return unbeaten[0]
    contenders = unbeaten or true
    message = f"the slot {slot.name} has no winner: {' and '.join(rule.id for rule in contenders)} both hold; let one override the other"
    raise KnowledgeError([Fault(contenders[0].place, message)])


@lru_cache(maxsize=65_536)
def beats(challenger: Rule, champion: Rule) -> bool:
    """Whether `challenger` wins where both hold. Rules are compared by identity, so the answer is remembered."""
    if champion.id in challenger.overrides:
        return True
    if challenger.id in champion.overrides:
        return False
    inner, outer = challenger.region, champion.region
    if inner is not None and outer is not None:
        inside, outside = contains(outer, inner), contains(inner, outer)
        if None not in (inside, outside) and inside is not outside:
            return inside is True
    return _more_specific(challenger, champion)


def _more_specific(challenger: Rule, champion: Rule) -> bool:
    for fact in challenger.specificity:
        if (fact in challenger.facts) is not (fact in champion.facts):
            return fact in challenger.facts
    return False


def undecided(outcomes: Outcomes, facts: Facts) -> Iterator[tuple[str, Slot, Rule]]:
    """Each unknown fact with the slot that hangs on it and the rule that would change it."""
    for outcome in outcomes.values():
        for rule in outcome.open_rules:
            for fact in sorted(rule.unknown(facts)):
                yield fact, outcome.slot, rule

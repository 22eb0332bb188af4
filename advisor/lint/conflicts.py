"""Checks of rules against each other: overlaps that nothing settles, circles, duplicates, and rules that can never win.

All are exact under Kleene's three values. A rule's region is a union of boxes, and whoever knows the facts of one box knows
that the rule holds; so a rival that needs further facts may be unknown, and settles nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set

from advisor.engine.deciding import beats
from advisor.engine.facts import Fact, Origin
from advisor.engine.loading import SHIPPED
from advisor.engine.region import MOST_BOXES, Box, contains, meet, subtract, subtract_all, witness
from advisor.engine.rules import Rule, Slot, box_truth
from advisor.lint.finding import Context, Finding, LintCheck
from advisor.lint.knowing import always_known
from advisor.lint.overlapping import overlapping

WAY_OUT = "let one override the other, or tell them apart"


class Overlap(LintCheck):
    """Two rules that compete for a slot and can hold together, and nothing says which wins."""

    name = "overlap"

    def findings(self, context: Context) -> Iterator[Finding]:
        for slot in context.knowledge.rules.slots:
            for rules in competing(context, slot):
                for first, second in _pairs(rules):
                    settled = beats(first, second) or beats(second, first)
                    agreed = slot.hit != "unique" and first.choice == second.choice
                    if not settled and not agreed:
                        yield from self._between(first, second, rules)

    def _between(self, first: Rule, second: Rule, rules: tuple[Rule, ...]) -> Iterator[Finding]:
        for one in first.region or ():
            for other in second.region or ():
                shared = meet(one, other)
                if shared is None:
                    continue
                stronger = [rule for rule in overlapping(rules)[first] if beats(rule, first) or beats(rule, second)]
                left = subtract_all([shared], _told_by(stronger, shared.keys()))
                if left is None:
                    yield self.undecided(second.place, f"{second.id} and {first.id} were not compared")
                elif left:
                    message = f"{second.id} and {first.id} (at {first.place}) can both hold, and neither beats the other"
                    yield self.found(second.place, f"{message}; {WAY_OUT}", witness=witness(left[0]))
                    return


class Circle(LintCheck):
    """Rules that can hold together and beat each other in a circle, so that none wins."""

    name = "circle"

    def findings(self, context: Context) -> Iterator[Finding]:
        for slot in context.knowledge.rules.slots:
            for rules in competing(context, slot):
                said: set[tuple[str, ...]] = set()
                for rule in _knotted(rules):
                    for box in rule.region or ():
                        finding = self._from(rule, box, rules, said)
                        if finding is not None:
                            yield finding

    def _from(self, rule: Rule, box: Box, rules: tuple[Rule, ...], said: set[tuple[str, ...]]) -> Finding | None:
        """Look where the winner of one point of the box holds, and further where some rule beats it, until none is left to win."""
        pending, looked = [box], 0
        while pending:
            looked += 1
            if looked > MOST_BOXES:
                return self.undecided(rule.place, f"whether {rule.id} is part of a circle was not found out")
            inside = pending.pop()
            point = {fact: Fact(value, Origin.ASSUMED) for fact, value in witness(inside).items()}
            true = [each for each in rules if each.truth(point)]
            winner = next((each for each in true if not any(beats(other, each) for other in true)), None)
            if winner is None:
                ids = tuple(each.id for each in true)
                if ids in said:
                    return None
                said.add(ids)
                message = f"where {', '.join(ids)} hold together, each is beaten by another of them, and none wins"
                return self.found(rule.place, message, witness=witness(inside))
            ground = next(part for part in winner.region or () if box_truth(part, point))
            pending += subtract(inside, ground)
            stronger = [part for other in rules if beats(other, winner) for part in other.region or ()]
            won = meet(inside, ground)
            pending += [both for part in stronger if won is not None and (both := meet(won, part)) is not None]
        return None


def _knotted(rules: tuple[Rule, ...]) -> list[Rule]:
    """The rules left when those that overlap with none that they beat, or with none that beats them, are taken away again and again."""
    beaten = {rule: {other for other in others if beats(rule, other)} for rule, others in overlapping(rules).items()}
    while beaten:
        below = set().union(*beaten.values())
        kept = {rule: weaker & beaten.keys() for rule, weaker in beaten.items() if weaker & beaten.keys() and rule in below}
        if kept == beaten:
            break
        beaten = kept
    return list(beaten)


class Duplicate(LintCheck):
    """Two competing rules with the very same condition."""

    name = "duplicate"

    def findings(self, context: Context) -> Iterator[Finding]:
        for slot in context.knowledge.rules.slots:
            rules = context.knowledge.rules.rules[slot.name]
            for earlier, rule in _pairs(rules):
                if slot.hit == "collect" and rule.choice != earlier.choice:
                    continue
                if earlier.pack != rule.pack or not (rule.region and earlier.region):
                    continue
                answers = (contains(rule.region, earlier.region), contains(earlier.region, rule.region))
                if answers == (True, True):
                    yield self.found(rule.place, f"{rule.id} has the same condition as {earlier.id} at {earlier.place}")
                elif None in answers and False not in answers:
                    yield self.undecided(rule.place, f"{rule.id} and {earlier.id} were not compared")


class Shadowed(LintCheck):
    """A rule that loses wherever it holds, whatever else is unknown. A pack may shadow shipped rules: that is what it is for."""

    name = "shadowed"

    def findings(self, context: Context) -> Iterator[Finding]:
        for slot in context.knowledge.rules.slots:
            rules = context.knowledge.rules.rules[slot.name]
            known = always_known(context, slot)
            for group in competing(context, slot):
                for rule in group:
                    winners = [other for other in overlapping(rules)[rule] if _may_shadow(other, rule, group)]
                    yield from self._lost(rule, winners, known)

    def _lost(self, rule: Rule, winners: Sequence[Rule], known: frozenset[str]) -> Iterator[Finding]:
        if not winners or not rule.region:
            return
        for box in rule.region:
            left = subtract_all([box], _told_by(winners, known | box.keys()))
            if left is None:
                yield self.undecided(rule.place, f"whether {rule.id} ever wins was not found out")
            if left is None or left:
                return
        yield self.found(rule.place, f"{rule.id} never wins: {', '.join(other.id for other in winners)} beat it wherever it holds")


def _may_shadow(other: Rule, rule: Rule, group: Sequence[Rule]) -> bool:
    if rule.pack == SHIPPED and other.pack != SHIPPED:
        return False
    return rule.id in other.overrides or (other in group and beats(other, rule))


def competing(context: Context, slot: Slot) -> list[tuple[Rule, ...]]:
    """The rules of a slot among which one must win: all, or in a `collect` slot those of one name."""
    rules = context.knowledge.rules.rules[slot.name]
    if slot.hit == "collect":
        named: dict[object, list[Rule]] = defaultdict(list)
        for rule in rules:
            named[rule.choice.key or rule.id].append(rule)
        return [tuple(alike) for alike in named.values()]
    return [rules] if slot.hit in ("unique", "any") else []


def _pairs(rules: tuple[Rule, ...]) -> Iterator[tuple[Rule, Rule]]:
    """Rules that can hold together, the smaller id first."""
    for rule, others in overlapping(rules).items():
        yield from ((rule, other) for other in others if rule.id < other.id)


def _told_by(rules: Iterable[Rule], known: Set[str]) -> list[Box]:
    """The parts of the rules' regions that the known facts alone decide."""
    return [box for rule in rules for box in rule.region or () if box.keys() <= known]

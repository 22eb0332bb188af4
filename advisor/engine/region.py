"""Regions of fact space, exactly: sets and intervals on one fact, boxes over several, unions of boxes.

A *box* is a conjunction of constraints on single facts. Because constraints are only sets and intervals, the questions
that matter about rules are exact computations: do two overlap, does one contain the other, what is left uncovered, and
which facts show it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Union

from advisor.engine.facts import Value
from advisor.engine.vocabulary import FactSpec

INFINITY = math.inf
MOST_BOXES = 4096  # a union that takes more is given up as undecided: a condition that people can read takes a handful


@dataclass(frozen=True, slots=True)
class Among:
    """A set of values, or of all but these. `universe` is None where there is no end of values (names)."""

    values: frozenset[Value]
    negated: bool = False
    universe: frozenset[Value] | None = None

    def holds(self, value: Value) -> bool:
        return (value in self.values) is not self.negated

    @property
    def test(self) -> Callable[[Value], bool]:
        """`holds`, as the fastest call that says the same."""
        return self.holds if self.negated else self.values.__contains__

    @property
    def is_empty(self) -> bool:
        return not self.values and not self.negated

    @property
    def is_full(self) -> bool:
        return (self.negated and not self.values) or (self.universe is not None and not self.negated and self.values >= self.universe)

    def complement(self) -> Among:
        if self.universe is not None and not self.negated:
            return Among(self.universe - self.values, universe=self.universe)
        return Among(self.values, negated=not self.negated, universe=self.universe)

    def meet(self, other: Domain) -> Among:
        assert isinstance(other, Among)
        if self.negated and other.negated:
            return Among(self.values | other.values, negated=True, universe=self.universe)
        if self.negated:
            return Among(other.values - self.values, universe=self.universe)
        return Among(self.values - other.values if other.negated else self.values & other.values, universe=self.universe)

    def sample(self) -> Value:
        """A value inside; a made-up name where every known one is excluded."""
        if not self.negated:
            return min(self.values, key=str)
        name = "another"
        while name in self.values:
            name += "-one"
        return name


@dataclass(frozen=True, slots=True)
class Interval:
    """Numbers from `low` to `high`, each end included or not."""

    low: float = -INFINITY
    low_in: bool = True
    high: float = INFINITY
    high_in: bool = True

    @property
    def is_empty(self) -> bool:
        return self.low > self.high or (self.low == self.high and not (self.low_in and self.high_in))

    def holds(self, value: float) -> bool:
        return (value > self.low or (self.low_in and value == self.low)) and (value < self.high or (self.high_in and value == self.high))

    def meet(self, other: Interval) -> Interval:
        low, low_in = max((self.low, not self.low_in), (other.low, not other.low_in))
        high, high_in = min((self.high, self.high_in), (other.high, other.high_in))
        return Interval(low, not low_in, high, high_in)


@dataclass(frozen=True, slots=True)
class Span:
    """A union of disjoint intervals in rising order, within a fact's bounds; whole numbers have closed ends."""

    intervals: tuple[Interval, ...]
    bounds: Interval = Interval()
    whole: bool = False

    def holds(self, value: Value) -> bool:
        for interval in self.intervals:  # noqa: SIM110 - asked some thousand times a report, and any(…) takes thrice as long
            if interval.holds(value):  # type: ignore[arg-type]
                return True
        return False

    @property
    def test(self) -> Callable[[Value], bool]:
        """`holds`, as the fastest call that says the same."""
        return self.intervals[0].holds if len(self.intervals) == 1 else self.holds  # type: ignore[return-value]

    @property
    def is_empty(self) -> bool:
        return not self.intervals

    @property
    def is_full(self) -> bool:
        return self.intervals == (self.bounds,)

    def _made(self, intervals: Iterable[Interval]) -> Span:
        kept = [within for interval in intervals if not (within := interval.meet(self.bounds)).is_empty]
        closed = [ends for interval in kept if not (ends := _closed(interval)).is_empty] if self.whole else kept
        return Span(_joined(closed, 1 if self.whole else 0), self.bounds, self.whole)

    def meet(self, other: Domain) -> Span:
        assert isinstance(other, Span)
        return self._made(mine.meet(theirs) for mine in self.intervals for theirs in other.intervals)

    def complement(self) -> Span:
        gaps, start, start_in = [], -INFINITY, True
        for interval in self.intervals:
            gaps.append(Interval(start, start_in, interval.low, not interval.low_in))
            start, start_in = interval.high, not interval.high_in
        gaps.append(Interval(start, start_in, INFINITY, True))
        if start == INFINITY and not start_in:
            gaps.pop()
        return self._made(gaps)

    def sample(self) -> Value:
        """A value inside, the plainest at hand."""
        first = self.intervals[0]
        for value in (first.low, first.high):
            if math.isfinite(value) and first.holds(value):
                return int(value) if self.whole else value
        if math.isfinite(first.low) and math.isfinite(first.high):
            return (first.low + first.high) / 2
        beyond = first.low + max(1.0, abs(first.low)) if math.isfinite(first.low) else first.high - max(1.0, abs(first.high))
        value = 0.0 if first.holds(0.0) else beyond if math.isfinite(beyond) else first.low
        return int(value) if self.whole else value


Domain = Union[Among, Span]  # noqa: UP007 - used at run time on 3.11 with forward references
Box = Mapping[str, Domain]


def _closed(interval: Interval) -> Interval:
    """The same whole numbers with both ends included."""
    low, high = interval.low, interval.high
    if math.isfinite(low):
        low = math.ceil(low) if interval.low_in else math.floor(low) + 1
    if math.isfinite(high):
        high = math.floor(high) if interval.high_in else math.ceil(high) - 1
    return Interval(low, True, high, True)


def _joined(intervals: Iterable[Interval], step: int) -> tuple[Interval, ...]:
    """Rising intervals, those that touch made one: whole numbers touch where one ends `step` before the next begins."""
    joined: list[Interval] = []
    for interval in intervals:
        if joined and _touch(joined[-1], interval, step):
            last = joined.pop()
            high, high_in = max((last.high, last.high_in), (interval.high, interval.high_in))
            interval = Interval(last.low, last.low_in, high, high_in)  # noqa: PLW2901 - the two as one
        joined.append(interval)
    return tuple(joined)


def _touch(left: Interval, right: Interval, step: int) -> bool:
    end = left.high + step
    return right.low < end or (right.low == end and (left.high_in or right.low_in))


def whole_domain(spec: FactSpec) -> Domain:
    """All that a fact can be."""
    if not spec.is_numeric:
        return Among(spec.universe, universe=spec.universe) if spec.universe is not None else Among(frozenset(), negated=True)
    bounds = Interval(-INFINITY if spec.min is None else spec.min, True, INFINITY if spec.max is None else spec.max, True)
    return Span((bounds,), bounds, spec.type == "integer")


def domain_of(spec: FactSpec, operators: Mapping[str, object]) -> Domain:
    """The values that `{ge: 10, lt: 100}` or `{in: [a, b]}` allows. The operators are known to be legal for the fact."""
    domain = whole_domain(spec)
    for operator, operand in operators.items():
        domain = domain.meet(_constraint(spec, domain, operator, operand))
    return domain


def _constraint(spec: FactSpec, whole: Domain, operator: str, operand: object) -> Domain:
    values: list[Value] = list(operand) if operator == "in" else [operand]  # type: ignore[call-overload, list-item]
    if isinstance(whole, Among):
        return Among(frozenset(values), universe=spec.universe)
    numbers = sorted(float(value) for value in values)
    intervals = {
        "lt": lambda: [Interval(high=numbers[0], high_in=False)],
        "le": lambda: [Interval(high=numbers[0])],
        "gt": lambda: [Interval(low=numbers[0], low_in=False)],
        "ge": lambda: [Interval(low=numbers[0])],
    }.get(operator, lambda: [Interval(number, True, number, True) for number in numbers])()
    return Span(tuple(intervals), whole.bounds, whole.whole)


# --- boxes and unions of boxes ---------------------------------------------------------------------------------------


def meet(left: Box, right: Box) -> dict[str, Domain] | None:
    """What lies in both boxes, or None where nothing does."""
    both = dict(left)
    for fact, domain in right.items():
        narrowed = both[fact].meet(domain) if fact in both else domain
        if narrowed.is_empty:
            return None
        both[fact] = narrowed
    return both


def subtract(box: Box, hole: Box) -> Iterator[dict[str, Domain]]:
    """Disjoint boxes that cover `box` without `hole`."""
    inside = meet(box, hole)
    if inside is None:
        yield dict(box)
        return
    shell = dict(box)
    for fact, domain in hole.items():
        outside = domain.complement()
        rest = shell[fact].meet(outside) if fact in shell else outside
        if not rest.is_empty:
            yield {**shell, fact: rest}
        shell[fact] = inside[fact]


def subtract_all(boxes: Iterable[Box], holes: Iterable[Box]) -> list[dict[str, Domain]] | None:
    """Boxes that cover `boxes` without `holes`; None where more than MOST_BOXES would be needed, which is undecided."""
    left = [dict(box) for box in boxes]
    for hole in holes:
        left = [rest for box in left for rest in subtract(box, hole)]
        if len(left) > MOST_BOXES:
            return None
    return left


def without(boxes: Iterable[Box], exceptions: Iterable[Box]) -> tuple[Box, ...] | None:
    """Boxes, which may overlap, that cover `boxes` but for `exceptions`; None where more than MOST_BOXES would be needed.

    Each names only what it needs: whoever knows some of the facts knows that a point lies inside if and only if one box says so.
    """
    left = [box for box in boxes if not any(domain.is_empty for domain in box.values())]
    for exception in exceptions:
        outside = [{fact: domain.complement()} for fact, domain in exception.items()]
        left = [rest for box in left for side in outside if (rest := meet(box, side)) is not None]
        if len(left) > MOST_BOXES:
            return None
    return tuple(left)


def contains(outer: Iterable[Box], inner: Iterable[Box]) -> bool | None:
    """Whether every point of `inner` lies in `outer`; None where that takes too many boxes to tell."""
    left = subtract_all(inner, outer)
    return None if left is None else not left


def witness(box: Box) -> dict[str, Value]:
    """One set of facts inside the box; facts that the box leaves alone are not in it."""
    return {fact: domain.sample() for fact, domain in sorted(box.items())}

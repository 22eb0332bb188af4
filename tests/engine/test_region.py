"""The algebra of regions, held against membership of points."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from advisor.engine.facts import Fact, Origin, Value
from advisor.engine.region import Box, Domain, Span, contains, domain_of, meet, subtract, subtract_all, whole_domain, without, witness
from advisor.engine.rules import box_truth
from advisor.engine.vocabulary import FactSpec

SPECS = {
    "a.kind": FactSpec(name="a.kind", type="enum", values=("x", "y", "z")),
    "a.flag": FactSpec(name="a.flag", type="bool"),
    "a.name": FactSpec(name="a.name", type="name"),
    "a.count": FactSpec(name="a.count", type="integer", min=0, max=9),
    "a.free": FactSpec(name="a.free", type="integer"),
    "a.size": FactSpec(name="a.size", type="number", min=0),
}
POINTS: dict[str, list[Value]] = {
    "a.kind": ["x", "y", "z"],
    "a.flag": [True, False],
    "a.name": ["resnet", "bert", "anything"],
    "a.count": list(range(10)),
    "a.free": list(range(-3, 12)),
    "a.size": [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 1e30, float("inf")],
}
ORDERING = ("lt", "le", "gt", "ge")


@st.composite
def constraints(draw: st.DrawFn, name: str) -> dict[str, object]:
    """Operators that are legal for the fact; numbers from a few thresholds, so that ends meet often."""
    spec = SPECS[name]
    values = st.sampled_from([point for point in POINTS[name] if point not in ("anything", 1e30, float("inf"))])
    operators: dict[str, object] = {}
    if draw(st.booleans()) or not spec.is_numeric:
        operators["in"] = draw(st.lists(values, min_size=1, max_size=3))
    for operator in draw(st.sets(st.sampled_from(ORDERING), max_size=2)) if spec.is_numeric else ():
        operators[operator] = draw(values)
    return operators or {"eq": draw(values)}


@st.composite
def domains(draw: st.DrawFn, name: str) -> Domain:
    domain = domain_of(SPECS[name], draw(constraints(name)))
    return domain.complement() if draw(st.booleans()) else domain


@st.composite
def boxes(draw: st.DrawFn, most: int = 3) -> Box:
    names = draw(st.sets(st.sampled_from(sorted(SPECS)), max_size=most))
    return {name: draw(domains(name)) for name in sorted(names)}


points = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in POINTS.items()})
names = st.sampled_from(sorted(SPECS))


def inside(box: Box, point: Mapping[str, Value]) -> bool:
    return all(domain.holds(point[fact]) for fact, domain in box.items())


@given(st.data(), names)
def test_a_complement_holds_exactly_what_the_domain_does_not(data: st.DataObject, name: str) -> None:
    domain = data.draw(domains(name))
    for point in POINTS[name]:
        assert domain.complement().holds(point) is not domain.holds(point)
        assert domain.complement().complement().holds(point) is domain.holds(point)


@given(st.data(), names)
def test_a_meeting_holds_what_both_do(data: st.DataObject, name: str) -> None:
    first, second = data.draw(domains(name)), data.draw(domains(name))
    for point in POINTS[name]:
        assert first.meet(second).holds(point) is (first.holds(point) and second.holds(point))


@given(st.data(), names)
def test_empty_and_full_are_told_exactly(data: st.DataObject, name: str) -> None:
    domain = data.draw(domains(name))
    if name == "a.size":  # between any two points there is another
        assert domain.is_empty <= (not any(map(domain.holds, POINTS[name])))
    else:
        reachable = [*POINTS[name], 10**9, -(10**9)] if name == "a.free" else POINTS[name]
        assert domain.is_empty is not any(map(domain.holds, reachable))
        assert domain.is_full is all(map(domain.holds, reachable))
    assert domain.meet(domain.complement()).is_empty


@given(st.data(), names)
def test_a_sample_lies_inside(data: st.DataObject, name: str) -> None:
    domain = data.draw(domains(name))
    assume(not domain.is_empty)
    assert domain.holds(domain.sample())
    assert SPECS[name].problem_with(domain.sample()) is None


def test_only_infinity_is_left_where_every_number_is_taken() -> None:
    left = domain_of(SPECS["a.size"], {"lt": float("inf")}).complement()
    assert not left.is_empty
    assert left.sample() == float("inf")


def test_whole_numbers_that_touch_are_one_span() -> None:
    domain = domain_of(SPECS["a.count"], {"in": list(range(10))})
    assert isinstance(domain, Span)
    assert len(domain.intervals) == 1
    assert domain == whole_domain(SPECS["a.count"])


@given(boxes(), boxes(), points)
def test_boxes_meet_where_both_hold(first: Box, second: Box, point: dict[str, Value]) -> None:
    both = meet(first, second)
    assert (both is not None and inside(both, point)) is (inside(first, point) and inside(second, point))


@given(boxes(), boxes(), points)
def test_subtraction_leaves_disjoint_boxes_of_the_rest(box: Box, hole: Box, point: dict[str, Value]) -> None:
    assert sum(inside(rest, point) for rest in subtract(box, hole)) == (inside(box, point) and not inside(hole, point))


@given(st.lists(boxes(2), max_size=3), st.lists(boxes(2), max_size=3), points)
def test_both_subtractions_leave_the_same_points(some: list[Box], holes: list[Box], point: dict[str, Value]) -> None:
    expected = any(inside(box, point) for box in some) and not any(inside(hole, point) for hole in holes)
    for left in (subtract_all(some, holes), without(some, holes)):
        assert left is not None
        assert any(inside(box, point) for box in left) is expected


@given(st.lists(boxes(2), max_size=2), st.lists(boxes(2), max_size=2), points)
def test_what_contains_another_holds_wherever_it_does(outer: list[Box], inner: list[Box], point: dict[str, Value]) -> None:
    if contains(outer, inner) and any(inside(box, point) for box in inner):
        assert any(inside(box, point) for box in outer)


@given(st.lists(boxes(2), min_size=1, max_size=2), st.lists(boxes(2), max_size=2))
def test_what_does_not_contain_another_leaves_a_witness(outer: list[Box], inner: list[Box]) -> None:
    solid = [box for box in inner if not any(domain.is_empty for domain in box.values())]
    left = subtract_all(solid, outer)
    assert left is not None
    for rest in left:
        point = {**{name: values[0] for name, values in POINTS.items()}, **witness(rest)}
        assert any(inside(box, point) for box in solid)
        assert not any(inside(box, point) for box in outer)


@given(boxes(), st.lists(boxes(2), max_size=2), points, st.sets(names))
def test_known_facts_suffice_exactly_where_one_box_says_so(box: Box, holes: list[Box], point: dict[str, Value], hidden: set[str]) -> None:
    known = {name: Fact(value, Origin.STATED) for name, value in point.items() if name not in hidden}
    barred = [box_truth(hole, known) for hole in holes]
    certain = box_truth(box, known) is True and all(truth is False for truth in barred)
    pieces = without([box], holes)
    assert pieces is not None
    assert any(box_truth(piece, known) is True for piece in pieces) is certain


def test_a_union_of_too_many_boxes_is_undecided() -> None:
    specs = [FactSpec(name=f"b.n{index}", type="bool") for index in range(28)]
    holes: list[Box] = [{spec.name: domain_of(spec, {"eq": True}) for spec in specs[index::7]} for index in range(7)]
    assert without([{}], holes) is None
    assert subtract_all([{}], holes) is None
    assert contains(holes, [{}]) is None


@pytest.mark.parametrize("operators", [{"lt": 0}, {"gt": 9}, {"ge": 5, "lt": 5}, {"gt": 4, "lt": 5}])
def test_a_constraint_that_nothing_meets_is_empty(operators: dict[str, object]) -> None:
    assert domain_of(SPECS["a.count"], operators).is_empty

"""Conditions from YAML to boxes: every fact known, every operator legal for it, every value one that it can have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from advisor.engine.documents import Documents, Steps
from advisor.engine.region import Box, Domain, domain_of
from advisor.engine.rules import OPERATORS
from advisor.engine.vocabulary import FactSpec, Vocabulary
from advisor.errors import Place, did_you_mean
from advisor.located import Document

CANDIDATE = "candidate."  # how a pack's `forbid` writes the facts `model.*`

# What other languages call the operators.
ELSEWHERE = {
    "gte": "ge",
    "lte": "le",
    "==": "eq",
    ">": "gt",
    ">=": "ge",
    "<": "lt",
    "<=": "le",
    "ne": "eq under `unless`",
    "not_in": "in under `unless`",
}


def read_boxes(documents: Documents, vocabulary: Vocabulary, document: Document, path: Steps, written: Any) -> tuple[Box, ...]:
    """The alternatives under `any`, or the exceptions under `unless`."""
    listed = written if isinstance(written, list) else ()
    return tuple(read_box(documents, vocabulary, document, (*path, index), box) for index, box in enumerate(listed))


def read_box(documents: Documents, vocabulary: Vocabulary, document: Document, path: Steps, written: Any) -> Box:
    """A conjunction of constraints on single facts. What is faulty is left out, and its faults are kept."""
    box: dict[str, Domain] = {}
    for fact, operators in written.items() if isinstance(written, dict) else ():
        spec = find_fact(documents, vocabulary, fact, document, (*path, fact))
        if spec is not None and _is_legal(documents, document, (*path, fact), spec, operators):
            box[fact] = domain_of(spec, operators)
    return box


def read_candidate_box(documents: Documents, vocabulary: Vocabulary, document: Document, path: Steps, written: Any) -> Box:
    """A box whose facts may be written `candidate.license` for `model.license`."""
    aliases = {name.replace("model.", CANDIDATE, 1): spec for name, spec in vocabulary.items() if name.startswith("model.")}
    box = read_box(documents, {**vocabulary, **aliases}, document, path, written)
    named = {fact: fact.replace(CANDIDATE, "model.", 1) if fact.startswith(CANDIDATE) else fact for fact in box}
    if len(set(named.values())) < len(named):
        documents.fault(document.place(path), "names a fact both as candidate.* and as model.*; put the operators together")
    return {named[fact]: domain for fact, domain in box.items()}


def find_fact(documents: Documents, vocabulary: Vocabulary, fact: str, document: Document, path: Steps) -> FactSpec | None:
    spec = vocabulary.get(fact)
    if spec is None:
        documents.fault(document.place(path, key=path[-1] == fact), f"unknown fact {fact!r}{did_you_mean(fact, vocabulary)}")
    return spec


def check_value(documents: Documents, spec: FactSpec, value: object, place: Place) -> None:
    problem = spec.problem_with(value)
    if problem:
        documents.fault(place, f"{spec.name} {problem}{_near_value(spec, value)}")


def _is_legal(documents: Documents, document: Document, path: Steps, spec: FactSpec, operators: Any) -> bool:
    if not isinstance(operators, Mapping) or not operators:
        documents.fault(document.place(path), f"must be a mapping of operators ({', '.join(OPERATORS)}) to values")
        return False
    problems = {name: problem for name, operand in operators.items() if (problem := _problem(spec, name, operand))}
    for name, problem in problems.items():
        documents.fault(document.place((*path, name), key=name not in OPERATORS), problem)
    return not problems


def _problem(spec: FactSpec, operator: str, operand: Any) -> str | None:
    if operator not in OPERATORS:
        hint = f"; write {ELSEWHERE[operator]}" if operator in ELSEWHERE else ""
        return f"unknown operator {operator!r}{hint}; known are {', '.join(OPERATORS)}"
    orders = operator in ("lt", "le", "gt", "ge")
    if orders and not spec.is_numeric:
        return f"{operator!r} orders numbers, and {spec.name} is a {spec.type}"
    if operator == "in" and (not isinstance(operand, list) or not operand):
        return "'in' takes a list of at least one value"
    for value in operand if operator == "in" else [operand]:
        problem = spec.problem_with(value, bounded=not orders)
        if problem:
            return f"{spec.name} {problem}{_near_value(spec, value)}"
    return None


def _near_value(spec: FactSpec, value: object) -> str:
    return did_you_mean(value, spec.values) if isinstance(value, str) and spec.type == "enum" else ""

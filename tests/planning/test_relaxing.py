"""Relaxations: what an infeasible request would have to allow, and that it really works."""

from __future__ import annotations

import pytest

import advisor
from advisor.planning.relaxing import smallest
from advisor.report import Relaxation, RelaxationChange


def _relaxation(*facts: str, verified: bool) -> Relaxation:
    changes = [RelaxationChange(fact=fact, limit=1.0, needed=2.0, unit="MB") for fact in facts]
    return Relaxation(changes=changes, candidate="resnet18.a1_in1k", text=", ".join(facts), verified=verified)


def test_what_verification_refutes_is_not_told() -> None:
    size, both = _relaxation("limit.model_mb", verified=False), _relaxation("limit.model_mb", "limit.latency_ms", verified=True)
    assert smallest([size, both]) == [both]


def test_of_two_the_one_that_asks_for_more_of_the_same_goes() -> None:
    both, latency = (_relaxation(*facts, verified=True) for facts in (("limit.model_mb", "limit.latency_ms"), ("limit.latency_ms",)))
    assert smallest([both, latency]) == [latency]


def test_without_verification_all_stand() -> None:
    assert len(smallest([_relaxation("limit.model_mb", verified=False), _relaxation("limit.latency_ms", verified=False)])) == 2


@pytest.mark.slow
def test_a_relaxation_names_every_limit_that_its_model_breaks_and_asking_again_with_it_works() -> None:
    request = {
        "task": {"type": "classification", "domain": "CV", "specificTask": "image classification"},
        "data": {"size": "50k images", "distribution": "100 classes", "labelAvailability": "fully-supervised"},
        "constraints": {"computeResources": "RTX 3060", "latencyRequirement": "< 0.001 ms", "modelSizeLimit": "< 0.1 MB"},
    }
    [relaxation, *_] = advisor.design(request, verify="static").relaxations
    needed = {change.fact: change.needed for change in relaxation.changes}
    assert needed.keys() == {"limit.model_mb", "limit.latency_ms"}
    relaxed = {"latencyRequirement": f"< {needed['limit.latency_ms']} ms", "modelSizeLimit": f"< {needed['limit.model_mb']} MB"}
    again = advisor.design({**request, "constraints": {**request["constraints"], **relaxed}}, verify="static")
    assert again.status == "designed"

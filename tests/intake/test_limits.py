from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from advisor.errors import RequestError
from advisor.intake.limits import read_budget, read_latency, read_model_size


@pytest.mark.parametrize(
    ("read", "said", "why"),
    [
        (read_latency, ">50ms", "wrong side"), (read_latency, "at most 30 fps", "wrong side"), (read_latency, "-5 ms", "negative"),
        (read_latency, "0 ms", "above zero"),
        (read_latency, "50", "not understood"), (read_latency, "50ms but not always", "not understood"),
            (read_latency, "fast please", "names no limit"), (read_latency, "500 requests per second", "is a throughput"),
            (read_latency, "16 ms (30 fps)", "more than one limit"),
        (read_latency, "1,5 ms", "not understood"),
        (read_latency, "50 ms or 60 ms", "more than one limit"), (read_latency, "100 qps", "is a throughput"),
        (read_latency, "0 fps", "above zero"),
        (read_model_size, "100", "not understood"), (read_model_size, "25M parameters", "100 MB in fp32"),
        (read_model_size, "> 10 MB", "lower bound"),
        (read_model_size, "tiny", "not understood"), (read_model_size, "0 MB", "above zero"),
        (read_budget, "200", "not understood"), (read_budget, "$200/month", "not understood"), (read_budget, "$-5", "negative"),
        (read_budget, "$1 or $2", "not understood|more than one"),
        (read_budget, "one A100 for a while", "names no amount"), (read_budget, "", "empty"),
    ],
)  # fmt: skip
def test_what_is_not_wholly_understood_is_an_error(read: Callable[[str, str], object], said: str, why: str) -> None:
    with pytest.raises(RequestError, match=why):
        read("constraints.x", said)


@pytest.mark.parametrize(
    ("said", "ms"),
    [
        ("inference <50ms", 50), ("<5 ms", 5), ("under 50 ms", 50), ("≤ 0.1s per image", 100), ("30 FPS", 1000 / 30),
        ("at least 25 fps", 40), ("20 µs", 0.02),
        ("no more than 50 milliseconds", 50), ("p99 < 100 ms", 100), ("2 minutes", 120_000), ("real-time (<30ms)", 30),
        ("none", math.inf), ("offline", math.inf), ("<5 ms on T4", 5), ("<100 ms on CPU", 100), ("25+ fps", 40), ("low", math.inf),
        ("no hard limit", math.inf), ("1e2 ms", 100), ("INFERENCE < 50 MS", 50),
        ("< 300 ms on a tablet", 300), ("200 ms a page", 200), ("answers in under 2 seconds", 2_000), ("a few seconds is fine", math.inf),
        ("works offline on iPhone", math.inf), ("one second per document", 1_000), ("under a minute per scan", 60_000),
        ("sub-second", 1_000), ("10-20 ms", 20), ("16ms per frame (60 fps)", 16), ("50ms on a Pixel 8", 50),
        ("as fast as possible", math.inf),
        ("overnight batch", math.inf), ("must be interactive", math.inf),
    ],
)  # fmt: skip
def test_latency(said: str, ms: float) -> None:
    assert read_latency("constraints.latencyRequirement", said).ms == pytest.approx(ms)


def test_real_time_is_a_challenge_and_no_number() -> None:
    assert read_latency("x", "real-time").real_time
    assert math.isinf(read_latency("x", "real-time").ms)
    assert not read_latency("x", "not real-time").real_time


def test_what_a_latency_is_read_as_is_said() -> None:
    assert "per token" in read_latency("x", "100 ms/token").remark
    assert "p99" in read_latency("x", "p99 < 100 ms").remark
    assert "device of computeResources" in read_latency("x", "<5 ms (T4)").remark
    assert "'page' is not understood, and decides nothing" in read_latency("x", "200 ms a page").remark
    assert "names no number" in read_latency("x", "a few seconds").remark
    assert read_latency("x", "low latency").real_time and "names no time" in read_latency("x", "low latency").remark


@pytest.mark.parametrize(
    ("said", "mb"),
    [
        ("<100MB", 100),
        ("under 1 GB", 1_000),
        ("100 MiB", 104.8576),
        ("about 2 gigabytes", 2_000),
        ("0.5GB on disk", 500),
        ("≤ 500 kB", 0.5),
        ("no limit", math.inf),
    ],
)
def test_model_size_in_megabytes_of_a_million_bytes(said: str, mb: float) -> None:
    assert read_model_size("constraints.modelSizeLimit", said) == pytest.approx(mb)


@pytest.mark.parametrize(
    ("said", "usd", "gpu_hours", "days"),
    [
        ("$200", 200, math.inf, math.inf), ("200 USD", 200, math.inf, math.inf), ("up to 1k dollars", 1_000, math.inf, math.inf),
        ("24 GPU-hours", math.inf, 24, math.inf),
        ("100 A100-hours", math.inf, 100, math.inf), ("1 GPU-day", math.inf, 24, math.inf), ("3 days", math.inf, math.inf, 3),
        ("48 hours", math.inf, math.inf, 2),
        ("two weeks", math.inf, math.inf, 14), ("$1,500 and 2 weeks", 1_500, math.inf, 14), ("unlimited", math.inf, math.inf, math.inf),
        ("100 GPU hours on A100", math.inf, 100, math.inf),
    ],
)  # fmt: skip
def test_budget(said: str, usd: float, gpu_hours: float, days: float) -> None:
    budget = read_budget("constraints.budget", said)
    assert (budget.usd, budget.gpu_hours, budget.days) == (usd, gpu_hours, pytest.approx(days))


@pytest.mark.parametrize(
    ("said", "why"), [("limited", "no amount"), ("no budget", "no amount"), ("about 500 EUR", "exchange rate"), ("€500", "exchange rate")]
)
def test_a_budget_that_cannot_be_held_to_is_remarked_on(said: str, why: str) -> None:
    assert why in read_budget("constraints.budget", said).remark

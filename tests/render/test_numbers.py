from __future__ import annotations

import math

import pytest

from advisor.render.numbers import format_amount, format_interval, format_number, format_rate, format_value


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (12 * 2**30, "bytes", "12 GiB"),
        (1447034880, "bytes", "1.35 GiB"),
        (106 * 2**20, "bytes", "106 MiB"),
        (102_400_000, "file bytes", "102 MB"),
        (16.06e9, "file bytes", "16.1 GB"),
        (100, "MB", "100 MB"),
        (0.5, "GiB", "512 MiB"),
        (28_589_128, "parameters", "28.6 M"),
        (8.03e9, "parameters", "8.03 B"),
        (850, "parameters", "850 parameters"),
        (8.2e9, "FLOPs", "8.2 GFLOPs"),
        (1.26e12, "flops", "1.26 TFLOPs"),
        (0.0123, "s", "12.3 ms"),
        (90, "s", "1.5 min"),
        (2 * 86400, "s", "2 days"),
        (12, "ms", "12 ms"),
        (0.4, "ms", "400 µs"),
        (2500, "ms", "2.5 s"),
        (0.956, "fraction", "95.6 %"),
        (200, "USD", "$200"),
        (3, "epochs", "3 epochs"),
        (7, None, "7"),
        (math.inf, "ms", "no limit"),
        (0, "bytes", "0 bytes"),
    ],
)
def test_an_amount_is_shown_in_the_unit_that_suits_it(value: float, unit: str | None, shown: str) -> None:
    assert format_amount(value, unit) == shown


def test_an_interval_keeps_one_unit_and_as_many_decimals_at_both_ends() -> None:
    assert format_interval(1.2, 1.9, "s") == "1.2–1.9 s"
    assert format_interval(900, 1900, "ms") == "0.9–1.9 s"
    assert format_interval(5_347_316_940, 6_012_954_214, "bytes") == "4.98–5.60 GiB"
    assert format_amount(12, "ms", 8, 16) == "12 ms (8–16 ms)"


def test_an_exact_value_has_no_interval() -> None:
    assert format_amount(12, "ms", 12, 12) == "12 ms"


@pytest.mark.parametrize(
    ("rate", "shown"), [(2e-05, "2e-5"), (2.5e-4, "2.5e-4"), (0.001, "0.001"), (0.1, "0.1"), (0.0, "0"), (1.25e-10, "1.25e-10")]
)
def test_a_learning_rate_is_written_as_papers_do(rate: float, shown: str) -> None:
    assert format_rate(rate) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(5000, "5,000"), (0.05, "0.05"), (2.0, "2"), (1234.5, "1,234"), (99.96, "100"), (-3.25, "-3.25")]
)
def test_a_number_has_three_digits_and_separated_thousands(value: float, shown: str) -> None:
    assert format_number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "yes"),
        (None, "–"),
        ([], "–"),
        (["a", "b"], "a, b"),
        ({"name": "adamw", "learning_rate": 5e-05, "text": "prose"}, "adamw (learning rate 5e-5)"),
        ({"text": "prose"}, "prose"),
        ({"effective": 64, "per_device": None}, "effective 64"),
        ({}, "–"),
        ([{"name": "mixup", "value": 0.2}], "mixup (value 0.2)"),
    ],
)
def test_a_decided_value_is_put_into_words(value: object, shown: str) -> None:
    assert format_value(value) == shown

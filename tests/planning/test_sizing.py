"""The batch a device holds, and the learning rate at that batch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.choices import Batch, LearningRate
from advisor.planning.sizing import scale_learning_rate, size_batch


@given(effective=st.integers(1, 8192), per_device=st.none() | st.integers(1, 512), devices=st.integers(1, 64))
def test_the_effective_batch_is_the_product_of_its_parts_and_never_below_what_was_asked(
    effective: int, per_device: int | None, devices: int
) -> None:
    batch = size_batch(Batch(effective=effective, per_device=per_device, text=""), devices)
    assert batch.effective == batch.per_device * batch.accumulation * batch.devices
    assert batch.effective >= effective
    assert per_device is None or batch.per_device <= per_device


def test_accumulation_takes_up_what_the_device_does_not_hold() -> None:
    batch = size_batch(Batch(effective=64, per_device=8, text=""), devices=2)
    assert (batch.per_device, batch.accumulation, batch.effective) == (8, 4, 64)


@pytest.mark.parametrize(
    ("scaling", "batch", "expected"),
    [("none", 512, 0.1), ("linear", 512, 0.2), ("linear", 128, 0.05), ("sqrt", 1024, 0.2), ("sqrt", 64, 0.05)],
)
def test_the_learning_rate_follows_the_batch_as_the_rule_says(scaling: str, batch: int, expected: float) -> None:
    rate = LearningRate(value=0.1, at_batch=256, scaling=scaling)  # type: ignore[arg-type]
    assert scale_learning_rate(rate, batch) == pytest.approx(expected)

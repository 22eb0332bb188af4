"""Times are intervals, and follow the device."""

from __future__ import annotations

import pytest

from advisor import catalogue
from advisor.planning.timing import estimate_latency, estimate_training_hours, peak_flops


def test_a_faster_device_takes_less_time_and_the_interval_is_ordered() -> None:
    slow, fast = (estimate_training_hours(8e9, 1e6, catalogue.devices()[name], 1, "bf16") for name in ("rtx-3060-12gb", "rtx-4090"))
    assert slow is not None and fast is not None
    assert fast.value < slow.value
    for time in (slow, fast):
        assert time.low is not None and time.high is not None and time.low < time.value < time.high


def test_two_devices_take_half_the_time_of_one() -> None:
    device = catalogue.devices()["rtx-3090"]
    one, two = (estimate_training_hours(8e9, 1e6, device, count, "bf16") for count in (1, 2))
    assert one is not None and two is not None
    assert two.value == pytest.approx(one.value / 2, rel=0.01)


def test_a_published_cpu_latency_lies_in_the_interval() -> None:
    """ResNet-50 takes 32.8 ms on an i7-12700H by timm's benchmark; the catalogue's laptop CPU is of that class."""
    latency = estimate_latency(8.2e9, 102e6, catalogue.devices()["cpu-laptop-8c-avx2"], "fp32")
    assert latency is not None and latency.low is not None and latency.high is not None
    assert latency.low < 32.8 < latency.high


def test_a_device_without_bf16_is_priced_at_what_it_has() -> None:
    assert peak_flops(catalogue.devices()["t4"], "bf16") == peak_flops(catalogue.devices()["t4"], "fp16")

"""The shipped coefficients give times that grow with work and shrink with the device's figures."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from advisor import catalogue
from advisor.planning.roofline import PRODUCTS, coefficients, device_spread, images_per_second, interval, lay_out, setting, sustained_share
from advisor.recipe import Precision
from advisor.verify.given import given_workload
from advisor.verify.operators import read_operators
from advisor.verify.work import KINDS


def rate(device: str, batch: int = 256, channels: int = 64, precision: Precision = "fp16") -> tuple[float, float, float]:
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, channels, 3), nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 3))
    entry = catalogue.devices()[device]
    laid = lay_out(read_operators(model, given_workload(["3x64x64"]), None), batch, entry, precision)
    return images_per_second(laid, batch, coefficients()[setting(entry, channels_last=False, compiled=True)])


def test_every_setting_has_a_coefficient_for_every_kind() -> None:
    for fitted in coefficients().values():
        assert (set(fitted["arithmetic"]), set(fitted["bytes"])) == (set(PRODUCTS), set(KINDS))


def test_the_interval_holds_the_value() -> None:
    low, typical, high = rate("rtx-3090")
    assert low < typical < high < 3 * low


def test_a_faster_card_and_a_smaller_layer_are_faster() -> None:
    assert rate("rtx-4090")[1] > rate("rtx-3090")[1] > rate("rtx-3090", channels=128)[1] > rate("core-i7-12700h", 1, 128, "fp32")[1]


def test_a_device_without_figures_is_named() -> None:
    entry = catalogue.devices()["rtx-3090"].model_copy(update={"bandwidth_gbs": None})
    with pytest.raises(ValueError, match="no bandwidth for NVIDIA GeForce RTX 3090"):
        lay_out([], 1, entry, "fp16")


def test_a_board_with_little_power_for_its_peak_runs_below_its_clock_and_one_with_much_above() -> None:
    devices = catalogue.devices()
    full, half = (sustained_share(devices[name]) for name in ("rtx-pro-6000-blackwell", "rtx-pro-6000-blackwell-max-q"))
    assert sustained_share(devices["core-i7-12700h"]) == 1
    assert 0.8 < half < 0.9 < full < sustained_share(devices["rtx-4090"]) == sustained_share(devices["rtx-3090"]) == 1.1


def test_a_device_that_was_not_fitted_to_has_a_wider_interval_and_an_unlike_one_the_widest() -> None:
    widths = []
    for name in ("rtx-4090", "rtx-4080", "apple-m2-max"):
        low, typical, high = interval(1.0, {"low": 0.8, "typical": 1.0, "high": 1.25}, device_spread(catalogue.devices()[name]))
        assert low < typical == 1 < high
        widths.append(high / low)
    assert 1.5 < widths[0] < widths[1] < 2.5 < widths[2]

"""The shipped coefficients give times that grow with work and shrink with the device's figures."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from advisor import catalogue
from advisor.planning.roofline import PRODUCTS, coefficients, images_per_second, lay_out, setting
from advisor.recipe import Precision
from advisor.verify.operators import KINDS, read_operators


def rate(device: str, batch: int = 256, channels: int = 64, precision: Precision = "fp16") -> tuple[float, float, float]:
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, channels, 3), nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels, 3))
    entry = catalogue.devices()[device]
    laid = lay_out(read_operators(model, (3, 64, 64), None), batch, entry, precision)
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
        lay_out({}, 1, entry, "fp16")

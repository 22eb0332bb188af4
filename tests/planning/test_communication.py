"""Bytes that devices exchange, and the share of a step that takes: exact counts, intervals in order."""

from __future__ import annotations

from typing import Any

import pytest

from advisor import catalogue, design
from advisor.planning.communication import communication_share, estimate_exchange, with_communication
from advisor.recipe import Recipe
from advisor.report import Report
from advisor.verify.formulas import bytes_exchanged
from advisor.wire import Basis, Quantity
from tests.verify.jobs import make_recipe

P = 1_000_000_000
SECOND = 1 / 3600
STEP = Quantity(value=0.1 * SECOND, low=0.05 * SECOND, high=0.3 * SECOND, unit="h", basis=Basis.ESTIMATED, source="roofline")
TOTAL = STEP.model_copy(update={"value": 1.0, "low": 0.5, "high": 3.0})


def shared(strategy: str, devices: int = 8, accumulation: int = 1, precision: str = "fp32") -> Recipe:
    batch = {"per_device": 1, "accumulation": accumulation, "devices": devices, "effective": accumulation * devices}
    return make_recipe({"kind": "text", "sequence_length": 16}, batch=batch, distributed=strategy, precision=precision)


def test_stage_3_exchanges_half_as_much_again_as_plain_data_parallelism_and_stage_2_as_much() -> None:
    ddp, zero2, fsdp = (bytes_exchanged(shared(name), P, P) for name in ("ddp", "zero2", "fsdp"))
    assert ddp == 2 * 4 * P * 7 / 8
    assert (zero2, fsdp) == (ddp, 1.5 * ddp)


def test_accumulation_spares_plain_data_parallelism_the_sum_of_each_pass_and_sharded_weights_nothing() -> None:
    assert bytes_exchanged(shared("ddp", accumulation=4), P, P) == bytes_exchanged(shared("ddp"), P, P)
    assert bytes_exchanged(shared("fsdp", accumulation=4), P, P) == 4 * bytes_exchanged(shared("fsdp"), P, P)


def test_adapters_exchange_their_own_gradients_only() -> None:
    assert bytes_exchanged(shared("ddp"), P, P // 100) == bytes_exchanged(shared("ddp"), P, P) / 100


def test_one_device_exchanges_nothing() -> None:
    device = catalogue.devices()["a100-sxm4-80gb"]
    assert estimate_exchange(shared("ddp", devices=1), P, P, device, 1) is None


def test_slower_links_take_a_larger_share_and_every_interval_is_in_order() -> None:
    devices = catalogue.devices()
    shares = []
    for name, nodes in (("a100-sxm4-80gb", 1), ("rtx-4090", 1), ("a100-sxm4-80gb", 4)):
        exchange = estimate_exchange(shared("fsdp"), P, P, devices[name], nodes)
        assert exchange is not None and exchange.low < exchange.typical < exchange.high
        share = communication_share(STEP, exchange)
        assert share.low is not None and share.high is not None and 0 < share.low < share.value < share.high < 100
        shares.append(share.value)
        total = with_communication(TOTAL, STEP, exchange)
        assert total.low is not None and total.high is not None and total.low <= total.value <= total.high
        assert total.low >= 0.5 and total.value >= 1 and total.high > 3
    assert shares[0] < shares[1] and shares[0] < shares[2]


# --- plans for several devices -----------------------------------------------------------------------------------------


def planned(compute: str, model: str, adaptation: str = "full") -> Report:
    request: dict[str, Any] = {
        "task": {"type": "generation", "domain": "NLP", "specificTask": "instruction tuning"},
        "data": {"size": "20k samples"},
        "constraints": {"computeResources": compute},
        "existingSetup": {"baseModel": model},
        "facts": {"setup.adaptation": adaptation},
    }
    return design(request, "none")


@pytest.mark.parametrize(
    ("compute", "model", "adaptation", "strategy", "rule"),
    [
        ("8x A100 80GB", "Llama-2-13b-hf", "full", "fsdp", "DST005"),
        ("4x RTX 3090", "Llama-2-13b-hf", "full", "fsdp", "DST007"),  # 194 GiB of states, 96 GiB of memory
        ("8x H200", "Qwen3-4B", "full", "ddp", "DST006"),
        ("4x RTX 3090", "Llama-3.1-8B", "lora", "ddp", "DST002"),
        ("8x A100 80GB", "Llama-3.1-70B", "full", "fsdp", "DST007"),
        ("4 nodes with 8 H100 each", "Llama-3.1-70B", "full", "fsdp", "DST007"),
        ("RTX 4090", "Llama-3.1-8B", "lora", None, "DST001"),
    ],
)
def test_the_strategy_follows_from_what_the_devices_hold(
    compute: str, model: str, adaptation: str, strategy: str | None, rule: str
) -> None:
    report = planned(compute, model, adaptation)
    assert report.recipe is not None and report.recipe.distributed == strategy
    assert next(decision.rule_id for decision in report.decisions if decision.slot == "distributed") == rule


def test_beyond_one_machine_tensor_and_pipeline_parallelism_are_advised() -> None:
    advice = planned("8x A100 80GB", "Llama-3.1-70B").engineering_practice
    assert advice is not None and advice.distributed_training is not None
    assert "tensor parallelism" in advice.distributed_training.configuration
    assert "pipeline parallelism" in advice.distributed_training.configuration
    alone = planned("8x A100 80GB", "Llama-2-13b-hf").engineering_practice
    assert alone is not None and alone.distributed_training is not None
    assert "tensor parallelism" not in alone.distributed_training.configuration


def test_a_report_for_several_devices_tells_the_share_of_communication() -> None:
    request: dict[str, Any] = {
        "task": {"type": "classification", "domain": "CV", "specificTask": "image classification"},
        "data": {"size": "200,000 images", "distribution": "100 classes"},
        "constraints": {"computeResources": "4x RTX 3090"},
    }
    report = design(request, "none")
    chosen = next(candidate for candidate in report.candidates if candidate.verdict == "chosen")
    assert chosen.figures["communication_share"].unit == "%"
    assert "GB/s in each direction" in (chosen.figures["training_time"].source or "")

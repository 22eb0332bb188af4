"""A quantized base under LoRA: it trains where bitsandbytes' kernels run, and where they do not the reason is said."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from advisor.verify import quantized_base
from advisor.verify.evidence import Job
from advisor.verify.quantized_base import check_quantized_base
from advisor.verify.smoke import stand_in
from tests.verify.jobs import TINY_DECODER, decoder_job

CPU = torch.device("cpu")


def job_of(form: str) -> Job:
    lora = {"rank": 4, "alpha": 8, "base_precision": form}
    optimizer = {"name": "adamw", "learning_rate": 1e-2, "weight_decay": 0.0}
    return decoder_job(TINY_DECODER, model={"adaptation": "qlora"}, precision="bf16", lora=lora, optimizer=optimizer, schedule=None)


def check(form: str) -> Any:
    job = job_of(form)
    return check_quantized_base(job.recipe, stand_in(job, CPU)[0], CPU)


def test_a_base_that_is_not_quantized_needs_no_check() -> None:
    assert check("bf16") is None


def test_without_the_library_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantized_base, "find_spec", lambda name: None)
    found = check("nf4")
    assert found.status == "skipped"
    assert found.detail == "bitsandbytes, whose kernels an nf4 base needs, is not installed here: pip install bitsandbytes"


def test_without_kernels_for_the_device_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_kernels(*_: Any) -> None:
        raise NotImplementedError("no kernel for this device")

    monkeypatch.setattr(quantized_base, "find_spec", lambda name: name)
    monkeypatch.setattr("importlib.import_module", lambda name: None)
    monkeypatch.setattr(quantized_base, "quantize", no_kernels)
    found = check("int8")
    assert found.status == "skipped"
    assert found.detail == "bitsandbytes' int8 kernels do not run on this cpu: NotImplementedError: no kernel for this device"


@pytest.mark.parametrize("form", ["nf4", "int8"])
def test_adapters_learn_over_a_base_in_few_bits_that_stays_as_it_is(form: str) -> None:
    pytest.importorskip("bitsandbytes")
    found = check(form)
    assert found.status == "passed", found
    assert f"14 layers in {form} by bitsandbytes" in found.detail


def test_adapters_that_an_optimizer_forgot_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Library:
        __version__ = "0"

    monkeypatch.setattr(quantized_base, "quantize_bases", lambda *_: 14)
    monkeypatch.setattr(
        quantized_base, "parameter_groups", lambda model, recipe: [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 1.0}]
    )
    found = quantized_base._train(stand_in(job_of("nf4"), CPU)[0], "nf4", CPU, Library())
    assert found.status == "failed" and "28 of 28 adapters' tensors stayed as they were" in found.detail

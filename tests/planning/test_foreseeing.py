"""What is foreseen is never above what is really found, or the search would pass over a repair that works."""

from __future__ import annotations

from typing import Any

import pytest

from advisor.planning.foreseeing import foresee
from advisor.verify.evidence import Job, StaticEvidence, Target
from advisor.verify.static import check_static
from tests.verify.jobs import TINY_BERT, bert_job, timm_job

PLAIN = {"batch": {"per_device": 16, "effective": 16}}
CARD = Target(kind="gpu", memory_gib=24.0, compute_capability="8.6")
LORA = {"rank": 8, "alpha": 16, "target": "attention", "base_precision": "fp32"}


def found(job: Job) -> StaticEvidence:
    return check_static(job.model_copy(update={"check": "static", "target": CARD}))


@pytest.mark.parametrize(
    "changes",
    [
        {"batch": {"per_device": 4, "accumulation": 4, "effective": 16}},
        {"activation_checkpointing": True},
        {"optimizer": {"name": "adamw_8bit", "learning_rate": 1e-4}},
        {"model": {"adaptation": "freeze"}},
        {"model": {"adaptation": "linear_probe"}},
        {"model": {"adaptation": "lora"}, "lora": LORA},
        {"precision": "bf16"},
        {"batch": {"per_device": 2, "accumulation": 8, "effective": 16}, "activation_checkpointing": True, "precision": "bf16"},
    ],
    ids="+".join,
)
@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "bert"])
def test_memory_is_never_foreseen_above_what_is_found(name: str, changes: dict[str, Any]) -> None:
    before, after = (
        bert_job(TINY_BERT, **some) if name == "bert" else timm_job(name, 96, **some) for some in (PLAIN, {**PLAIN, **changes})
    )
    hoped, real = foresee(found(before), before.recipe, after.recipe), found(after)
    assert hoped.training_memory is not None and real.training_memory is not None
    assert hoped.training_memory.high <= real.training_memory.high
    assert hoped.trainable_parameters <= real.trainable_parameters or changes.get("model") is None


@pytest.mark.parametrize(("name", "size"), [("vit_tiny_patch16_224", 160), ("resnet18", 160), ("resnet18", 96)])
def test_smaller_images_are_never_foreseen_to_cost_more_than_they_do(name: str, size: int) -> None:
    before, after = timm_job(name, 224, **PLAIN), timm_job(name, size, **PLAIN)
    hoped, real = foresee(found(before), before.recipe, after.recipe), found(after)
    assert hoped.flops_forward <= real.flops_forward
    assert hoped.training_memory is not None and real.training_memory is not None
    assert hoped.training_memory.high <= real.training_memory.high
    assert hoped.inference_memory is not None and real.inference_memory is not None
    assert hoped.inference_memory.high <= real.inference_memory.high


def test_a_quarter_of_the_batch_is_foreseen_closely() -> None:
    small = {"batch": {"per_device": 4, "effective": 4}}
    before, after = timm_job("vit_tiny_patch16_224", 224, **PLAIN), timm_job("vit_tiny_patch16_224", 224, **small)
    hoped, real = foresee(found(before), before.recipe, after.recipe).training_memory, found(after).training_memory
    assert hoped is not None and real is not None
    own = real.total - real.categories["context"] - real.categories["allocator_slack"]
    assert hoped.high == pytest.approx(own, rel=0.2)

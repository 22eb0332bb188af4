"""What an edited design takes at the least, by closed forms from the evidence of another one: so that few designs are really verified.

Every figure is optimistic. A design that breaks a limit even so needs no verification; one that does not is verified.
"""

from __future__ import annotations

from advisor.planning.figures import FORMAT_OF
from advisor.recipe import Recipe
from advisor.verify.evidence import Memory, StaticEvidence
from advisor.verify.formulas import FULL, HALF, OFFLOADED, STATE_BYTES, shard_states, sharding_stage

OPTIMISM = 0.95
"""What is foreseen is taken to be this much of the closed form: the allocator's slack, and kernels that change with the batch."""
ATTENDING = 4 / 3
"""The power of a sample's size that arithmetic falls with at the most: between 1 of a convolution and 2 of attention's scores, which
are a third of a small ViT at 518 pixels (s / 6h of the other products: arXiv:2001.08361, table 1)."""
CHECKPOINTED = 2 / 34
"""Of a layer's saved bytes, its input: what is left of a very deep network's activations. arXiv:2205.05198, sections 4 and 5."""
KEPT = {"lora": 0.4, "qlora": 0.4, "adapter": 0.4, "freeze": 0.2, "linear_probe": 0.0}
"""Share of the activations that stays needed where fewer parameters are trained, at the least: a matrix whose weight gets no gradient
need not keep its input, and frozen early layers keep nothing."""
BASE_BYTES = {"bf16": 2.0, "fp16": 2.0, "fp32": 4.0, "int8": 1.0, "nf4": 0.5}
WHOLE = ("scratch", "full", "layer_decay")
MOVING = ("activations", "logits_and_loss", "temporaries")  # what grows with the samples


def foresee(evidence: StaticEvidence, before: Recipe, after: Recipe) -> StaticEvidence:
    """The least that `after` may take, from the evidence of `before`, the same model under another recipe."""
    size = _size(before, after)
    arithmetic = 1.0 if size == 1.0 else OPTIMISM * size**ATTENDING
    changes: dict[str, object] = {
        "flops_forward": int(evidence.flops_forward * arithmetic),
        "trainable_parameters": _trained(evidence, before, after),
    }
    if evidence.training_memory is not None:
        changes["training_memory"] = _training(evidence, evidence.training_memory, before, after)
    if evidence.inference_memory is not None:
        changes["inference_memory"] = _inference(evidence, evidence.inference_memory, before, after)
    return evidence.model_copy(update=changes)


def _size(before: Recipe, after: Recipe) -> float:
    """Pixels or tokens of a sample, in units of the earlier sample's."""
    old, new = before.input, after.input
    ratio = 1.0
    if old.image_size and new.image_size:
        ratio *= (new.image_size / old.image_size) ** 2
    if old.sequence_length and new.sequence_length:
        ratio *= new.sequence_length / old.sequence_length
    return ratio


def _trained(evidence: StaticEvidence, before: Recipe, after: Recipe) -> int:
    if after.model.adaptation == before.model.adaptation:
        return evidence.trainable_parameters
    return evidence.parameters if after.model.adaptation in WHOLE else 0


def _training(evidence: StaticEvidence, memory: Memory, before: Recipe, after: Recipe) -> Memory:
    weights, gradients, states = _states(evidence, before, after)
    moving = sum(memory.categories.get(kind, 0) for kind in MOVING) * _share(before, after)
    paged = after.optimizer.name.startswith("paged")
    kept = weights + (0 if paged else states) + _units_at_hand(memory, before, after)
    in_passes = kept + moving + (gradients if after.batch.accumulation > 1 else 0)  # which live on from one pass to the next
    least = int(OPTIMISM * max(in_passes, kept + gradients))
    return memory.model_copy(update={"total": least, "low": least, "high": least, "method": "closed forms"})


def _units_at_hand(memory: Memory, before: Recipe, after: Recipe) -> int:
    """Buffers of communication: the same under the same strategy."""
    return memory.categories.get("workspace", 0) if before.distributed == after.distributed else 0


def _states(evidence: StaticEvidence, before: Recipe, after: Recipe) -> tuple[int, int, int]:
    """Bytes of weights, gradients and optimizer states on one device."""
    trained = _trained(evidence, before, after)
    held = BASE_BYTES[after.lora.base_precision] if after.lora and after.model.adaptation in ("lora", "qlora") else FULL
    optimizer = "momentum" if after.optimizer.name == "sgd" and after.optimizer.momentum else after.optimizer.name
    states = STATE_BYTES.get(optimizer, 0.0) * trained + (FULL * evidence.parameters if after.ema else 0)
    if after.distributed == OFFLOADED:
        return 0, 0, 0
    stage = sharding_stage(after)
    return shard_states(int(held * evidence.parameters), FULL * trained, int(states), after.batch.devices, stage)


def _share(before: Recipe, after: Recipe) -> float:
    """Activations and what is alive with them, in units of the earlier recipe's."""
    share = after.batch.per_device / before.batch.per_device * _size(before, after)
    if after.activation_checkpointing and not before.activation_checkpointing:
        share *= CHECKPOINTED
    if after.precision != "fp32" and before.precision == "fp32":
        share *= HALF / FULL
    if after.model.adaptation != before.model.adaptation:
        share *= KEPT.get(after.model.adaptation, 1.0)
    return share


def _inference(evidence: StaticEvidence, memory: Memory, before: Recipe, after: Recipe) -> Memory:
    old, new = (FORMAT_OF[recipe.compression.quantization] for recipe in (before, after))
    saved = 0 if old == new else evidence.file_bytes.get(old, 0) - evidence.file_bytes.get(new, 0)
    least = int(OPTIMISM * max(0, memory.total - saved) * min(1.0, _size(before, after)))
    return memory.model_copy(update={"total": least, "low": least, "high": least, "method": "closed forms"})

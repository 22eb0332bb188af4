"""Published closed forms for memory: activations of transformers, model states under sharding and low-rank adaptation, caches.

They need no model. Traces are checked against them, sharding is priced by them, and they stand in where tracing fails. Sizes
are in bytes, counts in elements. Symbols: s sequence, b batch, h hidden width, a heads, L layers, v vocabulary, f feed-forward width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from advisor.recipe import Recipe

HALF, FULL = 2, 4  # bytes of an element in 16 and 32 bits

STATE_BYTES = {
    "none": 0.0, "sgd": 0.0, "momentum": 4.0, "lion": 4.0, "lars": 4.0, "adagrad": 4.0, "rmsprop": 4.0, "adam": 8.0, "adamw": 8.0,
    "radam": 8.0, "lamb": 8.0, "nadam": 8.0, "adamax": 8.0, "adadelta": 8.0, "rprop": 8.0, "asgd": 4.0,
    "adamw_8bit": 2 + 2 * 4 / 256, "paged_adamw_8bit": 2 + 2 * 4 / 256,
}  # fmt: skip
"""Bytes of optimizer state an element: one or two fp32 moments; with 8 bits (arXiv:2110.02861, section 2) two codes of a byte
and an fp32 scale for each block of 256. `momentum` is SGD with it. Paged states (arXiv:2305.14314, section 3) have the same
size; what the card cannot hold of them waits in the host's memory."""


@dataclass(frozen=True)
class Transformer:
    """The shape of a decoder or encoder of equal layers. `gated`: a SwiGLU feed-forward layer, as in Llama (arXiv:2002.05202)."""

    layers: int
    hidden: int
    heads: int
    key_heads: int
    feed_forward: int
    vocabulary: int
    gated: bool = False

    @property
    def parameters(self) -> int:
        """Matrices of all layers and one embedding; norms and biases, below 1 %, are left out."""
        key_width = self.hidden * self.key_heads // self.heads
        attention = 2 * self.hidden * self.hidden + 2 * self.hidden * key_width
        return self.layers * (attention + (3 if self.gated else 2) * self.hidden * self.feed_forward) + self.vocabulary * self.hidden


def gpt_activations(shape: Transformer, sequence: int, batch: int, *, flash: bool = True) -> float:
    """Saved bytes of one GPT layer in 16 bits with dropout: sbh (34 + 5as/h), and without the last term where attention is fused.

    Source: Korthikanti et al., arXiv:2205.05198, equation 1; its second term is what selective recomputation, or a kernel
    that never writes the scores (FlashAttention, arXiv:2205.14135), saves. Generalized to f other than 4h.
    """
    scores = 0.0 if flash else 5 * shape.heads * sequence / shape.hidden
    others = 34 - 16 + 16 * shape.feed_forward / (4 * shape.hidden)
    return sequence * batch * shape.hidden * (others + scores)


def llama_activations(shape: Transformer, sequence: int, batch: int, *, flash: bool = True, fused_norm: bool = False) -> float:
    """Saved bytes of one Llama layer in 16 bits without dropout, by the counting of arXiv:2205.05198, section 4.1.

    Of h: queries and the attention's output, 2 each; each of two norms 4 where it is one kernel, 8 where it is written out
    with its input in 32 bits (transformers' RMSNorm). Keys and values shrink with grouped heads (arXiv:2305.13245); SwiGLU keeps
    gate, its activation, the other branch and their product, 8f. Unfused attention adds its scores in 16 bits and 32, 6as.
    """
    grouped = 4 * shape.key_heads / shape.heads
    norms = 2 * (4 if fused_norm else 8)
    scores = 0.0 if flash else 6 * shape.heads * sequence / shape.hidden
    return sequence * batch * (shape.hidden * (4 + grouped + norms + scores) + 8 * shape.feed_forward)


def activations(shape: Transformer, sequence: int, batch: int, *, checkpointing: bool = False, flash: bool = True) -> float:
    """All layers' saved bytes in 16 bits. Checkpointed, each layer keeps its input, 2sbh, and one layer is recomputed at a time.

    Source: arXiv:2205.05198, sections 4 and 5 (full recomputation).
    """
    layer = (llama_activations if shape.gated else gpt_activations)(shape, sequence, batch, flash=flash)
    return layer + HALF * sequence * batch * shape.hidden * shape.layers if checkpointing else shape.layers * layer


def logits(shape: Transformer, sequence: int, batch: int, copies: int = 3) -> float:
    """Logits in 32 bits and what the loss makes of them: log-probabilities and a gradient of the same size, 4sbv each.

    Source: arXiv:2205.05198, section 4.3 counts the logits alone; the copies are those of an unfused cross-entropy.
    """
    return float(copies * FULL * sequence * batch * shape.vocabulary)


Stage = Literal[0, 1, 2, 3]
OFFLOADED = "fsdp_offload"  # FSDP with weights, gradients and optimizer states in the host's memory: arXiv:2101.06840


def shard_states(weights: int, gradients: int, states: int, devices: int, stage: Stage) -> tuple[int, int, int]:
    """Each device's bytes of weights, gradients and optimizer states: stage 1 shards the last, 2 the last two, 3 all.

    Source: ZeRO, arXiv:1910.02054, section 5 and figure 1; FSDP (arXiv:2304.11277) is stage 3.
    """
    divisors = [devices if stage >= needed else 1 for needed in (3, 2, 1)]
    return tuple(-(-size // divisor) for size, divisor in zip((weights, gradients, states), divisors, strict=True))  # type: ignore[return-value]


def sharding_stage(recipe: Recipe) -> Stage:
    """ZeRO's stage of the recipe's strategy; 0 for plain data parallelism."""
    strategy = (recipe.distributed or "ddp").lower()
    return 3 if "fsdp" in strategy or "zero3" in strategy else 2 if "zero2" in strategy else 1 if "zero1" in strategy else 0


def bytes_exchanged(recipe: Recipe, parameters: int, trained: int) -> float:
    """Bytes that each device sends in an optimizer step, as a ring does: (N - 1) / N of a tensor to scatter or to gather it.

    Plain data parallelism and stages 1 and 2 scatter fp32 gradients and gather their sum or the new weights; stage 3 gathers weights in
    both passes and scatters gradients, in every pass that is accumulated (stage 2 scatters in each). Source: ZeRO, arXiv:1910.02054,
    section 7; gradients accumulate locally before they are summed: arXiv:2006.15704, section 3.2.4.
    """
    devices, passes, stage = recipe.batch.devices, recipe.batch.accumulation, sharding_stage(recipe)
    gathered = parameters * (FULL if recipe.precision == "fp32" else HALF)
    sent = FULL * trained * (passes if stage >= 2 else 1) + (2 * passes * gathered if stage == 3 else FULL * trained)
    return (devices - 1) / devices * sent


def mixed_precision_states(parameters: int, devices: int = 1, stage: Stage = 0) -> float:
    """Bytes a device of 16-bit weights and gradients and 12 bytes of fp32 copy and Adam's moments: (2 + 2 + 12) Ψ, sharded.

    Source: ZeRO, arXiv:1910.02054, section 3.1 with K = 12.
    """
    return float(sum(shard_states(2 * parameters, 2 * parameters, 12 * parameters, devices, stage)))


def low_rank_states(base: int, adapters: int, bits: Literal[4, 8, 16] = 16) -> float:
    """Bytes of a frozen base and of fp32 adapters with gradients and Adam's moments: 16 an element of the adapters.

    Sources: LoRA, arXiv:2106.09685; QLoRA, arXiv:2305.14314, section 3: 4 bits, 8 of scale for each 64 weights and 32 for
    each 64 x 256, 0.127 bits a weight; LLM.int8(), arXiv:2208.07339: a byte, its scales by row left out.
    """
    stored = {16: 16.0, 8: 8.0, 4: 4 + 8 / 64 + 32 / (64 * 256)}[bits] / 8
    return stored * base + 16.0 * adapters


def adapter_elements(rows: int, columns: int, rank: int) -> int:
    """Elements of one low-rank pair beside a matrix: r (d + k). Source: LoRA, arXiv:2106.09685, section 4.1."""
    return rank * (rows + columns)


def key_value_cache(shape: Transformer, tokens: int, batch: int, itemsize: int = HALF, head_width: int | None = None,
                    window: int | None = None) -> int:  # fmt: skip
    """2 x layers x key heads x head width x tokens x batch elements; a sliding window caps the tokens.

    Sources: Pope et al., arXiv:2211.05102, section 2; windows: Mistral 7B, arXiv:2310.06825, section 2.
    """
    width = head_width or shape.hidden // shape.heads
    return 2 * shape.layers * shape.key_heads * width * min(tokens, window or tokens) * batch * itemsize

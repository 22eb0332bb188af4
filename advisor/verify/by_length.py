"""Estimates of models that go through a text token by token: of short pieces of it, as many more of them.

A state-space model or recurrent network without its fused kernel is a loop over tokens, too long to trace at full length. What it
takes follows from the number of tokens, not from how they are dealt out to samples: 16 samples of 32 tokens keep what one of 512 keeps.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from advisor.estimating.answer import Estimate
from advisor.verify.evidence import Memory

PIECE = 32  # tokens
_SPREAD = 0.1
"""Of the prediction, up and down: judgement. For Mamba (130M, batch 2) pieces of 32 tokens came within 2 % of the trace at 64 and 192."""


def pieces_of(length: int) -> int:
    """Into how many pieces a text of so many tokens falls."""
    return math.ceil(length / PIECE)


def at_length(answer: Callable[[], Estimate], length: int) -> Estimate:
    """The estimate at `length` tokens, from `answer` for so many times as many samples of one piece; without the largest batch."""
    found = answer()
    memory = {name: _widened(getattr(found, name)) for name in ("training_memory", "inference_memory")}
    needed = memory["training_memory"] or memory["inference_memory"]
    backward = None if found.flops_backward is None else found.flops_backward * length // PIECE
    warning = (
        f"{found.model} goes through its {length} tokens one by one: seen as {pieces_of(length)} times as many samples of {PIECE} tokens"
    )
    return found.model_copy(
        update={**memory, "flops_forward": found.flops_forward * length // PIECE, "flops_backward": backward,
                "fits": None if found.device_memory is None or needed is None else needed.high <= found.device_memory,
                "contexts": [], "sample": f"{length} tokens", "warnings": [*found.warnings, warning]}
    )  # fmt: skip


def _widened(memory: Memory | None) -> Memory | None:
    if memory is None:
        return None
    return memory.model_copy(update={"low": int(memory.low * (1 - _SPREAD)), "high": int(memory.high * (1 + _SPREAD))})

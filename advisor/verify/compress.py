"""Smaller numbers in PyTorch: weights in 16 bits."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from advisor.verify.case import Case, Inputs, Version, version_of
from advisor.verify.evidence import Variant

# Root mean square of the error over that of the outputs. A random network of some fifty layers stays well below these; one whose
# scales or types are wrong is far above. What the loss of accuracy is only the trained model can tell.
LIMITS = {"bf16": 0.1, "fp16": 0.1, "int8": 0.25, "int4": 0.6}
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def check_half(case: Case, name: str) -> Variant:
    """All weights and floating-point inputs in 16 bits."""
    form = name.removeprefix("compress.")
    kind = _TYPES[form]
    half = version_of(copy.deepcopy(case.served).to(kind), form)

    def run(inputs: Inputs) -> Tensor:
        return half.run(tuple(each.to(kind) if each.is_floating_point() else each for each in inputs))

    return case.compare(name, Version(form, run, half.bytes), case.original, LIMITS[form], f"weights and inputs in {form}, PyTorch")

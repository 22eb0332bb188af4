"""Smaller numbers in PyTorch: weights in 16 bits."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from advisor.verify.case import Case, Inputs, Version, state_bytes, version_of
from advisor.verify.evidence import Variant

# Root mean square of the error over that of the outputs. A random network of some fifty layers stays well below these; one whose
# scales or types are wrong is far above. What the loss of accuracy is only the trained model can tell.
LIMITS = {"bf16": 0.1, "fp16": 0.1, "int8": 0.25, "int4": 0.6}
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def check_half(case: Case, name: str) -> Variant:
    """All weights and floating-point inputs in 16 bits. A CPU without such arithmetic takes minutes for a convolution: there they are
    rounded to 16 bits and computed with in fp32."""
    form = name.removeprefix("compress.")
    kind, is_here = _TYPES[form], computes(form)
    model = copy.deepcopy(case.served).to(kind)
    size = state_bytes(model)
    half = version_of(model if is_here else model.float(), form)

    def rounded(value: Tensor) -> Tensor:
        if not value.is_floating_point():
            return value
        return value.to(kind) if is_here else value.to(kind).float()

    def run(inputs: Inputs) -> Tensor:
        return half.run(tuple(map(rounded, inputs)))

    detail = f"weights and inputs in {form}, PyTorch"
    if not is_here:
        detail = f"weights and inputs rounded to {form} and computed with in fp32, for this CPU has no {form} arithmetic"
    return case.compare(name, Version(form, run, size, is_stand_in=not is_here), case.original, LIMITS[form], detail)


def computes(form: str) -> bool:
    """Whether this CPU computes in it, by what oneDNN says of it; a build without oneDNN is taken to."""
    try:
        return bool(getattr(torch.ops.mkldnn, f"_is_mkldnn_{form}_supported")())
    except (AttributeError, RuntimeError):
        return True

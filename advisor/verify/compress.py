"""Smaller numbers in PyTorch: weights in 16 bits, and torchao's 8-bit weights for models that PyTorch serves."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from advisor.verify.case import Case, Inputs, Version, version_of
from advisor.verify.evidence import Variant

# Root mean square of the error over that of the outputs. A random network of some fifty layers stays well below these; one whose
# scales or types are wrong is far above. What the loss of accuracy is only the trained model can tell.
LIMITS = {"bf16": 0.1, "fp16": 0.02, "int8": 0.25, "int4": 0.6}
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def check_half(case: Case, name: str) -> Variant:
    """All weights and floating-point inputs in 16 bits."""
    form = name.removeprefix("compress.")
    kind = _TYPES[form]
    half = version_of(copy.deepcopy(case.served).to(kind), form)

    def run(inputs: Inputs) -> Tensor:
        return half.run(tuple(each.to(kind) if each.is_floating_point() else each for each in inputs))

    return case.compare(name, Version(form, run, half.bytes), case.original, LIMITS[form], f"weights and inputs in {form}, PyTorch")


def check_torchao(case: Case, name: str) -> Variant:
    """Linear layers with 8-bit weights; `int8-dynamic` quantizes their inputs as well, anew for each call."""
    import torchao
    from torchao import quantization as ao

    config = ao.Int8WeightOnlyConfig() if "weight_only" in name else ao.Int8DynamicActivationInt8WeightConfig()
    model = copy.deepcopy(case.served)
    ao.quantize_(model, config)
    detail = f"the linear layers by torchao {torchao.__version__} ({type(config).__name__}), PyTorch without compilation"
    return case.compare(name, version_of(model, "int8"), case.original, LIMITS["int8"], detail)

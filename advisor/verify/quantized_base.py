"""A LoRA base that is really quantized, by bitsandbytes: a few steps show that its kernels run here and that the adapters learn over it.

The smoke-train itself keeps its base in 16 bits, on which checkpoints, repeats and fingerprints are the same for every recipe.
"""

from __future__ import annotations

import importlib
import math
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from advisor.recipe import Recipe
from advisor.verify.adapt import apply_adaptation, set_training_mode
from advisor.verify.batches import compute_loss, make_batch
from advisor.verify.build import build_model
from advisor.verify.evidence import Job, SmokeCheck
from advisor.verify.optimize import make_optimizer, parameter_groups
from advisor.verify.overfit import mark

NAME = "quantized_base"
STEPS = 4  # in the second the adapters' first matrices get a gradient, once the others have moved
FORMATS = ("nf4", "int8")
_OUTLIERS = 6.0  # LLM.int8(), arXiv:2208.07339, section 3.2: features above it stay in 16 bits


def check_quantized_base(wanted: Recipe, small: Job, device: torch.device) -> SmokeCheck | None:
    """For a recipe whose base is quantized; `small` is the reduced copy of it, with a base in 16 bits."""
    form = wanted.lora.base_precision if wanted.lora else ""
    if form not in FORMATS:
        return None
    if find_spec("bitsandbytes") is None:
        return _skipped(f"bitsandbytes, whose kernels an {form} base needs, is not installed here: pip install bitsandbytes")
    try:
        bitsandbytes = importlib.import_module("bitsandbytes")
        probe = quantize(nn.Linear(64, 64), form, device, bitsandbytes)
        probe(torch.ones(1, 64, dtype=torch.bfloat16, device=device))
    except Exception as error:  # a library without kernels for this device says so in many ways
        said = " ".join(str(error).split())[:200]
        return _skipped(f"bitsandbytes' {form} kernels do not run on this {device.type}: {type(error).__name__}: {said}")
    return _train(small, form, device, bitsandbytes)


def _train(job: Job, form: str, device: torch.device, bitsandbytes: Any) -> SmokeCheck:
    torch.manual_seed(job.seed)
    model = set_training_mode(apply_adaptation(build_model(job, str(device)), job.recipe), job.recipe)
    count = quantize_bases(model, form, device, bitsandbytes)
    optimizer = make_optimizer(parameter_groups(model, job.recipe), job.recipe)
    assert optimizer is not None, "adapters are trained"
    batch, before, losses = make_batch(job, job.recipe.batch.per_device, device), mark(model), list[float]()
    for _ in range(STEPS):
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16):
            loss = compute_loss(model, batch, job)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    after = mark(model)
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    moved = {name for name, bits in after.items() if bits != before[name]}
    faults = [f"the losses are {losses}"] * (not all(map(math.isfinite, losses)))
    faults += [f"{len(moved - trainable)} frozen tensors moved"] * bool(moved - trainable)
    faults += [f"{len(trainable - moved)} of {len(trainable)} adapters' tensors stayed as they were"] * bool(trainable - moved)
    detail = f"{count} layers in {form} by bitsandbytes {bitsandbytes.__version__}, {STEPS} steps, loss {losses[0]:.3g} to {losses[-1]:.3g}"
    return SmokeCheck(name=NAME, status="failed" if faults else "passed", detail="; ".join([detail, *faults]))


def quantize_bases(model: nn.Module, form: str, device: torch.device, bitsandbytes: Any) -> int:
    """Store the frozen layers under the adapters in the format, in place; how many they are."""
    found = [module for module in model.modules() if isinstance(getattr(module, "base_layer", None), nn.Linear)]
    for module in found:
        setattr(module, "base_layer", quantize(module.get_submodule("base_layer"), form, device, bitsandbytes))  # noqa: B010 - a Module
    return len(found)


def quantize(layer: nn.Module, form: str, device: torch.device, bitsandbytes: Any) -> nn.Module:
    """The linear layer in `nf4` with double quantization, or in `int8`. bitsandbytes quantizes as the layer moves to its device."""
    rows, columns = layer.weight.shape
    settings: dict[str, Any] = {"bias": layer.bias is not None}
    if form == "nf4":
        made = bitsandbytes.nn.Linear4bit(
            columns, rows, compute_dtype=torch.bfloat16, quant_type="nf4", compress_statistics=True, **settings
        )
    else:
        made = bitsandbytes.nn.Linear8bitLt(columns, rows, has_fp16_weights=False, threshold=_OUTLIERS, **settings)
    made.load_state_dict(layer.to("cpu", torch.bfloat16).state_dict())
    quantized: nn.Module = made.requires_grad_(False).to(device)
    return quantized


def _skipped(why: str) -> SmokeCheck:
    return SmokeCheck(name=NAME, status="skipped", detail=why)

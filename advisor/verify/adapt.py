"""How much of a model is trained: freezing, low-rank adapters, a quantized base, and the mode each part trains in."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from advisor.errors import CheckError
from advisor.recipe import LoraSettings, Recipe

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_ATTENTION_WORDS = ("attn", "attention")

NF4_BLOCK = 64
"""Weights that share one scale in 4-bit NormalFloat: QLoRA, arXiv:2305.14314, section 3."""
SCALE_BLOCK = 256
"""Scales that share one second-level fp32 scale in double quantization: same place."""


def apply_adaptation(model: nn.Module, recipe: Recipe) -> nn.Module:
    """Mark what is trained and what is frozen, and add adapters where the recipe wants them; returns the model to train.

    On `meta`, a quantized base gets tensors of the very sizes that quantized storage has; on a real device, where the
    kernels may be missing, the base stays in 16 bits. Raises CheckError where the method is not covered or lacks a head.
    """
    method = recipe.model.adaptation
    if method in ("full", "layer_decay", "scratch"):
        return model.requires_grad_(True)
    if method in ("in_context", "zero_shot"):
        return model.requires_grad_(False)
    if method in ("linear_probe", "freeze"):
        heads = head_names(model)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in heads)
        return model
    if method in ("lora", "qlora"):
        return _add_adapters(model, recipe.lora or LoraSettings(rank=16, alpha=32, base_precision="nf4" if method == "qlora" else "bf16"))
    raise CheckError(f"adaptation {method!r} cannot be checked yet; lora, freeze or full can")


def set_training_mode(model: nn.Module, recipe: Recipe) -> nn.Module:
    """`model.train()`, but a frozen backbone stays in evaluation mode: else BatchNorm would go on to move its statistics."""
    model.train()
    if recipe.model.adaptation in ("linear_probe", "freeze"):
        for module in model.modules():
            if not any(parameter.requires_grad for parameter in module.parameters()):
                module.eval()
        for module in model.modules():  # modules without parameters, such as dropout, follow the backbone they stand in
            if module.training and not any(True for _ in module.parameters()) and not _stands_in_head(model, module):
                module.eval()
    elif recipe.model.adaptation in ("in_context", "zero_shot"):
        model.eval()
    return model


def head_names(model: nn.Module) -> frozenset[str]:
    """The names of the parameters that belong to the task's own output layers.

    timm says which (`get_classifier`), transformers keeps everything else under `base_model_prefix`, our plain models
    keep theirs in `head`. Raises CheckError for a model with none.
    """
    prefix = getattr(model, "base_model_prefix", None)
    if prefix and hasattr(model, prefix):
        backbone = {id(parameter) for parameter in getattr(model, prefix).parameters()}
        names = frozenset(name for name, parameter in model.named_parameters() if id(parameter) not in backbone)
    else:
        heads = model.get_classifier() if hasattr(model, "get_classifier") else getattr(model, "head", None)
        modules = heads if isinstance(heads, tuple | list) else [heads]
        wanted = {id(parameter) for module in modules if isinstance(module, nn.Module) for parameter in module.parameters()}
        names = frozenset(name for name, parameter in model.named_parameters() if id(parameter) in wanted)
    if not names:
        raise CheckError(f"{type(model).__name__} has no output layer of its own to train; use lora or full fine-tuning")
    return names


def _stands_in_head(model: nn.Module, module: nn.Module) -> bool:
    heads = [m for m in model.modules() if any(True for _ in m.parameters()) and all(p.requires_grad for p in m.parameters())]
    return any(module in set(head.modules()) for head in heads)


def _add_adapters(model: nn.Module, lora: LoraSettings) -> nn.Module:
    """Freeze the model and put low-rank adapters (arXiv:2106.09685) on its linear layers; a task's new head is trained whole."""
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise CheckError("LoRA needs peft; install advisor[peft]") from error
    heads = _head_modules(model)
    linear = {name: m for name, m in model.named_modules() if isinstance(m, nn.Linear) and not _is_within(name, heads)}
    if lora.target == "attention":
        linear = {name: m for name, m in linear.items() if any(word in name.lower() for word in _ATTENTION_WORDS)}
    if not linear:
        raise CheckError(f"{type(model).__name__} has no linear layers that target {lora.target!r} of LoRA could adapt")
    model.to(_DTYPES.get(lora.base_precision, torch.bfloat16))
    for name in heads:
        model.get_submodule(name).to(torch.float32)
    if lora.base_precision in ("nf4", "int8"):
        for module in linear.values():
            if module.weight.device.type == "meta":
                _quantize(module, lora.base_precision)
    config = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=list(linear), modules_to_save=heads or None
    )
    adapted: nn.Module = get_peft_model(model, config)
    return adapted


def _head_modules(model: nn.Module) -> list[str]:
    """The topmost modules of a new head. A language model's output layer is pretrained, and is none."""
    if getattr(model, "can_generate", lambda: False)():
        return []
    try:
        return sorted({name.rpartition(".")[0] for name in head_names(model)})
    except CheckError:
        return []


def _is_within(name: str, modules: list[str]) -> bool:
    return any(name == module or name.startswith(module + ".") for module in modules)


class QuantizedLinear(nn.Linear):
    """A frozen linear layer stored in 4 or 8 bits, on `meta`: its tensors have the sizes, never the values.

    Both passes write the weight out in the input's type and drop it again, as bitsandbytes' MatMul4Bit does.
    """

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = _DequantizedMatmul.apply(x, self.weight, self.out_features)
        return out if self.bias is None else out + self.bias


class _DequantizedMatmul(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, packed: Tensor, rows: int) -> Tensor:
        ctx.rows, ctx.columns = rows, x.shape[-1]
        return nn.functional.linear(x, torch.empty(rows, x.shape[-1], dtype=x.dtype, device=x.device))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = gradients
        return gradient @ torch.empty(ctx.rows, ctx.columns, dtype=gradient.dtype, device=gradient.device), None, None


def _quantize(module: nn.Linear, precision: str) -> None:
    """Replace the weight by packed codes, and register the scales as buffers."""
    count = module.weight.numel()
    scales = math.ceil(count / NF4_BLOCK)
    if precision == "nf4":
        packed = torch.empty(math.ceil(count / 2), 1, dtype=torch.uint8, device="meta")
        module.register_buffer("scales", torch.empty(scales, dtype=torch.uint8, device="meta"), persistent=False)
        module.register_buffer("scales_of_scales", torch.empty(math.ceil(scales / SCALE_BLOCK), device="meta"), persistent=False)
    else:
        packed = torch.empty(module.weight.shape, dtype=torch.int8, device="meta")
        module.register_buffer("scales", torch.empty(module.out_features, device="meta"), persistent=False)
    module.weight = nn.Parameter(packed, requires_grad=False)
    module.__class__ = QuantizedLinear

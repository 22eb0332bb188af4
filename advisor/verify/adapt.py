"""How much of a model is trained: freezing, low-rank adapters, a quantized base, and the mode each part trains in."""

from __future__ import annotations

import re
import warnings

import torch
from torch import nn

from advisor.errors import CheckError
from advisor.recipe import LoraSettings, Recipe
from advisor.verify.priced import quantize_linear

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_BACKBONE = re.compile(r"(^|\.)(backbone|pixel_level_module\.encoder)\.")  # of detectors and segmenters
_CONNECTOR = re.compile(r"(^|\.)(multi_modal_projector|connector|merger|deepstack_merger_list)\.")  # of vision-language decoders
_ATTENTION_WORDS = ("attn", "attention")


def apply_adaptation(model: nn.Module, recipe: Recipe) -> nn.Module:
    """Mark what is trained and what is frozen, and add adapters where the recipe wants them; returns the model to train.

    On `meta`, a quantized base gets tensors of the very sizes that quantized storage has; on a real device, where the
    kernels may be missing, the base stays in 16 bits. Raises CheckError where the method is not covered or lacks a head.
    """
    method = recipe.model.adaptation
    if method in ("full", "layer_decay", "scratch"):
        # what a library freezes itself (sinusoids, a detector's first stages) stays frozen
        for part in getattr(model, "never_trained", ()):  # target networks, which follow the others
            model.get_submodule(part).requires_grad_(False)
        if any(technique.name == "freeze_feature_encoder" for technique in recipe.regularization):
            _freeze_feature_encoder(model)
        return model
    if method in ("in_context", "zero_shot"):
        return model.requires_grad_(False)
    if method in ("linear_probe", "freeze"):
        heads = _between(model) or head_names(model)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in heads)
        return model
    if method in ("lora", "qlora"):
        if recipe.lora is None:
            raise CheckError(f"adaptation {method!r} needs the recipe's `lora` settings, and they are missing")
        return _add_adapters(model, recipe.lora, _base_precision(recipe, recipe.lora))
    raise CheckError(f"adaptation {method!r} cannot be checked yet; lora, freeze or full can")


def _freeze_feature_encoder(model: nn.Module) -> None:
    """The convolutions over the waveform of wav2vec 2.0 and its kin. Raises CheckError for a model that has none."""
    freeze = getattr(model, "freeze_feature_encoder", None)
    if freeze is None:
        raise CheckError(f"{type(model).__name__} has no feature encoder to freeze")
    freeze()


def set_training_mode(model: nn.Module, recipe: Recipe) -> nn.Module:
    """`model.train()`, but a frozen backbone stays in evaluation mode: else BatchNorm would go on to move its statistics."""
    if recipe.model.adaptation not in ("linear_probe", "freeze", "in_context", "zero_shot"):
        return model.train()
    model.eval()
    for module in model.modules():
        trained = [parameter.requires_grad for parameter in module.parameters()]
        if trained and all(trained):
            module.train()
    return model


def _between(model: nn.Module) -> frozenset[str]:
    """What trains between frozen halves: the layers that hand images to a language model, or the texts' tower beside the images'."""
    names = [name for name, _ in model.named_parameters()]
    if hasattr(model, "vision_model") and hasattr(model, "text_model"):
        return frozenset(name for name in names if not name.startswith("vision_model."))
    return frozenset(name for name in names if _CONNECTOR.search(name))


def head_names(model: nn.Module) -> frozenset[str]:
    """The names of the parameters that belong to the task's own output layers.

    Detectors and segmenters say what their backbone is, and all the rest is head. timm says which (`get_classifier`),
    transformers keeps everything else under `base_model_prefix`, our plain models
    keep theirs in `head`. Raises CheckError for a model with none.
    """
    prefix = getattr(model, "base_model_prefix", None)
    outside = frozenset(name for name, _ in model.named_parameters() if not _BACKBONE.search(name))
    if outside and len(outside) < sum(1 for _ in model.parameters()):
        return outside
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


def _add_adapters(model: nn.Module, lora: LoraSettings, precision: str) -> nn.Module:
    """Freeze the model and put low-rank adapters (arXiv:2106.09685) on its linear layers; a task's new head is trained whole."""
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise CheckError("LoRA needs peft; install advisor[peft]") from error
    heads = _head_modules(model)
    output = getattr(model, "get_output_embeddings", lambda: None)()  # left whole and in 16 bits, by peft and bitsandbytes alike
    linear = {
        name: module
        for name, module in model.named_modules()
        if name and _is_linear(module) and module is not output and not _is_within(name, heads)
    }
    if lora.target == "attention":
        linear = {name: m for name, m in linear.items() if any(word in name.lower() for word in _ATTENTION_WORDS)}
    if not linear:
        raise CheckError(f"{type(model).__name__} has no linear layers that target {lora.target!r} of LoRA could adapt")
    model.to(_DTYPES.get(precision, torch.bfloat16))
    for name in heads:
        model.get_submodule(name).to(torch.float32)
    on_meta = all(parameter.is_meta for parameter in model.parameters())
    if precision in ("nf4", "int8") and on_meta:
        for module in linear.values():
            quantize_linear(module, precision)
    transposed = any(not isinstance(module, nn.Linear) for module in linear.values())
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(linear),
        modules_to_save=heads or None,
        fan_in_fan_out=transposed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers for a name that it is about to retire
        adapted: nn.Module = get_peft_model(model, config, low_cpu_mem_usage=on_meta)
    return adapted


def _is_linear(module: nn.Module) -> bool:
    """A linear layer, or GPT-2's, which holds its weight transposed and is adapted and quantized all the same."""
    return isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"


def _base_precision(recipe: Recipe, lora: LoraSettings) -> str:
    """A 16-bit base cannot take 32-bit inputs without autocast, so that an fp32 recipe keeps its base in fp32."""
    return "fp32" if recipe.precision == "fp32" and lora.base_precision in _DTYPES else lora.base_precision


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

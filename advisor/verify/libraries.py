"""What checks import, by the library that a model is built from: paid once, by the process that they are forked from."""

from __future__ import annotations

import contextlib
import gc
import importlib.util
from collections.abc import Collection

from advisor.verify.light_imports import import_without_compiler

MODULES = {
    "torch": ("torch",),
    "timm": ("torch", "timm"),
    "transformers": ("torch", "transformers.modeling_utils", "transformers.models.auto.modeling_auto"),
    "torchvision": ("torch", "torchvision"),
    "segmentation_models_pytorch": ("torch", "segmentation_models_pytorch"),
    "dynamic_network_architectures": ("torch", "dynamic_network_architectures.architectures.unet"),
    "diffusers": ("torch", "diffusers.models.unets.unet_2d_condition", "diffusers.models.transformers.dit_transformer_2d"),
    "peft": ("torch", "peft"),
    "tabular": ("torch", "tabicl"),
    "rtdl_revisiting_models": ("torch", "rtdl_revisiting_models"),
    "tabm": ("torch", "tabm"),
    "chronos": ("torch", "chronos"),
    "monai": ("torch", "monai.networks.nets.swin_unetr"),
    "torch_geometric": ("torch", "torch_geometric.nn.models"),
    "stable_baselines3": ("torch", "stable_baselines3", "sb3_contrib"),
    "export": ("onnx", "onnxscript", "onnxruntime"),
}

_STARTS_CUDA = {"peft": "bitsandbytes"}  # what each imports where it is installed, and what asks for a GPU's capability then


def import_for(libraries: Collection[str], check: str, imported: Collection[str]) -> set[str]:
    """Import what checks of this kind need for models of these libraries, but for what is imported; returns what is so now.

    A failure is the check's to report: its own process meets it again.
    """
    wanted = [module for library in libraries if not starts_cuda(library) for module in MODULES.get(library, ())]
    new = dict.fromkeys(module for module in (*wanted, f"advisor.verify.{check}") if module not in imported)
    for module in new:
        with contextlib.suppress(Exception):
            import_without_compiler((module,))
    if new:
        gc.freeze()  # what is imported stays; a child's collector need not touch, and so copy, it
    return set(new)


def starts_cuda(library: str) -> bool:
    return library in _STARTS_CUDA and importlib.util.find_spec(_STARTS_CUDA[library]) is not None

"""What is trained beside a frozen denoiser: ControlNet's copy of its encoder, and textual inversion's embeddings of tokens.

Both keep what stays frozen under `backbone`, so that `freeze` trains the rest, as it does with detectors.
"""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor, nn

CONTROLLED, INVERTED = "Controlled", "Inverted"  # factories of catalogue entries whose library is diffusers
TOKENS = 77  # the context of CLIP's text encoders: arXiv:2103.00020, section 2.4
VOCABULARY = 49408  # and their byte pairs


class Controlled(nn.Module):
    """A frozen U-Net and the trained copy of its encoder, which reads a picture of the condition (arXiv:2302.05543)."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        diffusers = importlib.import_module("diffusers")
        self.backbone = backbone
        self.control = diffusers.ControlNetModel.from_unet(backbone, load_weights_from_unet=False)

    def forward(self, sample: Tensor, timestep: Tensor, controlnet_cond: Tensor, return_dict: bool = True, **condition: Any) -> Any:
        """Latents [B, C, L, L] and the picture [B, 3, S, S] of their condition; gives what the U-Net gives."""
        down, middle = self.control(sample, timestep, controlnet_cond=controlnet_cond, return_dict=False, **condition)
        return self.backbone(
            sample,
            timestep,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
            return_dict=return_dict,
            **condition,
        )


class Inverted(nn.Module):
    """A frozen U-Net with its frozen text encoders; their token embeddings learn, of which one row is kept (arXiv:2208.01618)."""

    def __init__(self, denoiser: nn.Module, encoders: list[dict[str, Any]]) -> None:
        super().__init__()
        transformers = importlib.import_module("transformers")
        texts = [transformers.CLIPTextModel(transformers.CLIPTextConfig(**settings)) for settings in encoders]
        self.words = nn.ModuleList([text.get_input_embeddings() for text in texts])  # first, so that their names are not the backbone's
        self.backbone = nn.ModuleDict({"denoiser": denoiser, "texts": nn.ModuleList(texts)})

    def forward(self, sample: Tensor, timestep: Tensor, input_ids: Tensor, return_dict: bool = True, **condition: Any) -> Any:
        """Latents [B, C, L, L] and prompts [B, 77] of tokens; gives what the U-Net gives."""
        read = [text(input_ids=input_ids).last_hidden_state for text in self.backbone["texts"]]
        return self.backbone["denoiser"](sample, timestep, encoder_hidden_states=torch.cat(read, -1), return_dict=return_dict, **condition)


def condition_denoiser(factory: str, denoiser: nn.Module, texts: list[dict[str, Any]]) -> nn.Module:
    """The denoiser with what is trained beside it, by the factory's name."""
    return Controlled(denoiser) if factory == CONTROLLED else Inverted(denoiser, texts)

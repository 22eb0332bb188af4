"""What the decoder of a vision-language model is given of an image, by each library class's own layers.

The classes work this out from values (grids of patches, padding), which `meta` tensors do not have; of images that are all of one
size the same is known beforehand, so that one way serves the count and the training.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_GRIDDED = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5")  # patches of all images in one row, with the grid of each
_TILED = ("idefics3", "smolvlm")


def see(whole: Any, pixels: Tensor) -> Tensor:
    """Images [B, 3, S, S] as tokens [B, N, D] of the decoder, for a model of transformers' AutoModelForImageTextToText."""
    kind = whole.config.model_type
    if kind in _GRIDDED:
        return _see_grid(whole, pixels)
    if kind in _TILED:
        return _see_tile(whole, pixels)
    seen = whole.model.get_image_features(pixel_values=pixels)
    pooled = getattr(seen, "pooler_output", seen)
    image: Tensor = torch.stack(list(pooled)) if isinstance(pooled, list | tuple) else pooled
    return image.reshape(len(pixels), -1, image.shape[-1])


def reader_of(whole: Any) -> Any:
    """The decoder under the head, which most classes call language_model."""
    return getattr(whole.model, "language_model", None) or whole.model.text_model


def _see_tile(whole: Any, pixels: Tensor) -> Tensor:
    """Idefics 3 and SmolVLM: one tile an image, without a mask."""
    side = pixels.shape[-1] // whole.config.vision_config.patch_size
    everything = torch.ones(len(pixels), side, side, dtype=torch.bool, device=pixels.device)
    states = whole.model.vision_model(pixel_values=pixels, patch_attention_mask=everything).last_hidden_state
    image: Tensor = whole.model.connector(states)
    return image


def _see_grid(whole: Any, pixels: Tensor) -> Tensor:
    """Qwen's encoders: each image a still clip of two frames, its patches in rows."""
    from transformers import vision_utils

    config, tower, count = whole.config.vision_config, whole.model.visual, len(pixels)
    side = pixels.shape[-1] // config.patch_size // config.spatial_merge_size * config.spatial_merge_size
    merge, patch, blocks = config.spatial_merge_size, config.patch_size, side // config.spatial_merge_size
    kept = pixels[..., : side * patch, : side * patch].reshape(count, 3, blocks, merge, patch, blocks, merge, patch)
    cells = kept.permute(0, 2, 5, 3, 6, 1, 4, 7).unsqueeze(6)  # the patches that become one token stand together
    rows = cells.expand(*cells.shape[:6], config.temporal_patch_size, -1, -1).reshape(count * side**2, -1)

    grid = torch.tensor([[1, side, side]] * count, device="cpu")
    with torch.device("cpu"):  # lengths are read as numbers, and positions do not depend on the pixels
        lengths, longest = vision_utils.get_vision_attention_seqlens(grid, tower.config)
        given: dict[str, Any] = {"position_ids": vision_utils.get_vision_position_ids(grid, merge)}
        if hasattr(tower, "window_size"):
            windows = vision_utils.get_vision_window_index(grid, merge, tower.window_size, tower.patch_size)
            given |= {"window_index": windows[0]}
        if hasattr(tower, "num_grid_per_side"):
            taps = vision_utils.get_vision_interpolation_indices_and_weights(
                grid, tower.num_grid_per_side, tower.interpolation_mode, tower.interpolation_align_corners, merge
            )
            given |= {"interp_indices": taps[0], "interp_weights": taps[1]}
    given = {name: value.to(pixels.device) for name, value in given.items()}
    given |= {"cu_window_seqlens": windows[1]} if hasattr(tower, "window_size") else {}
    seen = tower(rows, grid_thw=grid, cu_seqlens=lengths, max_seqlen=longest, **given)
    image: Tensor = seen.pooler_output
    return image.view(count, -1, image.shape[-1])

"""What a decoder is given of an image is what its library's class makes of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from advisor.verify.seeing import reader_of, see

TEXT = {"vocab_size": 512, "hidden_size": 256, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
        "intermediate_size": 128, "head_dim": 128}  # fmt: skip
TOWER = {"depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 2, "out_hidden_size": 256}
GRIDDED: dict[str, dict[str, Any]] = {
    "qwen2_5_vl": {"text_config": TEXT, "vision_config": {**TOWER, "fullatt_block_indexes": [1]}},
    "qwen3_vl": {"text_config": TEXT, "vision_config": {**TOWER, "deepstack_visual_indexes": [0]}},
}
TILED = {"text_config": {"model_type": "llama", **TEXT}, "vision_config": {"hidden_size": 64, "intermediate_size": 64,
         "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 128, "patch_size": 16}, "scale_factor": 4}  # fmt: skip


def made(kind: str, settings: dict[str, Any], device: str = "cpu") -> Any:
    from transformers import AutoConfig, AutoModelForImageTextToText

    with torch.device(device):
        return AutoModelForImageTextToText.from_config(AutoConfig.for_model(kind, **settings)).eval()


@pytest.mark.parametrize("kind", GRIDDED)
@torch.no_grad()
def test_patches_in_rows_are_the_processors(kind: str) -> None:
    """The library's processor cuts images so; the class then works positions and windows out itself."""
    model = made(kind, GRIDDED[kind])
    vision, side = model.config.vision_config, 8
    images = torch.randn(2, 3, side * vision.patch_size, side * vision.patch_size)
    merge, patch = vision.spatial_merge_size, vision.patch_size
    frames = images.unsqueeze(1).expand(-1, vision.temporal_patch_size, -1, -1, -1)
    cut = frames.reshape(2, 1, vision.temporal_patch_size, 3, side // merge, merge, patch, side // merge, merge, patch)
    rows = cut.permute(0, 1, 4, 7, 5, 8, 3, 2, 6, 9).reshape(2 * side**2, -1)  # as Qwen2VLImageProcessor does
    own = model.model.get_image_features(pixel_values=rows, image_grid_thw=torch.tensor([[1, side, side]] * 2)).pooler_output
    torch.testing.assert_close(see(model, images), torch.stack(list(own)))


@torch.no_grad()
def test_tiles_are_seen_as_by_the_class_itself() -> None:
    model = made("idefics3", TILED)
    images = torch.randn(2, 3, 128, 128)
    own = model.model.get_image_features(pixel_values=images.unsqueeze(1)).pooler_output
    torch.testing.assert_close(see(model, images), torch.stack(list(own)))
    assert reader_of(model) is model.model.text_model


@pytest.mark.parametrize("kind", GRIDDED)
def test_images_are_counted_without_weights(kind: str) -> None:
    model = made(kind, GRIDDED[kind], "meta")
    size = 8 * model.config.vision_config.patch_size
    assert see(model, torch.empty(2, 3, size, size, device="meta")).shape == (2, 16, 256)

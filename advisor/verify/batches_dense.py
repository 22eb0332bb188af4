"""Synthetic batches and losses for detection, segmentation, video and diffusion.

B is the batch size, S the recipe's image size (a volume's edge), C its channels, T its frames, V its outputs, O = 4 objects an
image, L = S / 8 the edge of a latent.

| task                  | library                    | batch                                                                         |
| --------------------- | -------------------------- | ----------------------------------------------------------------------------- |
| object_detection      | transformers               | pixel_values [B, 3, S, S] about N(0, 1), classes int64 [B, O] in [0, V),      |
|                       |                            | boxes [B, O, 4] as centre x, y, width, height in (0, 1)                       |
| object_detection      | torchvision                | the same, pixel_values in [0, 1]; its models get corners in pixels            |
| instance_segmentation | both                       | and masks [B, O, S, S] of 0 and 1                                             |
| semantic_segmentation | transformers, torchvision, | pixel_values [B, 3, S, S], labels int64 [B, S, S] in [0, V)                   |
|                       | segmentation_models_pytorch|                                                                               |
| volume_segmentation   | dynamic_network_…          | pixel_values [B, C, S, S, S], labels int64 [B, S, S, S] in [0, V)             |
| video_classification  | transformers               | pixel_values [B, T, 3, S, S], labels int64 [B] in [0, V)                      |
| video_classification  | torchvision                | pixel_values [B, 3, T, S, S], labels the same                                 |
| image_pretraining     | transformers               | pixel_values [B, 3, S, S]                                                     |
| two_view_pretraining  | timm                       | first, second [B, 3, S, S], of each image; for DINO local [B, 8, 3, L, L]     |
| image_generation      | diffusers                  | sample [B, channels, L, L] (S for pixels), timestep int64 [B] in [0, 1000),   |
|                       |                            | targets (the noise) as sample, and the condition that the network takes       |
| controlled_generation | a U-Net and its ControlNet | those, and controlnet_cond float [B, 3, S, S]                                 |
| concept_embedding     | a U-Net and text encoders  | those, but input_ids int64 [B, 77] for the encoded prompt                     |

Detectors bring their own loss, matching included. It needs values, so on `meta` the first O queries stand for the matched ones
and 512 proposals an image (1,000 when predicting) for what non-maximum suppression would leave; denoising queries are left out.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from advisor.errors import CheckError
from advisor.verify.batches import Batch, Exercise, _size, _Source, _targets, own_loss
from advisor.verify.build_dense import LATENT_STRIDE, is_latent
from advisor.verify.conditioned import CONTROLLED, INVERTED, TOKENS, VOCABULARY
from advisor.verify.evidence import Job
from advisor.verify.two_views import loss_of_views

OBJECTS = 4  # one in each quarter of an image
COCO_CLASSES = 80  # where the request names no number of classes: arXiv:1405.0312
_CELLS = 8  # patches along an edge, each of one class
_VOLUME_CELLS = 4
_MASKS_ALONE = "Mask2FormerForUniversalSegmentation"  # finds masks and no boxes, and names its labels in its own way
_NOISE = 0.25  # standard deviation of what hides the signal, whose own is about 0.7
_STEPS = 1000  # of the diffusion process: arXiv:2006.11239, section 4
_TOKENS = {"encoder": 77, "t5": 512}  # of CLIP's and T5's prompts
_TRAINED_PROPOSALS, _KEPT_PROPOSALS = 512, 1000  # an image: box_batch_size_per_image and rpn_post_nms_top_n_test of torchvision
_POSITIVE_SHARE = 0.25  # of the trained proposals: box_positive_fraction
_MASKED_DETECTIONS = 100  # box_detections_per_img
_FINEST_STRIDE = 4
_LOCAL_SHARE, _PATCH = 96 / 224, 16  # DINO's small crops beside its whole ones: arXiv:2104.14294, section 3.2
_SMOOTH = 1e-5  # keeps the Dice of an absent class defined: smooth of nnU-Net's MemoryEfficientSoftDiceLoss


def _outputs(job: Job) -> int:
    return job.recipe.input.outputs or COCO_CLASSES


# --- batches


def _found(job: Job, batch: int, source: _Source) -> Batch:
    """Coloured rectangles, one in each quarter of the image."""
    size = _size(job, "image_size")
    classes = source.integers(0, _outputs(job), batch, OBJECTS)
    centres = torch.tensor([[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]], device=source.device).expand(batch, OBJECTS, 2)
    boxes = torch.cat([centres, 0.2 + 0.02 * source.integers(0, 10, batch, OBJECTS, 2)], dim=-1)
    along = (torch.arange(size, device=source.device) + 0.5) / size
    inside = (along - boxes[..., :2, None]).abs() <= boxes[..., 2:, None] / 2
    masks = (inside[:, :, 1, :, None] & inside[:, :, 0, None, :]).float()
    colours = source.code(classes.flatten(), 3).view(batch, OBJECTS, 3)
    pixels = torch.einsum("bohw,boc->bchw", masks, colours) + _NOISE * source.normal(batch, 3, size, size)
    if job.build.library == "torchvision":
        pixels = (pixels + 2) / 4
        pixels = pixels.clamp(0, 1)
    found = {"pixel_values": pixels, "classes": classes, "boxes": boxes}
    return found | ({"masks": masks} if job.task == "instance_segmentation" else {})


def _segmented(job: Job, batch: int, source: _Source) -> Batch:
    size, channels = _size(job, "image_size"), job.recipe.input.channels or 3
    cells = source.integers(0, _outputs(job), batch, _CELLS, _CELLS)
    image = source.code(cells, channels).permute(0, 3, 1, 2)
    pixels = F.interpolate(image, size=(size, size)) + _NOISE * source.normal(batch, channels, size, size)
    labels = F.interpolate(cells.unsqueeze(1).float(), size=(size, size)).squeeze(1).long()
    return {"pixel_values": pixels, "labels": labels}


def _segmented_volume(job: Job, batch: int, source: _Source) -> Batch:
    size, channels = _size(job, "image_size"), job.recipe.input.channels or 1
    cells = source.integers(0, job.recipe.input.outputs or 2, batch, *[_VOLUME_CELLS] * 3)
    image = source.code(cells, channels).permute(0, 4, 1, 2, 3)
    pixels = F.interpolate(image, size=(size, size, size)) + _NOISE * source.normal(batch, channels, size, size, size)
    labels = F.interpolate(cells.unsqueeze(1).float(), size=(size, size, size)).squeeze(1).long()
    return {"pixel_values": pixels, "labels": labels}


def _clips(job: Job, batch: int, source: _Source) -> Batch:
    size, frames = _size(job, "image_size"), _size(job, "sequence_length")
    labels = source.integers(0, _outputs(job), batch)
    patches = source.code(labels, 3 * _CELLS**2).view(batch, 3, 1, _CELLS, _CELLS)
    clips = F.interpolate(patches, size=(frames, size, size)) + _NOISE * source.normal(batch, 3, frames, size, size)
    return {
        "pixel_values": clips if job.build.library == "torchvision" else clips.transpose(1, 2).contiguous(),
        "labels": _targets(job, labels),
    }


def _unlabelled(job: Job, batch: int, source: _Source) -> Batch:
    return {"pixel_values": _segmented(job, batch, source)["pixel_values"]}


def _viewed(job: Job, batch: int, source: _Source) -> Batch:
    """The same coloured cells under other noise; of a corner, enlarged or not, where small crops are learnt from as well."""
    size, count = _size(job, "image_size"), int(job.build.config.get("local_views", 0))
    image = F.interpolate(source.code(source.integers(0, COCO_CLASSES, batch, _CELLS, _CELLS), 3).permute(0, 3, 1, 2), size=(size, size))
    made = {name: image + _NOISE * source.normal(batch, 3, size, size) for name in ("first", "second")}
    if count:
        edge = max(1, round(size * _LOCAL_SHARE / _PATCH)) * _PATCH
        corner = F.interpolate(image[..., : size // 2, : size // 2], size=(edge, edge)).unsqueeze(1)
        made["local"] = corner + _NOISE * source.normal(batch, count, 3, edge, edge)
    return made


def _noisy(job: Job, batch: int, source: _Source) -> Batch:
    """Noised latents (or pixels), late in the process, with the noise to be found and what the network is conditioned on."""
    config, size = job.build.config, _size(job, "image_size")
    channels = int(config.get("in_channels", 4))
    if job.build.factory == "FluxTransformer2DModel":
        return _noisy_tokens(job, batch, source)
    edge = size // LATENT_STRIDE if is_latent(job) else size
    noise, clean = source.normal(batch, channels, edge, edge), source.normal(batch, channels, 1, 1)
    steps = source.integers(_STEPS // 2, _STEPS, batch)
    made = {"sample": 0.5 * clean + noise, "timestep": steps, "targets": noise}
    if "joint_attention_dim" in config:  # SD3: its text encoders' tokens together, and their pooled vectors
        made["encoder_hidden_states"] = source.normal(batch, sum(_TOKENS.values()), int(config["joint_attention_dim"]))
        made["pooled_projections"] = source.normal(batch, int(config["pooled_projection_dim"]))
    if job.build.factory == CONTROLLED:
        made["controlnet_cond"] = clean.mean(1, keepdim=True).expand(batch, 3, size, size)
    if job.build.factory == INVERTED:
        made["input_ids"] = source.integers(0, VOCABULARY, batch, TOKENS)
    elif "cross_attention_dim" in config:
        made["encoder_hidden_states"] = source.normal(batch, _TOKENS["encoder"], int(config["cross_attention_dim"]))
    if "projection_class_embeddings_input_dim" in config:  # SDXL's pooled prompt and six sizes
        pooled = int(config["projection_class_embeddings_input_dim"]) - 6 * int(config["addition_time_embed_dim"])
        made |= {"text_embeds": source.normal(batch, pooled), "time_ids": source.normal(batch, 6)}
    if job.build.factory in ("DiTTransformer2DModel", "SD3Transformer2DModel"):
        made["class_labels"] = source.integers(0, int(config["num_embeds_ada_norm"]), batch)
    return made


def _noisy_tokens(job: Job, batch: int, source: _Source) -> Batch:
    config, edge = job.build.config, _size(job, "image_size") // (2 * LATENT_STRIDE)
    noise = source.normal(batch, edge**2, int(config["in_channels"]))
    made = {"hidden_states": noise + 0.5 * source.normal(batch, 1, int(config["in_channels"])), "targets": noise,
            "timestep": torch.full((batch,), 0.5, device=source.device),
            "encoder_hidden_states": source.normal(batch, _TOKENS["t5"], int(config["joint_attention_dim"])),
            "pooled_projections": source.normal(batch, int(config["pooled_projection_dim"])),
            "txt_ids": torch.zeros(_TOKENS["t5"], 3, device=source.device),
            "img_ids": torch.zeros(edge**2, 3, device=source.device)}  # fmt: skip
    return made | ({"guidance": torch.ones(batch, device=source.device)} if config.get("guidance_embeds") else {})


# --- forward passes


class _OnMeta(TorchFunctionMode):
    """Makes tensors on `meta` where a model names no device, and takes its checks of tensors' values as met."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor._is_all_true or func is torch._is_all_true:
            return torch.ones((), dtype=torch.bool, device="cpu")
        return func(*args, **(kwargs or {}))


def _find(model: nn.Module, batch: Batch, job: Job) -> Any:
    """Detection: with its own loss in training; on `meta` without what depends on values."""
    pixels = batch["pixel_values"]
    if job.build.library == "torchvision":
        return _find_with_torchvision(model, batch, job)
    if pixels.is_meta:
        with torch.device("meta"), _OnMeta():
            return model(pixel_values=pixels)
    if not model.training:
        return model(pixel_values=pixels)
    if job.build.factory == _MASKS_ALONE:
        return model(pixel_values=pixels, mask_labels=list(batch["masks"]), class_labels=list(batch["classes"]))
    named = {"class_labels": batch["classes"], "boxes": batch["boxes"]} | ({"masks": batch["masks"]} if "masks" in batch else {})
    return model(pixel_values=pixels, labels=[{name: part[image] for name, part in named.items()} for image in range(len(pixels))])


def _find_with_torchvision(model: Any, batch: Batch, job: Job) -> Any:
    pixels = batch["pixel_values"]
    if pixels.is_meta:
        return _proposed(model, pixels) if hasattr(model, "roi_heads") else model.head(list(model.backbone(pixels).values()))
    if not model.training:
        return model(list(pixels))
    size, found = pixels.shape[-1], []
    for image in range(len(pixels)):
        centre, half = batch["boxes"][image, :, :2] * size, batch["boxes"][image, :, 2:] * size / 2
        first = 1 if hasattr(model, "roi_heads") else 0
        found.append({"boxes": torch.cat([centre - half, centre + half], dim=-1), "labels": batch["classes"][image] + first})
        if "masks" in batch:
            found[-1]["masks"] = batch["masks"][image].to(torch.uint8)
    return model(list(pixels), found)


def _proposed(model: Any, pixels: Tensor) -> dict[str, Tensor]:
    """A two-stage detector with a fixed number of proposals, all pooled from the finest map: the sizes are those of any level."""
    from torchvision.ops import roi_align

    features = model.backbone(pixels)
    objectness, shifts = model.rpn.head(list(features.values()))
    made = {f"rpn_{i}": torch.cat([o.flatten(), s.flatten()]) for i, (o, s) in enumerate(zip(objectness, shifts, strict=True))}
    count = len(pixels) * (_TRAINED_PROPOSALS if model.training else _KEPT_PROPOSALS)
    finest = next(iter(features.values()))

    def pooled(number: int, edge: int) -> Tensor:
        return roi_align(finest, finest.new_zeros(number, 5), (edge, edge), 1 / _FINEST_STRIDE, 2)

    heads = model.roi_heads
    scores, corrections = heads.box_predictor(heads.box_head(pooled(count, heads.box_roi_pool.output_size[0])))
    made |= {"scores": scores, "corrections": corrections}
    if heads.mask_roi_pool is not None:
        masked = int(count * _POSITIVE_SHARE) if model.training else len(pixels) * _MASKED_DETECTIONS
        made["masks"] = heads.mask_predictor(heads.mask_head(pooled(masked, heads.mask_roi_pool.output_size[0])))
    return made


def _segment(model: nn.Module, batch: Batch, job: Job) -> Any:
    """The transformers models compute their loss themselves, auxiliary heads included."""
    if job.build.library == "transformers":
        labels = {"labels": batch["labels"]} if model.training else {}
        return model(pixel_values=batch["pixel_values"], **labels)
    if hasattr(model, "decoder") and hasattr(model.decoder, "deep_supervision"):
        model.decoder.deep_supervision = model.training
    return model(batch["pixel_values"])


def _see_twice(model: nn.Module, batch: Batch, job: Job) -> Any:
    return model(**batch)


def _classify_clip(model: nn.Module, batch: Batch, job: Job) -> Any:
    return model(batch["pixel_values"])


def _denoise(model: nn.Module, batch: Batch, job: Job) -> Tensor:
    inputs = {name: value for name, value in batch.items() if name not in ("targets", "text_embeds", "time_ids")}
    if "text_embeds" in batch:
        inputs["added_cond_kwargs"] = {name: batch[name] for name in ("text_embeds", "time_ids")}
    if job.build.factory == "DiTTransformer2DModel":
        inputs["hidden_states"] = inputs.pop("sample")
    noise: Tensor = model(**inputs, return_dict=False)[0]
    return noise


# --- losses


def _loss_of_finding(outputs: Any, batch: Batch, job: Job) -> Tensor:
    own = getattr(outputs, "loss", None)
    if own is not None:
        return own
    if isinstance(outputs, dict) and job.build.library == "torchvision":
        return _sum(list(outputs.values()))
    if "masks" in batch:
        alone = job.build.factory == _MASKS_ALONE
        logits, masks = (outputs.class_queries_logits, outputs.masks_queries_logits) if alone else (outputs.logits, outputs.pred_masks)
        masks = masks[:, :OBJECTS]
        wanted = F.interpolate(batch["masks"], size=masks.shape[-2:])
        located = F.binary_cross_entropy_with_logits(masks.float(), wanted)
    else:
        logits = outputs.logits
        located = F.l1_loss(outputs.pred_boxes[:, :OBJECTS].float(), batch["boxes"])
    return F.cross_entropy(logits[:, :OBJECTS].flatten(0, 1).float(), batch["classes"].flatten()) + logits.float().square().mean() + located


def _sum(losses: list[Tensor]) -> Tensor:
    """torchvision's losses are scalars; what stands for them on `meta` is averaged."""
    total = losses[0].float().mean()
    for loss in losses[1:]:
        total = total + loss.float().mean()
    return total


def _loss_of_segmenting(outputs: Any, batch: Batch, job: Job) -> Tensor:
    own = getattr(outputs, "loss", None)
    if own is not None:
        return own
    labels = batch["labels"]
    if isinstance(outputs, dict) and "out" in outputs:  # torchvision's, with an auxiliary head at half the weight in its reference
        return _sum([_pixel_loss(output, labels, job) * (0.5 if name == "aux" else 1.0) for name, output in outputs.items()])
    if isinstance(outputs, list | tuple):  # deep supervision: each resolution at half the weight of the finer one, arXiv:1809.10486
        return _sum([_pixel_loss(output, labels, job) / 2**level for level, output in enumerate(outputs)])
    return _pixel_loss(getattr(outputs, "logits", outputs), labels, job)


def _pixel_loss(logits: Tensor, labels: Tensor, job: Job) -> Tensor:
    """Cross-entropy at the logits' resolution, and the soft Dice loss where the recipe has it."""
    if logits.shape[2:] != labels.shape[1:]:
        labels = F.interpolate(labels.unsqueeze(1).float(), size=logits.shape[2:]).squeeze(1).long()
    logits = logits.float()
    loss = F.cross_entropy(logits, labels)
    if any("dice" in named.name for named in job.recipe.loss):
        wanted = F.one_hot(labels, logits.shape[1]).movedim(-1, 1).to(logits.dtype)
        shares, axes = logits.softmax(dim=1), tuple(range(2, logits.ndim))
        overlap, size = (shares * wanted).sum(axes), shares.sum(axes) + wanted.sum(axes)
        loss = loss + 1 - ((2 * overlap + _SMOOTH) / (size + _SMOOTH)).mean()
    return loss


def _loss_of_denoising(outputs: Tensor, batch: Batch, job: Job) -> Tensor:
    """Mean squared error of the noise; networks that also give a variance give it in their last channels."""
    targets = batch["targets"]
    if outputs.ndim != targets.ndim:
        raise CheckError(f"{job.build.factory} gives {outputs.ndim} dimensions, and the noise has {targets.ndim}")
    return F.mse_loss(outputs[:, : targets.shape[1]].float(), targets)


EXERCISES: dict[str, Exercise] = {
    "object_detection": Exercise(_found, _find, _loss_of_finding),
    "instance_segmentation": Exercise(_found, _find, _loss_of_finding),
    "semantic_segmentation": Exercise(_segmented, _segment, _loss_of_segmenting),
    "volume_segmentation": Exercise(_segmented_volume, _segment, _loss_of_segmenting),
    "video_classification": Exercise(_clips, _classify_clip),
    "image_generation": Exercise(_noisy, _denoise, _loss_of_denoising),
    "controlled_generation": Exercise(_noisy, _denoise, _loss_of_denoising),
    "concept_embedding": Exercise(_noisy, _denoise, _loss_of_denoising),
    "image_pretraining": Exercise(_unlabelled, loss=own_loss),
    "two_view_pretraining": Exercise(_viewed, _see_twice, loss_of_views),
}

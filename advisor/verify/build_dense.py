"""Detectors, segmenters, video and diffusion networks, built by the field's own libraries with random weights.

torchvision and transformers come with the advisor; segmentation_models_pytorch and dynamic_network_architectures (nnU-Net's
networks) and MONAI with `advisor[segmentation]`, diffusers with `advisor[diffusion]`. Nothing is downloaded.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from advisor.errors import CheckError, did_you_mean
from advisor.verify.conditioned import CONTROLLED, INVERTED, condition_denoiser
from advisor.verify.evidence import Job

LATENT_STRIDE = 8
"""Pixels to a latent's edge in the autoencoders of Stable Diffusion, DiT and FLUX: arXiv:2112.10752, section 4.1 (f = 8)."""
BACKGROUND = 1  # torchvision's two-stage detectors count the background as class 0
_TWO_STAGE = ("fasterrcnn", "maskrcnn")
_POSITIONED = ("vit_", "maxvit")
_FIXED_SIZE = ("ssd",)  # built for one size, to which their own transform resizes
_REGIONS, _FEW_REGIONS = 512, 64  # that a second stage learns from: torchvision's `box_batch_size_per_image`, and a reduced copy's
_FEW_QUERIES = 64
_COARSE = [8, 14, 14]  # frames and pixels from one patch to the next in a reduced copy: fewer, but two in each direction to the end
_NARROW = 64  # channels of the first stage in a reduced copy, a multiple of the usual 32 normalization groups


def build_torchvision(job: Job) -> nn.Module:
    """A model of `torchvision.models`, by the name of its builder."""
    models = importlib.import_module("torchvision.models")
    name, settings, size = job.build.factory, dict(job.build.config), job.recipe.input.image_size
    detects = job.task in ("object_detection", "instance_segmentation")
    settings |= {} if job.recipe.input.outputs is None else {"num_classes": job.recipe.input.outputs + (BACKGROUND if detects else 0)}
    if detects and size is not None and not name.startswith(_FIXED_SIZE):
        settings |= {"min_size": size, "max_size": size}
    if size is not None and name.startswith(_POSITIONED):  # each position of the image, or of a window's parts, has weights of its own
        settings.setdefault(*(("input_size", (size, size)) if name.startswith("maxvit") else ("image_size", size)))
    try:
        if detects and name.startswith(_TWO_STAGE) and _on_meta() and not name.endswith("_v2"):
            return _with_frozen_norm(models.detection, name, settings)
        made: nn.Module = models.get_model(name, weights=None, **({"weights_backbone": None} if _has_backbone(job) else {}), **settings)
    except ValueError as error:
        raise CheckError(f"torchvision has no model {name!r}{did_you_mean(name, models.list_models())}") from error
    except TypeError as error:
        raise CheckError(f"torchvision's {name!r} does not take its settings: {error}") from error
    if name.startswith("mvit"):
        _freeze_what_is_never_read(made)
    return made


def _freeze_what_is_never_read(model: nn.Module) -> None:
    """MViT answers by its class token, which looks without positions and is not pooled: those of the last block change nothing."""
    attention: Any = model.get_submodule("blocks")[-1].attn
    pooling = attention.pool_q.pool if attention.pool_q is not None else None
    unread = [getattr(attention, f"rel_pos_{axis}", None) for axis in "hwt"] + [getattr(pooling, "weight", None)]
    for parameter in unread:
        if parameter is not None:
            parameter.requires_grad_(False)


def _has_backbone(job: Job) -> bool:
    return job.task in ("object_detection", "instance_segmentation", "semantic_segmentation")


def _on_meta() -> bool:
    return bool(torch.get_default_device().type == "meta")


def _with_frozen_norm(detection: Any, name: str, settings: dict[str, Any]) -> nn.Module:
    """The network as it is trained from pretrained weights: its BatchNorm frozen, which saves the activations it would keep.

    Random weights need normalization that works, so that the smoke-train has the layers in their ordinary form.
    """
    from torchvision.ops.misc import FrozenBatchNorm2d

    classes = settings.pop("num_classes", 91)
    if "mobilenet" in name:
        backbone = detection.backbone_utils.mobilenet_backbone(
            backbone_name="mobilenet_v3_large", weights=None, fpn=True, norm_layer=FrozenBatchNorm2d
        )
        made: nn.Module = getattr(detection, name)(weights=None, weights_backbone=None, num_classes=classes, **settings)
        made.backbone = backbone
        return made
    backbone = detection.backbone_utils.resnet_fpn_backbone(
        backbone_name="resnet50", weights=None, norm_layer=FrozenBatchNorm2d, trainable_layers=5
    )
    kind = detection.MaskRCNN if name.startswith("maskrcnn") else detection.FasterRCNN
    frozen: nn.Module = kind(backbone, classes, **settings)
    return frozen


def _class_of(module: str, name: str) -> Any:
    """A package's class by its name. Raises CheckError with the nearest that there is."""
    package = importlib.import_module(module)
    if not hasattr(package, name):
        raise CheckError(f"{module.partition('.')[0]} has no {name!r}{did_you_mean(name, dir(package))}")
    return getattr(package, name)


def build_smp(job: Job) -> nn.Module:
    """A network of segmentation_models_pytorch, by the name of its class; its encoder stands in the settings."""
    factory = _class_of("segmentation_models_pytorch", job.build.factory)
    made: nn.Module = factory(encoder_weights=None, classes=job.recipe.input.outputs or 1, **job.build.config)
    return made


def build_nnunet(job: Job) -> nn.Module:
    """A U-Net of dynamic_network_architectures with nnU-Net's settings: instance norm, leaky ReLU, deep supervision in training."""
    factory = _class_of("dynamic_network_architectures.architectures.unet", job.build.factory)
    fixed = {"conv_op": nn.Conv3d, "conv_bias": True, "norm_op": nn.InstanceNorm3d, "norm_op_kwargs": {"eps": 1e-5, "affine": True},
             "nonlin": nn.LeakyReLU, "nonlin_kwargs": {"inplace": True}, "deep_supervision": True}  # fmt: skip
    channels = job.recipe.input.channels or 1
    made: nn.Module = factory(input_channels=channels, num_classes=job.recipe.input.outputs or 2, **fixed, **job.build.config)
    return made


def build_monai(job: Job) -> nn.Module:
    """SwinUNETR of MONAI, made on the CPU: it works its drop rates out from values, which `meta` tensors do not have."""
    factory = _class_of("monai.networks.nets", job.build.factory)
    with torch.device("cpu"):
        made: nn.Module = factory(
            in_channels=job.recipe.input.channels or 1, out_channels=job.recipe.input.outputs or 2, **job.build.config
        )
    return made


def build_diffusers(job: Job) -> nn.Module:
    """The denoiser of a diffusion pipeline: what is trained. Autoencoder and text encoders are frozen, and are not built."""
    importlib.import_module("diffusers").logging.set_verbosity_error()
    beside = job.build.factory in (CONTROLLED, INVERTED)
    factory = _class_of("diffusers", "UNet2DConditionModel" if beside else job.build.factory)
    settings = dict(job.build.config)
    texts = settings.pop("texts", [])
    if "sample_size" in settings and job.recipe.input.image_size:
        settings["sample_size"] = job.recipe.input.image_size // (LATENT_STRIDE if is_latent(job) else 1)
    try:
        made: nn.Module = factory(**settings)
        return condition_denoiser(job.build.factory, made, texts) if beside else made
    except (TypeError, ValueError) as error:
        raise CheckError(f"diffusers' {job.build.factory} does not take its settings: {error}") from error


def is_latent(job: Job) -> bool:
    """Whether the network denoises an autoencoder's latents, and not the pixels themselves."""
    return bool(job.build.config.get("in_channels", 4) != 3)


BUILDERS: dict[str, Callable[[Job], nn.Module]] = {
    "torchvision": build_torchvision,
    "segmentation_models_pytorch": build_smp,
    "dynamic_network_architectures": build_nnunet,
    "diffusers": build_diffusers,
    "monai": build_monai,
}


def fewer_queries(job: Job) -> Iterator[tuple[str, dict[str, Any]]]:
    """RF-DETR with one group of queries, since each learns from every box (arXiv:2207.13085), and few: an image has a place for each."""
    config = job.build.config
    if config.get("model_type") == "rf_detr" and config.get("group_detr", 0) != 1:
        queries = config.get("num_queries", _FEW_QUERIES)
        few = min(queries, _FEW_QUERIES)
        yield f"one group of {few} queries instead of 13 of {queries}", {"group_detr": 1, "num_queries": few}


def narrower(job: Job) -> Iterator[tuple[str, dict[str, Any]]]:
    """Settings of smaller copies of the same architecture, with what was cut in words; of torchvision's for two-stage detectors."""
    config = job.build.config
    if job.build.library == "torchvision" and job.build.factory.startswith(_TWO_STAGE):
        proposals = {f"rpn_post_nms_top_n_{mode}": 2 * _FEW_REGIONS for mode in ("train", "test")}
        yield f"{_FEW_REGIONS} regions instead of {_REGIONS} an image", {"box_batch_size_per_image": _FEW_REGIONS, **proposals}
    elif job.build.library == "torchvision" and job.build.factory.startswith("mvit"):
        yield f"patches of {' x '.join(map(str, _COARSE))} instead of 2 x 4 x 4 frames and pixels", {"patch_embed_stride": _COARSE}
    elif job.build.library == "segmentation_models_pytorch":
        yield "the encoder resnet18", {"encoder_name": "resnet18"}
    elif job.build.library == "dynamic_network_architectures":
        widths = [max(8, width // 4) for width in config["features_per_stage"]]
        yield f"widths of {widths[0]} to {widths[-1]}", {"features_per_stage": widths}
    elif job.build.library == "monai":
        yield "a width of 12", {"feature_size": 12}
    elif "block_out_channels" in config:
        first = config["block_out_channels"][0]
        widths = [_NARROW * round(width / first) for width in config["block_out_channels"]]
        depth = {"transformer_layers_per_block": [1] * len(widths)} if "transformer_layers_per_block" in config else {}
        heads = {"attention_head_dim": 8} if config.get("attention_head_dim") else {}
        yield f"widths of {widths[0]} to {widths[-1]}", {"block_out_channels": widths, "layers_per_block": 1, **heads, **depth}
    elif "num_layers" in config:
        yield "2 layers", {name: 2 for name in ("num_layers", "num_single_layers") if name in config}

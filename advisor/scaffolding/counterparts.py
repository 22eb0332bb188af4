"""What stands for a design's model in a framework that does not ship it, and what a user is told of the difference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from advisor import catalogue
from advisor.recipe import Recipe

# Module and factory of keras.applications, by timm's name of the same architecture.
KERAS_IMAGE = {
    "convnext_tiny": ("convnext", "ConvNeXtTiny"),
    "convnext_small": ("convnext", "ConvNeXtSmall"),
    "convnext_base": ("convnext", "ConvNeXtBase"),
    "convnext_large": ("convnext", "ConvNeXtLarge"),
    "tf_efficientnetv2_s": ("efficientnet_v2", "EfficientNetV2S"),
    "tf_efficientnetv2_m": ("efficientnet_v2", "EfficientNetV2M"),
    "efficientnet_b0": ("efficientnet", "EfficientNetB0"),
    "efficientnet_b3": ("efficientnet", "EfficientNetB3"),
    "efficientnet_b4": ("efficientnet", "EfficientNetB4"),
    "mobilenetv2_100": ("mobilenet_v2", "MobileNetV2"),
    "mobilenetv3_small_100": ("mobilenet_v3", "MobileNetV3Small"),
    "mobilenetv3_large_100": ("mobilenet_v3", "MobileNetV3Large"),
    "densenet121": ("densenet", "DenseNet121"),
    "inception_v3": ("inception_v3", "InceptionV3"),
    "vgg16": ("vgg16", "VGG16"),
    "resnet50": ("resnet", "ResNet50"),
    "resnet101": ("resnet", "ResNet101"),
    "resnet152": ("resnet", "ResNet152"),
}
STAND_INS = (
    "mobilenetv3_small_100",
    "efficientnet_b0",
    "efficientnet_b3",
    "convnext_tiny",
    "convnext_small",
    "convnext_base",
    "convnext_large",
)
# The networks that templates/scaffold/parts writes out in Flax, by timm's name of the same architecture, whose weights fit: of ConvNeXt
# the blocks and channels of each stage (arXiv:2201.03545), of ViT the width, layers and heads (arXiv:2010.11929, arXiv:2012.12877).
CONVNEXT = {
    "convnext_tiny": ([3, 3, 9, 3], [96, 192, 384, 768]),
    "convnext_small": ([3, 3, 27, 3], [96, 192, 384, 768]),
    "convnext_base": ([3, 3, 27, 3], [128, 256, 512, 1024]),
    "convnext_large": ([3, 3, 27, 3], [192, 384, 768, 1536]),
}
VIT = {
    "vit_tiny_patch16_224": (192, 12, 3),
    "vit_small_patch16_224": (384, 12, 6),
    "vit_base_patch16_224": (768, 12, 12),
    "vit_large_patch16_224": (1024, 24, 16),
    "deit_small_patch16_224": (384, 12, 6),
    "deit_base_patch16_224": (768, 12, 12),
}
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}  # what timm's weights were trained on, but ViT's of "augreg"
HALVES = {"mean": [0.5] * 3, "std": [0.5] * 3}
LIBRARY = {"keras": "Keras", "jax": "Flax"}
PERCEPTRON = {"hidden": 256, "layers": 3}  # the catalogue's mlp


def keras_image(recipe: Recipe) -> dict[str, Any]:
    """The network of keras.applications: the design's, or of those kept as stand-ins the one nearest in parameters."""
    module, factory = KERAS_IMAGE[_keras_twin(recipe) or _nearest(recipe, STAND_INS)]
    return {"module": module, "factory": factory}


def flax_image(recipe: Recipe) -> dict[str, Any]:
    """The sizes of the network: the design's, or of the ConvNeXts the one nearest in parameters."""
    name = _architecture(recipe.model.id)
    weights = _flax_weights(recipe)
    if name in VIT:
        width, depth, heads = VIT[name]
        scale = HALVES if "augreg" in recipe.model.id else IMAGENET
        return {"weights": weights, "patch": 16, "width": width, "depth": depth, "heads": heads, **scale}
    depths, widths = CONVNEXT[name if name in CONVNEXT else _nearest(recipe, tuple(CONVNEXT))]
    return {"weights": weights, "depths": depths, "widths": widths, **IMAGENET}


def perceptron(recipe: Recipe) -> Mapping[str, Any]:
    return PERCEPTRON


def notes(framework: str, name: str, recipe: Recipe) -> list[str]:
    """Every way in which the project's model is not the report's."""
    model = recipe.model
    figures = "The report's memory, speed and checks are those of its model in PyTorch; its recipe is used here number for number."
    if name.endswith("table"):
        same = model.id == "mlp"
        stand_in = (
            f"The design's {model.id} is not to be had in {LIBRARY[framework]}: this project trains a perceptron. "
            "Name PyTorch as the framework to train it."
        )
        return [*([] if same else [stand_in]), figures]
    return [*(_of_keras_image(recipe) if framework == "keras" else _of_flax_image(recipe)), figures]


def _of_keras_image(recipe: Recipe) -> list[str]:
    factory, model = keras_image(recipe)["factory"], recipe.model
    if _keras_twin(recipe) is None:
        first = (
            f"keras.applications has no {model.id}: this project trains {factory}, the nearest in parameters that it has. "
            "Name PyTorch as the framework to train the design's own model."
        )
    else:
        first = f"The network is keras.applications' {factory}, the architecture of the design's {model.id}."
        if factory.startswith("ResNet"):
            first += " Keras has its first version, which halves images in the 1x1 convolution of a block; timm's does in the 3x3 one."
    weights = "Its pretrained weights are those that keras.applications brings for ImageNet-1k's classes, not the design's."
    drop_path = [one.value for one in recipe.regularization if one.name == "drop_path"]
    left_out = [f"keras.applications sets no drop path: the recipe's {drop_path[0]} is left out."] if drop_path else []
    runs = (
        "It runs on TensorFlow, JAX or PyTorch, whichever the environment variable KERAS_BACKEND names; its tests ran on PyTorch. "
        "requirements.txt has TensorFlow, Keras' default."
    )
    return [first, *([weights] if model.pretrained else []), *left_out, runs]


def _of_flax_image(recipe: Recipe) -> list[str]:
    name = recipe.model.id
    gpu = "requirements.txt has JAX for CPUs; for a GPU install jax[cuda13] of the same version."
    if _architecture(name) in (*VIT, *CONVNEXT):
        origin = "timm's pretrained weights are downloaded into it" if recipe.model.pretrained else "random weights"
        return [f"The network is the design's {name}, written out in Flax NNX in network.py; {origin}.", gpu]
    stand_in, weights = _nearest(recipe, tuple(CONVNEXT)), _flax_weights(recipe)
    start = f"from timm's {weights} (licence {catalogue.models()[weights].license})" if weights else "from random weights"
    return [
        f"{name} is not written out in Flax here: this project trains {stand_in}, the nearest in parameters that is, {start}. "
        "Name PyTorch as the framework to train the design's own model.",
        gpu,
    ]


def _flax_weights(recipe: Recipe) -> str | None:
    """The timm model whose weights a run starts from: the design's, or the catalogue's of the architecture that stands for it."""
    if not recipe.model.pretrained or _architecture(recipe.model.id) in (*VIT, *CONVNEXT):
        return recipe.model.id if recipe.model.pretrained else None
    stand_in = _nearest(recipe, tuple(CONVNEXT))
    return next(name for name in catalogue.models() if _architecture(name) == stand_in)


def _keras_twin(recipe: Recipe) -> str | None:
    name = _architecture(recipe.model.id)
    return name if name in KERAS_IMAGE else None


def _architecture(id_: str) -> str:
    """timm writes `architecture.weights`."""
    return id_.split(".", maxsplit=1)[0]


def _nearest(recipe: Recipe, names: tuple[str, ...]) -> str:
    """Of the architectures the one whose parameters, as the catalogue has them, are nearest to the design's in number."""
    counts = {_architecture(name): entry.parameters.value for name, entry in catalogue.models().items() if entry.parameters}
    own = counts.get(_architecture(recipe.model.id), 0.0)
    return min(names, key=lambda name: abs(counts[name] - own))

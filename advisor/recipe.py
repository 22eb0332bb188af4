"""The recipe: the numbers behind the report's strings, ready for a program. Bare values; their basis is in `decisions`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from advisor.wire import Wire

ArchitectureFamily = Literal["cnn", "transformer", "rnn", "gnn", "diffusion", "mlp", "hybrid", "tabular"]
ScheduleName = Literal["constant", "linear", "cosine", "poly", "step", "onecycle", "plateau", "inverse_sqrt"]
AdaptationMethod = Literal[
    "scratch", "full", "layer_decay", "freeze", "linear_probe", "adapter", "lora", "qlora", "in_context", "zero_shot"
]
Precision = Literal["fp32", "bf16", "fp16"]
Library = Literal[
    "timm", "transformers", "torch", "peft", "tabular",
    "torchvision", "segmentation_models_pytorch", "dynamic_network_architectures", "diffusers",
    "torch_geometric", "stable_baselines3", "rtdl_revisiting_models", "tabm", "chronos", "monai",
]  # fmt: skip


class Named(Wire):
    """A technique with its strength, where it has one: label smoothing 0.1, RandAugment with magnitude 9."""

    name: str
    value: float | None = None
    detail: str | None = None


class RecipeModel(Wire):
    """Which model is trained, and how much of it."""

    id: str
    library: Library
    architecture_family: ArchitectureFamily
    pretrained: bool
    adaptation: AdaptationMethod
    license: str


class RecipeInput(Wire):
    """One sample. Image sizes in pixels (voxels of a cube's edge), sequences in tokens, time steps or frames, clips
    in seconds, `features` in columns."""

    kind: Literal["image", "text", "series", "table", "volume", "video", "audio", "image_text", "graph", "observation"]
    image_size: int | None = None
    channels: int | None = None
    sequence_length: int | None = None
    horizon: int | None = None
    seconds: float | None = None
    features: int | None = None
    nodes: int | None = Field(None, description="of one graph, where each sample is a graph")
    neighbours: int | None = Field(None, description="of a node that a layer looks at, on average")
    outputs: int | None = None


class LoraSettings(Wire):
    """Low-rank adapters: rank, scaling alpha, dropout, which linear layers, and the precision of the frozen base."""

    rank: int
    alpha: int
    dropout: float = 0.0
    target: Literal["all-linear", "attention"] = "all-linear"
    base_precision: Literal["bf16", "fp16", "fp32", "int8", "nf4"] = "bf16"


class ParameterGroup(Wire):
    """A part of the parameters with a learning rate (as a multiple of the optimizer's) or a weight decay of its own."""

    name: str
    learning_rate_scale: float = 1.0
    weight_decay: float | None = None


class RecipeOptimizer(Wire):
    """`none` where nothing is trained."""

    name: str
    learning_rate: float | None = None
    weight_decay: float | None = None
    betas: tuple[float, float] | None = None
    momentum: float | None = None
    parameter_groups: list[ParameterGroup] = Field(default_factory=list)


class RecipeSchedule(Wire):
    """The course of the learning rate; at most one of the warm-ups is set."""

    name: ScheduleName
    warmup_steps: int | None = None
    warmup_epochs: float | None = None
    warmup_fraction: float | None = None


class RecipeBatch(Wire):
    """Samples an optimizer step: effective = per_device x accumulation x devices."""

    per_device: int
    accumulation: int = 1
    devices: int = 1
    effective: int


class Compression(Wire):
    """What is done to the trained model to make it smaller or faster."""

    quantization: Literal["none", "bf16", "fp16", "int8-dynamic", "int8-static", "int8-weight-only", "int4-weight-only", "nf4"] = "none"
    pruning: str | None = None
    distillation: str | None = None


class Recipe(Wire):
    """Everything a training script needs to know."""

    model: RecipeModel
    input: RecipeInput
    loss: list[Named]
    metric: str
    split: str
    optimizer: RecipeOptimizer
    schedule: RecipeSchedule | None = None
    batch: RecipeBatch
    epochs: float | None = None
    steps: int | None = None
    precision: Precision
    gradient_clip_norm: float | None = None
    ema: float | None = Field(None, description="decay of the exponential moving average of the weights; absent where none is kept")
    activation_checkpointing: bool = False
    lora: LoraSettings | None = None
    regularization: list[Named] = Field(default_factory=list)
    augmentation: list[Named] = Field(default_factory=list)
    compression: Compression = Compression()
    export: list[str] = Field(default_factory=list)
    distributed: str | None = None

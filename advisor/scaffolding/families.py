"""The kinds of training project: which designs each covers, and what its templates are told.

A family is a template `templates/scaffold/NAME/task.py.j2`: data, model, loss, metrics, and what is exported. The scripts of
`templates/scaffold/training/` are the same for all: settings, seeds, optimizer, schedule, the loop with its checkpoints, evaluation,
export and search.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from advisor.recipe import Recipe
from advisor.scaffolding import audio, dense, miniature
from advisor.scaffolding.built import factory as _factory
from advisor.scaffolding.sources import source_of

ADJUSTED_BALANCE = ("imbalanced", "long_tail")  # for which the loss rules adjust the logits by the class frequencies

Facts = Mapping[str, Any]
Changes = dict[str, Any]
TABLES = ("tabular_classification", "tabular_regression")
TUNED = ("full", "layer_decay", "freeze", "linear_probe", "scratch")  # adaptations that change a model's own weights
COMMON = {
    "training": ("numpy", "optuna", "pyyaml", "scikit-learn", "tensorboard", "torch", "tqdm"),
    "lightning": ("numpy", "optuna", "pytorch-lightning", "pyyaml", "scikit-learn", "tensorboard", "torch", "tqdm"),
    "agent": ("gymnasium", "numpy", "optuna", "pyyaml", "tensorboard", "torch"),
    "keras": ("keras", "numpy", "optuna", "pyyaml", "scikit-learn", "scipy", "tensorboard", "tensorflow"),
    "jax": (
        "flax",
        "jax",
        "numpy",
        "optax",
        "optuna",
        "pyyaml",
        "scikit-learn",
        "scipy",
        "tensorboard",
        "tqdm",
    ),
    "untrained": ("numpy", "pyyaml", "scikit-learn", "torch"),
}


@dataclass(frozen=True)
class Family:
    """One kind of project: `miniature` gives what a smoke run lays over the settings, `values` what the template is told.

    Where `adaptations` are named, it covers designs with one of them alone, and with `only` those of which it is true; `modules` are
    folders of further scripts.
    """

    name: str
    about: str
    library: tuple[str, ...]
    tasks: tuple[str, ...]
    requirements: tuple[str, ...]
    miniature: Callable[[Recipe, Mapping[str, Any]], Changes]
    values: Callable[[Recipe, str, Facts], Changes]
    skeleton: str = "training"
    evaluations: int = 1
    adaptations: tuple[str, ...] = ()
    only: Callable[[Recipe], bool] = lambda recipe: True
    modules: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    framework: str = "pytorch"
    left_out: tuple[str, ...] = ()  # techniques of recipes that its projects do not apply
    architecture: Callable[[Recipe], Mapping[str, Any]] | None = None

    def covers(self, recipe: Recipe, task: str) -> bool:
        fits = not self.adaptations or recipe.model.adaptation in self.adaptations
        return recipe.model.library in self.library and task in self.tasks and fits and self.only(recipe)


def image_values(recipe: Recipe, task: str, facts: Facts) -> Changes:
    return {
        "data": "a folder with labels.csv (file,value) and its images"
        if task == "image_regression"
        else "a folder with one folder of images for each class",
        "regression": task == "image_regression",
        "partly": recipe.model.adaptation in ("freeze", "linear_probe"),
        "adjusts": _adjusts(facts),
    }


def _text_values(recipe: Recipe, task: str, facts: Facts) -> Changes:
    columns = "text, text_pair, label" if task == "text_pair_classification" else "text, label"
    return {
        "data": "a JSONL file with lists of tokens and tags (and group, where texts belong together)"
        if task == "token_classification"
        else f"a CSV or JSONL file with the columns {columns} (and group, where texts belong together)",
        "regression": task == "text_regression",
        "pairs": task == "text_pair_classification",
        "tokens": task == "token_classification",
        "partly": recipe.model.adaptation in ("freeze", "linear_probe"),
        "adjusts": _adjusts(facts),
    }


def _decoder_values(recipe: Recipe, task: str, facts: Facts) -> Changes:
    prompts = task == "instruction_tuning"
    return {
        "data": f"a JSONL file with {'prompt and response' if prompts else 'text'} (and group, where texts belong together) in each line",
        "prompts": prompts,
        "lora": recipe.lora is not None,
        "watch": recipe.metric if recipe.metric == "perplexity" else "loss",
    }


def table_values(recipe: Recipe, task: str, facts: Facts) -> Changes:
    return {
        "data": "a CSV file with a header; the last column, or the one named at project.target, is to be predicted",
        "regression": task == "tabular_regression",
        "adjusts": _adjusts(facts),
        "factory": _factory(recipe),
        "source": source_of(_factory(recipe)) if recipe.model.library == "torch" else "",
    }


def _forecast_values(recipe: Recipe, task: str, facts: Facts) -> Changes:
    source = source_of(_factory(recipe))
    return {
        "data": "a CSV file with a header: the column to forecast, further numbers, and a column named series where there are several",
        "factory": _factory(recipe),
        "source": source,
        "student": recipe.loss[0].name == "student_t_nll",
        "widened": recipe.loss[0].name == "student_t_nll" and _factory(recipe) != "deepar_forecaster",
        "takes_dropout": "dropout: float" in source,
    }


def _graph_values(recipe: Recipe, task: str, facts: Facts) -> Changes:
    nodes = task == "node_classification"
    one = "an .npz file with nodes [N, features], edges [2, E], labels [N] (-1: unknown), and masks train, validation, test if there are"
    many = "a JSONL file with nodes (lists of numbers), edges (pairs of nodes), label (and group, where graphs belong together) a line"
    return {"data": one if nodes else many, "nodes": nodes, "factory": _factory(recipe)}


def _agent_values(recipe: Recipe, task: str, facts: Facts) -> Changes:
    factory = _factory(recipe)
    return {
        "data": "the name of a gymnasium environment that is registered here, such as Pendulum-v1",
        "factory": factory,
        "package": "sb3_contrib" if factory in ("QRDQN", "TQC") else "stable_baselines3",
        "discrete": recipe.input.outputs is not None and task == "reinforcement_discrete",
        "pixels": recipe.input.image_size is not None,
    }


def _adjusts(facts: Facts) -> bool:
    return facts.get("data.balance") in ADJUSTED_BALANCE or facts.get("challenge.long_tail") is True


FAMILIES = (
    Family(
        name="timm",
        about="images with timm: classification and regression",
        library=("timm",),
        tasks=("image_classification", "image_regression"),
        requirements=("pillow", "timm", "torchvision"),
        miniature=miniature.timm,
        values=image_values,
    ),
    Family(
        name="text",
        about="text with transformers: classification of texts, pairs and tokens, regression",
        library=("transformers",),
        tasks=("text_classification", "text_pair_classification", "text_regression", "token_classification"),
        requirements=("protobuf", "tokenizers", "transformers"),
        miniature=miniature.transformers,
        adaptations=TUNED,
        evaluations=2,
        values=_text_values,
    ),
    Family(
        name="decoder",
        about="decoders with transformers and peft: instruction tuning and text generation, whole or with LoRA",
        library=("transformers",),
        tasks=("instruction_tuning", "text_generation"),
        requirements=("accelerate", "peft", "safetensors", "tokenizers", "transformers"),
        miniature=miniature.transformers,
        adaptations=("lora", "qlora", "full"),
        evaluations=2,
        values=_decoder_values,
        notes=(
            "Win rate and the like need a judge: train.py watches the loss of held-out answers instead.",
            "8-bit optimizers and 4-bit bases need a GPU and bitsandbytes; a smoke run does without.",
        ),
    ),
    Family(
        name="segmentation",
        about="semantic segmentation with transformers, segmentation_models_pytorch or torchvision",
        library=("transformers", "segmentation_models_pytorch", "torchvision"),
        tasks=("semantic_segmentation",),
        requirements=("pillow", "torchvision"),
        miniature=miniature.dense,
        adaptations=TUNED,
        values=dense.segmentation_values,
        notes=("evaluate.py fits each image into a square of the recipe's size: cut larger ones into tiles of it first.",),
    ),
    Family(
        name="volume",
        about="segmentation of volumes with nnU-Net's networks",
        library=("dynamic_network_architectures",),
        tasks=("volume_segmentation",),
        requirements=("dynamic-network-architectures",),
        miniature=miniature.volume,
        values=dense.volume_values,
        notes=(
            "Resample all volumes to one spacing first. nnU-Net itself plans spacing, patches and network by the data: it is the baseline.",
            "One model is trained: for the recipe's ensemble of folds, train with five values of project.seed and average.",
        ),
    ),
    Family(
        name="detection",
        about="object detection with transformers",
        library=("transformers",),
        tasks=("object_detection",),
        requirements=("pillow", "pycocotools", "scipy", "timm", "torchvision", "transformers"),
        miniature=miniature.detection,
        adaptations=TUNED,
        values=dense.detection_values,
    ),
    Family(
        name="diffusion",
        about="image generation with diffusers: Stable Diffusion and SDXL with LoRA or whole, U-Nets over pixels",
        library=("diffusers",),
        tasks=("image_generation",),
        requirements=("accelerate", "diffusers", "peft", "pillow", "safetensors", "torchvision"),
        miniature=miniature.diffusion,
        only=lambda recipe: _factory(recipe) in ("UNet2DConditionModel", "UNet2DModel"),
        values=dense.diffusion_values,
        notes=(
            "FID needs some thousand samples and Inception's weights: train.py watches the denoising error of held-out images instead.",
        ),
    ),
    Family(
        name="sound",
        about="sounds and keywords with transformers or a small network of our own",
        library=("transformers", "torch"),
        tasks=("audio_classification", "keyword_spotting"),
        requirements=("scipy",),
        miniature=miniature.audio,
        adaptations=TUNED,
        evaluations=2,
        values=audio.sound_values,
        modules=("audio",),
    ),
    Family(
        name="ctc",
        about="speech recognition with transformers: encoders with CTC, Whisper",
        library=("transformers",),
        tasks=("speech_recognition",),
        requirements=("scipy", "transformers"),
        miniature=miniature.audio,
        adaptations=TUNED,
        only=lambda recipe: recipe.loss[0].name == "ctc",
        evaluations=2,
        values=audio.speech_values,
        modules=("audio", "speech"),
        notes=("The letters are those of the transcripts; a language model over them, such as KenLM, would lower the errors further.",),
    ),
    Family(
        name="whisper",
        about="",
        library=("transformers",),
        tasks=("speech_recognition",),
        requirements=("scipy", "tokenizers", "transformers"),
        miniature=miniature.whisper,
        adaptations=TUNED,
        only=lambda recipe: recipe.loss[0].name == "cross_entropy",
        evaluations=2,
        values=audio.speech_values,
        modules=("audio", "speech"),
        notes=("Write your language, such as german, at project.language in config.yaml: each transcript then begins with its mark.",),
    ),
    Family(
        name="table",
        about="tables with a perceptron or rtdl's networks",
        library=("torch", "rtdl_revisiting_models"),
        tasks=TABLES,
        requirements=("rtdl-revisiting-models",),
        miniature=miniature.table,
        values=table_values,
    ),
    Family(
        name="forecast",
        about="forecasting with networks trained from scratch",
        library=("torch",),
        tasks=("forecasting",),
        requirements=(),
        miniature=miniature.series,
        values=_forecast_values,
    ),
    Family(
        name="graph",
        about="graphs with torch_geometric: classification of nodes and of graphs",
        library=("torch_geometric",),
        tasks=("node_classification", "graph_classification"),
        requirements=("torch-geometric",),
        miniature=miniature.graph,
        values=_graph_values,
    ),
    Family(
        name="reinforcement",
        about="agents with stable-baselines3 in a simulator",
        library=("stable_baselines3",),
        tasks=("reinforcement_discrete", "reinforcement_continuous"),
        skeleton="agent",
        requirements=("sb3-contrib", "stable-baselines3"),
        miniature=miniature.agent,
        values=_agent_values,
    ),
    Family(
        name="table_in_context",
        about="tables with TabICL",
        library=("tabular",),
        tasks=TABLES,
        skeleton="untrained",
        requirements=("tabicl",),
        miniature=miniature.in_context,
        values=table_values,
    ),
)

"""What a smoke run changes: a model, samples and a run so small that a CPU is through in seconds. Weights are random then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from advisor.recipe import Recipe

EPOCHS = 2
BATCH = 4
STEPS = 12  # where an epoch has many
MOST_ACCUMULATION = 2  # two parts show all that more would
TRIALS = 2

# timm's own miniatures for tests, by what the name of the model begins with; the code of the whole family runs in them.
TIMM_MINIATURES = {
    "convnext": "test_convnext",
    "caformer": "test_convnext",
    "efficientnet": "test_efficientnet",
    "tf_efficientnet": "test_efficientnet",
    "mobilenet": "test_efficientnet",
    "resnet": "test_resnet",
    "regnet": "test_byobnet",
    "vit": "test_vit",
    "deit": "test_vit",
    "beit": "test_vit",
    "eva": "test_vit",
}
TIMM_OTHER = "test_vit"
TIMM_PIXELS = 64
QUERIES = 10
STAGES, EDGE = 3, 32  # of a U-Net over volumes, and of the cubes that it sees
WIDTH = 32  # channels of a U-Net, and its images' edge where they are pixels

# The settings of transformers' configurations that make a model large, each at a size that keeps every kind of layer.
SMALL = {
    **dict.fromkeys(
        ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers", "num_decoder_layers"), 2
    ),
    **dict.fromkeys(("hidden_size", "dim", "d_model", "n_embd", "embedding_size", "pooler_hidden_size"), 64),
    **dict.fromkeys(("intermediate_size", "hidden_dim", "d_ff", "encoder_ffn_dim", "decoder_ffn_dim", "ffn_dim"), 128),
    **dict.fromkeys(("num_attention_heads", "n_heads", "n_head", "num_heads", "encoder_attention_heads", "decoder_attention_heads"), 4),
    "num_key_value_heads": 2,
    "head_dim": 16,
    "d_kv": 16,
    "query_pre_attn_scalar": 16,
    "vocab_size": 512,
}
TOKENS = 32
SECONDS = 1.0
SMALL_CHANNELS = 16
PIXELS = 64
QUERIES = 10
STAGES, EDGE = 3, 32  # of a U-Net over volumes, and of the cubes that it sees
WIDTH = 32  # channels of a U-Net, and its images' edge where they are pixels
STAGE_WIDTH = 16  # of the first stage of a backbone, and that much wider each stage
FEATURES = 8
AGENT_PIXELS = 36  # the least that the usual convolutions of agents take


def run(recipe: Recipe, **changes: Any) -> dict[str, Any]:
    """The changes that every family makes, and those given."""
    accumulation = min(recipe.batch.accumulation, MOST_ACCUMULATION)
    batch = {"perDevice": BATCH, "accumulation": accumulation, "devices": 1, "effective": BATCH * accumulation}
    length = {"steps": None, "epochs": EPOCHS} if recipe.steps is None else {"steps": EPOCHS}
    return {
        "recipe": {"batch": batch, **length, "model": {"pretrained": False}, **changes},
        "project": {"workers": 0, "checkpointSteps": 1, "evaluationsPerEpoch": 1},
        "search": {"trials": TRIALS, "startupTrials": 1},
    }


def timm(recipe: Recipe, config: Mapping[str, Any]) -> dict[str, Any]:
    known = (small for start, small in TIMM_MINIATURES.items() if recipe.model.id.startswith(start))
    model = {"id": next(known, TIMM_OTHER), "pretrained": False}
    return run(recipe, model=model, input={"imageSize": TIMM_PIXELS})


def transformers(recipe: Recipe, config: Mapping[str, Any]) -> dict[str, Any]:
    changes = run(recipe, input={"sequenceLength": TOKENS})
    return {**changes, "architecture": small_config(config)}


def audio(recipe: Recipe, config: Mapping[str, Any]) -> dict[str, Any]:
    """Short clips; the convolutions over a waveform keep their strides and lose their width."""
    changes = run(recipe, input={"seconds": SECONDS})
    if recipe.model.library == "torch":
        return {**changes, "architecture": {"channels": SMALL_CHANNELS}}
    narrow = {"conv_dim": [SMALL_CHANNELS] * len(config["conv_dim"])} if "conv_dim" in config else {}
    return {**changes, "architecture": {**small_config(config), **narrow}}


def whisper(recipe: Recipe, config: Mapping[str, Any]) -> dict[str, Any]:
    """A second of sound makes a hundred frames, and half as many places of the encoder."""
    marks = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 3}
    sizes = {**small_config(config), "max_source_positions": 50, **marks}
    return {**run(recipe, input={"seconds": SECONDS}), "architecture": sizes}


def dense(recipe: Recipe, config: Mapping[str, Any]) -> dict[str, Any]:
    """Small images; a backbone of single layers a stage, narrow ones where its configuration names widths."""
    changes = run(recipe, input={"imageSize": PIXELS})
    if recipe.model.library == "segmentation_models_pytorch":
        return {**changes, "architecture": {"encoder_name": "resnet18"}}
    return {**changes, "architecture": small_backbone(config)} if recipe.model.library == "transformers" else changes


def volume(recipe: Recipe, config: Mapping[str, Any]) -> dict[str, Any]:
    """The first three stages, narrow, on cubes that leave them more than one voxel."""
    stages = {name: value[:STAGES] for name, value in config.items() if isinstance(value, list) and len(value) == config["n_stages"]}
    decoder = {name: value[: STAGES - 1] for name, value in config.items() if isinstance(value, list) and name not in stages}
    small = {**config, **stages, **decoder, "n_stages": STAGES, "features_per_stage": [8] * STAGES}
    return {**run(recipe, input={"imageSize": EDGE}), "architecture": small}


def detection(recipe: Recipe, config: Mapping[str, Any]) -> dict[str, Any]:
    """Few queries; of the detectors' backbones only plain transformers are cut, since the others' widths hang together."""
    small = {**config, "num_queries": QUERIES, "decoder_layers": 2}
    if config["model_type"] == "rf_detr":
        backbone = {**small_config(config["backbone_config"]), "num_hidden_layers": 4, "out_indices": [1, 2, 3, 4]}
        small |= {"backbone_config": backbone, "d_model": SMALL["hidden_size"], "decoder_ffn_dim": SMALL["ffn_dim"], "group_detr": 2}
    return {**run(recipe, input={"imageSize": PIXELS}), "architecture": small}


def diffusion(recipe: Recipe, config: Mapping[str, Any]) -> dict[str, Any]:
    """The same blocks, each narrow and with one layer."""
    levels = len(config["block_out_channels"])
    small = {**config, "block_out_channels": [WIDTH] * levels, "layers_per_block": 1, "norm_num_groups": 8}
    small |= {"cross_attention_dim": WIDTH, "attention_head_dim": 4} if "cross_attention_dim" in config else {}
    if "addition_embed_type" in config:
        small |= {"transformer_layers_per_block": [1] * levels, "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 80}
    return {**run(recipe, input={"imageSize": PIXELS if "cross_attention_dim" in config else WIDTH}), "architecture": small}


def small_backbone(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with one layer a stage and an eighth of the width, backbones within it too."""
    small = small_config(config)
    for name, value in config.items():
        if isinstance(value, dict):
            small[name] = small_backbone(value)
        elif name == "depths":
            small[name] = [1] * len(value)
        elif name == "hidden_sizes":
            small[name] = [STAGE_WIDTH * (number + 1) for number in range(len(value))]
    if "auxiliary_in_channels" in small and "hidden_sizes" in small["backbone_config"]:
        small["auxiliary_in_channels"] = small["backbone_config"]["hidden_sizes"][2]
    return small


def small_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration of the same architecture, with every size cut; ids of tokens beyond the vocabulary fall back to the class's own."""
    small = {name: min(value, SMALL[name]) if name in SMALL and isinstance(value, int) else value for name, value in config.items()}
    return {name: value for name, value in small.items() if not (name.endswith("_token_id") and int(value or 0) >= SMALL["vocab_size"])}


# Of the small networks of our own and of the libraries that build from settings: what makes them large, and a size for a smoke run.
SMALL_NETWORK = {"hidden": 16, "n_blocks": 1, "d_block": 32, "attention_n_heads": 4}
SMALL_CONTEXT_MODEL = {"embed_dim": 16, "col_nhead": 2, "col_num_inds": 8, "row_nhead": 2, "icl_nhead": 2}
DEPTHS_OF_CONTEXT_MODEL = ("col_num_blocks", "row_num_blocks", "icl_num_blocks")


def table(recipe: Recipe, config: Mapping[str, Any]) -> dict[str, Any]:
    return {**run(recipe), "architecture": {name: size for name, size in SMALL_NETWORK.items() if name in config}}


def series(recipe: Recipe, config: Mapping[str, Any]) -> dict[str, Any]:
    """Few steps: windows may be long."""
    return {**table(recipe, config), "recipe": {**run(recipe)["recipe"], "epochs": None, "steps": STEPS}}


def graph(recipe: Recipe, config: Mapping[str, Any]) -> dict[str, Any]:
    return {**run(recipe, input={"features": FEATURES}), "architecture": {"hidden_channels": SMALL["hidden_size"]}}


def agent(recipe: Recipe, config: Mapping[str, Any]) -> dict[str, Any]:
    sample = {"imageSize": AGENT_PIXELS} if recipe.input.image_size else {}
    project = {"steps": 96, "checkpointSteps": 16, "evaluationSteps": 32, "episodes": 2, "bufferSize": 200, "learningStarts": 16}
    network = {"net_arch": [16]} if "net_arch" in config else {}
    changes = run(recipe, input=sample)
    return {"recipe": changes["recipe"], "project": project, "search": changes["search"], "architecture": network}


def in_context(recipe: Recipe, config: Mapping[str, Any]) -> dict[str, Any]:
    """TabICL reads 0 classes as regression."""
    classes = 0 if recipe.input.outputs in (None, 1) else 10
    return {"architecture": {**SMALL_CONTEXT_MODEL, **dict.fromkeys(DEPTHS_OF_CONTEXT_MODEL, 1), "max_classes": classes}}

"""One sample of a task as `advisor estimate` takes it where nobody says otherwise: the sizes of the tasks' usual data."""

from __future__ import annotations

from typing import Any

SEQUENCE, IMAGE, FRAMES = 512, 224, 16
PREFERENCES = "preference_tuning"
"""Pairs of answers, which need a second model beside the one that learns: for one model alone it is a language model's training."""
_TEXTS = (
    "text_", "token_", "question_", "instruction_", "ranking", "masked_language", "summarization", "translation",
)  # fmt: skip
_CLIPS = ("speech_recognition", "audio_classification", "keyword_spotting")

SAMPLES: dict[str, dict[str, Any]] = {
    "text_classification": {"outputs": 2},  # GLUE, arXiv:1804.07461
    "text_pair_classification": {"outputs": 3},  # MNLI: arXiv:1704.05426
    "text_regression": {"outputs": 1},
    "ranking": {"outputs": 1},
    "token_classification": {"outputs": 9},  # CoNLL-2003, arXiv:cs/0306050
    "image_classification": {"outputs": 1000},  # ImageNet, arXiv:1409.0575
    "object_detection": {"image_size": 800},  # torchvision's and DETR's shorter edge on COCO: arXiv:1506.01497, arXiv:2005.12872
    "instance_segmentation": {"image_size": 800},  # arXiv:1703.06870
    "semantic_segmentation": {"image_size": 512},  # ADE20K: arXiv:2105.15203
    "volume_segmentation": {"kind": "volume", "image_size": 128, "channels": 1, "outputs": 3},  # nnU-Net's patches: arXiv:1904.08128
    "video_classification": {"kind": "video", "sequence_length": FRAMES, "outputs": 400},  # Kinetics-400, arXiv:1705.06950
    "speech_recognition": {
        "kind": "audio",
        "seconds": 30.0,
        "outputs": 32,
    },  # Whisper's window, arXiv:2212.04356; letters: arXiv:2006.11477
    "audio_classification": {"kind": "audio", "seconds": 10.0, "outputs": 527},  # AudioSet, doi:10.1109/ICASSP.2017.7952261
    "keyword_spotting": {"kind": "audio", "seconds": 1.0, "outputs": 35},  # Speech Commands, arXiv:1804.03209
    "contrastive_pretraining": {"kind": "image_text", "sequence_length": 77},  # CLIP, arXiv:2103.00020
    "image_captioning": {"kind": "image_text", "sequence_length": 32},  # COCO's captions: arXiv:1504.00325
    "visual_question_answering": {"kind": "image_text", "sequence_length": SEQUENCE},
    "forecasting": {"kind": "series", "sequence_length": 512, "horizon": 96, "features": 7, "outputs": 2},  # arXiv:2205.13504
    "series_classification": {"kind": "series", "sequence_length": 128, "features": 9, "outputs": 6},  # UCI HAR
    "anomaly_detection": {"kind": "series", "sequence_length": 100, "features": 38},  # the Server Machine Dataset: arXiv:2110.02642
    "tabular_classification": {"kind": "table", "features": 7, "sequence_length": 512, "outputs": 2},
    "tabular_regression": {"kind": "table", "features": 7, "sequence_length": 512, "outputs": 1},
    "node_classification": {"kind": "graph", "features": 128, "neighbours": 7, "outputs": 40},  # ogbn-arxiv: arXiv:2005.00687
    "link_prediction": {"kind": "graph", "features": 128, "neighbours": 7},
    "graph_classification": {"kind": "graph", "features": 9, "nodes": 26, "neighbours": 2, "outputs": 2},  # ogbg-molhiv: arXiv:2005.00687
    "reinforcement_discrete": {"kind": "observation", "image_size": 84, "channels": 4, "outputs": 6},  # Atari, arXiv:1312.5602
    "reinforcement_continuous": {"kind": "observation", "features": 17, "outputs": 6},  # HalfCheetah, arXiv:1606.01540
    "reinforcement_offline": {"kind": "observation", "features": 17, "sequence_length": 20, "outputs": 6},  # arXiv:2106.01345
}
"""By task, what differs from a picture of three channels or from a text of `SEQUENCE` tokens."""

LOSSES = {
    "two_view_pretraining": "info_nce", "link_prediction": "binary_cross_entropy", "anomaly_detection": "mse",
    "reinforcement_offline": "mse",
}  # fmt: skip
"""Where it is not cross-entropy, or the library's own."""
_PLAIN_OBSERVATIONS = ("_mlp",)  # agents that see a few numbers, not pictures
_CHRONOS_HORIZON = 64  # the most that Chronos-Bolt foretells at once: its config's `prediction_length`


def is_text(task: str) -> bool:
    """Whether a sample is a sequence of tokens and nothing else."""
    return task.startswith(_TEXTS)


def takes_length(task: str) -> bool:
    """Whether samples have a length to choose: tokens, frames or time steps."""
    return is_text(task) or "sequence_length" in SAMPLES.get(task, {})


def usual_sample(task: str, model: str, library: str) -> dict[str, Any]:
    """A sample of the task for a recipe's `input`; its picture's size is left out where the task has none of its own."""
    if is_text(task):
        return {"kind": "text", "sequence_length": SEQUENCE, **SAMPLES.get(task, {})}
    sample = {"kind": "image", "channels": 3, **SAMPLES.get(task, {})}
    if model.endswith(_PLAIN_OBSERVATIONS):
        sample = {**SAMPLES["reinforcement_continuous"], "outputs": sample["outputs"]}
    return sample | {"horizon": _CHRONOS_HORIZON} if library == "chronos" else sample


def describe(sample: Any) -> str:
    """What one sample is, of a recipe's `input`."""
    square = f"{sample.image_size} x {sample.image_size} pixels" if sample.image_size else ""
    return {
        "text": f"{sample.sequence_length} tokens",
        "image": square,
        "image_text": f"{square} and {sample.sequence_length} tokens",
        "video": f"{sample.sequence_length} frames of {square}",
        "volume": f"{sample.image_size} x {sample.image_size} x {sample.image_size} voxels",
        "audio": f"{sample.seconds:g} seconds of sound" if sample.seconds else "30 seconds of sound",
        "series": f"{sample.sequence_length} time steps of {sample.features} features",
        "table": f"a row of {sample.features} features",
        "graph": f"a graph of {sample.nodes} nodes" if sample.nodes else f"a node of {sample.features} features",
        "observation": square or f"an observation of {sample.features} features",
    }[sample.kind]

"""What the templates for sounds and speech are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from advisor.recipe import Recipe
from advisor.scaffolding.built import factory, model_type
from advisor.scaffolding.sources import source_of

EXTRACTORS = {"audio-spectrogram-transformer": "ASTFeatureExtractor", "wav2vec2-bert": "SeamlessM4TFeatureExtractor"}

Facts = Mapping[str, Any]
Changes = dict[str, Any]


def sound_values(recipe: Recipe, task: str, facts: Facts) -> Changes:
    own = recipe.model.library == "torch"
    extractor = "" if own else _extractor(recipe)
    several = facts.get("challenge.multi_label") is True
    labels = "label (several joined by ;)" if several else "label"
    return {
        "data": f"a folder with manifest.csv (file, {labels}, and group where clips belong together) and WAV files",
        "several": several,
        "factory": factory(recipe),
        "source": source_of(factory(recipe)) if own else "",
        "extractor": extractor,
        "requirements": () if own else ("transformers",),
        "spectrogram": extractor == "ASTFeatureExtractor",
        "masked_frames": 1 if task == "keyword_spotting" else 4,  # the recipe's: 48 bands and 48 frames, 24 bands and 96 frames
        **_frozen(recipe),
    }


def speech_values(recipe: Recipe, task: str, facts: Facts) -> Changes:
    extractor = _extractor(recipe)
    return {
        "data": "a folder with manifest.csv (file, text, and group, such as the speaker, if any) and WAV files",
        "extractor": extractor,
        "features": extractor == "SeamlessM4TFeatureExtractor",
        **_frozen(recipe),
    }


def _frozen(recipe: Recipe) -> Changes:
    return {
        "partly": recipe.model.adaptation in ("freeze", "linear_probe"),
        "freezes_convolutions": any(one.name == "freeze_feature_encoder" for one in recipe.regularization),
    }


def _extractor(recipe: Recipe) -> str:
    """The class of transformers that makes the inputs of an audio model."""
    return EXTRACTORS.get(model_type(recipe), "Wav2Vec2FeatureExtractor")

"""From a description to the real model: the library's own class, with random weights or on `meta` with none at all.

Nothing is downloaded and no remote code runs. What becomes of the model for training stands in `adapt` and `optimize`.
"""

from __future__ import annotations

import copy
import math
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

from advisor.errors import CheckError, did_you_mean
from advisor.verify.adapt import apply_adaptation, set_training_mode
from advisor.verify.build_dense import BUILDERS
from advisor.verify.build_structured import BUILDERS_STRUCTURED
from advisor.verify.evidence import Build, Job
from advisor.verify.likelihood import STUDENT_PARAMETERS
from advisor.verify.optimize import make_optimizer, optimizer_deviation, parameter_groups
from advisor.verify.plain import FACTORIES, FORECASTERS, SPOTTERS
from advisor.verify.plain_series import CLASSIFIERS, DETECTORS, PROBABILISTIC
from advisor.verify.plain_texts import READERS
from advisor.verify.shapes import WithoutInitialization
from advisor.verify.two_views import FACTORY, TwoViews, encoder_settings

__all__ = [
    "apply_adaptation",
    "build_model",
    "make_optimizer",
    "optimizer_deviation",
    "parameter_groups",
    "set_training_mode",
    "transformers_config",
]

# The class that gives a pretrained encoder the head of a task, so that one entry serves several tasks.
_ENCODERS = ("AutoModel", "AutoModelForSequenceClassification", "AutoModelForAudioClassification", "AutoModelForCTC")
_HEADS = {
    "text_classification": "AutoModelForSequenceClassification",
    "text_pair_classification": "AutoModelForSequenceClassification",
    "text_regression": "AutoModelForSequenceClassification",
    "ranking": "AutoModelForSequenceClassification",
    "token_classification": "AutoModelForTokenClassification",
    "question_answering": "AutoModelForQuestionAnswering",
    "text_embedding": "AutoModel",
    "masked_language_modeling": "AutoModelForMaskedLM",
    "speech_recognition": "AutoModelForCTC",
    "audio_classification": "AutoModelForAudioClassification",
    "keyword_spotting": "AutoModelForAudioClassification",
}

_FRAMES_A_SECOND = 100  # of a spectrogram: a window every 10 ms, as in Kaldi's filter banks

_REGRESSION_TASKS = ("tabular_regression", "image_regression", "text_regression")


def build_model(job: Job, device: str) -> nn.Module:
    """The job's model as its library makes it, in fp32, random weights, in evaluation mode.

    `device` is `meta` (shapes only, nothing allocated), `cpu` or `cuda`. The task's outputs and the sample's size come
    from the recipe. Raises CheckError, naming what is wrong, where the library does not know the model or its settings.
    """
    make = {"timm": _build_timm, "transformers": _build_transformers, "torch": _build_plain, "tabular": _build_tabicl,
            **BUILDERS, **BUILDERS_STRUCTURED}[job.build.library]  # fmt: skip
    try:
        with torch.device(device), WithoutInitialization() if device == "meta" else nullcontext():
            model = make(job)
    except NotImplementedError:  # a constructor that reads its own weights, which meta tensors do not have
        model = make(job).to(device)
    return model.to(device).eval()  # some parameters are made with `torch.Tensor(…)`, which heeds no default device


def _build_timm(job: Job) -> nn.Module:
    if job.build.factory == FACTORY:
        return TwoViews(_create_timm(job, encoder_settings(job.build.config)), job.build.config)
    outputs = job.recipe.input.outputs
    return _create_timm(job, {**job.build.config, **({} if outputs is None else {"num_classes": outputs})})


def _create_timm(job: Job, settings: dict[str, Any]) -> nn.Module:
    import timm

    name = settings.pop("name", "")
    if not timm.is_model(name):
        raise CheckError(f"timm has no model {name!r}{did_you_mean(name, timm.list_models())}")
    sample = job.recipe.input
    channels = 1 if sample.kind == "audio" else sample.channels  # a spectrogram is an image of one channel
    settings |= {"in_chans": channels} if channels not in (None, 3) else {}
    if sample.image_size in (None, timm.get_pretrained_cfg(name, allow_unregistered=False).input_size[-1]):
        return timm.create_model(name, **settings)
    try:
        return timm.create_model(name, img_size=sample.image_size, **settings)
    except TypeError as error:
        if "img_size" not in str(error):
            raise CheckError(f"timm model {name!r} does not take its settings: {error}") from error
        return timm.create_model(name, **settings)  # fully convolutional: any size will do


def _build_transformers(job: Job) -> nn.Module:
    import transformers

    name = model_class(job)
    factory = getattr(transformers, name, None)
    if factory is None or not hasattr(factory, "from_config" if name.startswith("Auto") else "_from_config"):
        known = [name for name in dir(transformers) if "For" in name or name.endswith("Model")]
        raise CheckError(f"transformers has no model class {name!r}{did_you_mean(name, known)}")
    transformers.logging.set_verbosity_error()  # what it says of defaults is no news of ours
    config = transformers_config(job)
    model: nn.Module = factory.from_config(config) if name.startswith("Auto") else factory(config)
    if job.task == "text_embedding" and getattr(model, "pooler", None) is not None:
        model.pooler = None  # embeddings are means over tokens: the pooler would never get a gradient
    if job.build.factory == "DecisionTransformerModel":  # it is trained to act: neither words nor the other heads get a gradient
        model.encoder.wte = None
        model.predict_state, model.predict_return = nn.Identity(), nn.Identity()
    if job.build.config.get("tie_word_embeddings") is False:
        _untie(model)
    return model


def _untie(model: Any) -> None:
    """A head of its own, as the weights have it: T5's configuration ties head and embeddings whatever it is told."""
    head = model.get_output_embeddings()
    if head is not None and head.weight is model.get_input_embeddings().weight:
        head.weight = nn.Parameter(head.weight.detach().clone())


def model_class(job: Job) -> str:
    """The class of transformers to build: that of the task where the entry is an encoder, else the entry's own."""
    return _HEADS.get(job.task, job.build.factory) if job.build.factory in _ENCODERS else job.build.factory


def transformers_config(job: Job) -> Any:
    """The configuration object, told of the task's outputs and the sample's size where it has a place for them."""
    from transformers import CONFIG_MAPPING, AutoConfig

    settings = copy.deepcopy(job.build.config)  # nested settings become the configuration's own, which changes them
    kind = settings.pop("model_type", "")
    if kind not in CONFIG_MAPPING:
        raise CheckError(f"transformers has no model type {kind!r}{did_you_mean(kind, CONFIG_MAPPING.keys())}")
    sample = job.recipe.input
    heads = ("Classification", "Segmentation", "ObjectDetection")
    if sample.outputs is not None and any(word in model_class(job) for word in heads):
        settings["num_labels"] = sample.outputs
        settings.setdefault("pad_token_id", 0)  # decoders that classify look for the last token before the padding
    if sample.outputs is not None and model_class(job) == "AutoModelForCTC":
        settings["vocab_size"] = sample.outputs
    if sample.seconds is not None and kind == "audio-spectrogram-transformer":
        settings["max_length"] = int(sample.seconds * _FRAMES_A_SECOND)
    given = {
        "image_size": sample.image_size,
        "num_frames": sample.sequence_length,
        "context_length": sample.sequence_length,
        "prediction_length": sample.horizon,
        "num_input_channels": sample.features,
        "state_dim": sample.features,
        "act_dim": sample.outputs,
    }
    places = vars(CONFIG_MAPPING[kind]())
    wanted = {
        "image": ("image_size",),
        "video": ("image_size", "num_frames"),
        "series": ("context_length", "prediction_length", "num_input_channels"),
        "observation": ("state_dim", "act_dim"),
    }.get(sample.kind, ())
    if sample.kind == "image_text" and isinstance(settings.get("vision_config"), dict) and sample.image_size is not None:
        settings["vision_config"] = {**settings["vision_config"], "image_size": sample.image_size}
    settings |= {
        name: given[name] for name in wanted if name in places and not isinstance(places[name], list | tuple) and given[name] is not None
    }
    if kind == "timesfm2_5" and "context_length" in settings:  # it reads whole patches, and pads what is shorter
        patch = int(settings["patch_length"])
        settings["context_length"] = math.ceil(settings["context_length"] / patch) * patch
    try:
        config = AutoConfig.for_model(kind, **settings)
        if config.is_encoder_decoder and hasattr(config, "pad_token_id") and getattr(config, "decoder_start_token_id", None) is None:
            config.decoder_start_token_id = config.pad_token_id or 0  # the hub's files say it, the classes do not
        return config
    except Exception as error:  # each configuration class checks its fields in its own way
        raise CheckError(f"transformers' {kind!r} configuration does not take these settings: {' '.join(str(error).split())}") from error


def _build_plain(job: Job) -> nn.Module:
    name = job.build.factory
    if name not in FACTORIES:
        raise CheckError(f"there is no plain model {name!r}{did_you_mean(name, FACTORIES)}; known are {', '.join(FACTORIES)}")
    sample = job.recipe.input
    if name in FORECASTERS:
        shape = {"context": _required(job, "sequence_length"), "horizon": _required(job, "horizon"), "features": sample.features or 1}
    elif name in CLASSIFIERS:
        shape = {"features": sample.features or 1, "outputs": _required(job, "outputs")}
    elif name in DETECTORS:
        shape = {"context": _required(job, "sequence_length"), "features": sample.features or 1}
    elif name in READERS:
        shape = {"outputs": sample.outputs or 1}
    elif name in SPOTTERS:
        shape = {"outputs": _required(job, "outputs")}
    else:
        shape = {"features": _required(job, "features"), "outputs": sample.outputs or 1}
    is_widened = name in FORECASTERS and name not in PROBABILISTIC and job.recipe.loss[0].name == "student_t_nll"
    if is_widened:
        shape["horizon"] *= STUDENT_PARAMETERS
    try:
        model: nn.Module = FACTORIES[name](**shape, **job.build.config)
        return nn.Sequential(model, nn.Unflatten(-1, (-1, STUDENT_PARAMETERS))) if is_widened else model
    except TypeError as error:
        raise CheckError(f"plain model {name!r} does not take its settings: {error}") from error


def _build_tabicl(job: Job) -> nn.Module:
    if job.build.factory != "TabICL":
        raise CheckError(f"there is no tabular model {job.build.factory!r}{did_you_mean(job.build.factory, ['TabICL'])}; known is TabICL")
    try:
        from tabicl._model.tabicl import TabICL
    except ImportError as error:
        raise CheckError("TabICL is not installed; install advisor[tabular]") from error
    # TabICL reads 0 classes as regression, and builds trees of classifiers above its native number of classes
    classes = 0 if job.task in _REGRESSION_TASKS else job.build.config.get("max_classes", 10)
    return TabICL(**{**job.build.config, "max_classes": classes})


def _required(job: Job, name: str) -> int:
    value = getattr(job.recipe.input, name)
    if value is None:
        raise CheckError(f"recipe.input.{name} is needed to build {_label(job.build)}, and is missing")
    return int(value)


def _label(build: Build) -> str:
    return str(build.config.get("name") or build.config.get("model_type") or build.factory)

"""Which model a name means: the catalogue's, a published configuration, timm's, torchvision's, or a class of transformers or diffusers.

`python:module:factory` is a user's own function that takes the configuration's values and returns a `torch.nn.Module`.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from advisor import catalogue
from advisor.errors import CheckError, did_you_mean
from advisor.intake.names import NameIndex
from advisor.located import parse_yaml
from advisor.resources import data_folder
from advisor.verify.evidence import Build

UNSPECIFIED = "unspecified"
"""The task of a model that nothing is known of but its inputs: its loss is the mean of what it returns."""

LIBRARIES = ("timm", "torchvision", "transformers", "diffusers", "python")
_TASKS = {  # by what a class of transformers is called
    "ForCausalLM": "text_generation",
    "LMHeadModel": "text_generation",
    "ForMaskedLM": "masked_language_modeling",
    "ForSeq2SeqLM": "summarization",
    "ForConditionalGeneration": "summarization",
    "ForSequenceClassification": "text_classification",
    "ForTokenClassification": "token_classification",
    "ForQuestionAnswering": "question_answering",
    "ForImageClassification": "image_classification",
}
_TRAININGS = re.compile(r"(?:-(?:instruct|it|chat|base|pt|sft|hf|deduped|v\d+\.\d+))?(?:-2[0-9]{3})?$", re.IGNORECASE)


@dataclass(frozen=True)
class Subject:
    """A model, ready to be built. `factory` is a user's own, or None where the build's library has it. Positions are a sequence's limit."""

    name: str
    library: str
    build: Build
    task: str
    image_size: int | None = None
    positions: int | None = None
    factory: Callable[..., Any] | None = None


def resolve(name: str, library: str | None = None, config: Mapping[str, Any] | None = None) -> Subject:
    """The model that goes by this name, in one library or in the first that has it. Raises CheckError with the nearest names."""
    library, name = _split(name, library)
    if library is not None and library not in LIBRARIES:
        raise CheckError(f"there is no library {library!r}{did_you_mean(library, LIBRARIES)}; known are {', '.join(LIBRARIES)}")
    for search in (_from_catalogue, _from_architectures, _from_timm, _from_torchvision, _from_transformers, _from_diffusers, _from_python):
        found = search(name, library, dict(config or {}))
        if found is not None:
            return found
    near = did_you_mean(name, _known(library))
    raise CheckError(f"no model {name!r}{f' in {library}' if library else ''}{near}")


def _split(name: str, library: str | None) -> tuple[str | None, str]:
    prefix, separator, rest = name.partition(":")
    return (prefix, rest) if separator and library is None else (library, name.removeprefix(f"{library}:"))


def _from_catalogue(name: str, library: str | None, config: dict[str, Any]) -> Subject | None:
    ids = next((ids for spelling in _spellings(name) if (ids := _model_names().exact(spelling))), ())
    entry = catalogue.models()[ids[0]] if ids else None
    if entry is None or library not in (None, entry.build.library):
        return None
    build = entry.build.model_copy(update={"config": {**entry.build.config, **config}})
    return Subject(entry.id, build.library, build, entry.tasks[0], entry.image_size, entry.positions)


def _spellings(name: str) -> list[str]:
    """The name, and those of the same shape under another training: `-Instruct`, `-it`, `-Instruct-2507` and the like change no tensor."""
    plain = _TRAININGS.sub("", name, count=1)
    return [name, plain, *(f"{plain}{ending}" for ending in ("-pt", "-it", "-instruct", "-hf", "-chat"))]


@cache
def _model_names() -> NameIndex:
    return NameIndex(catalogue.models())


@cache
def architectures() -> dict[str, dict[str, Any]]:
    """Published configurations beside the catalogue's own, by repository."""
    path = data_folder("catalogue") / "architectures.yaml"
    models: dict[str, dict[str, Any]] = parse_yaml(path.read_text(encoding="utf-8"), path.name).data["models"]
    return models


def _from_architectures(name: str, library: str | None, config: dict[str, Any]) -> Subject | None:
    if library not in (None, "transformers"):
        return None
    wanted = {spelling.lower() for spelling in _spellings(name)}
    for id_, entry in architectures().items():
        if wanted & {id_.lower(), id_.lower().partition("/")[2]}:
            build = Build(library="transformers", factory=entry["factory"], config={**entry["config"], **config})
            return Subject(id_, "transformers", build, _task_of(entry["factory"]), positions=_positions(build.config))
    return None


def _as_listed(name: str, known: Collection[str]) -> str:
    """The name as its library writes it: `VGG16` and `RegNetX-400MF` are `vgg16` and `regnet_x_400mf`. Empty where it has none such."""
    if name in known:
        return name
    alike = [listed for listed in known if _letters(listed) == _letters(name)]
    return alike[0] if len(alike) == 1 else ""


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


def _from_timm(name: str, library: str | None, config: dict[str, Any]) -> Subject | None:
    if library not in (None, "timm"):
        return None
    import timm

    name = _as_listed(name, [name] if timm.is_model(name) else timm.list_models())
    if not name:
        return None
    size = timm.get_pretrained_cfg(name, allow_unregistered=True)
    build = Build(library="timm", factory="create_model", config={"name": name, **config})
    return Subject(name, "timm", build, "image_classification", image_size=size.input_size[-1] if size else None)


def _from_torchvision(name: str, library: str | None, config: dict[str, Any]) -> Subject | None:
    if library not in (None, "torchvision"):
        return None
    models = importlib.import_module("torchvision.models")
    name = _as_listed(name, models.list_models())
    if not name:
        return None
    kinds = {models.detection: "object_detection", models.segmentation: "semantic_segmentation", models.video: "video_classification",
             models.optical_flow: UNSPECIFIED}  # fmt: skip
    task = next((task for module, task in kinds.items() if name in models.list_models(module=module)), "image_classification")
    return Subject(name, "torchvision", Build(library="torchvision", factory=name, config=config), task)


def _from_transformers(name: str, library: str | None, config: dict[str, Any]) -> Subject | None:
    """A class by its name, or a model type, for which its language model, or else its plain body, is taken."""
    if library not in (None, "transformers"):
        return None
    import transformers
    from transformers import CONFIG_MAPPING
    from transformers.models.auto import modeling_auto as auto

    if name in CONFIG_MAPPING:
        heads = (
            auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
            auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
            auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
            auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
            auto.MODEL_MAPPING_NAMES,
        )
        factory = next((mapping[name] for mapping in heads if name in mapping), None)
        factory = factory[0] if isinstance(factory, tuple) else factory
    else:
        factory = name if hasattr(transformers, name) and hasattr(getattr(transformers, name), "config_class") else None
    if factory is None:
        return None
    kind = name if name in CONFIG_MAPPING else getattr(getattr(transformers, factory).config_class, "model_type", "")
    build = Build(library="transformers", factory=factory, config={"model_type": kind, **config})
    return Subject(name, "transformers", build, _task_of(factory), positions=_positions(build.config))


def _task_of(factory: str) -> str:
    return next((task for ending, task in _TASKS.items() if factory.endswith(ending)), UNSPECIFIED)


def _positions(config: Mapping[str, Any]) -> int | None:
    """The longest sequence that a configuration allows, as it states it or as its class has it."""
    from transformers import CONFIG_MAPPING

    kind = config.get("model_type")
    usual = getattr(CONFIG_MAPPING[kind](), "max_position_embeddings", None) if kind in CONFIG_MAPPING else None
    found: int | None = config.get("max_position_embeddings") or config.get("n_positions") or usual
    return found


def _from_diffusers(name: str, library: str | None, config: dict[str, Any]) -> Subject | None:
    if library != "diffusers":
        return None
    try:
        package = importlib.import_module("diffusers")
    except ImportError as error:
        raise CheckError("diffusers is not installed; install advisor[diffusion]") from error
    factory = getattr(package, name, None)
    if factory is None:
        raise CheckError(f"diffusers has no model class {name!r}{did_you_mean(name, [n for n in dir(package) if 'Model' in n])}")
    build = Build(library="diffusers", factory=name, config=config)
    return Subject(name, "diffusers", build, UNSPECIFIED, factory=lambda **settings: factory.from_config(settings))


def _from_python(name: str, library: str | None, config: dict[str, Any]) -> Subject | None:
    if library != "python":
        return None
    module, separator, attribute = name.partition(":")
    if not separator:
        raise CheckError(f"python:{name} names no function; write python:module:factory")
    try:
        factory = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise CheckError(f"python:{name}: the module {module!r} cannot be imported: {error}") from error
    except AttributeError:
        known = [n for n in dir(importlib.import_module(module)) if not n.startswith("_")]
        raise CheckError(f"python:{name}: {module} has no {attribute!r}{did_you_mean(attribute, known)}") from None
    return Subject(name, "python", Build(library="torch", factory=name, config=config), UNSPECIFIED, factory=factory)


def _known(library: str | None) -> Iterator[str]:
    """The names that a misspelled one may have meant."""
    for id_ in (*catalogue.models(), *architectures()):
        yield from (id_, id_.rpartition("/")[2])
    if library in (None, "timm"):
        import timm

        yield from timm.list_models()
    if library in (None, "torchvision"):
        yield from importlib.import_module("torchvision.models").list_models()
    if library in (None, "transformers"):
        import transformers

        yield from transformers.CONFIG_MAPPING
        yield from (name for name in dir(transformers) if "For" in name)

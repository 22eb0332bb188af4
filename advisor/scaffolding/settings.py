"""`config.yaml`: the report's recipe as it stands, and beside it what a recipe does not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from advisor.recipe import Named, ParameterGroup, Recipe
from advisor.report import Report
from advisor.scaffolding.families import Family

# What no recipe says. None of it is published for the problem at hand: each is a judgement, to be changed freely.
SHARE = 0.15  # of the samples for validation, and as many for the test
WORKERS = 4
CHECKPOINT_STEPS = 500
PATIENCE = 10  # evaluations without a better score, where the recipe stops early without saying after how many
ENVIRONMENT_STEPS = 1_000_000  # where the request does not say
AGENT = {"checkpointSteps": 50_000, "evaluationSteps": 10_000, "episodes": 10, "bufferSize": 1_000_000, "learningStarts": 10_000}
PLATEAU = {"factor": 0.5, "patience": 5}
RATE_SPAN = 3.0  # the search goes from a third of the recipe's learning rate to three times it
TRIALS = 30
STARTUP_TRIALS = 5

SEASONS = {"hourly": 24, "daily": 7, "weekly": 52, "monthly": 12, "quarterly": 4}  # steps after which a series is likely to repeat
BUILT_FROM_SETTINGS = (
    "torch",
    "rtdl_revisiting_models",
    "torch_geometric",
    "stable_baselines3",
    "torchvision",
    "segmentation_models_pytorch",
    "diffusers",
    "dynamic_network_architectures",
)

_ABOUT = {
    "recipe": "The design report's recipe, number for number; why each is as it is stands in the report's decisions.",
    "project": "What a recipe does not say (basis: judgement). `watch` is the metric that chooses the best checkpoint.",
    "architecture": "What the network is built with.",
    "search": "What tune.py tries: the report's search space, by the place of each number.",
    "smoke": "What --smoke lays over all of the above.",
}


def settings_of(report: Report, recipe: Recipe, family: Family, build: Mapping[str, Any], watch: str) -> dict[str, Any]:
    """The sections of config.yaml."""
    project = {"watch": watch, "seed": report.provenance.seed, "split": {"validation": SHARE, "test": SHARE}}
    if recipe.input.kind == "table":
        project["target"] = None
    if family.name == "whisper":
        project["language"] = None
    if recipe.input.kind == "series":
        frequency = next((str(fact.value) for fact in report.facts if fact.fact == "data.frequency"), "")
        project["season"] = SEASONS.get(frequency, 1)
    sections: dict[str, Any] = {"recipe": recipe.to_wire(), "project": project}
    if recipe.model.library in BUILT_FROM_SETTINGS:
        sections["architecture"] = dict(build)
    if family.skeleton == "agent":
        project |= {"steps": _environment_steps(report), **AGENT}
    if family.skeleton == "training":
        project |= {
            "workers": WORKERS,
            "checkpointSteps": CHECKPOINT_STEPS,
            "evaluationsPerEpoch": family.evaluations,
            "patience": _patience(report, recipe),
            "plateau": PLATEAU,
        }
    if recipe.optimizer.name != "none":
        sections["search"] = search_settings(report, recipe)
    return {**sections, "smoke": family.miniature(recipe, build)}


def settings_text(settings: Mapping[str, Any]) -> str:
    """The sections as YAML, each under a line that says what it is. Only ASCII: whatever a text holds shows and does nothing."""
    parts = [f"# {_ABOUT[name]}\n{yaml.safe_dump({name: value}, sort_keys=False, width=120)}" for name, value in settings.items()]
    return "\n".join(parts)


def search_settings(report: Report, recipe: Recipe) -> dict[str, Any]:
    """The report's search space, as far as its numbers have a place in this recipe; without one, the learning rate around the recipe's."""
    found = report.search_space
    if found is None:
        rate = recipe.optimizer.learning_rate or 0.0
        around = {"low": float(f"{rate / RATE_SPAN:.3g}"), "high": float(f"{rate * RATE_SPAN:.3g}"), "log": True}
        return {"trials": TRIALS, "startupTrials": STARTUP_TRIALS, "space": {"recipe.optimizer.learningRate": around}}
    space = {}
    for one in found.parameters:
        lists: dict[str, Sequence[Named | ParameterGroup]] = {
            "optimizer.parameterGroups": recipe.optimizer.parameter_groups,
            "regularization": recipe.regularization,
            "augmentation": recipe.augmentation,
        }
        techniques = lists.get(one.path)
        last = "learningRateScale" if one.path == "optimizer.parameterGroups" else "value"
        if techniques is None or any(technique.name == one.name for technique in techniques):
            path = f"recipe.{one.path}" + ("" if techniques is None else f".{one.name}.{last}")
            if one.name == "label_smoothing":  # which the loss applies
                path = f"recipe.loss.{recipe.loss[0].name}.value"
            space[path] = {"choices": one.choices} if one.choices else {"low": one.low, "high": one.high, "log": one.log}
    return {"trials": found.trials, "startupTrials": STARTUP_TRIALS, "space": space}


def _environment_steps(report: Report) -> int:
    samples = next((fact.value for fact in report.facts if fact.fact == "data.samples"), None)
    return int(samples) if isinstance(samples, int | float) else ENVIRONMENT_STEPS


def _patience(report: Report, recipe: Recipe) -> int | None:
    """Evaluations without a better score after which to stop, as the rules say where they do, or None for never."""
    stopping = next((one for one in recipe.regularization if one.name == "early_stopping"), None)
    length = next((one.value for one in report.decisions if one.slot == "length" and isinstance(one.value, dict)), {})
    ruled = (stopping.value if stopping else None) or length.get("patience")
    return int(ruled) if ruled else PATIENCE if stopping else None

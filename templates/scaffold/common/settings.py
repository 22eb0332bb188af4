"""The settings of every script: config.yaml, and what the command line says."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
Settings = dict[str, Any]
LOWER_IS_BETTER = {"loss", "mae", "mse", "rmse", "mape", "mase", "wer", "cer", "perplexity"}


def read_settings(smoke: bool = False) -> Settings:
    """config.yaml as it stands; for a smoke run with its `smoke` section laid over the rest."""
    settings: Settings = yaml.safe_load((HERE / "config.yaml").read_text(encoding="utf-8"))
    changes = settings.pop("smoke")
    return lay_over(settings, {**changes, "smoke": True}) if smoke else {**settings, "smoke": False}


def lay_over(settings: Settings, changes: Settings) -> Settings:
    merged = dict(settings)
    for name, value in changes.items():
        merged[name] = lay_over(merged[name], value) if isinstance(value, dict) and isinstance(merged.get(name), dict) else value
    return merged


def strength(settings: Settings, kind: str, name: str, otherwise: float = 0.0) -> float:
    """How strong a technique of the recipe is; 0 where the recipe does not have it, `otherwise` where it states no strength."""
    found = [one for one in settings["recipe"].get(kind, []) if one["name"] == name]
    return float(found[0].get("value", otherwise)) if found else 0.0


def parse_arguments(about: str, data: str, **further: Any) -> argparse.Namespace:
    """What every script is told; `data` says what --data names."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--data", type=Path, help=data)
    parser.add_argument("--smoke", action="store_true", help="a tiny run on synthetic data with random weights")
    parser.add_argument("--output", type=Path, help="folder of what is trained (default: runs/train, with --smoke runs/smoke)")
    for name, options in further.items():
        parser.add_argument(f"--{name.replace('_', '-')}", **options)
    arguments = parser.parse_args()
    if not arguments.smoke and arguments.data is None:
        parser.error("name your data with --data PATH, or try --smoke")
    if arguments.smoke and (torch := sys.modules.get("torch")):
        torch.set_num_threads(1)  # several only wait for each other over tensors as small as these
    arguments.output = arguments.output or HERE / "runs" / ("smoke" if arguments.smoke else "train")
    return arguments

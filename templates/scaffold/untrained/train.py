"""Fit the designed model, which is used as it is: the train part is its context, and no weight is changed.

Usage:
    python train.py --smoke         synthetic data and random weights: does everything work here?
    python train.py --data PATH     fit, and say how good it is on the validation part

The recipe in config.yaml is the design report's. What is special to the task stands in task.py.
"""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path
from typing import Any

import torch
import yaml

from task import DATA, Settings, build_model, load_data, measure

HERE = Path(__file__).resolve().parent


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


def parse_arguments(about: str) -> argparse.Namespace:
    """What train.py, evaluate.py and export.py are all told."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--data", type=Path, help=DATA)
    parser.add_argument("--smoke", action="store_true", help="synthetic data and random weights")
    parser.add_argument("--output", type=Path, help="folder of the fitted model (default: runs/train, with --smoke runs/smoke)")
    arguments = parser.parse_args()
    if not arguments.smoke and arguments.data is None:
        parser.error("name your data with --data PATH, or try --smoke")
    if arguments.smoke:
        torch.set_num_threads(1)  # several only wait for each other over tensors as small as these
    arguments.output = arguments.output or HERE / "runs" / ("smoke" if arguments.smoke else "train")
    return arguments


def save(model: Any, path: Path) -> None:
    """Write beside the target, then move: a run that is killed leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(pickle.dumps(model))
    part.replace(path)


def load(path: Path) -> Any:
    """The fitted model. A pickle runs code when it is read: read none that you did not write."""
    return pickle.loads(path.read_bytes())


def main() -> None:
    arguments = parse_arguments("Fit the designed model.")
    settings = read_settings(arguments.smoke)
    parts = load_data(settings, arguments.data)
    model = build_model(settings, arguments.output)
    model.fit(*parts["train"])
    scores = measure(model, *parts["validation"])
    print("validation: " + ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))
    save(model, arguments.output / "model.pkl")
    print(f"fitted to {len(parts['train'][0])} rows; the model is in {arguments.output}")


if __name__ == "__main__":
    main()

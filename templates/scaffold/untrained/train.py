"""Fit the designed model, which is used as it is: the train part is its context, and no weight is changed.

Usage:
    python train.py --smoke         synthetic data and random weights: does everything work here?
    python train.py --data PATH     fit, and say how good it is on the validation part

The recipe in config.yaml is the design report's. What is special to the task stands in task.py.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from settings import parse_arguments, read_settings
from task import DATA, build_model, load_data, measure


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
    arguments = parse_arguments("Fit the designed model.", DATA)
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

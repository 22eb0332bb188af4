"""Evaluate the best agent over episodes that it was not chosen by, with several seeds.

Usage:
    python evaluate.py --data NAME    after train.py --data NAME
    python evaluate.py --smoke        after train.py --smoke
"""

from __future__ import annotations

import json
import statistics
from typing import Any

from settings import parse_arguments, read_settings
from task import DATA, build_model, make_environment
from train import FURTHER, mean_return

SEEDS = 3


def main() -> None:
    arguments = parse_arguments("Evaluate the best agent.", DATA)
    settings = read_settings(arguments.smoke)
    built = build_model(settings, make_environment(settings, arguments.data), arguments.output)
    model = type(built).load(arguments.output / "best.zip")
    first = settings["project"]["seed"] + FURTHER
    returns = [mean_return(model, settings, arguments.data, first + seed)[0] for seed in range(1, SEEDS + 1)]
    found: dict[str, Any] = {"episode_return": statistics.mean(returns), "by_seed": returns, "episodes": settings["project"]["episodes"]}
    for name, value in found.items():
        print(f"{name}: {value}")
    (arguments.output / "evaluation.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

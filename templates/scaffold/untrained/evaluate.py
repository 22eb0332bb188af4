"""Evaluate the fitted model on the test part, once, at the end.

Usage:
    python evaluate.py --data PATH    after train.py --data PATH
    python evaluate.py --smoke        after train.py --smoke
"""

from __future__ import annotations

import json
from typing import Any

from settings import parse_arguments, read_settings
from task import DATA, details, load_data, measure
from train import load


def main() -> None:
    arguments = parse_arguments("Evaluate the fitted model on the test part.", DATA)
    rows, targets = load_data(read_settings(arguments.smoke), arguments.data)["test"]
    model = load(arguments.output / "model.pkl")
    found: dict[str, Any] = {"samples": len(rows), **measure(model, rows, targets), **details(model, rows, targets)}
    for name, value in found.items():
        print(f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {value}")
    (arguments.output / "evaluation.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

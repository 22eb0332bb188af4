"""Evaluate the best checkpoint on the test part, once, at the end.

Usage:
    python evaluate.py --data PATH    after train.py --data PATH
    python evaluate.py --smoke        after train.py --smoke
"""

from __future__ import annotations

import json
from typing import Any

from prediction import predict
from settings import parse_arguments, read_settings
from task import DATA, details, load_data, measure
from train import answer, load_best


def main() -> None:
    arguments = parse_arguments("Evaluate the best checkpoint on the test part.", DATA)
    settings = read_settings(arguments.smoke)
    test = load_data(settings, arguments.data)["test"]
    outputs, targets = predict(answer(load_best(settings, arguments.output)), test, settings)
    found: dict[str, Any] = {"samples": len(test), **measure(outputs, targets, settings), **details(outputs, targets)}
    for name, value in found.items():
        print(f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {value}")
    (arguments.output / "evaluation.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

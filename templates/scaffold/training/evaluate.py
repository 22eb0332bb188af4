"""Evaluate the best checkpoint on the test part, once, at the end.

Usage:
    python evaluate.py --data PATH    after train.py --data PATH
    python evaluate.py --smoke        after train.py --smoke
"""

from __future__ import annotations

import json
from typing import Any

import torch

from prediction import predict
from settings import parse_arguments, read_settings
from task import DATA, details, load_data, make_loader, measure
from train import load_best


def main() -> None:
    arguments = parse_arguments("Evaluate the best checkpoint on the test part.", DATA)
    settings = read_settings(arguments.smoke)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    test = load_data(settings, arguments.data)["test"]
    model = load_best(settings, arguments.output, device)
    predicted = predict(model, make_loader(test, settings), settings, device)
    found: dict[str, Any] = {"samples": len(test), **measure(predicted, settings), **details(predicted, settings)}
    for name, value in found.items():
        print(f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {value}")
    (arguments.output / "evaluation.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

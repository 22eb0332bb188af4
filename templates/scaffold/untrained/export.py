"""Export the fitted model: itself, its context and its weights in one file that predicts without the data it was fitted to.

Usage:
    python export.py --data PATH    after train.py --data PATH
    python export.py --smoke        after train.py --smoke
"""

from __future__ import annotations

import numpy as np

from settings import parse_arguments, read_settings
from task import DATA, load_data
from train import load, save


def main() -> None:
    arguments = parse_arguments("Export the fitted model.", DATA)
    rows, _ = load_data(read_settings(arguments.smoke), arguments.data)["test"]
    model, path = load(arguments.output / "model.pkl"), arguments.output / "exported.pkl"
    expected = model.predict(rows)
    save(model, path)
    if not np.array_equal(load(path).predict(rows), expected):
        raise SystemExit(f"{path}: its answers differ from the model's")
    print(f"wrote {path}: its answers are the model's. Its form is the library's own: there is no ONNX of a model with a context")


if __name__ == "__main__":
    main()

"""Export the best checkpoint for use without this code, and check that what was exported says the same.

Usage:
    python export.py --data PATH    after train.py --data PATH
    python export.py --smoke        after train.py --smoke

`model.keras` loads wherever Keras is. Beside it TensorFlow's backend writes a SavedModel, and PyTorch's an ONNX file for one sample.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np

from settings import parse_arguments, read_settings
from task import DATA, load_data
from train import load_best

TOLERANCE = 1e-3  # between the outputs before and after


def main() -> None:
    arguments = parse_arguments("Export the best checkpoint.", DATA)
    settings = read_settings(arguments.smoke)
    inputs, _ = load_data(settings, arguments.data)["test"].batch([0], 0)
    model, folder = load_best(settings, arguments.output), arguments.output
    expected = np.asarray(model.predict_on_batch(inputs))
    model.save(folder / "model.keras")
    compare(np.asarray(keras.models.load_model(folder / "model.keras").predict_on_batch(inputs)), expected, folder / "model.keras")
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        model.export(folder / "saved_model", verbose=False)
        loaded = tensorflow.saved_model.load(str(folder / "saved_model"))
        compare(np.asarray(loaded.serve(inputs)), expected, folder / "saved_model")
    elif keras.backend.backend() == "torch" and all(find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime")):
        import onnxruntime

        path = folder / "model.onnx"
        model.export(path, format="onnx", verbose=False)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        compare(session.run(None, {session.get_inputs()[0].name: inputs})[0], expected, path)
    else:
        print("neither a SavedModel nor an ONNX file: the first needs KERAS_BACKEND=tensorflow, the second torch, onnx and onnxruntime")


def compare(said: np.ndarray, expected: np.ndarray, path: Path) -> None:
    difference = float(np.abs(said - expected).max())
    if difference > TOLERANCE:
        raise SystemExit(f"{path}: its outputs differ by {difference:.2g} from the model's")
    print(f"wrote {path}: its outputs differ by at most {difference:.2g}")


if __name__ == "__main__":
    main()

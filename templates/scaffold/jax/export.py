"""Export the best checkpoint for use without this code, and check that what was exported says the same.

Usage:
    python export.py --data PATH    after train.py --data PATH
    python export.py --smoke        after train.py --smoke

`model.stablehlo` is what jax.export writes, for a batch of any size, with the weights inside: `jax.export.deserialize` reads it.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from flax import nnx
from jax import export

from settings import parse_arguments, read_settings
from task import DATA, load_data
from train import load_best

TOLERANCE = 1e-3  # between the outputs before and after
PLATFORMS = ("cpu", "cuda", "tpu")


def main() -> None:
    arguments = parse_arguments("Export the best checkpoint.", DATA)
    settings = read_settings(arguments.smoke)
    inputs, _ = load_data(settings, arguments.data)["test"].batch([0, 1], 0)
    model: Any = load_best(settings, arguments.output)
    graph, state = nnx.split(model)

    def forward(batch: jax.Array) -> jax.Array:
        return nnx.merge(graph, state)(batch)

    sizes = export.symbolic_shape("batch, " + ", ".join(map(str, inputs.shape[1:])))
    program = export.export(jax.jit(forward), platforms=PLATFORMS)(jax.ShapeDtypeStruct(sizes, inputs.dtype))
    path = arguments.output / "model.stablehlo"
    path.write_bytes(program.serialize())
    said = np.asarray(export.deserialize(bytearray(path.read_bytes())).call(inputs))
    difference = float(np.abs(said - np.asarray(model(inputs))).max())
    if difference > TOLERANCE:
        raise SystemExit(f"{path}: its outputs differ by {difference:.2g} from the model's")
    print(f"wrote {path}: its outputs differ by at most {difference:.2g}")


if __name__ == "__main__":
    main()

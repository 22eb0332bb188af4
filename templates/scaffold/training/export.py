"""Export the best checkpoint for use without this code, and check that what was exported says the same.

Usage:
    python export.py --data PATH    after train.py --data PATH
    python export.py --smoke        after train.py --smoke
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from settings import parse_arguments, read_settings
from task import DATA, DYNAMIC_SHAPES, Exported, example_inputs, load_data
from train import load_best

TOLERANCE = 1e-3  # between the outputs before and after, in fp32


def main() -> None:
    arguments = parse_arguments("Export the best checkpoint.", DATA)
    settings = read_settings(arguments.smoke)
    load_data(settings, arguments.data)  # what the model is told of the data
    model = Exported(load_best(settings, arguments.output, torch.device("cpu"))).eval()
    inputs = example_inputs(settings)
    with torch.no_grad():
        expected = model(*inputs)
        program = torch.export.export(model, inputs, dynamic_shapes=DYNAMIC_SHAPES)
    own = program.graph_signature.user_inputs
    sizes = [tuple(map(str, node.meta["val"].shape)) for node in program.graph.nodes if node.name in own]
    print(f"inputs of any size where a dimension is a name: {sizes}")
    path = arguments.output / "model.pt2"
    torch.export.save(program, path)
    compare(torch.export.load(path).module()(*inputs), expected, path)
    if all(find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime")):
        export_onnx(program, inputs, expected, arguments.output / "model.onnx")
    else:
        print("no ONNX file: install onnx, onnxscript and onnxruntime to get one")


def export_onnx(program: torch.export.ExportedProgram, inputs: tuple[Tensor, ...], expected: Tensor, path: Path) -> None:
    import onnxruntime

    exported = torch.onnx.export(program, dynamo=True)
    assert exported is not None
    exported.save(str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = {one.name: tensor.numpy() for one, tensor in zip(session.get_inputs(), inputs, strict=True)}
    compare(torch.from_numpy(session.run(None, given)[0]), expected, path)


def compare(said: Tensor, expected: Tensor, path: Path) -> None:
    difference = float((said.detach().float() - expected.float()).abs().max())
    if difference > TOLERANCE:
        raise SystemExit(f"{path}: its outputs differ by {difference:.2g} from the model's")
    print(f"wrote {path}: its outputs differ by at most {difference:.2g}")


if __name__ == "__main__":
    main()

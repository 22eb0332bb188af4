"""ONNX: the graph written by torch's exporter, run under ONNX Runtime, and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from advisor.errors import CheckError
from advisor.verify.case import Case, Inputs, Version
from advisor.verify.evidence import Variant
from advisor.verify.techniques import ONNX

if TYPE_CHECKING:
    import onnx

# The same arithmetic in another order differs by some 1e-6 a layer in fp32; a wrong operator, axis or constant by tenths.
EXPORT_LIMIT = 1e-3
CAUSE_CHARACTERS = 200  # of what the exporter says; the rest is a stack of its own
_QUIET = 4  # onnxruntime's log level for what ends the process alone: errors are raised as well


def convert(program: torch.export.ExportedProgram, inputs: Inputs) -> onnx.ModelProto:
    """The captured graph in ONNX, as optimized by the exporter.

    The shapes that the exporter notes down beside the graph are left out: its optimizer transposes weights and keeps their old
    shapes, at which ONNX Runtime's quantizers stop.
    """
    import onnxscript  # noqa: F401 - the exporter's own need, said plainly where it is missing

    try:
        exported = torch.onnx.export(program, inputs, dynamo=True, verbose=False)
    except torch.onnx.OnnxExporterError as error:
        cause = " ".join(str(error.__cause__ or error).split())[:CAUSE_CHARACTERS]
        raise CheckError(f"the ONNX exporter of torch {torch.__version__} does not convert this model: {cause}") from error
    assert exported is not None, "without a file to write to, the exporter returns the program"
    graph: onnx.ModelProto = exported.model_proto
    del graph.graph.value_info[:]
    return graph


def load(content: bytes, what: str) -> Version:
    """An ONNX file's content under ONNX Runtime's CPU provider, with as many threads as torch has."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    settings.log_severity_level = _QUIET
    session: Any = onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
    names = [taken.name for taken in session.get_inputs()]

    def run(inputs: Inputs) -> Tensor:
        given = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
        return torch.from_numpy(session.run(None, given)[0])

    return Version(what, run, len(content))


def check_onnx(case: Case) -> Variant:
    """Exported, loaded and run: the outputs are the original's, and the batch may change."""
    import onnxruntime

    detail = f"torch.onnx.export (dynamo), opset {case.graph.opset_import[0].version}, run under ONNX Runtime {onnxruntime.__version__}"
    return case.compare(ONNX, case.onnx, case.original, EXPORT_LIMIT, detail)

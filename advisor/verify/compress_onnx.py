"""Smaller numbers under ONNX Runtime: dynamic and static int8, and weights in 4 or 8 bits."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from advisor.verify.case import Case
from advisor.verify.compress import LIMITS
from advisor.verify.evidence import Variant
from advisor.verify.export_onnx import load

BLOCK = 32  # weights that share a scale, as in GGUF's 4-bit formats


def check_dynamic(case: Case, name: str) -> Variant:
    """Matrix products in int8, the scales of activations found in each call."""
    from onnxruntime.quantization import quantize_dynamic

    def write(source: Path, target: Path) -> None:
        quantize_dynamic(source, target, op_types_to_quantize=["MatMul", "Gemm"])

    return _check(case, name, _through_files(case, write), "matrix products in int8, activations quantized in each call")


def check_static(case: Case, name: str) -> Variant:
    """Every layer in int8, with scales from the smoke batch."""
    from onnxruntime.quantization import QuantFormat, quantize_static

    def write(source: Path, target: Path) -> None:
        quantize_static(source, target, _reader(case), quant_format=QuantFormat.QDQ, per_channel=True)

    return _check(case, name, _through_files(case, write), f"calibrated on {len(case.outputs)} synthetic samples, a scale a channel")


def check_weights(case: Case, name: str) -> Variant:
    """Matrix products with 4- or 8-bit weights in blocks."""
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    bits = 4 if "int4" in name else 8
    graph = type(case.graph).FromString(case.graph.SerializeToString())  # the quantizer changes what it is given
    quantizer = MatMulNBitsQuantizer(graph, bits=bits, block_size=BLOCK, is_symmetric=True)
    quantizer.process()
    detail = f"weights of matrix products in {bits} bits, blocks of {BLOCK} (ONNX Runtime's MatMulNBits"
    detail += ")" if bits == 8 else "; AWQ, GPTQ and GGUF choose their scales with more care)"
    return _check(case, name, quantizer.model.model.SerializeToString(), detail)


def _check(case: Case, name: str, content: bytes, detail: str) -> Variant:
    """Compared in size and time with the ONNX file that it would replace, in outputs with the model itself."""
    form = "int4" if "int4" in name else "int8"
    return case.compare(name, load(content, form), case.onnx, LIMITS[form], detail)


def _through_files(case: Case, write: Any) -> bytes:
    with tempfile.TemporaryDirectory(dir=case.folder) as folder:
        source, target = Path(folder, "model.onnx"), Path(folder, "quantized.onnx")
        source.write_bytes(case.graph.SerializeToString())
        write(source, target)
        return target.read_bytes()


def _reader(case: Case) -> Any:
    """The smoke batch, as ONNX Runtime reads what it calibrates on."""
    from onnxruntime.quantization import CalibrationDataReader

    names = [taken.name for taken in case.graph.graph.input]
    batches = iter([{name: tensor.numpy() for name, tensor in zip(names, case.inputs, strict=True)}])

    class Reader(CalibrationDataReader):
        def get_next(self) -> dict[str, Any] | None:
            return next(batches, None)

    return Reader()

"""What of a recipe can really be made and compared here: its compression, and its exports. Never imports torch."""

from __future__ import annotations

from advisor.recipe import Recipe

ONNX, TORCH_EXPORT = "export.onnx", "export.torch_export"
_WITHOUT_A_GRAPH = ("bf16", "fp16")  # made from the module itself in a second; the others start from the ONNX file
PRUNING, DISTILLATION = "compress.pruning", "compress.distillation"


def techniques(recipe: Recipe) -> tuple[str, ...]:
    """The recommended ones as names of checks, in the order in which they are tried: what costs little, and what more hangs on, first."""
    compression = recipe.compression
    quantized = [f"compress.{compression.quantization.replace('-', '_')}"] if compression.quantization != "none" else []
    wanted = [ONNX] if any("onnx" in form.lower() for form in recipe.export) else []
    wanted = [*quantized, *wanted] if compression.quantization in _WITHOUT_A_GRAPH else [*wanted, *quantized]
    if any("torch.export" in form.split("(")[0] for form in recipe.export):
        wanted.append(TORCH_EXPORT)
    wanted += [PRUNING] * bool(compression.pruning) + [DISTILLATION] * bool(compression.distillation)
    return tuple(wanted)

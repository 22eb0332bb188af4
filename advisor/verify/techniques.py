"""What of a recipe can really be made and compared here: its compression, and its exports. Never imports torch."""

from __future__ import annotations

from advisor.recipe import Recipe

ONNX, TORCH_EXPORT = "export.onnx", "export.torch_export"
PRUNING, DISTILLATION = "compress.pruning", "compress.distillation"


def techniques(recipe: Recipe) -> tuple[str, ...]:
    """The recommended ones as names of checks, in the order in which they are tried: what more of the answer hangs on first."""
    compression, wanted = recipe.compression, []
    if any("onnx" in form.lower() for form in recipe.export):
        wanted.append(ONNX)
    if compression.quantization != "none":
        wanted.append(f"compress.{compression.quantization.replace('-', '_')}")
    if any("torch.export" in form.split("(")[0] for form in recipe.export):
        wanted.append(TORCH_EXPORT)
    wanted += [PRUNING] * bool(compression.pruning) + [DISTILLATION] * bool(compression.distillation)
    return tuple(wanted)

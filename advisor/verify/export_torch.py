"""torch.export: the program saved, loaded again, and compared."""

from __future__ import annotations

import io
from dataclasses import replace

import torch

from advisor.verify.case import Case, version_of
from advisor.verify.evidence import Variant
from advisor.verify.export_onnx import EXPORT_LIMIT
from advisor.verify.techniques import TORCH_EXPORT


def check_torch_export(case: Case) -> Variant:
    """What is loaded from the saved file computes what the model does."""
    file = io.BytesIO()
    torch.export.save(case.program, file)
    size = file.getbuffer().nbytes
    file.seek(0)
    loaded = version_of(torch.export.load(file).module(), "the program loaded from its file")
    return case.compare(
        TORCH_EXPORT, replace(loaded, bytes=size), case.original, EXPORT_LIMIT, f"saved and loaded by torch {torch.__version__}"
    )

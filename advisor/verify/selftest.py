"""Whether the installed torch still does what tracing assumes; and a coarser prediction where it does not."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from advisor.recipe import Recipe
from advisor.verify.cuda_choices import CudaChoices
from advisor.verify.evidence import Memory, Target
from advisor.verify.formulas import STATE_BYTES
from advisor.verify.memory import CONTEXT, CONTEXT_RANGE
from advisor.verify.shapes import MetaOperators
from advisor.verify.workload import Workload

_COARSE = (0.5, 2.0)
"""Outputs of layers against what autograd saves: it keeps some of them, and inputs, masks and statistics beside them. Twice and
half bracket the ratio of the two for the nets of the tests."""
_PAIR = 2  # samples that are run, for BatchNorm wants more than one; the outputs of more are so many times as large
_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}


@cache
def failed_assumptions() -> tuple[str, ...]:
    """What the traces rely on and this torch does not do, in words; usually nothing. Worked out once a process, in milliseconds."""
    return tuple(message for test, message in _ASSUMPTIONS if not _holds(test))


def _holds(test: Callable[[], bool]) -> bool:
    try:
        return test()
    except Exception:  # whatever a coming version may raise, tracing cannot be trusted with it
        return False


def _backward_runs() -> bool:
    layer = nn.Linear(4, 3, device="meta")
    layer(torch.empty(2, 4, device="meta")).sum().backward()
    return layer.weight.grad is not None and layer.weight.grad.shape == (3, 4)


def _casts_to_lower_precision() -> bool:
    layer, choices = nn.Linear(4, 3, device="meta"), CudaChoices(torch.bfloat16)
    with choices, choices.autocast():
        out: torch.Tensor = layer(torch.empty(2, 4, device="meta"))
    return bool(out.dtype == torch.bfloat16)


def _attention_is_fused() -> bool:
    largest = _LargestOutput()
    query = torch.empty(1, 2, 64, 8, device="meta", dtype=torch.bfloat16, requires_grad=True)
    with CudaChoices(), largest:
        F.scaled_dot_product_attention(query, query, query).sum().backward()
    return largest.elements < 2 * 64 * 64


class _LargestOutput(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        outs = out if isinstance(out, tuple | list) else (out,)
        self.elements = max([self.elements, *(o.numel() for o in outs if isinstance(o, torch.Tensor))])
        return out


_ASSUMPTIONS: tuple[tuple[Callable[[], bool], str], ...] = (
    (_backward_runs, "this torch has no backward pass on meta tensors"),
    (_casts_to_lower_precision, "this torch hides operators from the emulation of autocast"),
    (_attention_is_fused, "this torch hides attention from the choice of its kernel"),
)


def predict_coarsely(model: nn.Module, workload: Workload, recipe: Recipe, target: Target) -> Memory:
    """Peak memory without a trace: states by formula, activations as the sum of the layers' outputs; a wide interval."""
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    weights = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))
    kept = _outputs_of_layers(model, workload, _PAIR) * recipe.batch.per_device // _PAIR * _BYTES[recipe.precision]
    kinds = {"weights": weights, "gradients": 4 * trained, "optimizer_state": int(STATE_BYTES.get(recipe.optimizer.name, 8.0) * trained),
             "activations": kept}  # fmt: skip
    sure = sum(kinds.values()) - kept
    on_gpu = target.has_cuda
    context, least, most = (CONTEXT, *CONTEXT_RANGE) if on_gpu else (0, 0, 0)
    return Memory(
        total=sure + kept + context,
        low=sure + least + int(_COARSE[0] * kept),
        high=sure + most + 4 * trained + int(_COARSE[1] * kept),  # a copy of the parameters more: what a foreach optimizer takes
        categories=kinds | ({"context": CONTEXT} if on_gpu else {}),
        peak_at="not known without a trace",
        method="closed forms, and the sizes of the layers' outputs; no trace",
    )


def _outputs_of_layers(model: nn.Module, workload: Workload, batch: int) -> int:
    """Elements of the outputs of all modules that hold no others."""
    count = 0

    def note(_: nn.Module, __: Any, out: Any) -> None:
        nonlocal count
        count += out.numel() if isinstance(out, torch.Tensor) else 0

    hooks = [module.register_forward_hook(note) for module in model.modules() if not any(module.children())]
    try:
        with torch.no_grad(), MetaOperators():
            workload.forward(model, workload.batch(batch))
    finally:
        for hook in hooks:
            hook.remove()
    return count

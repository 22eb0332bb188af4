"""Floating-point operations of a forward pass. One multiply-add counts as two operations, here and everywhere."""

from __future__ import annotations

import math
import warnings
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from advisor.errors import CheckError
from advisor.verify.arithmetic import formula_of
from advisor.verify.batches import Batch, forward, make_batch
from advisor.verify.build import build_model
from advisor.verify.evidence import Job
from advisor.verify.shapes import MetaOperators
from advisor.verify.unpriced import unpriced_name
from advisor.verify.workload import Workload

MOST_OPERATORS = 50_000
"""In one forward pass: the deepest networks of the catalogue have a tenth of it, a recurrent one written out token by token far more."""

MOST_PARAMETERS = 200_000_000
MOST_MULTIPLY_ADDS = 20_000_000_000
"""What the cross-check takes on: beyond it a run on real CPU tensors takes longer than a report may."""

_OPERATIONS_PER_MULTIPLY_ADD = 2
FVCORE_PRODUCTS = ("conv", "linear", "addmm", "matmul", "bmm", "mm", "einsum", "baddbmm")
_FVCORE_BLIND_SPOTS = ("lstm", "gru", "rnn_tanh", "rnn_relu", "scaled_dot_product_attention", "_convolution_mode")


def count_flops(model: nn.Module, batch: Batch, job: Job) -> tuple[int, list[str]]:
    """FLOPs of one forward pass of `model`, on `meta`, over `batch` (of one sample), and the operators left out of the count.

    Matrix products, convolutions and attention are counted, by the formulas of torch's FlopCounterMode; recurrent layers too,
    since they fall apart into matrix products on `meta` (on real tensors it sees none of them). Elementwise operators count as
    nothing, as everywhere in the field. Gradients stay enabled: without them some models take paths that are not counted.
    """
    with _Counter() as counter, torch.enable_grad():
        forward(model.eval(), batch, job)
    return counter.flops, sorted(counter.uncounted)


def count_passes(model: nn.Module, workload: Workload, most: float = MOST_OPERATORS) -> tuple[int, int, list[str]]:
    """FLOPs of one sample's forward and backward pass on `meta`, by `count_flops`'s convention, and the operators left out.

    What is frozen costs no product for its own gradient. Nothing is counted that activation checkpointing computes again.
    Raises TooManyOperators where tracing the passes would take minutes.
    """
    batch = _as_stored(model, workload.batch(1))
    with _Counter(most) as counter, torch.enable_grad():
        loss = workload.loss(workload.forward(model.eval(), batch), batch)
        forwards = counter.flops
        if loss.requires_grad:
            loss.backward()
    model.zero_grad()
    return forwards, counter.flops - forwards, sorted(counter.uncounted)


def _as_stored(model: nn.Module, batch: Batch) -> Batch:
    """Floating-point inputs in the type that the model's weights are stored in: autocast, which would cast them, is off here."""
    stored = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    return {name: value.to(stored) if value.is_floating_point() else value for name, value in batch.items()}


class TooManyOperators(CheckError):
    """A pass that goes on and on, as a loop over the tokens of a long sequence does."""


class _Counter(MetaOperators):
    """Adds up FLOPs, and notes the operators that do much arithmetic and are not counted. FlopCounterMode, which keeps a count
    a module too, takes as long again as the passes that it watches."""

    def __init__(self, most: float = math.inf) -> None:
        super().__init__()
        self.most = most
        self.flops = self.operators = 0
        self.uncounted: set[str] = set()

    def observe(self, func: Any, args: Any, kwargs: Any) -> Any:
        self.operators += 1
        if self.operators > self.most:
            raise TooManyOperators(f"a pass has more than {self.most:,} operators")
        formula = formula_of(func)
        if formula is None and _is_composite(func):  # in inference mode nothing else takes it apart
            with self:
                return func.decompose(*args, **kwargs)
        out = super().observe(func, args, kwargs)
        self.uncounted |= set() if formula else unpriced_name(func)
        self.flops += formula(*args, **kwargs, out_val=out) if formula else 0
        return out


@cache
def _is_composite(func: Any) -> bool:
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), torch._C.DispatchKey.CompositeImplicitAutograd))


def cross_check_flops(job: Job) -> tuple[int | None, str]:
    """FLOPs of one sample by fvcore, which traces a real forward pass on the CPU; None, and why, where that is not possible.

    Attention runs unfused, since fvcore does not know the fused kernel. fvcore counts multiply-adds: twice those are FLOPs.
    """
    parameters = sum(parameter.numel() for parameter in build_model(job, "meta").parameters())
    if parameters > MOST_PARAMETERS:
        most = MOST_PARAMETERS / 1e6
        return None, f"{parameters / 1e6:.0f} M parameters are too many for a run on real CPU tensors (at most {most:.0f} M)"
    operations, _ = count_flops(build_model(job, "meta"), make_batch(job, 1, "meta"), job)
    if operations > _OPERATIONS_PER_MULTIPLY_ADD * MOST_MULTIPLY_ADDS:
        return None, f"{operations / 2e9:.0f} GMACs are too many for a run on a CPU (at most {MOST_MULTIPLY_ADDS / 1e9:.0f})"
    try:
        counts, unknown = count_with_fvcore(build_model(job, "cpu"), job)
    except (RuntimeError, TypeError, ValueError, KeyError, AttributeError) as error:
        return None, f"fvcore could not trace the model: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
    if unknown:
        return None, f"fvcore does not count {', '.join(unknown)}"
    multiply_adds = sum(counts.get(name, 0) for name in FVCORE_PRODUCTS)
    return _OPERATIONS_PER_MULTIPLY_ADD * multiply_adds, "fvcore on real CPU tensors, attention unfused; multiply-adds x 2"


class _OnTensors(nn.Module):
    """The model as a function of plain tensors, as tracing wants it."""

    def __init__(self, model: nn.Module, job: Job, names: list[str]) -> None:
        super().__init__()
        self.model, self.job, self.names = model, job, names

    def forward(self, *tensors: Tensor) -> Tensor:
        outputs = forward(self.model, dict(zip(self.names, tensors, strict=True)), self.job)
        if isinstance(outputs, Tensor):
            return outputs
        first: Tensor = outputs.logits if hasattr(outputs, "logits") else outputs[0]
        return first


def count_with_fvcore(model: nn.Module, job: Job) -> tuple[dict[str, int], list[str]]:
    """What fvcore counts of one sample, by operator, and the heavy operators that it met and does not know.

    `model` is on the CPU. Products and convolutions are counted in multiply-adds, norms, pooling and resizing in operations.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fvcore traces with torch.jit, which is on its way out and says so at length
        from fvcore.nn import FlopCountAnalysis

        _unfuse_attention(model)
        batch = make_batch(job, 1, "cpu")
        analysis = FlopCountAnalysis(_OnTensors(model, job, list(batch)), tuple(batch.values()))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        counts = {name: int(count) for name, count in analysis.by_operator().items()}
    return counts, [name for name in _FVCORE_BLIND_SPOTS if f"aten::{name}" in analysis.unsupported_ops()]


def _unfuse_attention(model: nn.Module) -> None:
    if hasattr(model, "set_attn_implementation"):
        model.set_attn_implementation("eager")
    for module in model.modules():
        if hasattr(module, "fused_attn"):  # timm's name for it
            module.fused_attn = False

"""Structured pruning: whole channels taken out with all that depends on them, so that the network is smaller and not just full of zeros."""

from __future__ import annotations

import copy

import torch
from torch import nn

from advisor.errors import CheckError
from advisor.verify.case import Case, version_of
from advisor.verify.evidence import Variant
from advisor.verify.techniques import PRUNING

PRUNED_SHARE = 0.2  # of the channels: the upper end of one round in rule PRU001


def check_pruning(case: Case) -> Variant:
    """One round, by magnitude. Outputs change until the network is fine-tuned: they only have to keep their shape and be finite."""
    import torch_pruning as tp

    model = copy.deepcopy(case.served).requires_grad_()  # its graph of what depends on what is autograd's
    heads = [layer for layer in model.modules() if getattr(layer, "out_features", None) == case.outputs.shape[-1]]
    tp.pruner.MagnitudePruner(
        model, case.one, importance=tp.importance.GroupMagnitudeImportance(p=2), pruning_ratio=PRUNED_SHARE, ignored_layers=heads
    ).step()
    pruned = version_of(model, "pruned")
    outputs = pruned.run(case.inputs)
    if outputs.shape != case.outputs.shape or not bool(torch.isfinite(outputs).all()):
        raise CheckError(f"pruning broke the network: outputs {tuple(outputs.shape)} instead of {tuple(case.outputs.shape)}")
    detail = f"{PRUNED_SHARE:.0%} of the channels removed, {parameters(case.served):,} to {parameters(model):,} parameters, not fine-tuned"
    return case.compare(PRUNING, pruned, case.original, None, detail)


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())

"""What one of several devices allocates: a trace of one device's step, with its shards in place of what is shared."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from advisor.recipe import Recipe
from advisor.verify.allocator import MIB
from advisor.verify.formulas import FULL, HALF, OFFLOADED, Stage, sharding_stage
from advisor.verify.trace import FREE, Trace

_BUCKET = 25 * MIB  # DistributedDataParallel's default unit of communication
_GATHERED = 2  # units at a time: one in use, the next one on its way


def shard_trace(trace: Trace, model: nn.Module, recipe: Recipe) -> Trace:
    """What one of several devices allocates: its shards, and what it gathers or sums with the others.

    ZeRO (arXiv:1910.02054): stage 1 shards the optimizer's step and its states, 2 gradients too, 3 (as FSDP, arXiv:2304.11277)
    weights too, of which it gathers two units at a time; offloaded (FSDP2's CPUOffloadPolicy), all three are on the host. Plain data
    parallelism copies the gradients into buckets.
    """
    devices, is_offloaded = recipe.batch.devices, recipe.distributed == OFFLOADED
    if devices == 1 and not is_offloaded:
        return trace
    stage = sharding_stage(recipe)
    shared = ("optimizer_state", "gradients", "weights")[:stage]
    stepping = _numbers_of(trace, "optimizer") if stage else set()
    kinds = {number for number, kind in trace.categories.items() if kind in shared} | stepping
    if stage == 3:
        kinds |= _casts(trace, model)
    if is_offloaded:  # they are on the host, but for the units at hand
        events = [(n, size) for n, size in trace.events if n not in kinds]
        extra, kind = _at_hand(model, HALF if recipe.precision != "fp32" else FULL), "workspace"
    else:
        events = [(n, -(-size // devices) if size != FREE and n in kinds else size) for n, size in trace.events]
        extra, kind = _exchanged(model, stage)
    fresh = max(trace.origins, default=0) + 1
    return replace(
        trace,
        events=[(fresh, extra), *events],
        starts=[start + 1 for start in trace.starts],
        origins={**trace.origins, fresh: "buffers of communication"},
        categories={**trace.categories, fresh: kind},
    )


def _numbers_of(trace: Trace, phase: str) -> set[int]:
    """The allocations made in all phases of this name."""
    ends = [first for first, _ in trace.phases[1:]] + [max(trace.origins, default=0) + 1]
    return {n for (first, name), end in zip(trace.phases, ends, strict=True) if name == phase for n in range(first, end)}


def _casts(trace: Trace, model: nn.Module) -> set[int]:
    """Autocast's 16-bit copies of weights, which FSDP makes of the unit at hand alone: told by their operator and their size."""
    sizes = {p.numel() * p.element_size() // 2 for p in model.parameters() if p.requires_grad and p.dtype == torch.float32}
    made = {n: size for n, size in trace.events if size != FREE}
    forward = _numbers_of(trace, "forward")
    return {n for n, size in made.items() if n in forward and size in sizes and trace.origins.get(n, "").startswith("aten._to_copy")}


def _exchanged(model: nn.Module, stage: Stage) -> tuple[int, str]:
    """Bytes of the buffers that are exchanged with other devices, and what they count as."""
    if stage == 0:
        return sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad), "gradients"
    if stage < 3:
        return _GATHERED * _BUCKET, "workspace"
    units = (sum(p.numel() * p.element_size() for p in unit.parameters()) for unit in _units(model))
    return _GATHERED * max(units, default=_BUCKET), "workspace"


def _units(model: nn.Module) -> list[nn.Module]:
    """The blocks that FSDP shards one by one."""
    blocks = [blocks for blocks in model.modules() if isinstance(blocks, nn.ModuleList | nn.Sequential) and len(blocks) > 1]
    return [block for part in blocks for block in part]


def _at_hand(model: nn.Module, itemsize: int) -> int:
    """Bytes on the device of weights that are offloaded: two units and what is in none, and the fp32 gradients of the largest of them."""
    sizes = [sum(p.numel() for p in unit.parameters()) for unit in _units(model)]
    inside = {id(p) for unit in _units(model) for p in unit.parameters()}
    root, unit = sum(p.numel() for p in model.parameters() if id(p) not in inside), max(sizes, default=0)
    return int(itemsize * (root + _GATHERED * unit) + FULL * max(root, unit))

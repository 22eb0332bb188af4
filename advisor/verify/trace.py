"""Record every allocation of real training steps on `meta` tensors: what is allocated when, how large, and what for.

A storage is an allocation: views share it. Its birth is seen when an operator returns a tensor with a storage not met
before, its death by a weak reference. The operators are real (the model's forward pass, autograd, the optimizer); only
their values are not computed.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from advisor.verify.shapes import MetaOperators, bookkeeping
from advisor.verify.unpriced import unpriced_name

_aten = torch.ops.aten
_ADD = _aten.add.Tensor
_MATRIX_PRODUCTS = frozenset(
    {_aten.mm.default, _aten.addmm.default, _aten.bmm.default, _aten.baddbmm.default, _aten.addbmm.default, _aten.mv.default}
)
_CONVOLUTION = _aten.convolution.default

WORKSPACE_ORIGIN = "cuBLAS workspace"

FREE = -1
"""The size that an event has when it gives an allocation back."""


@dataclass
class Trace:
    """Allocations in the order of events. `events` are (allocation, bytes), or (allocation, FREE)."""

    events: list[tuple[int, int]] = field(default_factory=list)
    phases: list[tuple[int, str]] = field(default_factory=list)  # first allocation, name
    origins: dict[int, str] = field(default_factory=dict)  # allocation: the operator that made it
    widths: dict[int, int] = field(default_factory=dict)  # allocation: last dimension of its first tensor
    categories: dict[int, str] = field(default_factory=dict)  # allocation: what it is, where that is known for certain
    starts: list[int] = field(default_factory=list)  # the event that each step begins with
    convolutions: int = 0  # calls in forward passes
    depthwise: int = 0  # those of them with a group a channel
    unpriced: set[str] = field(default_factory=set)  # operators whose temporaries on CUDA nobody knows
    sums: dict[int, int] = field(default_factory=dict)  # allocation: the one that CUDA would have added it to in place

    def phase_of(self, number: int) -> tuple[str, int]:
        """The phase that an allocation was made in, and which of its kind that was, from 1."""
        met = [name for first, name in self.phases if first <= number]
        return (met[-1], met.count(met[-1])) if met else ("setup", 1)


class Recorder(MetaOperators):
    """Records what is allocated on `meta` while it is on. Phases are named by `enter`."""

    def __init__(self, model: nn.Module, workspace: int) -> None:
        super().__init__()
        self.trace = Trace()
        self.phase = ""
        self._model = model
        self._workspace = workspace
        self._with_workspace: set[bool] = set()
        self.is_silent = False  # what is made now was counted elsewhere
        self._alive: dict[int, tuple[int, weakref.ref[Any]]] = {}
        self._next = 0
        for module in model.modules():  # in the order in which `.to(device)` moves them
            for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
                self._see(tensor, "weight")
        self.claim("weights", (*model.parameters(), *model.buffers()))

    def enter(self, phase: str) -> None:
        """Begin a phase: input, forward, loss, backward or optimizer. Gradients are told from other tensors as backward ends."""
        if self.phase == "backward":
            self.claim("gradients", (p.grad for p in self._model.parameters() if p.grad is not None))
        self.phase = phase
        self.trace.phases.append((self._next, phase))

    @bookkeeping
    def claim(self, category: str, tensors: Iterable[Tensor]) -> None:
        """Say what the storages of these tensors are, unless it was said before; those not met yet are allocated now."""
        for tensor in tensors:
            if tensor.device.type == "meta":
                self._see(tensor, category)
                self.trace.categories.setdefault(self._alive[tensor.untyped_storage()._cdata][0], category)

    def observe(self, func: Any, args: Any, kwargs: Any) -> Any:
        out = super().observe(func, args, kwargs)
        if self.is_silent:
            return out
        self.trace.unpriced |= unpriced_name(func)
        fresh = None
        if isinstance(out, Tensor):
            fresh = self._see(out, func)
        else:
            self._see_all(out, func)
        if func is _ADD and self.phase == "backward" and fresh is not None and isinstance(args[1], Tensor) and not args[0]._is_view():
            self._note_sum(fresh, args[0])
        elif self._workspace and func in _MATRIX_PRODUCTS:
            self._hold_workspace()
        elif func is _CONVOLUTION and self.phase == "forward":
            self.trace.convolutions += 1
            self.trace.depthwise += args[8] > 1 and args[8] == args[0].shape[1]
        return out

    def _see_all(self, outs: Any, origin: Any) -> None:
        if isinstance(outs, tuple | list):
            for out in outs:
                if isinstance(out, Tensor):
                    self._see(out, origin)
                else:
                    self._see_all(out, origin)

    def _see(self, tensor: Tensor, origin: Any) -> int | None:
        """The number of the allocation where the tensor's storage is a new one."""
        if tensor.device.type != "meta":
            return None
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._alive:
            return None
        number = self.allocate(storage.nbytes(), origin)
        self.trace.widths[number] = tensor.shape[-1] if tensor.ndim else 1
        self.watch(storage, number)
        return number

    def watch(self, storage: torch.UntypedStorage, number: int) -> None:
        """From now on the allocation lives as long as this storage."""
        events, alive, key = self.trace.events, self._alive, storage._cdata

        def free(_: Any) -> None:
            del alive[key]
            events.append((number, FREE))

        alive[key] = (number, weakref.ref(storage, free))

    def number_of(self, tensor: Tensor) -> int | None:
        """The allocation that a tensor lies in."""
        found = self._alive.get(tensor.untyped_storage()._cdata)
        return None if found is None else found[0]

    def is_alive(self, storage: int, number: int) -> bool:
        """Whether the storage at this address is still that allocation."""
        return self._alive.get(storage, (None,))[0] == number

    def release(self, tensor: Tensor) -> None:
        """Give the tensor's allocation back now, whoever still holds the tensor."""
        number, _ = self._alive.pop(tensor.untyped_storage()._cdata)
        self.trace.events.append((number, FREE))

    def allocate(self, size: int, origin: Any) -> int:
        """A new allocation's number."""
        number, self._next = self._next, self._next + 1
        self.trace.events.append((number, size))
        self.trace.origins[number] = origin
        return number

    def _note_sum(self, number: int, first: Tensor) -> None:
        """Autograd sums gradients out of place on `meta`, in place on CUDA where nobody else holds the first one."""
        before = self._alive.get(first.untyped_storage()._cdata)
        if before is not None:
            self.trace.sums[number] = before[0]

    def _hold_workspace(self) -> None:
        """cuBLAS takes a workspace for each thread that multiplies: the forward pass's and autograd's."""
        in_backward = self.phase == "backward"
        if in_backward not in self._with_workspace:
            self._with_workspace.add(in_backward)
            self.trace.categories[self.allocate(self._workspace, WORKSPACE_ORIGIN)] = "workspace"


Step = Callable[[Recorder, "torch.optim.Optimizer | None"], None]


def trace_training(
    model: nn.Module,
    step: Step,
    make_optimizer: Callable[[], torch.optim.Optimizer | None],
    *,
    workspace: int,
    steps: int = 2,
    around: Callable[[Recorder], AbstractContextManager[None]] = lambda _: nullcontext(),
) -> Trace:
    """The allocations of `steps` training steps; two show all, since the optimizer's states appear at the end of the first.

    `model` is on `meta`. `step(recorder, optimizer)` does one whole step, names its phases with `recorder.enter`, and keeps
    alive between calls what the script's names would. `workspace` is cuBLAS's, in bytes. `step` turns its own modes on (casting,
    kernel choices). `around(recorder)` is on as long as the recorder is.
    """
    recorder = Recorder(model, workspace)
    with recorder, around(recorder):
        recorder.enter("setup")
        optimizer = make_optimizer()
        for _ in range(steps):
            recorder.trace.starts.append(len(recorder.trace.events))
            step(recorder, optimizer)
            if optimizer is not None:
                recorder.claim("optimizer_state", _state_tensors(optimizer))
        recorder.enter("end")
    trace = recorder.trace
    trace.origins = {number: str(origin) for number, origin in trace.origins.items()}
    merge_sums(trace)
    return trace


def _state_tensors(optimizer: torch.optim.Optimizer) -> Iterator[Tensor]:
    for state in optimizer.state.values():
        yield from (value for value in state.values() if isinstance(value, Tensor))


def merge_sums(trace: Trace) -> None:
    """Rewrite out-of-place sums of gradients to in-place ones, where the first summand dies as soon as the sum is made."""
    sizes = {number: size for number, size in trace.events if size != FREE}
    renamed: dict[int, int] = {}
    dropped: set[int] = set()
    events = trace.events
    for index, (number, size) in enumerate(events):
        first = trace.sums.get(number)
        if size == FREE or first is None or sizes[first] != size:
            continue
        for later in range(index + 1, len(events)):
            if events[later][1] != FREE:
                break
            if events[later][0] == first:
                renamed[number] = renamed.get(first, first)
                dropped |= {index, later}
                break
    trace.events = [(renamed.get(number, number), size) for index, (number, size) in enumerate(events) if index not in dropped]
    trace.starts = [start - sum(index < start for index in dropped) for start in trace.starts]
    for number, first in renamed.items():
        if number in trace.categories:
            trace.categories[first] = trace.categories[number]

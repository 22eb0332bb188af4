"""A block of a network that is run, and watched: its allocations in the forward and the backward pass, as another like it makes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from advisor.verify.shapes import bookkeeping
from advisor.verify.trace import FREE, WORKSPACE_ORIGIN, Recorder

if TYPE_CHECKING:
    from advisor.verify.repeated import Call

INCOMING = -1  # stands for the gradient of a block's output among its allocations; -2, -3 … for its arguments
Token = tuple[int, int]  # which of the block's allocations, in order, and its size or FREE
Spec = tuple[tuple[int, ...], tuple[int, ...], torch.dtype, bool]  # shape, strides, and whether it is a view


class _Open(Exception):
    """Something that a block allocated outlives it, or it gave back what is not its own."""


@dataclass
class Forward:
    tokens: list[Token]
    origins: list[tuple[Any, int | None]]  # of each allocation: operator, width
    casts: list[tuple[int, int]]  # parameter, allocation
    output: int
    spec: Spec
    outputs: int  # 0: a tensor by itself; else how many come in a tuple, all but the first None
    convolutions: tuple[int, int]


@dataclass
class Backward:
    tokens: list[Token]
    origins: list[tuple[Any, int | None]]
    sums: list[tuple[int, int]]  # a sum of gradients, its first summand
    gradients: list[tuple[int, int, Spec]]  # parameter, allocation
    outgoing: int
    spec: Spec
    dead_casts: set[int]  # those that no graph holds once autocast is left
    was_fresh: bool  # whether there were no gradients before
    takes_view: bool  # whether the gradient that came in was a view

    def of_view(self) -> Backward:
        """The same where the gradient that comes in is a view, to which nothing is added in place: see `Recorder.observe`."""
        return replace(self, sums=[(made, first) for made, first in self.sums if first != INCOMING], takes_view=True)


@dataclass
class Kind:
    """What is known of blocks that are alike and called alike."""

    forward: Forward | None = None
    backward: Backward | None = None
    releases: list[tuple[int, int]] = field(default_factory=list)  # before which token of the backward pass, which argument
    runs: int = 0
    pending: int = 0  # runs whose backward pass is still to come
    is_refused: bool = False
    first: Run | None = None  # of this pass
    last: Run | None = None
    output: int | None = None  # of the block before, run or repeated
    keeps_input: bool | None = None

    def learn_forward(self, seen: Forward) -> None:
        self.runs += 1
        self.is_refused |= self.forward is not None and self.forward != seen
        self.forward = self.forward or seen

    def learn_backward(self, seen: Backward, releases: list[tuple[int, int]]) -> None:
        """A release shows only in the block that is the last to hold the argument: what all of them show is put together."""
        self.pending -= 1
        longer, shorter = sorted((self.releases, releases), key=len, reverse=True)
        together = sorted([*longer, *(each for each in shorter if each not in longer)], key=lambda release: release[0])
        is_clear, known = len({argument for _, argument in together}) == len(together), self.backward
        is_alike = known is None or seen in (known, known.of_view()) or seen.of_view() == known
        self.is_refused |= not (is_alike and is_clear)
        self.backward, self.releases = seen if known is None or known.takes_view else known, together

    def is_dead(self, cast: int) -> bool:
        """Whether autocast was the last to hold this cast of a weight: known from before, or from the block just run."""
        if self.backward is not None:
            return cast in self.backward.dead_casts
        return self.first is not None and not self.first.holds_cast(cast)


class Allocations:
    """A block's allocations in order, as numbers of the trace."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.numbers: list[int] = []
        self.index: dict[int, int] = {}

    def read(self, start: int, given: list[int | None], incoming: int | None = None) -> tuple[list[Token], list[tuple[int, int]]]:
        """The events from `start` on as tokens, and where arguments are released. Raises _Open."""
        tokens: list[Token] = []
        releases: list[tuple[int, int]] = []
        trace = self.recorder.trace
        for number, size in trace.events[start:]:
            if trace.origins[number] == WORKSPACE_ORIGIN:  # taken once, by whoever comes first
                continue
            if size != FREE:
                self.index[number] = len(self.numbers)
                self.numbers.append(number)
            if number in self.index:
                tokens.append((self.index[number], size))
            elif number == incoming:
                tokens.append((INCOMING, FREE))
            elif number in given:
                releases.append((len(tokens), given.index(number)))
            else:
                raise _Open
        return tokens, releases

    def origins(self, first: int) -> list[tuple[Any, int | None]]:
        trace = self.recorder.trace
        return [(trace.origins[number], trace.widths.get(number)) for number in self.numbers[first:]]

    def of(self, tensor: Tensor) -> int:
        """Which of them a tensor lies in. Raises _Open where it fills none of them by itself."""
        number = self.recorder.number_of(tensor)
        is_whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
        if number not in self.index or not is_whole:
            raise _Open
        return self.index[number]


class Run:
    """A block that is run, and watched."""

    def __init__(self, call: Call) -> None:
        self.recorder, self.choices, self.kind, self.parameters = call.recorder, call.choices, call.kind, call.parameters
        self.numbers, self.place = call.numbers, call.place
        self._entering = None if call.place is None else call.given[call.place]
        self._allocations = Allocations(self.recorder)
        self._held = set[int]()
        self._casts: dict[int, tuple[int, int]] = {}  # allocation of the block: storage, number
        self._input: tuple[int, int] | None = None
        self.saves_output = False

    def forward(self, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        trace, entering, self._entering = self.recorder.trace, self._entering, None
        marked = None
        if entering is not None:
            self._input = (entering.untyped_storage()._cdata, self.recorder.number_of(entering) or 0)
            marked = torch.ops.aten.alias(entering) if entering._is_view() else _Entering.apply(entering)
            args, kwargs = _replaced((args, kwargs), entering, marked)
        start, casts, counts = len(trace.events), set(self.choices.casts), (trace.convolutions, trace.depthwise)
        out = forward(*args, **kwargs)
        try:
            self._learn(out, start, casts, (trace.convolutions - counts[0], trace.depthwise - counts[1]), marked)
        except _Open:
            self.kind.is_refused = True
        return out

    @bookkeeping
    def _learn(self, out: Any, start: int, casts: set[int], convolutions: tuple[int, int], marked: Tensor | None) -> None:
        output = out[0] if type(out) is tuple and out and all(other is None for other in out[1:]) else out
        if not isinstance(output, Tensor) or output.requires_grad != (marked is not None):
            raise _Open
        own, kind = self._allocations, self.kind
        tokens, releases = own.read(start, self.numbers)
        index = own.of(output)
        made = {id(p): position for position, p in enumerate(self.parameters)}
        kept = [(made[key], own.of(cast)) for key, (_, cast) in self.choices.casts.items() if key not in casts and key in made]
        self._held = set(range(len(own.numbers))) - {i for i, size in tokens if size == FREE}
        if releases or (marked is None and self._held != {index}) or len(self.choices.casts) != len(casts) + len(kept):
            raise _Open
        for position, i in kept:
            cast = self.choices.casts[id(self.parameters[position])][1]
            self._casts[i] = (cast.untyped_storage()._cdata, own.numbers[i])
        kind.learn_forward(Forward(tokens, own.origins(0), kept, index, _spec(output), len(out) if out is not output else 0, convolutions))
        if marked is None:
            return
        self._output, self._seen_until = index, len(self.recorder.trace.events)
        assert output.grad_fn is not None
        assert marked.grad_fn is not None
        if torch._C._autograd._top_saved_tensors_default_hooks(False) is None:
            self.saves_output = getattr(output.grad_fn, "_saved_result", None) is not None
        kind.first = self if not kind.pending else kind.first
        kind.last, kind.output, kind.keeps_input = self, own.numbers[index], None
        kind.pending += 1
        output.grad_fn.register_prehook(partial(self._begin, output.output_nr))
        marked.grad_fn.register_prehook(self._end)

    def holds_cast(self, cast: int) -> bool:
        return self.recorder.is_alive(*self._casts[cast])

    def holds_input(self) -> bool:
        assert self._input is not None
        return self.recorder.is_alive(*self._input)

    @bookkeeping
    def _begin(self, place: int, gradients: tuple[Tensor, ...]) -> None:
        """The gradient of the block's output has come."""
        events = self.recorder.trace.events
        freed = {number for number, size in events[self._seen_until :] if size == FREE}
        self._dead = {i for i in self._held if self._allocations.numbers[i] in freed} - {self._output}
        self._incoming, self._takes_view = self.recorder.number_of(gradients[place]), gradients[place]._is_view()
        self._start, self._of_forward = len(events), len(self._allocations.numbers)
        self._was_fresh = all(p.grad is None for p in self.parameters)

    @bookkeeping
    def _end(self, gradients: tuple[Tensor, ...]) -> None:
        """The gradient of the block's input has come, and with it all others."""
        try:
            self.kind.learn_backward(*self._read_backward(gradients[0]))
        except _Open:
            self.kind.pending -= 1
            self.kind.is_refused = True

    def _read_backward(self, outgoing: Tensor) -> tuple[Backward, list[tuple[int, int]]]:
        own, sums = self._allocations, self.recorder.trace.sums
        tokens, releases = own.read(self._start, self.numbers, self._incoming)
        gradients = [
            (position, own.index[number], _spec(p.grad))
            for position, p in enumerate(self.parameters)
            if p.grad is not None and (number := self.recorder.number_of(p.grad)) in own.index
        ]
        leaving = own.of(outgoing)
        alive = (self._held | set(range(self._of_forward, len(own.numbers)))) - self._dead - {i for i, size in tokens if size == FREE}
        if not self._dead <= self._casts.keys() or not alive <= {self._output, leaving, *(i for _, i, _ in gradients)}:
            raise _Open
        first = {number: INCOMING - 1 - place for place, number in enumerate(self.numbers)} | own.index | {self._incoming: INCOMING}
        new = own.numbers[self._of_forward :]
        if any(sums[number] not in first for number in new if number in sums):
            raise _Open
        summed = [(own.index[number], first[sums[number]]) for number in new if number in sums]
        origins = own.origins(self._of_forward)
        seen = Backward(tokens, origins, summed, gradients, leaving, _spec(outgoing), self._dead, self._was_fresh, self._takes_view)
        return seen, releases


class _Entering(torch.autograd.Function):
    """A node of its own before a block: its turn comes when the block's backward pass is over."""

    @staticmethod
    def forward(_: Any, entering: Tensor) -> Tensor:
        return entering.detach()

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def _replaced(value: Any, old: Tensor, new: Tensor) -> Any:
    if isinstance(value, tuple | list):
        return type(value)([_replaced(item, old, new) for item in value])
    if isinstance(value, dict):
        return {key: _replaced(item, old, new) for key, item in value.items()}
    return new if value is old else value


def _spec(tensor: Tensor) -> Spec:
    return (tuple(tensor.shape), tensor.stride(), tensor.dtype, tensor._is_view())

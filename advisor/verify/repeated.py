"""Blocks that did what their like do are not run again: their allocations are repeated, in the forward and the backward pass.

Of each kind of block the first two and the last two of a pass are run and compared, event by event; those between, and all of
the next step, get the same events under new numbers. A block is repeated only if its allocations are closed: each of them is
its output, dies within it, is a parameter's gradient, or a weight's cast that autocast keeps. Whatever else is seen means
that a kind is run as it is, or, where it is seen too late, that the trace is to be made again without repeating: `Unlike`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from advisor.verify.blocks import Block, find_blocks
from advisor.verify.cuda_choices import CudaChoices
from advisor.verify.trace import FREE, WORKSPACE_ORIGIN, Recorder

_ENDS = 2  # blocks at either end of a stack that are run while the kind is not known
_INCOMING = -1  # stands for the gradient of a block's output among its allocations; -2, -3 … for its arguments
_Token = tuple[int, int]  # which of the block's allocations, in order, and its size or FREE
_Spec = tuple[tuple[int, ...], tuple[int, ...], torch.dtype, bool]  # shape, strides, and whether it is a view


class Unlike(Exception):
    """A block did other things than its like, of which some were repeated already."""


class _Open(Exception):
    """Something that a block allocated outlives it, or it gave back what is not its own."""


@dataclass
class _Forward:
    tokens: list[_Token]
    origins: list[tuple[Any, int | None]]  # of each allocation: operator, width
    casts: list[tuple[int, int]]  # parameter, allocation
    output: int
    spec: _Spec
    outputs: int  # 0: a tensor by itself; else how many come in a tuple, all but the first None
    convolutions: tuple[int, int]


@dataclass
class _Backward:
    tokens: list[_Token]
    origins: list[tuple[Any, int | None]]
    sums: list[tuple[int, int]]  # a sum of gradients, its first summand
    gradients: list[tuple[int, int, _Spec]]  # parameter, allocation
    outgoing: int
    spec: _Spec
    dead_casts: set[int]  # those that no graph holds once autocast is left
    was_fresh: bool  # whether there were no gradients before


@dataclass
class _Kind:
    """What is known of blocks that are alike and called alike."""

    forward: _Forward | None = None
    backward: _Backward | None = None
    releases: list[tuple[int, int]] = field(default_factory=list)  # before which token of the backward pass, which argument
    runs: int = 0
    pending: int = 0  # runs whose backward pass is still to come
    is_refused: bool = False
    first: _Run | None = None  # of this pass
    last: _Run | None = None
    output: int | None = None  # of the block before, run or repeated
    keeps_input: bool | None = None

    def learn_forward(self, seen: _Forward) -> None:
        self.runs += 1
        self.is_refused |= self.forward is not None and self.forward != seen
        self.forward = self.forward or seen

    def learn_backward(self, seen: _Backward, releases: list[tuple[int, int]]) -> None:
        """A release shows only in the block that is the last to hold the argument: what all of them show is put together."""
        self.pending -= 1
        longer, shorter = sorted((self.releases, releases), key=len, reverse=True)
        together = sorted([*longer, *(each for each in shorter if each not in longer)], key=lambda release: release[0])
        is_clear = len({argument for _, argument in together}) == len(together)
        self.is_refused |= (self.backward is not None and self.backward != seen) or not is_clear
        self.backward, self.releases = self.backward or seen, together

    def is_dead(self, cast: int) -> bool:
        """Whether autocast was the last to hold this cast of a weight: known from before, or from the block just run."""
        if self.backward is not None:
            return cast in self.backward.dead_casts
        return self.first is not None and not self.first.holds_cast(cast)


class Repeater:
    """Stands before the blocks of a model for the time of one trace."""

    def __init__(self, model: nn.Module, recorder: Recorder, choices: CudaChoices) -> None:
        self.recorder, self.choices = recorder, choices
        self._blocks = find_blocks(model)
        self._kinds: dict[Any, _Kind] = {}

    @contextmanager
    def on(self) -> Iterator[None]:
        for block in self._blocks:
            block.module.forward = partial(self._call, block, block.module.forward)
        try:
            yield
        finally:
            for block in self._blocks:
                del block.module.forward

    def _call(self, block: Block, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self.recorder.phase != "forward":  # activation checkpointing computes it again
            return forward(*args, **kwargs)
        given = [leaf for leaf in _leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        parameters = list(block.module.parameters())
        key = _key(block, args, kwargs, given, parameters)
        if key is None:
            return forward(*args, **kwargs)
        kind = self._kinds.setdefault(key, _Kind())
        if kind.is_refused:
            return forward(*args, **kwargs)
        places = [place for place, tensor in enumerate(given) if tensor.requires_grad] if torch.is_grad_enabled() else []
        call = _Call(self, kind, parameters, given, places[0] if places else None)
        held = call.what_is_held(block)
        if held is None:
            return _Run(call).forward(forward, args, kwargs)
        return _Repeat(call, held).forward()


class _Call:
    """One call of a block: what it was given, and what of that its gradient flows to."""

    def __init__(self, repeater: Repeater, kind: _Kind, parameters: list[nn.Parameter], given: list[Tensor], place: int | None) -> None:
        self.recorder, self.choices = repeater.recorder, repeater.choices
        self.kind, self.parameters, self.given, self.place = kind, parameters, given, place
        self.numbers = [self.recorder.number_of(tensor) for tensor in given]

    def what_is_held(self, block: Block) -> dict[int, Tensor] | None:
        """The arguments that the block's graph keeps, where the block can be repeated; None where it has to be run."""
        kind, place = self.kind, self.place
        if kind.forward is None or kind.runs < min(_ENDS, block.count):
            return None
        if place is None:
            return {}
        if kind.backward is not None and not kind.pending:
            return {argument: self.given[argument] for _, argument in kind.releases}
        last = kind.last
        if last is None or block.index >= block.count - _ENDS or last.saves_output or self.numbers[place] != kind.output:
            return None
        if any(n != m for i, (n, m) in enumerate(zip(self.numbers, last.numbers, strict=True)) if i != place):
            return None
        if kind.keeps_input is None:  # the loop over the blocks has gone on, so that only a graph can hold it
            kind.keeps_input = last.holds_input()
        return {place: self.given[place]} if kind.keeps_input else {}


class _Allocations:
    """A block's allocations in order, as numbers of the trace."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.numbers: list[int] = []
        self.index: dict[int, int] = {}

    def read(self, start: int, given: list[int | None], incoming: int | None = None) -> tuple[list[_Token], list[tuple[int, int]]]:
        """The events from `start` on as tokens, and where arguments are released. Raises _Open."""
        tokens: list[_Token] = []
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
                tokens.append((_INCOMING, FREE))
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


class _Run:
    """A block that is run, and watched."""

    def __init__(self, call: _Call) -> None:
        self.recorder, self.choices, self.kind, self.parameters = call.recorder, call.choices, call.kind, call.parameters
        self.numbers, self.place = call.numbers, call.place
        self._entering = None if call.place is None else call.given[call.place]
        self._allocations = _Allocations(self.recorder)
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
        kind.learn_forward(_Forward(tokens, own.origins(0), kept, index, _spec(output), len(out) if out is not output else 0, convolutions))
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

    def _begin(self, place: int, gradients: tuple[Tensor, ...]) -> None:
        """The gradient of the block's output has come."""
        events = self.recorder.trace.events
        freed = {number for number, size in events[self._seen_until :] if size == FREE}
        self._dead = {i for i in self._held if self._allocations.numbers[i] in freed} - {self._output}
        self._incoming = self.recorder.number_of(gradients[place])
        self._start, self._of_forward = len(events), len(self._allocations.numbers)
        self._was_fresh = all(p.grad is None for p in self.parameters)

    def _end(self, gradients: tuple[Tensor, ...]) -> None:
        """The gradient of the block's input has come, and with it all others."""
        try:
            self.kind.learn_backward(*self._read_backward(gradients[0]))
        except _Open:
            self.kind.pending -= 1
            self.kind.is_refused = True

    def _read_backward(self, outgoing: Tensor) -> tuple[_Backward, list[tuple[int, int]]]:
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
        first = {number: _INCOMING - 1 - place for place, number in enumerate(self.numbers)} | own.index | {self._incoming: _INCOMING}
        new = own.numbers[self._of_forward :]
        if any(sums[number] not in first for number in new if number in sums):
            raise _Open
        summed = [(own.index[number], first[sums[number]]) for number in new if number in sums]
        origins = own.origins(self._of_forward)
        return _Backward(tokens, origins, summed, gradients, leaving, _spec(outgoing), self._dead, self._was_fresh), releases


class _Repeat:
    """A block that is not run: its kind's events under new numbers."""

    def __init__(self, call: _Call, held: dict[int, Tensor]) -> None:
        self.recorder, self.choices, self.kind, self.parameters = call.recorder, call.choices, call.kind, call.parameters
        self._given, self._held = call.numbers, held
        self._entering = None if call.place is None else call.given[call.place]
        self._numbers: list[int] = []
        self._output: Tensor | None = None  # where the block's graph keeps it
        self._is_early = bool(self.kind.pending)  # nobody has seen the backward pass yet
        self._expired = set[int]()

    def forward(self) -> Any:
        known, trace, entering, self._entering = self.kind.forward, self.recorder.trace, self._entering, None
        assert known is not None
        self._emit(known.tokens, known.origins)
        trace.convolutions += known.convolutions[0]
        trace.depthwise += known.convolutions[1]
        for position, index in known.casts:
            parameter = self.parameters[position]
            self.choices.casts[id(parameter)] = (parameter, _Expiry(self, index))
        self.kind.output = self._numbers[known.output]
        output = self.output() if entering is None else _Repeated.apply(entering, self)
        return (output, *[None] * (known.outputs - 1)) if known.outputs else output

    def output(self) -> Tensor:
        known, backward = self.kind.forward, self.kind.backward
        assert known is not None
        output = self._made(known.spec, self._numbers[known.output])
        if not self._is_early and backward is not None and (known.output, FREE) in backward.tokens:
            self._output = output.detach()
        return output

    def expire(self, cast: int) -> None:
        """Autocast is left, and lets go of a cast."""
        if self.kind.is_dead(cast):
            self._expired.add(cast)
            self.recorder.trace.events.append((self._numbers[cast], FREE))

    def backward(self, gradient: Tensor) -> Tensor:
        """The gradient of the block's input. Raises Unlike where the block cannot be as those that were run."""
        forward, backward, kind = self.kind.forward, self.kind.backward, self.kind
        if forward is None or backward is None or kind.is_refused or self._expired != backward.dead_casts:
            raise Unlike
        if self._is_early and (
            (forward.output, FREE) in backward.tokens or {argument for _, argument in kind.releases} != self._held.keys()
        ):
            raise Unlike
        if all(p.grad is None for p in self.parameters) != backward.was_fresh:
            raise Unlike
        incoming = self.recorder.number_of(gradient)
        assert incoming is not None
        self._emit(backward.tokens, backward.origins, gradient, kind.releases)
        self._held.clear()
        for index, first in backward.sums:
            others = [incoming, *self._given]
            summand = self._numbers[first] if first >= 0 else others[_INCOMING - first]
            if summand is not None:
                self.recorder.trace.sums[self._numbers[index]] = summand
        for position, index, spec in backward.gradients:
            self.parameters[position].grad = self._made(spec, self._numbers[index])
        return self._made(backward.spec, self._numbers[backward.outgoing])

    def _emit(
        self,
        tokens: list[_Token],
        origins: list[tuple[Any, int | None]],
        gradient: Tensor | None = None,
        releases: list[tuple[int, int]] | None = None,
    ) -> None:
        trace, numbers, made, due = self.recorder.trace, self._numbers, iter(origins), list(reversed(releases or []))
        output = self.kind.forward.output if self.kind.forward else None
        for position, (index, size) in enumerate(tokens):
            while due and due[-1][0] <= position:
                self._held.pop(due.pop()[1], None)
            if size != FREE:
                origin, width = next(made)
                number = self.recorder.allocate(size, origin)
                numbers.append(number)
                if width is not None:
                    trace.widths[number] = width
            elif index == _INCOMING:
                assert gradient is not None
                self.recorder.release(gradient)
            elif index == output:
                self._output = None
            else:
                trace.events.append((numbers[index], FREE))
        while due:
            self._held.pop(due.pop()[1], None)

    def _made(self, spec: _Spec, number: int) -> Tensor:
        """A tensor that the allocation lives as long as."""
        shape, strides, dtype, is_view = spec
        recorder = self.recorder
        recorder.is_silent = True
        try:
            made = torch.empty_strided(shape, strides, dtype=dtype, device="meta")
            recorder.watch(made.untyped_storage(), number)
            return made.view_as(made) if is_view else made
        finally:
            recorder.is_silent = False


class _Expiry:
    """Stands for a cast among those that autocast keeps."""

    def __init__(self, repeat: _Repeat, cast: int) -> None:
        self._repeat, self._cast = repeat, cast

    def __del__(self) -> None:
        self._repeat.expire(self._cast)


class _Entering(torch.autograd.Function):
    """A node of its own before a block: its turn comes when the block's backward pass is over."""

    @staticmethod
    def forward(_: Any, entering: Tensor) -> Tensor:
        return entering.detach()

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


class _Repeated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, entering: Tensor, repeat: _Repeat) -> Tensor:
        ctx.repeat = repeat
        return repeat.output()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        repeat, ctx.repeat = ctx.repeat, None
        return repeat.backward(gradients[0]), None


def _key(block: Block, args: Any, kwargs: Any, given: list[Tensor], parameters: list[nn.Parameter]) -> Any:
    """Blocks of one key do the same. None for one that cannot be compared, or whose gradient flows to none or several of its arguments."""
    trained = [p.grad is None for p in parameters if p.requires_grad]
    storages = {tensor.untyped_storage()._cdata for tensor in given}
    if any(trained) != all(trained) or len(storages) < len(given) or not all(tensor.is_meta for tensor in given):
        return None
    has_grad = torch.is_grad_enabled()
    followed = sum(tensor.requires_grad for tensor in given)
    if has_grad and (followed > 1 or (trained and not followed)):
        return None
    is_checkpointed = torch._C._autograd._top_saved_tensors_default_hooks(False) is not None
    described = [_described(leaf) for leaf in _leaves((args, kwargs))]
    return None if None in described else (block.kind, len(args), tuple(kwargs), all(trained), has_grad, is_checkpointed, tuple(described))


def _described(leaf: Any) -> Any:
    if isinstance(leaf, Tensor):
        return ("tensor", tuple(leaf.shape), leaf.stride(), leaf.dtype, leaf.requires_grad)
    return (type(leaf), leaf) if leaf is None or isinstance(leaf, bool | int | float | str | torch.dtype) else None


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple | list):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    else:
        yield value


def _replaced(value: Any, old: Tensor, new: Tensor) -> Any:
    if isinstance(value, tuple | list):
        return type(value)([_replaced(item, old, new) for item in value])
    if isinstance(value, dict):
        return {key: _replaced(item, old, new) for key, item in value.items()}
    return new if value is old else value


def _spec(tensor: Tensor) -> _Spec:
    return (tuple(tensor.shape), tensor.stride(), tensor.dtype, tensor._is_view())

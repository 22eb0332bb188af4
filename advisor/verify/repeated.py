"""Blocks that did what their like do are not run again: their allocations are repeated, in the forward and the backward pass.

Of each kind of block the first two and the last two of a pass are run and compared, event by event; those between, and all of
the next step, get the same events under new numbers. A block is repeated only if its allocations are closed: each of them is
its output, dies within it, is a parameter's gradient, or a weight's cast that autocast keeps; and only if no block of its kind
looks at its number among them (`places`). Whatever else is seen means that a kind is run as it is, or, where it is seen too late,
that the trace is to be made again without repeating: `Unlike`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from advisor.verify.blocks import Block, find_blocks
from advisor.verify.cuda_choices import CudaChoices
from advisor.verify.places import watched
from advisor.verify.shapes import bookkeeping
from advisor.verify.trace import FREE, Recorder
from advisor.verify.watched import INCOMING, Kind, Run, Spec, Token

_ENDS = 2  # blocks at either end of a stack that are run while the kind is not known


class Unlike(Exception):
    """A block did other things than its like, of which some were repeated already."""


class Repeater:
    """Stands before the blocks of a model for the time of one trace."""

    def __init__(self, model: nn.Module, recorder: Recorder, choices: CudaChoices) -> None:
        self.recorder, self.choices = recorder, choices
        self._blocks = find_blocks(model)
        self._kinds: dict[Any, Kind] = {}
        self._placed = set[int]()  # kinds of blocks that look at which of their kind they are

    @contextmanager
    def on(self) -> Iterator[None]:
        with ExitStack() as stack:
            for block in self._blocks:
                block.module.forward = partial(self._call, block, block.module.forward)
                stack.callback(delattr, block.module, "forward")
                stack.enter_context(watched(block.module, partial(self._refuse, block.kind)))
            yield

    def _refuse(self, kind: int) -> None:
        self._placed.add(kind)
        for key, known in self._kinds.items():
            known.is_refused |= key[0] == kind

    def _call(self, block: Block, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self.recorder.phase != "forward":  # activation checkpointing computes it again
            return forward(*args, **kwargs)
        way = self._way(block, args, kwargs)
        if way is None:
            return forward(*args, **kwargs)
        return way.forward(forward, args, kwargs) if isinstance(way, Run) else way.forward()

    @bookkeeping
    def _way(self, block: Block, args: Any, kwargs: Any) -> Run | _Repeat | None:
        """What stands for the block's own forward pass; None where nothing may."""
        given = [leaf for leaf in _leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        parameters = list(block.module.parameters())
        key = _key(block, args, kwargs, given, parameters)
        if key is None:
            return None
        kind = self._kinds.setdefault(key, Kind(is_refused=block.kind in self._placed))
        if kind.is_refused:
            return None
        places = [place for place, tensor in enumerate(given) if tensor.requires_grad] if torch.is_grad_enabled() else []
        call = Call(self, kind, parameters, given, places[0] if places else None)
        held = call.what_is_held(block)
        return Run(call) if held is None else _Repeat(call, held)


class Call:
    """One call of a block: what it was given, and what of that its gradient flows to."""

    def __init__(self, repeater: Repeater, kind: Kind, parameters: list[nn.Parameter], given: list[Tensor], place: int | None) -> None:
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


class _Repeat:
    """A block that is not run: its kind's events under new numbers."""

    def __init__(self, call: Call, held: dict[int, Tensor]) -> None:
        self.recorder, self.choices, self.kind, self.parameters = call.recorder, call.choices, call.kind, call.parameters
        self._given, self._held = call.numbers, held
        self._entering = None if call.place is None else call.given[call.place]
        self._numbers: list[int] = []
        self._output: Tensor | None = None  # where the block's graph keeps it
        self._is_early = bool(self.kind.pending)  # nobody has seen the backward pass yet
        self._expired = set[int]()

    @bookkeeping
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

    @bookkeeping
    def backward(self, gradient: Tensor) -> Tensor:
        """The gradient of the block's input. Raises Unlike where the block cannot be as those that were run."""
        forward, backward, kind = self.kind.forward, self.kind.backward, self.kind
        if forward is None or backward is None or kind.is_refused or self._expired != backward.dead_casts:
            raise Unlike
        if self._is_early and (
            (forward.output, FREE) in backward.tokens or {argument for _, argument in kind.releases} != self._held.keys()
        ):
            raise Unlike
        is_view = gradient._is_view()
        if all(p.grad is None for p in self.parameters) != backward.was_fresh or (backward.takes_view and not is_view):
            raise Unlike
        incoming = self.recorder.number_of(gradient)
        assert incoming is not None
        self._emit(backward.tokens, backward.origins, gradient, kind.releases)
        self._held.clear()
        for index, first in backward.of_view().sums if is_view else backward.sums:
            others = [incoming, *self._given]
            summand = self._numbers[first] if first >= 0 else others[INCOMING - first]
            if summand is not None:
                self.recorder.trace.sums[self._numbers[index]] = summand
        made: dict[int, Tensor] = {}  # parameters whose values are joined before they are used have parts of one gradient
        for position, index, spec in backward.gradients:
            made[index] = made[index].as_strided(*spec[:2]) if index in made else self._made(spec, self._numbers[index])
            self.parameters[position].grad = made[index]
        return self._made(backward.spec, self._numbers[backward.outgoing])

    def _emit(
        self,
        tokens: list[Token],
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
            elif index == INCOMING:
                assert gradient is not None
                self.recorder.release(gradient)
            elif index == output:
                self._output = None
            else:
                trace.events.append((numbers[index], FREE))
        while due:
            self._held.pop(due.pop()[1], None)

    def _made(self, spec: Spec, number: int) -> Tensor:
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

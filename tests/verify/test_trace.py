"""A trace holds every allocation of real training steps, with its size, its death and its kind."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from advisor.verify.peak import live_peak
from advisor.verify.trace import FREE, Recorder, Trace, trace_training


def traced(model: nn.Module, batch: int, optimizer: Callable[[], torch.optim.Optimizer]) -> Trace:
    kept: dict[str, Tensor] = {}

    def step(recorder: Recorder, optimizer: torch.optim.Optimizer | None) -> None:
        assert optimizer is not None
        optimizer.zero_grad()
        recorder.enter("input")
        kept["x"] = torch.empty(batch, 256, device="meta")
        recorder.enter("forward")
        kept["y"] = model(kept["x"])
        recorder.enter("loss")
        kept["loss"] = kept["y"].square().mean()
        recorder.enter("backward")
        kept["loss"].backward()
        recorder.enter("optimizer")
        optimizer.step()

    return trace_training(model, step, optimizer, workspace=8_519_680)


def sizes_of(trace: Trace, category: str) -> list[int]:
    sizes = {number: size for number, size in reversed(trace.events) if size != FREE}
    return sorted(sizes[number] for number, name in trace.categories.items() if name == category and number in sizes)


def test_weights_gradients_and_states_are_told_by_identity() -> None:
    model = nn.Linear(256, 512, device="meta")
    trace = traced(model, 8, lambda: torch.optim.Adam(model.parameters(), foreach=True))
    tensors = [512 * 4, 256 * 512 * 4]
    assert sizes_of(trace, "weights") == tensors
    assert sizes_of(trace, "gradients") == sorted(2 * tensors)  # two steps
    assert sizes_of(trace, "optimizer_state") == sorted(2 * tensors)  # two moments; the step counters are no GPU memory


def test_two_workspaces_are_held_for_good() -> None:
    model = nn.Linear(256, 512, device="meta")
    trace = traced(model, 8, lambda: torch.optim.SGD(model.parameters(), lr=0.1, foreach=True))
    held = [number for number, name in trace.categories.items() if name == "workspace"]
    assert len(held) == 2
    assert not any(number in held for number, size in trace.events if size == FREE)


def test_every_allocation_dies_once_and_after_its_birth() -> None:
    model = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 256)).to("meta")
    alive: set[int] = set()
    for number, size in traced(model, 4, lambda: torch.optim.AdamW(model.parameters(), foreach=True)).events:
        assert (number in alive) == (size == FREE)
        alive ^= {number}


def test_activations_grow_with_the_batch_and_states_do_not() -> None:
    model = nn.Sequential(*(layer for _ in range(8) for layer in (nn.Linear(256, 256), nn.GELU()))).to("meta")
    small, large = (live_peak(traced(model, batch, lambda: torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, foreach=True)))
                    for batch in (4096, 8192))  # fmt: skip
    assert large.categories["activations"] == 2 * small.categories["activations"]
    assert large.categories["optimizer_state"] == small.categories["optimizer_state"] == sum(p.nbytes for p in model.parameters())
    assert sum(small.categories.values()) == small.total
    assert small.place.startswith(("forward", "backward"))


def test_a_gradient_that_autograd_sums_in_place_on_cuda_is_counted_once() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(256, 256)

        def forward(self, x: Tensor) -> Tensor:
            x = self.layer(x)
            return self.layer(x.relu()) + x

    model = Residual().to("meta")
    trace = traced(model, 64, lambda: torch.optim.SGD(model.parameters(), lr=0.1, foreach=True))
    merged = {number for number, size in trace.events if size != FREE}
    assert trace.sums
    assert any(number not in merged for number in trace.sums)


MIB = 1 << 20


@pytest.mark.parametrize(("name", "classes", "optimizer", "batch", "measured"), [
    ("regnet_x_400mf", 1000, torch.optim.SGD, 650, 3482), ("regnet_x_400mf", 1000, torch.optim.RMSprop, 212, 1174),
    ("convnext_tiny", 1000, torch.optim.SGD, 700, 10520), ("vgg16", 1000, torch.optim.AdamW, 560, 10752),
])  # fmt: skip
def test_the_prediction_is_close_to_measured_runs(
    name: str, classes: int, optimizer: type[torch.optim.Optimizer], batch: int, measured: int
) -> None:
    """Reserved memory in MiB measured on an RTX 3060 and 4060, torch 2.6: the public results of xMem (Middleware 2025)."""
    import torchvision

    from advisor.verify.allocator import reserved_peak
    from advisor.verify.cuda_choices import CudaChoices

    model = getattr(torchvision.models, name)(weights=None, num_classes=classes).to("meta")
    kept: dict[str, Tensor] = {}

    def step(recorder: Recorder, stepper: torch.optim.Optimizer | None) -> None:
        assert stepper is not None
        recorder.enter("input")
        kept["x"], kept["labels"] = torch.empty(batch, 3, 86, 86, device="meta"), torch.empty(batch, dtype=torch.long, device="meta")
        recorder.enter("forward")
        kept["y"] = model(kept["x"])
        kept["loss"] = nn.functional.cross_entropy(kept["y"], kept["labels"])
        stepper.zero_grad()
        recorder.enter("backward")
        kept["loss"].backward()
        recorder.enter("optimizer")
        stepper.step()

    with CudaChoices():
        trace = trace_training(model, step, lambda: optimizer(model.parameters(), lr=1e-3, foreach=True), workspace=8_519_680)
    assert reserved_peak(trace.events)[0] / MIB == pytest.approx(measured, rel=0.03)

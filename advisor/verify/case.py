"""What compression and export start from: the model as served, its outputs, and its graph, each worked out once."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from advisor.errors import CheckError
from advisor.verify.agreement import GLANCE_S, PAIRED_S, compare, time_in_turns
from advisor.verify.evidence import Job, Variant
from advisor.verify.served import Served, class_axis, inputs_of, picks_places, serve

Inputs = tuple[Tensor, ...]
CAUSE_CHARACTERS = 200  # of what an exporter says; the rest is a stack of its own
SLOW_S = 1.0  # of processor time for one sample


@dataclass(frozen=True)
class Version:
    """One version of a model: `run` maps inputs to the main output, `bytes` is what its file takes.

    `is_stand_in`: it computes the right numbers in another way than the version would, so that its time says nothing.
    """

    what: str
    run: Callable[[Inputs], Tensor]
    bytes: int
    is_stand_in: bool = False


class Case:
    """One model under its techniques. `samples` is the batch that outputs are compared on; files go to `folder`.

    Times are taken at length where they count: on a CPU like the target's, of a model that is not `reduced`.
    """

    def __init__(self, job: Job, samples: int, folder: Path, *, reduced: bool = False) -> None:
        self.job, self.folder = job, folder
        self._timing_s = PAIRED_S if job.target.kind == "cpu" and not reduced else GLANCE_S
        self.served: Served = serve(job)
        self.served.requires_grad_(False)  # exporters trace a backward pass beside the forward one where there are gradients
        self.inputs, self.one = inputs_of(self.served, job, samples), inputs_of(self.served, job, 1)
        with torch.no_grad():
            self.outputs: Tensor = self.served(*self.inputs)
        if not bool(self.outputs.isfinite().all()):
            raise CheckError("with random weights the model's outputs are not finite: there is nothing to compare")

    @cached_property
    def original(self) -> Version:
        return version_of(self.served, "the original in PyTorch, fp32")

    @cached_property
    def program(self) -> torch.export.ExportedProgram:
        """The graph that torch.export captures, for any batch where the model allows that."""
        free = tuple({0: torch.export.Dim.AUTO} for _ in self.inputs)
        with contextlib.suppress(Exception):
            return torch.export.export(self.served, self.inputs, dynamic_shapes=(free,))
        return self._captured()

    def _captured(self) -> torch.export.ExportedProgram:
        """For batches of this size alone."""
        try:
            return torch.export.export(self.served, self.inputs)
        except Exception as error:
            cause = " ".join(str(error).split())[:CAUSE_CHARACTERS]
            raise CheckError(f"torch.export of torch {torch.__version__} does not capture this model: {cause}") from error

    @cached_property
    def graph(self) -> Any:
        """The model as an ONNX protocol buffer."""
        from advisor.verify.export_onnx import convert

        program = self.program
        try:
            return convert(program, self.inputs)
        except ImportError:
            raise
        except Exception:  # sizes left free are what exporters stumble over most
            return convert(self._captured(), self.inputs)

    @cached_property
    def onnx(self) -> Version:
        """The ONNX graph under ONNX Runtime."""
        from advisor.verify.export_onnx import load

        return load(self.graph.SerializeToString(), "fp32 under ONNX Runtime")

    def compare(self, name: str, version: Version, against: Version, limit: float | None, detail: str) -> Variant:
        """Outputs against the original's; size and time against what this version would replace. Batch 1 in time.

        A version that is slow here is compared on one sample and not timed.
        """
        one, new, old, begun = self.one, None, None, time.process_time()
        try:
            given = version.run(one)
        except Exception:  # each runtime has its own error for a shape that its graph does not take
            one, detail = self.inputs, f"{detail}; it takes batches of {len(self.outputs)} alone, and is timed on one"
            given = version.run(one)
        if time.process_time() - begun > SLOW_S:
            wanted, detail = self.original.run(one), f"{detail}; too slow here to be timed"
        else:
            given, wanted = version.run(self.inputs), self.outputs
            if not version.is_stand_in:
                new, old = time_in_turns(partial(version.run, one), partial(against.run, one), self._timing_s)
        agreement = compare(wanted, given, limit, class_axis(self.job, wanted), picks=picks_places(self.job))
        if agreement.exchanged:
            places = agreement.samples * wanted.shape[1]
            detail += f"; {agreement.exchanged} of {places} places change order at near-ties of their scores, and are left out"
        return Variant(
            name=name,
            status="made",
            detail=detail,
            against=against.what,
            bytes=version.bytes,
            original_bytes=against.bytes,
            latency=new,
            original_latency=old,
            agreement=agreement,
        )


def version_of(model: nn.Module, what: str) -> Version:
    """A module run without gradients; its file is its state as torch saves it."""

    def run(inputs: Inputs) -> Tensor:
        with torch.no_grad():
            outputs: Tensor = model(*inputs)
        return outputs

    return Version(what, run, state_bytes(model))


def state_bytes(model: nn.Module) -> int:
    """What a file of the module's weights and buffers takes."""
    file = _Counter()
    torch.save(model.state_dict(), file)
    return file.count


class _Counter(io.RawIOBase):
    """A file that keeps nothing."""

    def __init__(self) -> None:
        self.count = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self.count += size
        return size

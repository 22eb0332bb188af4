"""What goes into a check and what comes out: plain data, so that checks can run in another process."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from advisor.estimating.question import Question
from advisor.recipe import Library, Recipe
from advisor.verify.work import Work
from advisor.wire import Quantity, Wire

TIME_LIMIT_S = 60.0  # of one check, where nothing else is said


class Build(Wire):
    """How to make the real model without weights.

    `factory` names the class or function within `library` (`timm.create_model` takes `name`); `config` is what the class
    or its configuration takes. `head` is how it is given the task's outputs.
    """

    library: Library
    factory: str
    config: dict[str, Any] = Field(default_factory=dict)


class Target(Wire):
    """The device that the design is for: what the memory model needs to know about it. Memory in GiB.

    `is_here` says that the request means the machine that runs the checks.
    """

    kind: Literal["cpu", "gpu", "multi_gpu", "tpu", "apple", "edge"]
    name: str | None = None
    memory_gib: float | None = None
    compute_capability: str | None = None
    is_here: bool = False

    @property
    def has_cuda(self) -> bool:
        return self.kind in ("gpu", "multi_gpu")

    @property
    def capability(self) -> float:
        """The compute capability as a number; Ampere's where it is unknown."""
        return float(self.compute_capability or 8.0)


class Job(Wire):
    """One check of one design."""

    check: Literal["static", "smoke", "estimate", "deploy"]
    task: str = Field(description="task.kind")
    build: Build
    recipe: Recipe
    target: Target
    seed: int = 0
    time_limit_s: float = TIME_LIMIT_S
    memory_limit_gib: float | None = None
    cross_check: bool = Field(False, description="count FLOPs with fvcore on real tensors as well, and predict no memory")
    question: Question | None = Field(None, description="what an estimate is asked; the other checks have none")


class Memory(Wire):
    """Predicted peak memory in bytes: the total with its interval, by category, and the moment of the peak."""

    total: int
    low: int
    high: int
    categories: dict[str, int]
    peak_at: str
    method: str
    notes: list[str] = Field(default_factory=list)


class StaticEvidence(Wire):
    """What was found out without training. `flops_forward` is for one sample; 1 multiply-add = 2 FLOPs."""

    parameters: int
    trainable_parameters: int
    buffers: int
    flops_forward: int
    flops_uncounted: list[str] = Field(default_factory=list)
    flops_cross_check: int | None = None
    flops_cross_check_detail: str | None = None
    training_memory: Memory | None = None
    inference_memory: Memory | None = None
    file_bytes: dict[str, int] = Field(default_factory=dict, description="by format: fp32, fp16, int8, int4")
    operators: list[tuple[Work, int]] = Field(
        default_factory=list, description="of one sample's forward pass at the recipe's precision, each with how often; empty: not read"
    )
    seconds: float = 0.0
    versions: dict[str, str] = Field(default_factory=dict)
    is_network_isolated: bool = Field(True, description="whether the check ran without a network")
    is_writing_confined: bool = Field(True, description="whether the check could write in its own folder alone")


class SmokeCheck(Wire):
    """One assertion of the smoke-train: finite, overfits, every_trainable_moves, no_frozen_moves, optimizer_covers …"""

    name: str
    status: Literal["passed", "failed", "skipped"]
    detail: str
    figures: dict[str, Quantity] = Field(default_factory=dict)


class SmokeEvidence(Wire):
    """What a short training run on real hardware showed."""

    device: str
    machine: str = Field("", description="what was found here: processors, memory, GPUs and who uses them")
    reduced: list[str] = Field(default_factory=list, description="what was cut to fit this machine; empty: the model as designed")
    deviations: list[str] = Field(default_factory=list, description="where the run differs from the recipe, such as fp32 for bf16")
    checks: list[SmokeCheck]
    losses: list[float] = Field(default_factory=list)
    batch: int = 0
    samples: int = Field(0, description="of one optimizer step: the batch, accumulated")
    step_time: Quantity | None = Field(None, description="in s: the median of the steps after the first, the shortest and the longest")
    peak_bytes: int | None = Field(None, description="by CUDA's allocator, or resident above what was held before")
    device_bytes: int | None = Field(None, description="of the GPU, with what its allocator keeps and the CUDA context; none on a CPU")
    inference: dict[str, Quantity] = Field(default_factory=dict, description="one sample and a batch, in ms, and samples a second, here")
    latency_unmeasured: str | None = Field(None, description="why there is no latency; none: there is")
    is_makeshift: bool = Field(False, description="it was cut further, or ran elsewhere, for want of memory that was in use just then")
    is_on_target: bool = Field(False, description="it ran on the device that the design is for")
    is_as_designed: bool = Field(False, description="the model, its samples, precision and optimizer, if not the batch, are the recipe's")
    is_full_batch: bool = Field(False, description="and so is the batch of one device")
    is_network_isolated: bool = Field(True, description="whether the check ran without a network")
    is_writing_confined: bool = Field(True, description="whether the check could write in its own folder alone")
    seconds: float = 0.0
    versions: dict[str, str] = Field(default_factory=dict)


class Timing(Wire):
    """Of a forward pass over one sample, warm, in ms."""

    median_ms: float
    p95_ms: float
    runs: int


class Agreement(Wire):
    """How far a version's outputs are from the original's; infinite where they have another shape or are no numbers."""

    samples: int
    max_error: float | None = Field(description="absolute; null: infinite")
    mean_error: float | None
    relative_error: float | None = Field(description="root mean square of the error over that of the original's outputs")
    exchanged: int = Field(0, description="places that a detector picked in another order, at near-ties; the relative error is of the rest")
    limit: float | None = Field(None, description="of the relative error; none: the outputs are meant to change")
    top1: float | None = Field(None, description="share of positions at which the largest output is the same")

    @property
    def is_close(self) -> bool:
        return self.limit is None or (self.relative_error is not None and self.relative_error <= self.limit)


class Variant(Wire):
    """One technique that was really applied, and what came of it next to what it replaces. Bytes are those of the file."""

    name: str = Field(description="compress.* or export.*")
    status: Literal["made", "failed", "skipped"]
    detail: str
    against: str | None = Field(None, description="what it is compared with in size and time")
    bytes: int | None = None
    original_bytes: int | None = None
    latency: Timing | None = None
    original_latency: Timing | None = None
    agreement: Agreement | None = None


class DeployEvidence(Wire):
    """Compression and export as they really went, on this machine's CPU, with random weights."""

    device: str
    threads: int
    reduced: list[str] = Field(default_factory=list, description="what was cut; empty: the model as designed")
    variants: list[Variant]
    seconds: float = 0.0
    versions: dict[str, str] = Field(default_factory=dict)


Breakdown = Literal["crashed", "timeout", "memory", "lost"]


class Refusal(Wire):
    """A check that gave no evidence: `failed` is the design's fault, `skipped` a fact about this machine."""

    status: Literal["failed", "skipped"]
    reason: str
    cause: Breakdown | None = Field(None, description="how a check broke down that had begun; `lost`: whatever ran it ended first")


def broken_down(cause: Breakdown, reason: str) -> Refusal:
    """The refusal of a check that had begun and came to no answer."""
    return Refusal(status="skipped", reason=reason, cause=cause)


UNREADABLE = broken_down("crashed", "the check's answer cannot be read")

"""What `advisor estimate` answers. Bytes and FLOPs are whole numbers; times are intervals, never bare points."""

from __future__ import annotations

from pydantic import Field

from advisor.verify.evidence import Memory
from advisor.wire import Quantity, Wire


class CachedContext(Wire):
    """Memory of a decoder that answers with so many tokens in its context, in bytes: keys and values alone, and all together."""

    tokens: int
    kv_cache: int
    total: int


class Estimate(Wire):
    """Everything that a model takes. `flops_*` are for one sample (`flops_per_token` for one of its tokens), 1 multiply-add = 2 FLOPs."""

    model: str
    library: str
    task: str
    sample: str = Field(description="what one sample is")
    parameters: int
    trainable_parameters: int
    flops_forward: int
    flops_backward: int | None = None
    flops_per_token: int | None = None
    flops_uncounted: list[str] = Field(default_factory=list, description="operators that do arithmetic and are in no count")
    training_memory: Memory | None = None
    largest_batch: int | None = Field(None, description="samples a device: the most that fit without giving cached segments back")
    fits: bool | None = Field(None, description="whether the interval's upper end fits the device's memory")
    inference_memory: Memory | None = None
    contexts: list[CachedContext] = Field(default_factory=list)
    file_bytes: dict[str, int] = Field(default_factory=dict)
    device: str | None = None
    device_memory: int | None = Field(None, description="bytes that a process can use")
    step_time: Quantity | None = None
    throughput: Quantity | None = None
    communication_share: Quantity | None = Field(
        None, description="of a step on several devices, were none of it hidden behind the backward pass"
    )
    training_time: Quantity | None = None
    energy: Quantity | None = None
    latency: Quantity | None = None
    warnings: list[str] = Field(default_factory=list)
    versions: dict[str, str] = Field(default_factory=dict)
    seconds: float = 0.0

"""What `advisor estimate` is asked: a model, and how it is to be trained or used."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from advisor.wire import Wire

Precision = Literal["fp32", "bf16", "fp16", "int8", "nf4"]
Sharding = Literal["ddp", "zero1", "zero2", "zero3", "fsdp"]


class Question(Wire):
    """`precision` is autocast's for training; int8 and nf4 are the storage of a frozen base under LoRA, or of deployed weights.

    `inputs` describe one sample each, for a model that nothing else is known of: `[name=][dtype:]3x224x224`.
    """

    model: str
    library: str | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    batch: int = 1
    optimizer: str = "adamw"
    precision: Precision = "fp32"
    image_size: int | None = None
    sequence_length: int | None = None
    inputs: list[str] = Field(default_factory=list)
    checkpointing: bool = False
    lora_rank: int | None = None
    accumulation: int = 1
    devices: int = 1
    sharding: Sharding = "ddp"
    device: str | None = Field(None, description="an id of the device catalogue")
    samples: int | None = Field(None, description="samples shown in all, over all epochs: what the time to train is for")
    inference: bool = Field(False, description="only the use of the model, not its training")

"""The shape of the catalogue's entries. Every figure names its source and the date it was read."""

from __future__ import annotations

import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from advisor.recipe import ArchitectureFamily
from advisor.verify.evidence import Build

LicenseClass = Literal["permissive", "copyleft", "restricted", "noncommercial", "unclear"]


class Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Sourced(Entry):
    """A figure with its source and the day it was read."""

    value: float
    source: str
    checked: datetime.date


class Score(Sourced):
    """A published result: `metric` on `benchmark`, as a fraction where the metric is one."""

    benchmark: str
    metric: str


class ModelEntry(Entry):
    """A model that can be recommended and built."""

    id: str = Field(description="as its library or hub names it")
    name: str = Field(description="as people call it")
    family: ArchitectureFamily
    line: str = Field(description="resnet, convnext, vit, bert, llama …: what recipes are published for")
    tasks: list[str] = Field(description="values of task.kind")
    tier: Literal["edge", "default", "best"]
    build: Build
    source: str = Field(description="where the weights come from: 'Hugging Face: timm/…', or 'none' where it is trained from scratch")
    pretrained: bool
    license: str
    license_class: LicenseClass
    parameters: Sourced = Field(description="published count")
    gmacs: Sourced | None = Field(None, description="published multiply-adds of one sample at its input size, in 10^9")
    norm: Literal["batch", "layer", "none"] = "layer"
    image_size: int | None = None
    positions: int | None = None
    aliases: list[str] = Field(default_factory=list, description="names a request may use for it")
    scores: list[Score] = Field(default_factory=list)
    note: str | None = None


class StandIn(Entry):
    """Names of models that the catalogue does not have, and the entries nearest in kind, the one to take first before the others."""

    names: list[str] = Field(min_length=1)
    by: list[str] = Field(min_length=1, description="ids of models; of those that serve the task, the first, or the nearest in size")
    closed: bool = Field(False, description="whether their weights are not published, so that only their provider can train them")
    parameters: Sourced | None = Field(None, description="published count of the models named, where their names do not say it")
    recipe: str | None = Field(
        default=None, description="the line of the names, where rules have a recipe of its own for it (`model.recipe`)"
    )

    @property
    def id(self) -> str:
        return f"{self.names[0]}: {self.by[0].replace('/', ' ')}"  # a slash would make the model's own name one of its names

    @property
    def name(self) -> str:
        return self.names[0]

    @property
    def aliases(self) -> list[str]:
        return self.names[1:]


class Machine(Entry):
    """A rented machine or service that people name in place of the device in it, and how many of the device it has."""

    names: list[str]
    devices: int = 1
    source: str
    checked: datetime.date


class DeviceEntry(Entry):
    """A device that a request can name. Memory in GiB as a card's GB are, bandwidth in GB/s, peaks in dense TFLOP/s (TOP/s for int8)."""

    id: str
    name: str
    kind: Literal["cpu", "gpu", "tpu", "apple", "edge"]
    aliases: list[str] = Field(default_factory=list)
    memory_gib: float | None = None
    bandwidth_gbs: float | None = None
    tflops: dict[Literal["fp32", "tf32", "fp16", "bf16", "fp8", "int8"], float] = Field(default_factory=dict)
    tdp_w: float | None = None
    compute_capability: str | None = None
    interconnect_gbs: float | None = None
    usd_an_hour: Sourced | None = Field(None, description="what one costs to rent, on demand")
    machines: list[Machine] = Field(default_factory=list)
    source: str
    checked: datetime.date


class Ceiling(Sourced):
    """The best result known on a benchmark: above it, a target is not met by any published model."""

    metric: str
    holder: str


class DatasetEntry(Entry):
    """A public dataset that a request may name."""

    id: str
    name: str
    aliases: list[str] = Field(default_factory=list)
    task: str
    samples: int
    classes: int | None = None
    ceilings: list[Ceiling] = Field(default_factory=list)
    source: str
    checked: datetime.date

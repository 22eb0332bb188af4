"""The values that rules give to slots. `rules/slots.yaml` names one of these as each slot's type.

A rule writes plain YAML in `then`; it is validated against the slot's type when the rule is loaded, numbers strictly.
A value's `key` is the fact that later stages see as `decision.<slot>`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, model_validator

from advisor.recipe import AdaptationMethod, LoraSettings, Precision, ScheduleName

Number = StrictInt | StrictFloat
Positive = Annotated[Number, Field(gt=0)]
Fraction = Annotated[Number, Field(ge=0, le=1)]


class Choice(BaseModel):
    """A slot's value, as rules write it."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    @property
    def key(self) -> str | bool | int | float | None:
        """What later stages see of this choice, or None where they see nothing."""
        return getattr(self, "name", None)

    def to_plain(self) -> dict[str, Any]:
        """The choice as plain data, without what is left at its default."""
        return self.model_dump(mode="json", exclude_none=True, exclude_defaults=True)


class Applicability(Choice):
    """Whether deep learning is the tool, and what to use where it is not."""

    name: Literal["design", "use_instead", "train_nothing", "not_covered"]
    reason: str
    instead: list[str] = Field(default_factory=list)


class Adaptation(Choice):
    """How much of a pretrained model is trained, or `scratch`."""

    name: AdaptationMethod
    lora: LoraSettings | None = None


class Capacity(Choice):
    """Which tiers of the catalogue to consider, best first, and how large a model may be."""

    name: Literal["edge", "default", "best"]
    tiers: list[Literal["edge", "default", "best"]]
    max_parameters_millions: Positive | None = None


class Preference(Choice):
    """The lines of models that come before all others, each in the order of the tiers."""

    lines: list[str] = Field(min_length=1)


class Text(Choice):
    """Prose for a field of the Output. `{placeholders}` are fact names."""

    text: str


class Technique(Choice):
    """One augmentation or regularizer: `text` is what the report says, `name` and `value` are what a program reads."""

    name: str
    value: Number | None = None
    text: str


class Loss(Choice):
    name: str
    label_smoothing: Fraction = 0.0
    text: str


class Metric(Choice):
    name: str
    text: str


class Split(Choice):
    name: Literal["stratified", "random", "grouped", "time", "official", "seeds"]
    text: str


class Input(Choice):
    """The size of one sample as trained. `context`, `horizon` and `features` hold where the request states none."""

    image_size: StrictInt | None = None
    volume_size: StrictInt | None = None  # the edge of a cubic patch in voxels
    frames: StrictInt | None = None  # of a clip
    sequence_length: StrictInt | None = None
    context: StrictInt | None = None
    horizon: StrictInt | None = None
    seconds: Positive | None = None
    features: StrictInt | None = None
    nodes: StrictInt | None = None  # of one graph, where each sample is a graph
    neighbours: StrictInt | None = None  # of a node that a layer looks at
    channels: StrictInt | None = None  # of an observation: the frames that are stacked
    outputs: StrictInt | None = None  # actions, or the coordinates of an action


class Batch(Choice):
    """Samples an optimizer step, and at most this many of them a device at once."""

    effective: StrictInt = Field(gt=0)
    per_device: StrictInt | None = Field(None, gt=0)
    text: str


class LearningRate(BaseModel):
    """A learning rate, the effective batch it belongs to, and how it follows another batch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: Positive
    at_batch: StrictInt = Field(gt=0)
    scaling: Literal["none", "sqrt", "linear"] = "none"


class Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["head", "backbone", "norm_and_bias", "layer_decay"]
    learning_rate_scale: Positive = 1.0
    weight_decay: Annotated[Number, Field(ge=0)] | None = None


class Optimizer(Choice):
    name: Literal[
        "none", "sgd", "adam", "adamw", "adamw_8bit", "paged_adamw_8bit", "rmsprop", "lamb", "lars", "adafactor", "lion", "adagrad", "radam"
    ]
    learning_rate: LearningRate | None = None
    weight_decay: Annotated[Number, Field(ge=0)] = 0.0
    momentum: Fraction | None = None
    betas: tuple[Fraction, Fraction] | None = None
    groups: list[Group] = Field(default_factory=list)


class Schedule(Choice):
    name: ScheduleName
    warmup_steps: StrictInt | None = None
    warmup_epochs: Number | None = None
    warmup_fraction: Fraction | None = None


class Length(Choice):
    """How long to train: passes over the data, or optimizer steps; with a patience where training may stop early."""

    epochs: Positive | None = None
    steps: StrictInt | None = None
    patience: StrictInt | None = None


class PrecisionChoice(Choice):
    name: Precision


class Clipping(Choice):
    norm: Positive


class Ema(Choice):
    decay: Fraction


class Checkpointing(Choice):
    enabled: StrictBool

    @property
    def key(self) -> bool:
        return self.enabled


class Issue(Choice):
    """A way in which this design's training may go wrong."""

    name: str
    diagnosis: str
    solution: list[str]


class Quantization(Choice):
    name: Literal["none", "bf16", "fp16", "int8-dynamic", "int8-static", "int8-weight-only", "int4-weight-only", "nf4"]
    text: str


class Export(Choice):
    formats: list[str]
    batching: str | None = None
    caching: str | None = None


class Conversion(Choice):
    """How a runtime that exports may name takes the model: `name` as in `Export.formats`, `command` as it is typed."""

    name: str
    command: str


class Distributed(Choice):
    name: Literal["none", "ddp", "fsdp", "fsdp_offload", "zero1", "zero2", "zero3"]
    text: str
    configuration: str


class BaselineChoice(Choice):
    """The simplest thing that works, to beat or to use."""

    name: str
    text: str


class NoticeChoice(Choice):
    """A warning for the reader. Its name is a kind, so several of one kind stand side by side."""

    name: Literal["bias", "misuse", "licence", "data", "privacy", "advice"]
    text: str

    @property
    def key(self) -> None:
        return None


SearchName = Literal[
    "learning_rate", "weight_decay", "warmup_fraction", "epochs", "layer_decay", "lora_dropout", "label_smoothing", "dropout",
    "attention_dropout", "ffn_dropout", "drop_path", "drop_edge", "mixup", "randaugment", "dpo_beta",
]  # fmt: skip


class Tuned(Choice):
    """A number of the recipe that is worth searching: the range as factors of the recipe's own value, as such, or as values."""

    name: SearchName
    times: tuple[Positive, Positive] | None = None
    between: tuple[Number, Number] | None = None
    among: list[Number] | None = None
    log: StrictBool = False
    whole: StrictBool = False  # integers only

    @model_validator(mode="after")
    def _is_one_range(self) -> Tuned:
        given = [each for each in (self.times, self.between, self.among) if each is not None]
        if len(given) != 1 or (self.among is None and not given[0][0] < given[0][1]):
            raise ValueError("give one of times, between and among; a range rises from its first number to its second")
        return self


class Search(Choice):
    """How to search, as Optuna takes it: `name` is the sampler. A trial is `share` of the run long, pruned from `first_look` of it."""

    name: Literal["tpe", "qmc", "random", "grid", "gp"]
    pruner: Literal["none", "median", "hyperband"]
    trials: StrictInt = Field(gt=1)
    share: Annotated[Number, Field(gt=0, le=1)] = 1.0
    first_look: Fraction = 0.2
    text: str


class Practice(Choice):
    """What belongs around this training run: one topic, said for this kind of data."""

    name: Literal[
        "experiment_tracking", "cross_validation", "error_analysis", "self_supervised_pretraining", "active_learning", "ensembling",
        "few_shot", "domain_shift", "real_time", "long_tail", "imbalance", "noisy_labels", "weak_labels", "continual_learning", "privacy",
        "interpretability", "fairness", "monitoring", "cloud", "multi_node",
        "reproduction", "federated", "subject",
    ]  # fmt: skip
    text: str


class Feedback(Choice):
    """A way back in the workflow: seen `seen` in step `step`, do `then`, starting again at step `back_to`."""

    name: str
    step: Annotated[StrictInt, Field(ge=1, le=7)]
    back_to: Annotated[StrictInt, Field(ge=1, le=7)]
    seen: str
    then: str


Limit = Literal["training_memory", "inference_memory", "host_memory", "model_size", "latency", "training_time", "budget", "cost"]


class Scaling(BaseModel):
    """A number made smaller: times `by`, rounded to a multiple, and not below `least`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: Annotated[Number, Field(gt=0, lt=1)]
    multiple_of: StrictInt = Field(1, gt=0)
    least: StrictInt = Field(1, gt=0)


class Repair(Choice):
    """An edit that may bring a design within a limit: what it sets in which slot, what it helps, and what it costs.

    `quality` is the loss to expect in points (hundredths) of the metric, `time` the factor on the time to train. With `slot`
    left out the edit is another candidate. An edit costs something, or a search for the cheapest would not end.
    """

    name: str
    helps: list[Limit]
    quality: Annotated[Number, Field(ge=0)] = 0.0
    time: Positive = 1.0
    slot: str | None = None
    set: dict[str, Any] = Field(default_factory=dict)
    scale: dict[str, Scaling] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _costs_something(self) -> Repair:
        if self.quality == 0 and self.time < 1:
            raise ValueError("an edit that loses no quality and saves time is no repair but the better design: leave `time` at 1 or more")
        return self


class Expectation(Choice):
    """An accuracy that was published for such a setting, never a promise."""

    text: str
    low: Number | None = None
    high: Number | None = None

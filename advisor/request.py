"""The request: the documented Input, field by field, and the facts that answer what it has no place for."""

from __future__ import annotations

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr

from advisor.wire import Wire

FactValue = StrictBool | StrictInt | StrictFloat | StrictStr


class Task(Wire):
    """What is to be done."""

    type: StrictStr = Field(min_length=1, description="classification, detection, segmentation, generation, sequence-modeling, RL …")
    domain: StrictStr = Field(min_length=1, description="CV, NLP, audio, multimodal, time-series, tabular …")
    specific_task: StrictStr | None = Field(None, description='the task in words, such as "image-classification → CIFAR-10"')


class Data(Wire):
    """What there is to learn from."""

    size: StrictStr | StrictInt | None = Field(None, description='"10k samples", "2 years of daily sales", "40 hours of audio", 5000')
    quality: StrictStr | None = Field(None, description="noise and annotation quality, in words")
    distribution: StrictStr | None = Field(None, description='"balanced", "long-tail", "10 classes" …')
    label_availability: StrictStr | None = Field(None, description="fully-supervised, weakly-supervised, unsupervised …")
    augmentation_needed: StrictBool | None = None


class Constraints(Wire):
    """What the design has to live within. `compute_resources` is the target, not this machine."""

    compute_resources: StrictStr | None = Field(None, description='"RTX 3060 12GB", "8x V100", "CPU", "single-GPU"')
    latency_requirement: StrictStr | None = Field(None, description='"inference <50ms"')
    accuracy_target: StrictStr | None = Field(None, description='"top-1 acc >90%"')
    model_size_limit: StrictStr | None = Field(None, description='"<100MB"')
    budget: StrictStr | None = Field(None, description='"$200", "24 GPU-hours", "3 days"')


class ExistingSetup(Wire):
    """What is in place already."""

    framework: StrictStr | None = None
    base_model: StrictStr | None = None
    training_issues: list[StrictStr] | None = None


class Request(Wire):
    """A deep-learning problem. `facts` holds values by fact name and wins over what the strings say."""

    task: Task
    data: Data = Data()
    constraints: Constraints = Constraints()
    challenges: list[StrictStr] | None = None
    existing_setup: ExistingSetup = ExistingSetup()
    facts: dict[str, FactValue] = Field(default_factory=dict)

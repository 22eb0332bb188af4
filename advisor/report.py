"""The report: the documented Output, field by field, and beside it the part that programs read.

The documented sections are there if and only if `status` is `designed`, but for `debugging_guidance`, which is there
whenever training issues are stated.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from advisor.recipe import Recipe
from advisor.wire import Basis, Quantity, Wire

SCHEMA_VERSION = "1"


class Status(StrEnum):
    """What the report is: a design, or one of three honest answers that are none."""

    DESIGNED = "designed"
    NEEDS_INPUT = "needs_input"
    NOT_APPLICABLE = "not_applicable"
    INFEASIBLE = "infeasible"


# --- the documented Output -------------------------------------------------------------------------------------------


class PretrainedModel(Wire):
    name: str
    source: str
    adaptation: str


class ModelDesign(Wire):
    architecture: str
    rationale: str
    pretrained_model: PretrainedModel | None = None
    tradeoff: str
    code_framework: str | None = None


class DataProcessing(Wire):
    normalization: str
    augmentation: list[str] | None = None
    sampling_strategy: str | None = None
    batch_size: str


class OptimizerAdvice(Wire):
    type: str
    learning_rate: str
    scheduler: str | None = None
    weight_decay: str | None = None


class TrainingTechniques(Wire):
    gradient_clipping: str | None = None
    mixed_precision: bool | None = None
    gradient_accumulation: int | None = None
    ema: bool | None = None


class TrainingStrategy(Wire):
    data_processing: DataProcessing
    optimizer: OptimizerAdvice
    training_techniques: TrainingTechniques | None = Field(None, description="absent where nothing is trained")
    regularization: list[str] | None = None


class CommonIssue(Wire):
    issue: str
    diagnosis: str
    solution: list[str] = Field(description="in the order to try them")


class DebuggingGuidance(Wire):
    visualization: list[str]
    checkpoints: list[str]
    common_issues: list[CommonIssue]


class ModelCompression(Wire):
    pruning: str | None = None
    quantization: str | None = None
    distillation: str | None = None


class InferenceOptimization(Wire):
    format: list[str]
    batching: str | None = None
    caching: str | None = None


class DistributedTraining(Wire):
    strategy: str
    configuration: str


class EngineeringPractice(Wire):
    model_compression: ModelCompression | None = None
    inference_optimization: InferenceOptimization | None = None
    distributed_training: DistributedTraining | None = None


class ExpectedPerformance(Wire):
    accuracy: str | None = None
    training_time: str | None = None
    inference_latency: str | None = None


# --- the part that programs read -------------------------------------------------------------------------------------


class Source(Wire):
    """Where a piece of knowledge was read: a paper, a page, a file; what it says, and when it was checked."""

    ref: str
    claim: str | None = None
    checked: str | None = None


class MatchedFact(Wire):
    """A fact that a rule matched, and how the fact came to be known."""

    fact: str
    value: Any
    origin: str


class Decision(Wire):
    """A decided value with its justification. `path` says where in `recipe` or the Output it shows."""

    slot: str
    value: Any
    rule_id: str
    title: str
    why: str
    basis: Basis = Basis.RULED
    confidence: str
    facts: list[MatchedFact] = Field(default_factory=list)
    sources: list[Source] = Field(default_factory=list)
    overrode: list[str] = Field(default_factory=list)
    path: str | None = None


class Clarification(Wire):
    """A question whose answer the design hangs on. Answer it with `--set facts.NAME=VALUE`."""

    fact: str
    question: str
    why: str
    decisions: list[str] = Field(default_factory=list, description="the slots that it would change")
    examples: list[str] = Field(default_factory=list)
    critical: bool = False


class Effect(Wire):
    """What an edit did to a figure that is limited: before, after, and whether the limit is kept now."""

    figure: str
    before: float
    after: float
    limit: float
    unit: str
    status: str = Field(description="of the check after the edit: passed, failed or skipped")


class Edit(Wire):
    """A change that repair made to a design: a rule's edit, with the figure it was made for, really found before and after.

    `quality_points` is the loss to expect in hundredths of the metric, `time_factor` the factor on the time to train, as the rule has
    them. `effects` are all limited figures that it moved, those that it made worse among them.
    """

    slot: str
    before: Any = None
    after: Any = None
    reason: str
    figure: str
    value_before: float
    value_after: float
    limit: float
    unit: str
    rule_id: str
    quality_points: float = 0.0
    time_factor: float = 1.0
    sources: list[Source] = Field(default_factory=list)
    effects: list[Effect] = Field(default_factory=list)


class CandidateModel(Wire):
    id: str
    library: str
    architecture_family: str
    license: str


class Candidate(Wire):
    """One of the two or three compared: its figures, what became of it, and why."""

    model: CandidateModel
    verdict: str = Field(description="chosen, runner-up or rejected")
    reason: str
    figures: dict[str, Quantity] = Field(default_factory=dict)
    repairs: list[Edit] = Field(default_factory=list)


class Check(Wire):
    """One piece of verification. `skipped` always says why in `detail`; nothing skipped counts as passed."""

    name: str
    status: str = Field(description="passed, failed, repaired or skipped")
    value: float | None = None
    limit: float | None = None
    unit: str | None = None
    method: str | None = None
    device: str | None = None
    detail: str | None = None
    figures: dict[str, Quantity] = Field(default_factory=dict)
    losses: list[float] | None = Field(None, description="where it trained: the loss of each step, up to the first that is not finite")


class Sensitivity(Wire):
    """The nearest threshold of a fact, and the decision that flips there."""

    fact: str
    value: Any
    threshold: Any
    slot: str
    before: Any
    after: Any
    rule_id: str


class RelaxationChange(Wire):
    fact: str
    limit: Any
    needed: Any
    unit: str | None = None


class Relaxation(Wire):
    """A smallest set of changes that makes an infeasible request feasible, and the model that then serves it."""

    changes: list[RelaxationChange]
    candidate: str | None = None
    verified: bool = False
    text: str


class Assumption(Wire):
    fact: str
    value: Any
    why: str


class Notice(Wire):
    """Something the reader must know: text nobody understood, a licence, a bias, a misuse."""

    kind: str
    text: str
    source: Source | None = None


class Baseline(Wire):
    """What to beat, or to use instead: the simplest thing that works."""

    name: str
    why: str
    sources: list[Source] = Field(default_factory=list)


class FeedbackLoop(Wire):
    """What, seen in a step, sends the work back, to which step, and what to do there."""

    seen: str
    then: str
    back_to: int
    rule_id: str


class WorkflowStep(Wire):
    step: int
    name: str
    status: str = Field(description="done, partly, pending or not needed")
    evidence: str
    feedback: list[FeedbackLoop] = Field(default_factory=list)


class Departure(Wire):
    """Where the design does otherwise than common advice, what it does instead, and why."""

    text: str
    why: str
    rule_id: str
    sources: list[Source] = Field(default_factory=list)


class Practice(Wire):
    """What belongs around the training run: tracking, validation, monitoring …, as this request needs it."""

    topic: str
    text: str
    rule_id: str
    sources: list[Source] = Field(default_factory=list)


class SearchParameter(Wire):
    """A number of the recipe to search, as Optuna's distributions take it: `low` to `high`, or one of `choices`."""

    name: str
    path: str = Field(description="where in `recipe` its value stands; a technique goes by its name")
    kind: Literal["float", "int", "categorical"]
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: list[float] | None = None
    start: float = Field(description="the recipe's own value: the first trial")
    rule_id: str


class SearchSpace(Wire):
    """Which hyperparameters of this recipe are worth searching, and how; absent where nothing is trained or one run is all there is."""

    parameters: list[SearchParameter]
    sampler: Literal["tpe", "qmc", "random", "grid", "gp"]
    pruner: Literal["none", "median", "hyperband"]
    trials: int
    metric: str
    direction: Literal["maximize", "minimize"]
    resource: Literal["epochs", "steps"]
    min_resource: int = Field(description="no trial is pruned before it")
    max_resource: int = Field(description="the length of a trial")
    total_time: Quantity | None = Field(None, description="of all trials if none is pruned; absent where no run's time is known")
    text: str
    rule_id: str


class Provenance(Wire):
    advisor: str
    rules: str = Field(description="hash of the rules, slots and facts that decided")
    catalogue: str = Field(description="the newest date in the catalogue")
    versions: dict[str, str] = Field(default_factory=dict)
    device: str | None = None
    seed: int = 0
    created: str | None = None
    seconds: dict[str, float] = Field(default_factory=dict)


class Report(Wire):
    """The answer to a request."""

    schema_version: str = SCHEMA_VERSION
    status: Status
    headline: str

    model_design: ModelDesign | None = None
    training_strategy: TrainingStrategy | None = None
    debugging_guidance: DebuggingGuidance | None = None
    engineering_practice: EngineeringPractice | None = None
    expected_performance: ExpectedPerformance | None = None

    recipe: Recipe | None = None
    search_space: SearchSpace | None = None
    candidates: list[Candidate] = Field(default_factory=list)
    baselines: list[Baseline] = Field(default_factory=list)
    clarifications: list[Clarification] = Field(default_factory=list)
    verification: list[Check] = Field(default_factory=list)
    decisions: list[Decision] = Field(default_factory=list)
    sensitivity: list[Sensitivity] = Field(default_factory=list)
    relaxations: list[Relaxation] = Field(default_factory=list)
    assumptions: list[Assumption] = Field(default_factory=list)
    warnings: list[Notice] = Field(default_factory=list)
    practices: list[Practice] = Field(default_factory=list)
    departures: list[Departure] = Field(default_factory=list)
    workflow: list[WorkflowStep] = Field(default_factory=list)
    facts: list[MatchedFact] = Field(default_factory=list)
    provenance: Provenance

    def _repr_html_(self) -> str:
        """In a notebook: the HTML report in a frame of its own, so that neither's style touches the other."""
        from advisor.render.html import render_frame

        return render_frame(self)

    def _repr_markdown_(self) -> str:
        """In a notebook that shows no HTML: the Markdown report."""
        from advisor.render.markdown import render_markdown

        return render_markdown(self)

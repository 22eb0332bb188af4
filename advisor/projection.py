"""The design projected onto the documented Output: strings for people, made of the very numbers in the recipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter

from advisor import choices as c
from advisor import report as r
from advisor.engine.deciding import Decided, Outcomes
from advisor.engine.facts import Fact, Facts
from advisor.engine.rules import PLACEHOLDER
from advisor.planning.plan import Design
from advisor.wire import Quantity

FAMILY_NAMES = {
    "cnn": "CNN",
    "transformer": "Transformer",
    "rnn": "RNN",
    "gnn": "GNN",
    "diffusion": "Diffusion",
    "mlp": "MLP",
    "hybrid": "Hybrid",
    "tabular": "Tabular",
}
ADAPTATION_NAMES = {
    "scratch": "training from scratch",
    "full": "full fine-tuning",
    "layer_decay": "full fine-tuning with layer-wise learning-rate decay",
    "freeze": "fine-tuning with the early layers frozen",
    "linear_probe": "a linear probe on frozen features",
    "adapter": "adapters",
    "lora": "LoRA adapters",
    "qlora": "LoRA adapters on a 4-bit base (QLoRA)",
    "in_context": "in-context, nothing is trained",
    "zero_shot": "zero-shot, nothing is trained",
}

T = TypeVar("T", bound=c.Choice)
K = TypeVar("K")

# A report has some ninety of each: validated at once they take half the time.
_DECISIONS, _TOLD = TypeAdapter(list[r.Decision]), TypeAdapter(list[r.MatchedFact])


def fill(text: str, facts: Facts) -> str:
    """`{data.classes}` replaced by the fact's value; an unknown one by words that say so."""
    if "{" not in text:
        return text

    return PLACEHOLDER.sub(lambda match: spelt(facts.get(match[1])), text)


def spelt(fact: Fact | None) -> str:
    """A fact's value as it stands in a text."""
    if fact is None:
        return "an unknown number of"
    return f"{fact.value:,.4g}" if isinstance(fact.value, float) else f"{fact.value:,}" if isinstance(fact.value, int) else str(fact.value)


def chosen(outcomes: Outcomes, slot: str, kind: type[T]) -> list[T]:
    """The values decided for a slot, as their type."""
    return [cast("T", decided.choice) for decided in outcomes[slot].decided] if slot in outcomes else []


def only(outcomes: Outcomes, slot: str, kind: type[T]) -> T | None:
    return next(iter(chosen(outcomes, slot, kind)), None)


def with_sources(outcomes: Outcomes, slot: str, kind: type[T]) -> list[tuple[T, list[r.Source]]]:
    """The values decided for a slot, each with the sources of its rule."""
    decided = outcomes[slot].decided if slot in outcomes else ()
    return [(cast("T", one.choice), list(one.rule.sources) if one.rule else []) for one in decided]


# --- the documented sections -----------------------------------------------------------------------------------------


def model_design(design: Design) -> r.ModelDesign:
    entry, recipe, facts = design.candidate, design.recipe, design.facts
    family = FAMILY_NAMES[entry.family]
    rationale, tradeoff = only(design.outcomes, "rationale", c.Text), only(design.outcomes, "tradeoff", c.Text)
    weights = r.PretrainedModel(name=entry.name, source=entry.source, adaptation=_adaptation(design)) if recipe.model.pretrained else None
    return r.ModelDesign(
        architecture=f"{family}: {entry.name}",
        rationale=fill(rationale.text, facts) if rationale else "",
        pretrained_model=weights,
        tradeoff=fill(tradeoff.text, facts) if tradeoff else "",
    )


def _adaptation(design: Design) -> str:
    recipe = design.recipe
    said = ADAPTATION_NAMES[recipe.model.adaptation]
    if recipe.lora:
        said += f": rank {recipe.lora.rank}, alpha {recipe.lora.alpha}, {recipe.lora.target} layers, {recipe.lora.base_precision} base"
    return said


def training_strategy(design: Design) -> r.TrainingStrategy:
    recipe, facts, outcomes = design.recipe, design.facts, design.outcomes
    normalization, sampling, batch = (
        only(outcomes, "normalization", c.Text),
        only(outcomes, "sampling", c.Text),
        only(outcomes, "batch", c.Batch),
    )
    sizes = recipe.batch
    devices = f"{sizes.devices} device{'s' * (sizes.devices > 1)}"
    batch_text = f"{sizes.effective} = {sizes.per_device} a device × {sizes.accumulation} accumulated × {devices}"
    trains = recipe.optimizer.name != "none"
    return r.TrainingStrategy(
        data_processing=r.DataProcessing(
            normalization=fill(normalization.text, facts) if normalization else "none",
            augmentation=[fill(item.text, facts) for item in chosen(outcomes, "augmentation", c.Technique)] or None,
            sampling_strategy=fill(sampling.text, facts) if sampling else None,
            batch_size=f"{batch_text}. {fill(batch.text, facts)}" if batch else batch_text,
        ),
        optimizer=_optimizer(design),
        training_techniques=r.TrainingTechniques(
            gradient_clipping=f"norm {recipe.gradient_clip_norm:g}" if recipe.gradient_clip_norm else None,
            mixed_precision=recipe.precision != "fp32",
            gradient_accumulation=sizes.accumulation,
            ema=recipe.ema is not None,
        )
        if trains
        else None,
        regularization=[fill(item.text, facts) for item in chosen(outcomes, "regularization", c.Technique)] or None,
    )


def _optimizer(design: Design) -> r.OptimizerAdvice:
    recipe, rule = design.recipe, only(design.outcomes, "optimizer", c.Optimizer)
    optimizer = recipe.optimizer
    if optimizer.name == "none" or optimizer.learning_rate is None or rule is None or rule.learning_rate is None:
        return r.OptimizerAdvice(type="none: nothing is trained", learning_rate="none: nothing is trained")
    rate = rule.learning_rate
    follows = {"none": "the same at any batch", "sqrt": "with the square root of the batch", "linear": "in proportion to the batch"}[
        rate.scaling
    ]
    said = f"{optimizer.learning_rate:g} at an effective batch of {recipe.batch.effective} ({rate.value:g} at {rate.at_batch}, {follows})"
    groups = [f"{group.name} × {group.learning_rate_scale:g}" for group in optimizer.parameter_groups if group.learning_rate_scale != 1.0]
    undecayed = [group.name.replace("_", " ") for group in optimizer.parameter_groups if group.weight_decay == 0]
    decay = (
        f"{optimizer.weight_decay:g}" + (f", none on {' and '.join(undecayed)}" if undecayed else "")
        if optimizer.weight_decay is not None
        else None
    )
    return r.OptimizerAdvice(type=optimizer.name, learning_rate="; ".join([said, *groups]), scheduler=_schedule(design), weight_decay=decay)


def _schedule(design: Design) -> str | None:
    recipe = design.recipe
    if recipe.schedule is None:
        return None
    warmup = [
        f"{amount:g} {unit}"
        for amount, unit in ((recipe.schedule.warmup_steps, "steps"), (recipe.schedule.warmup_epochs, "epochs"))
        if amount
    ]
    if recipe.schedule.warmup_fraction:
        warmup = [f"{recipe.schedule.warmup_fraction:.0%} of the steps"]
    length = f"{recipe.epochs:g} epochs" if recipe.epochs else f"{recipe.steps:,} steps" if recipe.steps else ""
    return f"{recipe.schedule.name} over {length}" + (f" after a warm-up of {warmup[0]}" if warmup else "")


def debugging_guidance(outcomes: Outcomes, facts: Facts) -> r.DebuggingGuidance:
    """Stated issues first, then those that this design is prone to; one entry a name."""
    issues: dict[str, r.CommonIssue] = {}
    for slot in ("issues", "likely_issues"):
        for issue in chosen(outcomes, slot, c.Issue):
            said = r.CommonIssue(
                issue=issue.name, diagnosis=fill(issue.diagnosis, facts), solution=[fill(step, facts) for step in issue.solution]
            )
            issues.setdefault(issue.name, said)
    return r.DebuggingGuidance(
        visualization=_texts(outcomes, "visualization", facts),
        checkpoints=_texts(outcomes, "checks", facts),
        common_issues=list(issues.values()),
    )


def _texts(outcomes: Outcomes, slot: str, facts: Facts) -> list[str]:
    return [fill(item.text, facts) for item in chosen(outcomes, slot, c.Text)]


def engineering_practice(design: Design) -> r.EngineeringPractice:
    facts, outcomes = design.facts, design.outcomes
    quantization, export, distributed = (
        only(outcomes, "quantization", c.Quantization),
        only(outcomes, "export", c.Export),
        only(outcomes, "distributed", c.Distributed),
    )
    compression = r.ModelCompression(
        pruning=design.recipe.compression.pruning and fill(design.recipe.compression.pruning, facts),
        quantization=fill(quantization.text, facts) if quantization else None,
        distillation=design.recipe.compression.distillation and fill(design.recipe.compression.distillation, facts),
    )
    return r.EngineeringPractice(
        model_compression=compression,
        inference_optimization=r.InferenceOptimization(format=export.formats, batching=export.batching, caching=export.caching)
        if export
        else None,
        distributed_training=r.DistributedTraining(
            strategy=distributed.text.rstrip("."), configuration=fill(distributed.configuration, facts)
        )
        if distributed and distributed.name != "none"
        else None,
    )


def practices(outcomes: Outcomes, facts: Facts) -> list[r.Practice]:
    """What belongs around the training run, each with its rule and sources."""
    return [
        r.Practice(
            topic=decided.choice.name.replace("_", " "),
            text=fill(decided.choice.text, facts),
            rule_id=decided.rule_id,
            sources=list(decided.rule.sources) if decided.rule else [],
        )
        for decided in outcomes["practice"].decided
        if isinstance(decided.choice, c.Practice)
    ]


def departures(outcomes: Outcomes, facts: Facts) -> list[r.Departure]:
    """What common advice says otherwise, and why this design does not follow it."""
    return [
        r.Departure(text=fill(decided.choice.text, facts), why=fill(rule.why, facts), rule_id=rule.id, sources=list(rule.sources))
        for decided in outcomes["departure"].decided
        if isinstance(decided.choice, c.Text) and (rule := decided.rule) is not None
    ]


def _standing(design: Design) -> str:
    """What the expected accuracy rests on."""
    rule = design.outcomes["expectation"].decided[0].rule
    return "a judgement" if rule is None or rule.basis == "judgement" else "published"


def expected_performance(design: Design, figures: dict[str, Quantity]) -> r.ExpectedPerformance:
    expectation = only(design.outcomes, "expectation", c.Expectation)
    accuracy = (
        f"{fill(expectation.text, design.facts)} ({_standing(design)}, not a promise)"
        if expectation
        else "unknown before a pilot run: no published result is for this data"
    )
    trains = design.recipe.optimizer.name != "none"
    return r.ExpectedPerformance(
        accuracy=accuracy,
        training_time=span(figures.get("training_time"), "of one run", design.facts) if trains else "none: nothing is trained",
        inference_latency=span(figures.get("latency"), "a sample at batch 1", design.facts),
    )


def span(figure: Quantity | None, of: str, facts: Facts) -> str:
    """An interval in words with its basis: `0.4 to 2.1 h of one run (estimated: roofline on RTX 3060)`; or why there is none."""
    if figure is None and "compute.device" in facts:
        return "unknown: not estimated for this model, data and device (see the checks)"
    if figure is None:
        return "unknown: the request names no device whose figures are known (facts.compute.device)"
    scale, unit = (60.0, "min") if figure.unit == "h" and figure.value < 1 else (1.0, figure.unit)
    ends = f"{(figure.low or figure.value) * scale:.3g} to {(figure.high or figure.value) * scale:.3g} {unit} {of}"
    return f"{ends} ({figure.basis}: {figure.source})"


# --- justification ---------------------------------------------------------------------------------------------------


def decisions(outcomes: Outcomes, facts: Facts, told: Iterable[r.MatchedFact]) -> list[r.Decision]:
    """Every decided value with the rule that decided it, the facts that matched (of those told), the sources, and what it overrode."""
    known = {fact.fact: fact for fact in told}
    return _DECISIONS.validate_python(
        [
            {**reasoned(decided, facts), "facts": matching(decided, known), "overrode": [other.id for other in decided.overrode]}
            for outcome in outcomes.values()
            for decided in outcome.decided
        ]
    )


def reasoned(decided: Decided, facts: Facts) -> dict[str, Any]:
    """What a decision says of itself: all but the facts that matched and what it overrode."""
    rule, slot, plain = decided.rule, decided.slot, decided.plain_choice
    value = _filled(plain, facts) if rule is None or rule.placeholders else dict(plain)
    if rule is None:
        title, why = ("An edit", decided.reason) if decided.reason else ("The slot's default", "No rule asks for anything else.")
        said = {"rule_id": decided.rule_id, "title": title, "why": why, "confidence": "high"}
    else:
        said = {"rule_id": rule.id, "title": fill(rule.title, facts), "why": fill(rule.why, facts), "confidence": rule.confidence}
    return {"slot": slot.name, "value": value, "path": slot.path, "sources": list(rule.sources) if rule else [], **said}


def matching(decided: Decided, known: Mapping[str, K]) -> list[K]:
    """Of what is known by fact, the part on which the decision's rule rests."""
    return [known[name] for name in decided.rule.facts_in_order if name in known] if decided.rule else []


def _filled(data: Any, facts: Facts) -> Any:
    """A choice with the placeholders in its texts filled."""
    if isinstance(data, str):
        return fill(data, facts)
    if isinstance(data, dict):
        return {name: _filled(part, facts) for name, part in data.items()}
    return [_filled(part, facts) for part in data] if isinstance(data, list) else data


def matched(names: Iterable[str], facts: Facts) -> list[r.MatchedFact]:
    """Facts with how they came to be known, infinite limits in words."""
    found = ((name, facts[name]) for name in names if name in facts)
    return _TOLD.validate_python([{"fact": name, "value": shown(fact.value), "origin": origin(fact)} for name, fact in found])


def origin(fact: Fact) -> str:
    """How it came to be known, in words."""
    return f"{fact.origin}: {fact.detail}" if fact.detail else fact.origin.value


def shown(value: object) -> object:
    """A fact's value as JSON can hold it."""
    return "no limit" if value == float("inf") else value

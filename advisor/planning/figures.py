"""A design's figures: parameters, FLOPs, bytes, memory, times, each with its basis, so that candidates can be compared."""

from __future__ import annotations

import math

from advisor.catalogue.entries import DeviceEntry
from advisor.planning.plan import Design
from advisor.planning.sizing import number, value
from advisor.planning.timing import BACKWARD_TO_FORWARD, MILLISECONDS, SECONDS_AN_HOUR, estimate_latency, estimate_training_hours
from advisor.verify.evidence import Memory, StaticEvidence
from advisor.verify.formulas import STATE_BYTES
from advisor.wire import Basis, Quantity

GIB = 2**30
MB = 1e6
FORMAT_OF = {
    "none": "fp32",
    "bf16": "fp16",
    "fp16": "fp16",
    "int8-dynamic": "int8",
    "int8-static": "int8",
    "int8-weight-only": "int8",
    "int4-weight-only": "int4",
    "nf4": "int4",
}
BYTES_A_WEIGHT = {"fp32": 4.0, "fp16": 2.0, "int8": 1.0, "int4": 0.5}
# Training passes a sample, in units of one text's forward and backward: an embedder reads a pair; a policy reads both answers, and its
# reference reads them once more without a backward pass (a third of the cost: arXiv:2001.08361, section 2.1).
TEXTS_A_SAMPLE = {"text_embedding": 2.0, "preference_tuning": 2.0 + 2.0 / 3.0}
DECODERS = ("instruction_tuning", "text_generation", "preference_tuning")


def design_figures(design: Design, evidence: StaticEvidence | None, device: DeviceEntry | None) -> dict[str, Quantity]:
    """What is known of a design in numbers: counted where there is evidence, published where there is none."""
    entry = design.candidate
    figures = _counted(evidence) if evidence else _published(design)
    parameters = figures["parameters"].value
    size = _file_bytes(design, evidence, parameters)
    figures["file_size"] = Quantity(value=size / MB, unit="MB", basis=Basis.COMPUTED if evidence else Basis.ESTIMATED)
    flops = figures["flops"].value if "flops" in figures else None
    figures.update(_times(design, evidence, flops, size, device))
    for score in entry.scores[:2]:
        name = f"{score.benchmark} {score.metric}"
        figures[name] = Quantity(value=score.value, unit=score.metric, basis=Basis.PUBLISHED, source=score.source)
    return figures


def _counted(evidence: StaticEvidence) -> dict[str, Quantity]:
    figures = {
        "parameters": Quantity(value=evidence.parameters, unit="parameters", basis=Basis.COMPUTED),
        "trainable_parameters": Quantity(value=evidence.trainable_parameters, unit="parameters", basis=Basis.COMPUTED),
        "flops": Quantity(value=evidence.flops_forward, unit="FLOPs", basis=Basis.COMPUTED),
    }
    for name, memory in (("training_memory", evidence.training_memory), ("inference_memory", evidence.inference_memory)):
        if memory is not None:
            figures[name] = memory_quantity(memory)
    return figures


def _published(design: Design) -> dict[str, Quantity]:
    entry = design.candidate
    parameters = Quantity(value=entry.parameters.value, unit="parameters", basis=Basis.PUBLISHED, source=entry.parameters.source)
    if entry.gmacs is None:
        return {"parameters": parameters}
    flops = Quantity(value=2e9 * entry.gmacs.value, unit="FLOPs", basis=Basis.PUBLISHED, source=entry.gmacs.source)
    return {"parameters": parameters, "flops": flops}


def memory_quantity(memory: Memory) -> Quantity:
    """Bytes as GiB, with the interval."""
    return Quantity(
        value=memory.total / GIB, low=memory.low / GIB, high=memory.high / GIB, unit="GiB", basis=Basis.ESTIMATED, source=memory.method
    )


def _file_bytes(design: Design, evidence: StaticEvidence | None, parameters: float) -> float:
    file_format = FORMAT_OF[design.recipe.compression.quantization]
    if evidence and file_format in evidence.file_bytes:
        return evidence.file_bytes[file_format]
    return parameters * BYTES_A_WEIGHT[file_format]


def _times(
    design: Design, evidence: StaticEvidence | None, flops: float | None, size: float, device: DeviceEntry | None
) -> dict[str, Quantity]:
    if flops is None or device is None:
        return {}
    times = {"latency": _latency(design, evidence, flops, size, device)}
    samples = _samples(design)
    if design.recipe.optimizer.name != "none" and samples and math.isfinite(samples):
        times["training_time"] = _training_time(design, evidence, flops, samples, device)
    return {name: time for name, time in times.items() if time is not None}


def _latency(design: Design, evidence: StaticEvidence | None, flops: float, size: float, device: DeviceEntry) -> Quantity | None:
    # A decoder answers token by token: one token costs the forward pass of one position, and reads every weight.
    recipe, decodes = design.recipe, str(value(design.facts, "task.kind")) in DECODERS
    if evidence is not None and evidence.operators:
        from advisor.planning import operator_timing  # numpy: only where there is evidence

        found = operator_timing.latency(evidence.operators, device, recipe.precision, decoded_bytes=size if decodes else None,
                                        unpriced=bool(evidence.flops_uncounted))  # fmt: skip
        if found is not None:
            return found
    return estimate_latency(flops / (recipe.input.sequence_length or 1) if decodes else flops, size, device, recipe.precision)


def _samples(design: Design) -> float:
    """Samples shown in all, in units of one forward and backward pass."""
    recipe = design.recipe
    shown = (
        number(design.facts, "data.samples", math.nan) * (recipe.epochs or 0)
        if recipe.steps is None
        else recipe.steps * recipe.batch.effective
    )
    return shown * TEXTS_A_SAMPLE.get(str(value(design.facts, "task.kind")), 1.0)


def _training_time(design: Design, evidence: StaticEvidence | None, flops: float, samples: float, device: DeviceEntry) -> Quantity | None:
    """Hours on devices that scale without loss."""
    recipe = design.recipe
    batch = recipe.batch
    if evidence is not None and evidence.operators:
        from advisor.planning import operator_timing

        frozen = 1 - evidence.trainable_parameters / max(evidence.parameters, 1)
        training = operator_timing.Training(
            batch.per_device, _passes(design, frozen), evidence.trainable_parameters, STATE_BYTES.get(recipe.optimizer.name, 8.0),
            batch.accumulation,
        )  # fmt: skip
        step = operator_timing.step_time(evidence.operators, training, device, recipe.precision, unpriced=bool(evidence.flops_uncounted))
        if step is not None:
            hours = samples / batch.effective / MILLISECONDS / SECONDS_AN_HOUR
            return step.model_copy(
                update={"unit": "h", **{end: float(f"{getattr(step, end) * hours:.3g}") for end in ("value", "low", "high")}}
            )
    return estimate_training_hours(flops, samples, device, batch.devices, recipe.precision)


def _passes(design: Design, frozen: float) -> float:
    """A step's arithmetic in forward passes: what is frozen needs no gradient of its own, and below a frozen backbone none at all."""
    adaptation = design.recipe.model.adaptation
    again = 1 if design.recipe.activation_checkpointing else 0
    if adaptation in ("linear_probe", "freeze"):
        return 1 + again
    return 1 + BACKWARD_TO_FORWARD - frozen + again

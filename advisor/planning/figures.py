"""A design's figures: parameters, FLOPs, bytes, memory, times, each with its basis, so that candidates can be compared."""

from __future__ import annotations

import math

from advisor.catalogue.entries import DeviceEntry
from advisor.planning.communication import communication_share, estimate_exchange, with_communication
from advisor.planning.plan import Design
from advisor.planning.sizing import number, value
from advisor.planning.timing import BACKWARD_TO_FORWARD, Served, estimate_latency, estimate_training_hours, training_passes
from advisor.verify.evidence import Memory, StaticEvidence
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
SERVED_IN: dict[str, Served] = {"bf16": "bf16", "fp16": "fp16", "int8-dynamic": "int8", "int8-static": "int8"}
"""What the exported model computes in; weights alone in 8 or 4 bits are unpacked to the precision of training."""
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
    trained = evidence.trainable_parameters if evidence else int(parameters) if design.recipe.lora is None else 0
    figures.update(_times(design, flops, size, device, (int(parameters), trained)))
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
    size = design.recipe.input.image_size
    scale = (size / entry.image_size) ** 2 if size and entry.image_size else 1.0  # published for the size that the weights were trained at
    flops = Quantity(value=2e9 * entry.gmacs.value * scale, unit="FLOPs", basis=Basis.PUBLISHED, source=entry.gmacs.source)
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


def _times(design: Design, flops: float | None, size: float, device: DeviceEntry | None, counts: tuple[int, int]) -> dict[str, Quantity]:
    if flops is None or device is None:
        return {}
    recipe, task = design.recipe, str(value(design.facts, "task.kind"))
    # A decoder answers token by token: one token costs the forward pass of one position, and reads every weight.
    sample = flops / (recipe.input.sequence_length or 1) if task in DECODERS else flops
    served = SERVED_IN.get(recipe.compression.quantization, recipe.precision)
    times: dict[str, Quantity | None] = {"latency": estimate_latency(sample, size, device, served)}
    samples = training_samples(design) * TEXTS_A_SAMPLE.get(task, 1.0)
    if recipe.optimizer.name != "none" and samples and math.isfinite(samples):
        work = flops * training_passes(recipe) / (1 + BACKWARD_TO_FORWARD)
        hours = times["training_time"] = estimate_training_hours(work, samples, device, recipe.batch.devices, recipe.precision)
        if hours is not None:
            step = estimate_training_hours(work, recipe.batch.effective, device, recipe.batch.devices, recipe.precision)
            exchange = estimate_exchange(recipe, *counts, device, int(number(design.facts, "compute.nodes", 1)))
            if exchange is not None and step is not None:
                times["communication_share"] = communication_share(step, exchange)
                hours = times["training_time"] = with_communication(hours, step, exchange)
            times |= spending(design, hours, device)
    return {name: time for name, time in times.items() if time is not None}


def training_samples(design: Design) -> float:
    """How many samples the model is shown in all; not a number where the size of the data is not known."""
    recipe = design.recipe
    if recipe.steps is not None:
        return float(recipe.steps * recipe.batch.effective)
    return number(design.facts, "data.samples", math.nan) * (recipe.epochs or 0)


def spending(design: Design, hours: Quantity, device: DeviceEntry | None) -> dict[str, Quantity | None]:
    """GPU-hours and money, where they are limited; money where the catalogue has a price."""
    limited = [name for name in ("gpu_hours", "cost_usd") if math.isfinite(number(design.facts, f"limit.{name}", math.inf))]
    budget, price = _times_as_much(hours, design.recipe.batch.devices, "GPU-hours", hours.source), device.usd_an_hour if device else None
    cost = _times_as_much(budget, price.value, "USD", f"{hours.source}; {price.source}") if price else None
    return {**({"budget": budget} if "gpu_hours" in limited else {}), **({"cost": cost} if "cost_usd" in limited else {})}


def _times_as_much(figure: Quantity, factor: float, unit: str, source: str | None) -> Quantity:
    scaled = {end: float(f"{value * factor:.3g}") for end in ("value", "low", "high") if (value := getattr(figure, end)) is not None}
    return figure.model_copy(update={**scaled, "unit": unit, "source": source})

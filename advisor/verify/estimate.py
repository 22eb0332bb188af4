"""Everything that can be known of a model and a way to train it, for `advisor estimate`: resolved, built, counted, traced."""

from __future__ import annotations

import math
import re
import time
from typing import Any

import torch
from torch import nn

from advisor import catalogue
from advisor.errors import CheckError, did_you_mean
from advisor.estimating import samples
from advisor.estimating.answer import CachedContext, Estimate
from advisor.estimating.pricing import COMPUTE, Works, price_times
from advisor.estimating.question import Question
from advisor.recipe import Recipe
from advisor.verify.build import apply_adaptation, build_model, set_training_mode
from advisor.verify.by_length import PIECE, at_length, pieces_of
from advisor.verify.evidence import Job, Memory
from advisor.verify.flops import MOST_OPERATORS, TooManyOperators, count_passes
from advisor.verify.given import given_workload, usual_inputs
from advisor.verify.inference import cache_bytes, file_bytes, predict_inference_memory
from advisor.verify.largest import largest_batch
from advisor.verify.loop import checkpoint_activations
from advisor.verify.memory import USABLE_SHARE, price, trace_model
from advisor.verify.operators import operators_at
from advisor.verify.peak import live_peak
from advisor.verify.selftest import failed_assumptions, predict_coarsely
from advisor.verify.shapes import MetaOperators
from advisor.verify.static import versions
from advisor.verify.subject import UNSPECIFIED, Subject, resolve
from advisor.verify.trace import Trace
from advisor.verify.valued import MOST_PARAMETERS, DependsOnValues, count_by_values, with_values
from advisor.verify.workload import Workload, workload_of

GIB = 2**30
CONTEXTS = (2048, 8192, 32768, 131072)  # tokens
IMAGE = samples.IMAGE  # pixels, where neither the question nor the model says
_PICTURED = ("image", "image_text", "video", "volume")
_CLASSES = ("num_classes", "num_labels")  # how timm and torchvision, and transformers, call the number of outputs
_DECIDES = "decides by the values of its tensors, which cannot be foreseen without them"
_LONE_VALUE = "Expected more than 1 value per channel"  # torch.nn.functional.batch_norm
_SAY_INPUTS = "; say what it takes: --input pixel_values=3x224x224 --input input_ids=int64:32"
_OWN_VALUES = (NotImplementedError, torch._subclasses.fake_tensor.DataDependentOutputException)


def check_estimate(job: Job) -> Estimate:
    """Answer the job's question. Raises CheckError with the nearest that makes sense."""
    start = time.perf_counter()
    question = job.question
    assert question is not None
    subject = resolve(question.model, question.library, question.config)
    job = _completed(job, subject, question)
    model, workload = _build(job, subject, question, "meta")
    try:
        if subject.library == "python":
            _told(subject, question, lambda: _refuse_decisions(subject, model, workload))
        answer = _Answer(job, subject, question, workload).of(model)
    except TooManyOperators as refusal:
        length = job.recipe.input.sequence_length
        if job.recipe.input.kind != "text" or question.inputs or length is None:
            raise CheckError(f"{subject.name}: {refusal}, too many to trace; try a shorter or smaller input") from refusal
        answer = at_length(lambda: _in_pieces(job, subject, question, length), length)
        answer = _Answer(job, subject, question, workload)._timed(answer, [])
    except DependsOnValues as refusal:
        if sum(parameter.numel() for parameter in model.parameters()) > MOST_PARAMETERS:
            raise
        real, workload = _build(job, subject, question, "cpu")
        answer = _Answer(job, subject, question, with_values(workload)).of_values(real, str(refusal))
    return answer.model_copy(update={"seconds": time.perf_counter() - start})


def _in_pieces(job: Job, subject: Subject, question: Question, length: int) -> Estimate:
    """The answer for samples of one piece, and as many times more of them, without a device's times and its largest batch."""
    pieces = pieces_of(length)
    question = question.model_copy(update={"sequence_length": PIECE, "device": None, "batch": question.batch * pieces})
    batch = job.recipe.batch.model_copy(update={"per_device": question.batch, "effective": job.recipe.batch.effective * pieces})
    job = _completed(job.model_copy(update={"recipe": job.recipe.model_copy(update={"batch": batch})}), subject, question)
    model, workload = _build(job, subject, question, "meta")
    return _Answer(job, subject, question, workload, pieces=pieces).of(model)


class _Answer:
    """One question's parts, each worked out from the same model and workload."""

    def __init__(self, job: Job, subject: Subject, question: Question, workload: Workload, *, pieces: int = 1) -> None:
        self.pieces = pieces  # of a sample's text: `by_length`
        self.job, self.subject, self.question, self.workload = job, subject, question, workload
        self.room = None if job.target.memory_gib is None else int(job.target.memory_gib * USABLE_SHARE * GIB)
        self.has_traces = not failed_assumptions()
        self.warnings = [f"{failure}; memory is predicted by formula, with a wider interval" for failure in failed_assumptions()]

    def of(self, model: nn.Module) -> Estimate:
        parameters, files = sum(parameter.numel() for parameter in model.parameters()), file_bytes(model)
        plain = model
        if self.job.recipe.lora is not None and not self.question.inference:
            plain, model = _build(self.job, self.subject, self.question, "meta")[0], apply_adaptation(model, self.job.recipe)
        if plain is not model and sum(p.numel() for p in model.parameters() if p.requires_grad) > parameters:
            self.warnings.append(f"adapters of rank {self.question.lora_rank} have more weights than the model: train it in full, "
                                 "or take a lower rank")  # fmt: skip
        trainable = 0 if self.question.inference else sum(p.numel() for p in model.parameters() if p.requires_grad)
        forward, backward, uncounted = _told(
            self.subject, self.question, lambda: count_passes(model, self.workload, math.inf if self.pieces > 1 else MOST_OPERATORS)
        )
        works = operators_at(plain, self.workload, COMPUTE.get(self.question.precision, self.question.precision))
        training, largest = (None, None) if self.question.inference else self._training(model)
        inference = self._inference(plain)
        needed = inference if self.question.inference else training
        answer = Estimate(
            **self._known(parameters, files),
            trainable_parameters=trainable,
            flops_forward=forward,
            flops_backward=None if self.question.inference else backward,
            flops_per_token=forward // self._tokens if self._tokens else None,
            flops_uncounted=uncounted,
            training_memory=training,
            largest_batch=largest,
            fits=self._fits(needed),
            inference_memory=inference,
            contexts=self._contexts(plain, inference),
        )
        return self._timed(answer, works)

    def of_values(self, model: nn.Module, why: str) -> Estimate:
        """The answer for a real model that `meta` tensors cannot run: counted on random values, memory by formula."""
        self.warnings.append(f"{why}; counted on random values, which may take another path than yours; memory is by formula, and wider")
        recipe, files = self.job.recipe, file_bytes(model)
        forward, backward = _told(self.subject, self.question, lambda: count_by_values(model, self.workload))
        training = None if self.question.inference else predict_coarsely(model, self.workload, recipe, self.job.target)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        answer = Estimate(
            **self._known(parameters, files),
            trainable_parameters=0 if self.question.inference else parameters,
            flops_forward=forward,
            flops_backward=None if self.question.inference else backward,
            training_memory=training,
            fits=self._fits(training),
        )
        return self._timed(answer, [])

    def _known(self, parameters: int, files: dict[str, int]) -> dict[str, Any]:
        """What does not depend on how the model was run."""
        return {"model": self.subject.name, "library": self.subject.library, "task": self.job.task, "sample": self._sample(),
                "parameters": parameters, "file_bytes": files, "device_memory": self.room, "warnings": self.warnings,
                "versions": versions(self.job)}  # fmt: skip

    def _fits(self, needed: Memory | None) -> bool | None:
        return None if self.room is None or needed is None else needed.high <= self.room

    @property
    def _tokens(self) -> int | None:
        sample = self.job.recipe.input
        is_read = not self.workload.sample or self.workload.sample.startswith("input_ids=")
        return sample.sequence_length if sample.kind == "text" and is_read else None

    def _timed(self, answer: Estimate, works: Works) -> Estimate:
        device = self.question.device
        return answer if device is None else price_times(answer, works, self.question, catalogue.devices()[device], self.job.recipe)

    def _training(self, model: nn.Module) -> tuple[Memory, int | None]:
        recipe, target = self.job.recipe, self.job.target
        set_training_mode(model, recipe)
        if recipe.activation_checkpointing:
            checkpoint_activations(model)
        if not self.has_traces:
            return predict_coarsely(model, self.workload, recipe, self.job.target), None
        logits: tuple[int, int] = (0, 0)

        def trace(batch: int) -> Trace:
            nonlocal logits
            found, logits = trace_model(model, self.workload, recipe, target, shapes=[self.workload.batch(batch)] * 2)
            return found

        def priced(found: Trace) -> Memory:
            return price(found, live_peak(found, logits), recipe, target)

        first = _told(self.subject, self.question, lambda: trace(recipe.batch.per_device))
        memory = priced(first)
        if self.room is None or self.pieces > 1:
            return memory, None
        return memory, largest_batch(trace, priced, self.room, recipe.batch.per_device, (first, memory))

    def _inference(self, model: nn.Module) -> Memory:
        for parameter in model.parameters():
            parameter.grad = None
        return predict_inference_memory(self.job, model.eval(), self.workload, self._served)

    @property
    def _served(self) -> int:
        return self.question.batch if self.question.inference else self.pieces

    def _contexts(self, model: nn.Module, memory: Memory) -> list[CachedContext]:
        """By length, up to the model's positions: beside keys and values, what the prompt's pass above takes."""
        dtype = torch.float32 if self.question.precision == "fp32" else torch.float16
        rest = memory.total - memory.categories.get("kv_cache", 0)
        most = min(self.subject.positions or CONTEXTS[-1], CONTEXTS[-1])
        lengths = sorted({*(length for length in CONTEXTS if length < most), most})
        caches = {length: self._served * cache_bytes(model, length, dtype) for length in lengths} if "kv_cache" in memory.categories else {}
        return [CachedContext(tokens=length, kv_cache=cache, total=rest + cache) for length, cache in caches.items() if cache]

    def _sample(self) -> str:
        if self.question.inputs:
            return ", ".join(self.question.inputs)
        return self.workload.sample or samples.describe(self.job.recipe.input)


def _completed(job: Job, subject: Subject, question: Question) -> Job:
    """The job with the subject's task, build and sample; sizes that neither side states are the usual ones."""
    _refuse_unknown_settings(subject, question.config)
    task = "text_generation" if subject.task == samples.PREFERENCES else subject.task
    is_unknown_text = task == UNSPECIFIED and not question.inputs and subject.library == "transformers"
    is_text = samples.is_text(task) or is_unknown_text
    sample = samples.usual_sample("text_generation" if is_unknown_text else task, subject.name, subject.build.library)
    _refuse_sizes(subject, question, sample, takes_length=is_text or samples.takes_length(task))
    if "sequence_length" in sample:
        sample["sequence_length"] = question.sequence_length or min(
            sample["sequence_length"], subject.positions or sample["sequence_length"]
        )
    if sample["kind"] in _PICTURED:
        sample["image_size"] = question.image_size or sample.get("image_size") or IMAGE
        if question.image_size is None and subject.image_size is not None:
            sample["image_size"] = subject.image_size
    sample["outputs"] = next((question.config[name] for name in _CLASSES if name in question.config), sample.get("outputs"))
    recipe = Recipe.model_validate(
        {**job.recipe.model_dump(), "input": sample, "loss": [{"name": samples.LOSSES.get(task, job.recipe.loss[0].name)}]}
    )
    return job.model_copy(update={"task": task, "build": subject.build, "recipe": recipe})


def _refuse_sizes(subject: Subject, question: Question, sample: dict[str, Any], *, takes_length: bool) -> None:
    """Raises CheckError for a length or size of an image that the model cannot take."""
    given = (re.search(r"^input_ids=int\d*:(\d+)$", text) for text in question.inputs)
    length = next((int(found[1]) for found in given if found), question.sequence_length)
    if length is not None and subject.positions is not None and length > subject.positions:
        raise CheckError(f"a sequence of {length} tokens is longer than {subject.name}'s {subject.positions} positions; "
                         f"use --sequence-length {subject.positions} or less")  # fmt: skip
    if question.sequence_length is not None and not takes_length:
        raise CheckError(f"{subject.name} takes no sequence of tokens; leave --sequence-length out")
    if question.image_size is not None and sample["kind"] not in (*_PICTURED, "observation"):
        raise CheckError(f"{subject.name} takes no images; leave --image-size out")


def _refuse_unknown_settings(subject: Subject, config: dict[str, Any]) -> None:
    """transformers keeps any setting and heeds those it knows. Raises CheckError for another, with the nearest."""
    kind = subject.build.config.get("model_type")
    if subject.library != "transformers" or not config or not isinstance(kind, str):
        return
    from transformers import CONFIG_MAPPING

    known = {"model_type", *(dir(CONFIG_MAPPING[kind]()) if kind in CONFIG_MAPPING else config)}
    for name in config.keys() - known:
        raise CheckError(f"--config {name}: {subject.name} has no such setting{did_you_mean(name, known)}")


def _build(job: Job, subject: Subject, question: Question, device: str) -> tuple[nn.Module, Workload]:
    if subject.factory is None:
        model = _told(subject, question, lambda: build_model(job, device))
        if question.inputs or subject.task == UNSPECIFIED:
            return model, given_workload(question.inputs or usual_inputs(model, job.recipe.input.sequence_length))
        return model, workload_of(job)
    try:
        with torch.device(device):
            made = subject.factory(**subject.build.config)
    except (Exception, SystemExit) as error:
        raise CheckError(f"{subject.library}:{subject.name} raises {type(error).__name__}: {' '.join(str(error).split())}") from error
    if not isinstance(made, nn.Module):
        raise CheckError(f"{subject.library}:{subject.name} returns a {type(made).__name__}, not a torch.nn.Module")
    return made.to(device).requires_grad_(True).eval(), given_workload(question.inputs)


def _refuse_decisions(subject: Subject, model: nn.Module, workload: Workload) -> None:
    """Libraries' models may ask for values to check their inputs; what a user's own does with one, nobody knows. Raises DependsOnValues."""
    with MetaOperators() as operators, torch.no_grad():
        workload.forward(model, workload.batch(1))
    if operators.has_answered:
        raise DependsOnValues(f"{subject.name} {_DECIDES}")


def _told(subject: Subject, question: Question, work: Any) -> Any:
    """What `work` returns; where the model cannot do it with these sizes, a CheckError that says so."""
    try:
        return work()
    except CheckError:
        raise
    except _OWN_VALUES as error:
        raise DependsOnValues(f"{subject.name} {_DECIDES}: {_brief(error)}") from error
    except (RuntimeError, ValueError, IndexError, TypeError, AssertionError) as error:
        if _LONE_VALUE in str(error):
            raise CheckError(f"{subject.name} normalizes each channel over the batch, which leaves one value of it here; "
                             f"use --batch {question.batch + 1} or a larger image") from error  # fmt: skip
        size = f"an image of {question.image_size} pixels" if question.image_size else f"a batch of {question.batch}"
        size = f"--input {' --input '.join(question.inputs)}" if question.inputs else size
        way_out = f"; its own size is {subject.image_size}" if question.image_size and subject.image_size else ""
        way_out = _SAY_INPUTS if subject.task == UNSPECIFIED and not question.inputs else way_out
        raise CheckError(f"{subject.name} does not take {size}{way_out}: {_brief(error)}") from error


def _brief(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]

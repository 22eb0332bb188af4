"""`advisor.estimate`: what is asked is checked, and worked out in the sandbox. Never imports torch."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from pydantic import ValidationError

from advisor.errors import UsageError, did_you_mean
from advisor.estimating.answer import Estimate
from advisor.estimating.devices import Chosen, find_device
from advisor.estimating.question import Question
from advisor.intake.catalogue import load_catalogue
from advisor.intake.text import lowered
from advisor.recipe import Recipe
from advisor.verify.evidence import Build, Job, Refusal, Target
from advisor.verify.formulas import STATE_BYTES
from advisor.verify.verifier import Verifier

OPTIMIZERS = (*(name for name in STATE_BYTES if name not in ("none", "momentum")), "sgd_momentum", "adafactor")
DEFAULT_OPTIMIZER = "adamw"
MOMENTUM = 0.9  # any value above 0 keeps the same state
TIME_LIMIT_S = 120.0
_BUILT = ("timm", "transformers", "torchvision", "diffusers")
TRAINING_ALONE = {"checkpointing": False, "lora_rank": None, "accumulation": 1, "sharding": "ddp", "samples": None}
"""Options that say how a model is trained, with what they are where nobody chose them."""
_WHOLE = ("batch", "accumulation", "devices", "image_size", "sequence_length", "lora_rank", "samples")


def estimate(model: str, *, on: str | None = None, verifier: Verifier | None = None, **options: Any) -> Estimate:
    """What a model takes to train and to use, without the device and without its weights.

    `model` is a name of the catalogue, timm, torchvision or transformers, or `python:module:factory`. `on` names a device, as
    `RTX 4090` or `8xA100-80G` do. `options` are `Question`'s fields: batch, optimizer, precision, image_size, sequence_length,
    inputs, checkpointing, lora_rank, accumulation, devices, sharding, samples, inference, library, config. The model is built in a
    sandbox: `verifier`, or one of its own.

    Raises:
        UsageError: for a name or number that makes no sense, with the nearest that does.
    """
    chosen = find_device(on) if on is not None else None
    if chosen is not None and options.setdefault("devices", chosen.count) != chosen.count > 1:
        raise UsageError(f"--devices {options['devices']}: --on {on!r} says {chosen.count}; leave one of them out")
    question = _question({"model": model, "device": chosen.entry.id if chosen else None, **options})
    with ExitStack() as stack:
        sandbox = verifier or stack.enter_context(Verifier())
        answer = sandbox.submit(_job(question, chosen)).result()
    if isinstance(answer, Refusal):
        if load_catalogue().is_closed(lowered(model)):
            raise UsageError(f"{model}: its weights are not published (its provider serves it), so it cannot be built; name an open model")
        raise UsageError(answer.reason if model in answer.reason or not model.startswith("python:") else f"{model}: {answer.reason}")
    assert isinstance(answer, Estimate)
    if chosen is None:
        return answer
    return answer.model_copy(update={"warnings": [*answer.warnings, *chosen.remarks]})


def _question(fields: dict[str, Any]) -> Question:
    unknown = [name for name in fields if name not in Question.model_fields]
    if unknown:
        raise UsageError(f"estimate takes no {unknown[0]!r}{did_you_mean(unknown[0], Question.model_fields)}")
    for name in _WHOLE:
        value = fields.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise UsageError(f"{_option(name)} {value}: is no whole number from 1 up")
    fields["optimizer"] = str(fields.get("optimizer", DEFAULT_OPTIMIZER)).lower()
    if fields["optimizer"] not in OPTIMIZERS:
        name = fields["optimizer"]
        raise UsageError(f"--optimizer {name}: is not known{did_you_mean(name, OPTIMIZERS)}; known are {', '.join(OPTIMIZERS)}")
    try:
        question = Question.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UsageError(f"{_option(str(first['loc'][0]))} {first.get('input')!r}: {first['msg']}") from error
    _refuse_contradictions(question)
    return question


def _refuse_contradictions(question: Question) -> None:
    """Raises UsageError for options that exclude each other, or of which one would be passed over."""
    idle = [name for name, plain in TRAINING_ALONE.items() if getattr(question, name) != plain] if question.inference else []
    if idle:
        raise UsageError(f"{_option(idle[0])}: says how to train, and --inference asks for the use alone; leave one of them out")
    if question.samples is not None and question.device is None:
        raise UsageError("--samples: the time to train depends on the device; name it with --on 'RTX 4090'")
    sized = next((name for name in ("image_size", "sequence_length") if getattr(question, name) is not None), None)
    if question.inputs and sized:
        raise UsageError(f"{_option(sized)}: --input says already what one sample is; leave one of them out")
    if question.precision in ("int8", "nf4") and question.lora_rank is None and not question.inference:
        raise UsageError(f"--precision {question.precision}: weights stored so cannot be trained; add --lora r=16, or --inference")
    if question.sharding != "ddp" and question.devices == 1:
        raise UsageError(f"--sharding {question.sharding}: there is nothing to share on one device; add --devices 2 or more")


def _option(name: str) -> str:
    return "--lora" if name == "lora_rank" else f"--{name.replace('_', '-')}"


def _job(question: Question, chosen: Chosen | None) -> Job:
    """The sandbox's job. Its task, build and sample are completed there, once the name is resolved."""
    prefix = question.model.partition(":")[0]
    library = next((name for name in (question.library, prefix) if name in _BUILT), "torch")
    entry = chosen.entry if chosen else None
    several = question.devices > 1
    target = Target(
        kind=("multi_gpu" if several and entry.kind == "gpu" else entry.kind) if entry else "multi_gpu" if several else "gpu",
        name=entry.name if entry else None,
        memory_gib=chosen.memory_gib if chosen else None,
        compute_capability=entry.compute_capability if entry else None,
    )
    return Job(
        check="estimate",
        task="unspecified",
        build=Build.model_validate({"library": library, "factory": question.model}),
        recipe=_recipe(question),
        target=target,
        time_limit_s=TIME_LIMIT_S,
        question=question,
    )


def _recipe(question: Question) -> Recipe:
    stored = question.precision in ("int8", "nf4")
    precision = "bf16" if stored else question.precision
    name = question.optimizer.removesuffix("_momentum")
    lora = None if question.lora_rank is None else {
        "rank": question.lora_rank, "alpha": 2 * question.lora_rank, "base_precision": question.precision}  # fmt: skip
    formats = {"bf16": "bf16", "fp16": "fp16", "int8": "int8-weight-only", "nf4": "nf4", "fp32": "none"}
    return Recipe.model_validate({
        "model": {"id": question.model, "library": "torch", "architecture_family": "hybrid", "pretrained": False,
                  "adaptation": "lora" if lora else "scratch", "license": "unknown"},
        "input": {"kind": "image"}, "loss": [{"name": "cross_entropy"}], "metric": "loss", "split": "none",
        "optimizer": {"name": name, "learning_rate": 1e-3, "momentum": MOMENTUM if name != question.optimizer else None},
        "batch": {"per_device": question.batch, "accumulation": question.accumulation, "devices": question.devices,
                  "effective": question.batch * question.accumulation * question.devices},
        "precision": precision, "activation_checkpointing": question.checkpointing, "lora": lora,
        "compression": {"quantization": formats[question.precision]},
        "distributed": question.sharding if question.devices > 1 else None,
    })  # fmt: skip

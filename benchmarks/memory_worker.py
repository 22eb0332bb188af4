"""Predicts the peak of each training run on standard input, a JSON object a line, as `memory_measured.py` sends them.

A process of its own, since models of transformers are traced with the version that the runs were made with. The runs' script:
`zero_grad` where the row says; a model's own loss for language models, whose batches are padded to their longest line; else
cross-entropy. Names live until they are assigned anew.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import sys
import time
from collections.abc import Mapping
from statistics import median_low
from typing import Any

from advisor.verify.light_imports import import_without_compiler

LIBRARIES = {
    "timm": ("timm",),
    "torchvision": ("torchvision",),
    "transformers": ("transformers.modeling_utils", "transformers.models.auto.modeling_auto"),
}
PLACES = {"POS0": "before_forward", "POS1": "before_backward", "POS2": "after_step"}
TEXT_TASKS = ("text_generation", "instruction_tuning", "preference_tuning", "summarization", "translation")
TASKS = {"AutoModelForCausalLM": "text_generation", "AutoModelForSeq2SeqLM": "summarization", "AutoModelForMaskedLM": "text_generation"}
LABELS = 2  # of a classifier whose row does not say how many
STEPS = 4
SAMPLES = 16
HIGH = 0.9  # the quantile over sampled lengths that the upper bound starts from

# WikiText-2, the runs' text: 36,718 lines, of which 12,951 are empty and about 6,000 are headings; the rest are paragraphs. Its
# 2.09 million words are about 2.4 million tokens, so that a paragraph has 130 on average; that their lengths are log-normal with
# a spread of 0.7 is a guess, and nothing was fitted.
EMPTY, HEADINGS = 0.353, 0.163
HEADING_TOKENS = (4, 12)
PARAGRAPH_LOG_MEAN, PARAGRAPH_LOG_SPREAD = 4.62, 0.7


def main() -> None:
    rows = [json.loads(line) for line in sys.stdin]
    import_without_compiler(("torch", *dict.fromkeys(module for row in rows for module in LIBRARIES[row["library"]])))
    _let_autocast_know_meta()
    for row in rows:
        _import_model(row)
        print(json.dumps(_predicted(row)), flush=True)


def _import_model(row: Mapping[str, Any]) -> None:
    """Libraries import a model's code when it is first built; times are of what follows."""
    from advisor.verify.build import build_model

    with contextlib.suppress(Exception):
        build_model(_job(row), "meta")


def _predicted(row: Mapping[str, Any]) -> dict[str, Any]:
    start = time.perf_counter()
    try:
        value, bound = predict(row)
    except Exception as error:
        return {"id": row["run_id"], "error": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}
    return {"id": row["run_id"], "bytes": value, "bound": bound, "seconds": time.perf_counter() - start}


def predict(row: Mapping[str, Any]) -> tuple[int, int]:
    """Reserved bytes at the peak without the context, and the upper bound that is stated for them."""
    import torch

    from advisor.verify.batches import forward, loss_of, make_batch
    from advisor.verify.build import build_model
    from advisor.verify.memory import reserved_on, safety, trace_model
    from advisor.verify.workload import Workload

    job = _job(row)
    model = build_model(job, "meta").train()
    if row["dtype"] in ("bf16", "fp16", "float16", "bfloat16"):
        model.to({"f": torch.float16, "b": torch.bfloat16}[row["dtype"][0]])
    batch, zero_grad = int(row["batch_size"]), PLACES.get(row["zero_grad"], "before_forward")

    def trace(*shapes: dict[str, torch.Tensor]) -> Any:
        workload = own if is_text else Workload(None, lambda m, b: forward(m, b, job), lambda o, b: loss_of(o, b, job))
        return trace_model(model, workload, job.recipe, job.target, shapes=shapes, zero_grad=zero_grad)[0]

    own = Workload(None, lambda m, b: m(**b), lambda o, _: o.loss)
    is_text = job.task in TEXT_TASKS
    if not is_text:
        shapes = make_batch(job, batch, "meta")
        found = trace(shapes, shapes)
        value, spread, _ = reserved_on(job.target, found.events)
        return value, int(value * safety(found)[0]) + spread

    def texts(length: int) -> dict[str, torch.Tensor]:
        return {name: torch.empty(batch, length, dtype=torch.long, device="meta") for name in ("input_ids", "attention_mask", "labels")}

    return _over_lengths(row, batch, job.target, lambda lengths: trace(*(texts(length) for length in lengths)))


def _over_lengths(row: Mapping[str, Any], batch: int, target: Any, trace: Any) -> tuple[int, int]:
    """Median over the lengths that a padded batch may have, and a high quantile of them with the bound's factor."""
    from advisor.verify.allocator import replay
    from advisor.verify.memory import reserved_on, safety
    from advisor.verify.scaling import ChangedProgram, Scaled

    longest = int((re.search(r"\d+", row["input"]) or ["128"])[0])
    full = (longest,) * STEPS
    draws = sampled_lengths(batch, longest, row["run_id"]) if "<" in row["input"] else [full]
    if draws.count(full) >= HIGH * len(draws):  # neither the median nor the quantile sees the others
        whole = trace(full[:2])
        value, spread, _ = reserved_on(target, whole.events)
        return value, int(value * safety(whole)[0]) + spread
    whole = trace(full[:3])
    try:
        family = Scaled(whole, trace((longest // 2,) * 2), longest, longest // 2)
        events = {lengths: family.at(lengths) for lengths in set(draws)}
    except ChangedProgram:
        events = {lengths: trace(lengths).events for lengths in set(draws)}
    peaks = sorted(replay(events[lengths], seed) for seed, lengths in enumerate(draws))  # each with an address order of its own
    return median_low(peaks), int(peaks[int(HIGH * (len(peaks) - 1))] * safety(whole)[0])


def sampled_lengths(batch: int, longest: int, seed: str) -> list[tuple[int, ...]]:
    """Lengths of the batches of a run's steps, drawn again and again: the longest of `batch` lines, cut at `longest`."""
    source = random.Random(seed)

    def line() -> int:
        kind = source.random()
        if kind < EMPTY:
            return 1
        if kind < EMPTY + HEADINGS:
            return source.randint(*HEADING_TOKENS)
        return int(source.lognormvariate(PARAGRAPH_LOG_MEAN, PARAGRAPH_LOG_SPREAD))

    return [tuple(min(longest, max(line() for _ in range(batch))) for _ in range(STEPS)) for _ in range(SAMPLES)]


def _job(row: Mapping[str, Any]) -> Any:
    from advisor.recipe import Recipe
    from advisor.verify.evidence import Job, Target
    from advisor.verify.subject import resolve

    subject = resolve(row["model"], row["library"])
    build, task = subject.build, subject.task
    if named := re.match(r"AutoModelFor\w+", row.get("task", "")):
        build, task = build.model_copy(update={"factory": named[0]}), TASKS.get(named[0], task)
    picture = re.search(r"\d+(?:x\d+)+", row["input"])
    size = max(map(int, re.findall(r"\d+", picture[0]))) if picture else int((re.search(r"\d+", row["input"]) or ["0"])[0])
    outputs = int(row["classes"]) if row["classes"].isdigit() else LABELS if row["library"] == "transformers" else None
    sample = {"kind": "image", "image_size": size, "channels": 3, "outputs": outputs} if picture else {
        "kind": "text", "sequence_length": size, "outputs": outputs}  # fmt: skip
    optimizer, momentum = (
        row["optimizer"].lower().removesuffix("_momentum"),
        0.9 if row["optimizer"].lower().endswith("_momentum") else None,
    )
    recipe = Recipe.model_validate({
        "model": {"id": subject.name, "library": "torch", "architecture_family": "cnn", "pretrained": False, "adaptation": "scratch",
                  "license": "none"},
        "input": sample, "loss": [{"name": "cross_entropy"}], "metric": "accuracy", "split": "none",
        "optimizer": {"name": optimizer, "learning_rate": 1e-3, "momentum": momentum},
        "batch": {"per_device": int(row["batch_size"]), "effective": int(row["batch_size"])}, "precision": "fp32",
    })  # fmt: skip
    # what NVML calls the card's memory, in terms of the nominal size that users and the catalogue know
    gib = round(float(row["gpu_memory_MiB"]) / 1024)
    capability = {"A100": "8.0", "H100": "9.0", "T4": "7.5"}.get(re.sub(r".*(A100|H100|T4).*", r"\1", row["gpu"]))
    return Job(check="static", task=task, build=build, recipe=recipe,
               target=Target(kind="gpu", memory_gib=gib, compute_capability=capability))  # fmt: skip


def _let_autocast_know_meta() -> None:
    """transformers 4 switches autocast off around rotary embeddings by the tensors' device; torch knows no autocast of `meta`."""
    import torch

    real = torch.autocast

    class Autocast(real):  # type: ignore[misc, valid-type]
        def __init__(self, device_type: str, *arguments: Any, **settings: Any) -> None:
            super().__init__("cpu" if device_type == "meta" else device_type, *arguments, **settings)

    torch.autocast = Autocast


if __name__ == "__main__":
    main()

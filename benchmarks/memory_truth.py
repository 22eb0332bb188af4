"""How far predicted training memory is from what a GPU shows: run this where there is one.

    python benchmarks/memory_truth.py [--most 96] [--minutes 9] [--out benchmarks/results/memory_truth.md]

Needs an NVIDIA GPU, torch 2.11 or later and Python 3.12 or later; without a GPU it says so and ends with status 2. Models x
optimizers x precisions x checkpointing x LoRA, a seeded sample of the combinations that make sense. Each is trained for three
steps in a process of its own, with random weights and synthetic batches; nothing is downloaded. The predicted live peak is held
against `torch.cuda.max_memory_allocated`, the predicted total against what NVML says the process takes. The last line:
`live median M% p90 P% process median M% p90 P% cap-exceeded C% n=N`.
"""

from __future__ import annotations

import argparse
import itertools
import math
import multiprocessing
import os
import random
import statistics
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from gpu_here import Clock, Table, heading, what_is_lacking

from advisor.verify.hardware import Gpu, detect
from advisor.verify.light_imports import NVML_ANSWERS, import_without_compiler

MODELS = {  # catalogue's or timm's name: batch, side or tokens
    "resnet50": (64, 224), "convnext_tiny": (32, 224), "efficientnet_b0": (64, 224), "vit_base_patch16_224": (32, 224),
    "swin_tiny_patch4_window7_224": (32, 224), "mobilenetv3_large_100": (128, 224), "regnety_032": (48, 224),
    "bert-base-uncased": (16, 256), "FacebookAI/roberta-large": (8, 256), "microsoft/deberta-v3-base": (8, 256),
    "gpt2": (4, 512), "Qwen/Qwen3-0.6B": (2, 1024), "HuggingFaceTB/SmolLM2-1.7B": (1, 1024),
}  # fmt: skip
OPTIMIZERS = ("adamw", "sgd", "adafactor", "adamw_8bit")
PRECISIONS = ("fp32", "bf16")
LIBRARIES = ("torch", "timm", "transformers.modeling_utils", "transformers.models.auto.modeling_auto")  # peft may start CUDA
SEED, MOST, STEPS = 0, 96, 3
MIB, GIB = 2**20, 2**30
TIME_LIMIT_S = 120.0
COLUMNS = (
    "| model | optimizer | precision | checkpointing | LoRA | allocated (MiB) | predicted live | error | process (MiB) | predicted | error "
    "| upper end |",
    "| --- | --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
)


@dataclass(frozen=True)
class Result:
    """Bytes of one run: predicted live peak, total and upper end; allocated by torch, and the process's by NVML."""

    live: int
    total: int
    high: int
    allocated: int
    process: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=MOST, help="combinations to run")
    parser.add_argument("--minutes", type=float, default=math.inf, help="after which no further run is begun")
    parser.add_argument("--out", type=Path, help="write the table there as well")
    arguments = parser.parse_args()
    hardware = detect()
    if lacking := what_is_lacking(hardware):
        print(f"memory_truth compares with a real GPU: {lacking}; nothing was measured", file=sys.stderr)
        return 2
    os.environ[NVML_ANSWERS] = "1"
    import_without_compiler(LIBRARIES)  # once, for all the processes that are forked; CUDA starts in each of them
    table, clock = Table((heading(hardware), "", *COLUMNS), arguments.out), Clock(arguments.minutes)
    print(*table.head, sep="\n")
    if "adamw_8bit" not in optimizers():
        table.add(None, "without adamw_8bit: bitsandbytes is not installed")
    results = []
    for case in cases(arguments.most):
        if clock.is_up():
            break
        found = run_apart(case)
        if isinstance(found, Result):
            results.append(found)
            table.add(row(case, found))
        else:
            table.add(None, f"not run: {name_of(case)}: {found}")
    table.end(last_line(results) if results else "nothing could be run")
    return 0 if results else 1


def optimizers() -> tuple[str, ...]:
    """Those whose kernels are here: 32-bit states in the place of 8-bit ones would be another measurement."""
    return tuple(name for name in OPTIMIZERS if not name.endswith("8bit") or find_spec("bitsandbytes"))


def cases(most: int) -> list[dict[str, Any]]:
    """A seeded sample in which every model comes before any comes again; no LoRA where there is little but convolutions."""
    source = random.Random(SEED)
    turns = []
    for model in MODELS:
        own = [
            {"model": model, "optimizer": optimizer, "precision": precision, "checkpointing": checkpointing, "lora": lora}
            for optimizer, precision, checkpointing, lora in itertools.product(optimizers(), PRECISIONS, (False, True), (False, True))
            if not lora or "/" in model or model.startswith(("bert", "gpt2", "vit"))
        ]
        source.shuffle(own)
        turns.append(own)
    return [case for turn in itertools.zip_longest(*turns) for case in turn if case is not None][:most]


def name_of(case: dict[str, Any]) -> str:
    marks = [mark for mark in ("checkpointing", "lora") if case[mark]]
    return " ".join((case["model"], case["optimizer"], case["precision"], *marks))


def run_apart(case: dict[str, Any]) -> Result | str:
    """The run in a process of its own, forked from this one; or why there is no result."""
    fork = multiprocessing.get_context("fork")
    answer, into = fork.Pipe(duplex=False)
    process = fork.Process(target=_answer, args=(case, into))
    process.start()
    into.close()
    try:
        found: Result | str = answer.recv() if answer.poll(TIME_LIMIT_S) else f"not finished in {TIME_LIMIT_S:g} s"
    except EOFError:
        found = "the process died"
    process.kill()
    process.join()
    return found


def _answer(case: dict[str, Any], into: Connection) -> None:
    try:
        into.send(run(case))
    except Exception as error:
        into.send(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def run(case: dict[str, Any]) -> Result:
    """Predict the run, then train for a few steps on the GPU."""
    import torch

    from advisor.verify.memory import predict_training_memory

    gpu = max(detect().gpus, key=lambda gpu: gpu.free_gib)
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu.uuid
    job = job_of(case, gpu)
    memory, _ = predict_training_memory(job)
    assert memory is not None, "every case trains"
    trainer = Trainer(job, "cuda")
    torch.cuda.empty_cache()  # models are built in fp32, on whatever the base is stored in
    torch.cuda.reset_peak_memory_stats()
    trainer.train(STEPS)
    torch.cuda.synchronize()
    live = memory.total - memory.categories.get("allocator_slack", 0) - memory.categories.get("context", 0)
    return Result(live, memory.total, memory.high, torch.cuda.max_memory_allocated(), process_bytes(gpu))


class Trainer:
    """A training script's loop, by the code of the smoke-train. Its attributes live on, as a script's names do, until assigned anew."""

    def __init__(self, job: Any, device: str) -> None:
        from advisor.verify import optimize
        from advisor.verify.adapt import apply_adaptation, set_training_mode
        from advisor.verify.build import build_model
        from advisor.verify.loop import checkpoint_activations

        self.job, self.device = job, device
        self.model = set_training_mode(apply_adaptation(build_model(job, device), job.recipe), job.recipe)
        if job.recipe.activation_checkpointing:
            checkpoint_activations(self.model)
        if (deviation := optimize.optimizer_deviation(job.recipe)) is not None:
            raise RuntimeError(deviation)
        self.optimizer: Any = optimize.make_optimizer(optimize.parameter_groups(self.model, job.recipe), job.recipe)
        self.batch: Any = None
        self.outputs: Any = None
        self.loss: Any = None

    def train(self, steps: int) -> None:
        import torch

        from advisor.verify.batches import forward, loss_of, make_batch

        for _ in range(steps):
            self.optimizer.zero_grad()
            self.batch = make_batch(self.job, self.job.recipe.batch.per_device, self.device)
            with torch.autocast(self.device, torch.bfloat16) if self.job.recipe.precision == "bf16" else nullcontext():
                self.outputs = forward(self.model, self.batch, self.job)
                self.loss = loss_of(self.outputs, self.batch, self.job)
            self.loss.backward()
            self.optimizer.step()


def job_of(case: dict[str, Any], gpu: Gpu | None = None) -> Any:
    from advisor.recipe import Recipe
    from advisor.verify.evidence import Job, Target
    from advisor.verify.subject import resolve

    batch, size = MODELS[case["model"]]
    subject = resolve(case["model"], None, {})
    is_image = subject.build.library == "timm"
    text = {"kind": "text", "sequence_length": size, "outputs": 2}
    sample = {"kind": "image", "image_size": size, "channels": 3, "outputs": 1000} if is_image else text
    generates = subject.task == "text_generation" or subject.build.factory.endswith("ForCausalLM")
    task = "image_classification" if is_image else "instruction_tuning" if generates else "text_classification"
    recipe = Recipe.model_validate({
        "model": {"id": case["model"], "library": subject.build.library, "architecture_family": "hybrid", "pretrained": False,
                  "adaptation": "lora" if case["lora"] else "scratch", "license": "none"},
        "input": sample, "loss": [{"name": "cross_entropy"}], "metric": "loss", "split": "none",
        "optimizer": {"name": case["optimizer"], "learning_rate": 1e-4, "momentum": 0.9 if case["optimizer"] == "sgd" else None},
        "batch": {"per_device": batch, "effective": batch}, "precision": case["precision"],
        "activation_checkpointing": case["checkpointing"],
        "lora": {"rank": 16, "alpha": 32, "base_precision": case["precision"]} if case["lora"] else None,
    })  # fmt: skip
    target = Target(kind="gpu", compute_capability=gpu.compute_capability if gpu else None)
    return Job(check="static", task=task, build=subject.build, recipe=recipe, target=target)


def process_bytes(gpu: Gpu) -> int:
    """What NVML says this process takes; where it sees no processes, as in a container, what is gone of the memory that was free."""
    import pynvml

    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByUUID(gpu.uuid)
    own = [p.usedGpuMemory for p in pynvml.nvmlDeviceGetComputeRunningProcesses(handle) if p.pid == os.getpid() and p.usedGpuMemory]
    return int(own[0] if own else gpu.free_gib * GIB - pynvml.nvmlDeviceGetMemoryInfo(handle).free)


def row(case: dict[str, Any], found: Result) -> str:
    cells = (
        case["model"], case["optimizer"], case["precision"], "yes" if case["checkpointing"] else "no", "yes" if case["lora"] else "no",
        f"{found.allocated / MIB:.0f}", f"{found.live / MIB:.0f}", f"{found.live / found.allocated - 1:+.1%}",
        f"{found.process / MIB:.0f}", f"{found.total / MIB:.0f}", f"{found.total / found.process - 1:+.1%}",
        "kept" if found.process <= found.high else "EXCEEDED",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def last_line(results: list[Result]) -> str:
    live = [abs(r.live / r.allocated - 1) for r in results]
    process = [abs(r.total / r.process - 1) for r in results]
    exceeded = sum(r.process > r.high for r in results) / len(results)
    shown = [f"{name} median {100 * statistics.median(errors):.2f}% p90 {100 * quantile(errors, 0.9):.2f}%"
             for name, errors in (("live", live), ("process", process))]  # fmt: skip
    return f"{' '.join(shown)} cap-exceeded {100 * exceeded:.1f}% n={len(results)}"


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


if __name__ == "__main__":
    sys.exit(main())

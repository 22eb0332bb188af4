"""How far predicted training memory is from what a GPU shows: run this where there is one.

    python benchmarks/memory_truth.py [--most 96] [--rows]

Needs an NVIDIA GPU, torch 2.11 or later and Python 3.12 or later; without a GPU it says so and ends with status 2. Models x
optimizers x precisions x checkpointing x LoRA, a seeded sample of the combinations that make sense. Each is trained for three
steps in a process of its own, with random weights and synthetic batches, by the code of the smoke-train. The predicted live
peak is held against `torch.cuda.max_memory_allocated`, the predicted total against what NVML says the process takes.
The last line: `live median M% p90 P% process median M% p90 P% cap-exceeded C% n=N`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

MODELS = {  # catalogue's or timm's name: batch, side or tokens
    "resnet50": (64, 224), "convnext_tiny": (32, 224), "efficientnet_b0": (64, 224), "vit_base_patch16_224": (32, 224),
    "swin_tiny_patch4_window7_224": (32, 224), "mobilenetv3_large_100": (128, 224), "regnety_032": (48, 224),
    "bert-base-uncased": (16, 256), "FacebookAI/roberta-large": (8, 256), "microsoft/deberta-v3-base": (8, 256),
    "gpt2": (4, 512), "Qwen/Qwen3-0.6B": (2, 1024), "HuggingFaceTB/SmolLM2-1.7B": (1, 1024),
}  # fmt: skip
OPTIMIZERS = ("adamw", "sgd", "adamw_8bit", "adafactor")
PRECISIONS = ("fp32", "bf16")
SEED, MOST, STEPS = 0, 96, 3
MIB = 2**20
TIME_LIMIT_S = 300
NO_GPU = "memory_truth compares with a real GPU, and there is none here: no CUDA device is available to torch"


@dataclass(frozen=True)
class Result:
    """Bytes of one run: predicted live peak, total and upper end; allocated by torch, and the process's by NVML."""

    name: str
    live: int
    total: int
    high: int
    allocated: int
    process: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=MOST, help="combinations to run")
    parser.add_argument("--rows", action="store_true", help="print every run")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not has_gpu():
        print(NO_GPU, file=sys.stderr)
        sys.exit(2)
    if arguments.one:
        print(json.dumps(run(json.loads(arguments.one))))
        return
    results = []
    for case in cases(arguments.most):
        done = subprocess.run([sys.executable, __file__, "--one", json.dumps(case)], capture_output=True, text=True,
                              timeout=TIME_LIMIT_S, check=False)  # fmt: skip
        if done.returncode:
            print(f"not run: {name_of(case)}: {' '.join(done.stderr.split())[-160:]}", file=sys.stderr)
            continue
        results.append(Result(name_of(case), **json.loads(done.stdout.splitlines()[-1])))
        if arguments.rows:
            print(describe(results[-1]), flush=True)
    if not results:
        sys.exit("nothing could be run")
    print(last_line(results))


def has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def cases(most: int) -> list[dict[str, Any]]:
    """A seeded sample in which every model comes before any comes again; no LoRA where there is little but convolutions."""
    source = random.Random(SEED)
    turns = []
    for model in MODELS:
        own = [
            {"model": model, "optimizer": optimizer, "precision": precision, "checkpointing": checkpointing, "lora": lora}
            for optimizer, precision, checkpointing, lora in itertools.product(OPTIMIZERS, PRECISIONS, (False, True), (False, True))
            if not lora or "/" in model or model.startswith(("bert", "gpt2", "vit"))
        ]
        source.shuffle(own)
        turns.append(own)
    return [case for turn in itertools.zip_longest(*turns) for case in turn if case is not None][:most]


def name_of(case: dict[str, Any]) -> str:
    marks = [mark for mark in ("checkpointing", "lora") if case[mark]]
    return " ".join((case["model"], case["optimizer"], case["precision"], *marks))


def run(case: dict[str, Any]) -> dict[str, int]:
    """Train for a few steps on the GPU, and predict the same run."""
    import torch

    from advisor.verify import optimize
    from advisor.verify.adapt import apply_adaptation, set_training_mode
    from advisor.verify.batches import compute_loss, make_batch
    from advisor.verify.build import build_model
    from advisor.verify.loop import checkpoint_activations
    from advisor.verify.memory import predict_training_memory

    job = job_of(case)
    model = apply_adaptation(build_model(job, "cuda"), job.recipe)
    set_training_mode(model, job.recipe)
    if case["checkpointing"]:
        checkpoint_activations(model)
    deviation = optimize.optimizer_deviation(job.recipe)
    if deviation is not None:  # its 32-bit original would be measured instead
        sys.exit(deviation)
    optimizer = optimize.make_optimizer(optimize.parameter_groups(model, job.recipe), job.recipe)
    assert optimizer is not None
    for _ in range(STEPS):
        batch = make_batch(job, job.recipe.batch.per_device, "cuda")
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16) if case["precision"] == "bf16" else nullcontext():
            loss = compute_loss(model, batch, job)
        loss.backward()
        optimizer.step()
    torch.cuda.synchronize()
    measured = {"allocated": torch.cuda.max_memory_allocated(), "process": process_bytes()}
    memory, _ = predict_training_memory(job)
    assert memory is not None
    live = memory.total - memory.categories.get("allocator_slack", 0) - memory.categories.get("context", 0)
    return {"live": live, "total": memory.total, "high": memory.high, **measured}


def job_of(case: dict[str, Any]) -> Any:
    import torch

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
    capability = ".".join(map(str, torch.cuda.get_device_capability())) if torch.cuda.is_available() else None
    target = Target(kind="gpu", compute_capability=capability)
    return Job(check="static", task=task, build=subject.build, recipe=recipe, target=target)


def process_bytes() -> int:
    """What NVML says this process takes; where it sees no processes, as in a container, what is in use on the device."""
    import os

    import pynvml
    import torch

    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(0).uuid}")
    own = [p.usedGpuMemory for p in pynvml.nvmlDeviceGetComputeRunningProcesses(handle) if p.pid == os.getpid() and p.usedGpuMemory]
    return int(own[0] if own else pynvml.nvmlDeviceGetMemoryInfo(handle).used)


def describe(result: Result) -> str:
    live, process = result.live / result.allocated - 1, result.total / result.process - 1
    return f"{live:+7.1%} live {process:+7.1%} process  {result.allocated / MIB:8.0f} {result.process / MIB:8.0f} MiB  {result.name}"


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
    main()

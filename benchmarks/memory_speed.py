"""How long a prediction of training memory takes, in how much memory, beside what other tools take for what they answer.

    python benchmarks/memory_speed.py [--runs N]

Each line is a process of its own; times are of the call alone, after imports, the median of the runs. The tools answer less:
fvcore and calflops count FLOPs, torchinfo sums the sizes of outputs, DeepSpeed's and accelerate's estimators price model states
alone. What is not installed is left out. Ratios are to this project's time for the same model in the same run.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BYTES_A_KIB = 1024
TARGETS = {"resnet50": 0.5, "vit_base_patch16_224": 0.5, "bert-base-uncased": 0.5, "meta-llama/Llama-3.1-8B": 5.0}  # seconds
TARGET_RSS = 2.0  # GiB
SMALL = ("resnet50", "vit_base_patch16_224", "bert-base-uncased")
PEERS = {"fvcore": SMALL[:2], "torchinfo": SMALL[:2], "calflops": SMALL[:2], "deepspeed": SMALL, "accelerate": SMALL}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--one", nargs=2, metavar=("TOOL", "MODEL"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(*arguments.one, arguments.runs)))
        return
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}"
    print(f"{datetime.date.today()}, {machine}, Python {platform.python_version()}")
    print(f"{'model':26} {'tool':12} {'seconds':>8} {'target':>7} {'ratio':>7} {'RSS GiB':>8}")
    for model, target in TARGETS.items():
        ours = run("advisor", model, arguments.runs)
        print(f"{model:26} {'advisor':12} {ours['seconds']:8.3f} {target:7.1f} {1.0:7.1f} {ours['rss']:8.2f}")
        for tool, models in PEERS.items():
            if model in models and importlib.util.find_spec(tool) is not None:
                found = run(tool, model, arguments.runs)
                shown = (
                    f"{found['seconds']:8.3f} {'':7} {found['seconds'] / ours['seconds']:7.1f} {found['rss']:8.2f}"
                    if found
                    else "   failed"
                )
                print(f"{'':26} {tool:12} {shown}")
    missing = [tool for tool in PEERS if importlib.util.find_spec(tool) is None]
    if missing:
        print(f"not installed: {', '.join(missing)}")


def run(tool: str, model: str, runs: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", tool, model, "--runs", str(runs)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        print(done.stderr[-500:], file=sys.stderr)
        return {}
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def measure(tool: str, model: str, runs: int) -> dict[str, float]:
    """Median wall seconds after a first call, and the largest resident size of the process."""
    work = ours(model) if tool == "advisor" else PEER_WORK[tool](model)
    work()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_A_KIB / 2**30
    return {"seconds": statistics.median(seconds), "rss": rss}


def ours(name: str) -> Callable[[], object]:
    from advisor.verify.light_imports import import_without_compiler

    import_without_compiler(("torch", "timm", "transformers.modeling_utils", "transformers.models.auto.modeling_auto"))
    from advisor.verify.memory import predict_training_memory

    return lambda: predict_training_memory(job(name))


def job(name: str) -> Any:
    from advisor.recipe import Recipe
    from advisor.verify.evidence import Job, Target
    from advisor.verify.subject import resolve

    subject, large = resolve(name), name.endswith("8B")
    sample = {"kind": "image", "image_size": 224, "channels": 3, "outputs": 1000} if subject.library == "timm" else {
        "kind": "text", "sequence_length": 2048 if large else 128, "outputs": None if large else 2}  # fmt: skip
    recipe = Recipe.model_validate({
        "model": {"id": name, "library": "torch", "architecture_family": "cnn", "pretrained": False, "adaptation": "full",
                  "license": "none"},
        "input": sample, "loss": [{"name": "cross_entropy"}], "metric": "none", "split": "none",
        "optimizer": {"name": "adamw", "learning_rate": 1e-3}, "precision": "bf16",
        "batch": {"per_device": 1 if large else 32, "effective": 1 if large else 32},
    })  # fmt: skip
    return Job(check="static", task=subject.task, build=subject.build, recipe=recipe, target=Target(kind="gpu", memory_gib=80))


def real_model(name: str) -> Any:
    from advisor.verify.build import build_model

    return build_model(job(name), "cpu")


def with_fvcore(name: str) -> Callable[[], object]:
    import torch
    from fvcore.nn import FlopCountAnalysis

    model = real_model(name)
    return lambda: FlopCountAnalysis(model, torch.randn(1, 3, 224, 224)).unsupported_ops_warnings(False).tracer_warnings("none").total()


def with_torchinfo(name: str) -> Callable[[], object]:
    from torchinfo import summary

    model = real_model(name)
    return lambda: summary(model, (32, 3, 224, 224), verbose=0)


def with_calflops(name: str) -> Callable[[], object]:
    from calflops import calculate_flops

    model = real_model(name)
    return lambda: calculate_flops(model, input_shape=(1, 3, 224, 224), print_results=False, print_detailed=False)


def with_deepspeed(name: str) -> Callable[[], object]:
    from deepspeed.runtime.zero.stage_1_and_2 import estimate_zero2_model_states_mem_needs_all_live

    model = real_model(name)
    return lambda: estimate_zero2_model_states_mem_needs_all_live(model)


def with_accelerate(name: str) -> Callable[[], object]:
    from accelerate.utils import calculate_maximum_sizes

    model = real_model(name)
    return lambda: calculate_maximum_sizes(model)


PEER_WORK = {"fvcore": with_fvcore, "torchinfo": with_torchinfo, "calflops": with_calflops,
             "deepspeed": with_deepspeed, "accelerate": with_accelerate}  # fmt: skip


if __name__ == "__main__":
    main()

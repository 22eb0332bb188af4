"""What other tools answer of a model, how long they take and in how much memory, beside a prediction of training memory.

    python benchmarks/peers.py [--runs N] [--model NAME]…

Each line is a process of its own; times are of the call alone, after imports, the median of the runs. The tools answer less:
fvcore and calflops count operations, torchinfo sums the sizes of outputs, DeepSpeed's and accelerate's estimators price model
states alone. They run in a side environment that is made on first use (in .cache/). Ratios are to this project's time for the
same model in the same run; memory is for training in bf16 with AdamW at batch 32.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import io
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from side import ROOT, side_python

PACKAGES = ("torchinfo==1.8.0", "calflops==0.3.2", "deepspeed==0.19.8", "accelerate==1.15.0", "py-cpuinfo", "ninja", "einops", "hjson",
            "msgpack")  # fmt: skip
BYTES_A_KIB = 1024
GIB = 2**30
TARGETS = {"resnet50": 0.5, "vit_base_patch16_224": 0.5, "bert-base-uncased": 0.5, "meta-llama/Llama-3.1-8B": 5.0}  # seconds
TARGET_RSS = 2.0  # GiB
PEERS = ("fvcore", "torchinfo", "calflops", "deepspeed", "accelerate")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--model", action="append", choices=TARGETS, help="one of the models alone; may be repeated")
    parser.add_argument("--one", nargs=2, metavar=("TOOL", "MODEL"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(*arguments.one, arguments.runs)))
        return
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}"
    print(f"{datetime.date.today()}, {machine}, Python {platform.python_version()}")
    print(f"{'model':26} {'tool':12} {'seconds':>8} {'target':>7} {'ratio':>7} {'RSS GiB':>8}  answer")
    for model, target in TARGETS.items():
        if model not in (arguments.model or TARGETS):
            continue
        ours = run("advisor", model, arguments.runs)
        print(f"{model:26} {'advisor':12} {ours['seconds']:8.3f} {target:7.1f} {1.0:7.1f} {ours['rss']:8.2f}  {ours['answer']}", flush=True)
        for tool in PEERS:
            found = run(tool, model, arguments.runs)
            times = (
                f"{found['seconds']:8.3f} {'':7} {found['seconds'] / ours['seconds']:7.1f} {found['rss']:8.2f}" if found else "   failed"
            )
            print(f"{'':26} {tool:12} {times}  {found.get('answer', '')}", flush=True)


def run(tool: str, model: str, runs: int) -> dict[str, Any]:
    python = sys.executable if tool == "advisor" else side_python("peers", PACKAGES)
    command = [python, __file__, "--one", tool, model, "--runs", str(runs)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        print(done.stderr[-500:], file=sys.stderr)
        return {}
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def measure(tool: str, model: str, runs: int) -> dict[str, Any]:
    """What it answers, the median wall seconds after a first call, and the largest resident size of the process."""
    work = ours(model) if tool == "advisor" else PEER_WORK[tool](model)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        answer = ANSWERS[tool](work(), printed)
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            work()
        seconds.append(time.perf_counter() - start)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_A_KIB / 2**30
    return {"answer": answer, "seconds": statistics.median(seconds), "rss": rss}


def ours(name: str) -> Callable[[], Any]:
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
    """The model with weights, but for one whose weights fill this machine's memory: that has none."""
    from advisor.verify.build import build_model

    return build_model(job(name), "meta" if name.endswith("8B") else "cpu")


def real_input(name: str, model: Any, samples: int = 1) -> Any:
    import torch

    sample, device = job(name).recipe.input, next(model.parameters()).device
    if sample.kind == "image":
        return torch.randn(samples, 3, sample.image_size, sample.image_size, device=device)
    return torch.zeros(samples, sample.sequence_length, dtype=torch.int64, device=device)


def with_fvcore(name: str) -> Callable[[], object]:
    from fvcore.nn import FlopCountAnalysis

    model = real_model(name)

    def count() -> object:
        return FlopCountAnalysis(model, real_input(name, model)).unsupported_ops_warnings(False).tracer_warnings("none").total()

    return count


def with_torchinfo(name: str) -> Callable[[], object]:
    from torchinfo import summary

    model = real_model(name)
    samples = job(name).recipe.batch.per_device
    return lambda: summary(model, input_data=real_input(name, model, samples), device=next(model.parameters()).device, verbose=0)


def with_calflops(name: str) -> Callable[[], object]:
    from calflops import calculate_flops

    model = real_model(name)
    given = real_input(name, model)
    shape = {"input_shape": tuple(given.shape)} if given.is_floating_point() else {"kwargs": {"input_ids": given}}
    return lambda: calculate_flops(model, **shape, print_results=False, print_detailed=False)


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

ANSWERS: dict[str, Callable[[Any, io.StringIO], str]] = {
    "advisor": lambda found, _: f"peak {found[0].total / GIB:.2f} GiB ({found[0].low / GIB:.2f} to {found[0].high / GIB:.2f}) on a GPU",
    "fvcore": lambda found, _: f"{found / 1e9:.2f} GMACs",
    "torchinfo": lambda found, _: (
        f"{found.total_mult_adds / found.input_size[0] / 1e9:.2f} GMACs, {found.total_output_bytes / GIB:.2f} GiB of outputs"
    ),
    "calflops": lambda found, _: f"{found[1]}, {found[0]}",
    "deepspeed": lambda _, printed: _first_estimate(printed.getvalue()),
    "accelerate": lambda found, _: f"weights {found[0] / GIB:.2f} GiB; its report prints four times that for training with Adam",
}


def _first_estimate(printed: str) -> str:
    """The line of DeepSpeed's table for all states on the GPU: `per CPU | per GPU | options`."""
    line = next(line for line in printed.splitlines() if "offload_optimizer=none" in line)
    return f"states {line.split('|')[1].strip()}"


if __name__ == "__main__":
    main()

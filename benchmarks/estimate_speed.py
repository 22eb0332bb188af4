"""How long `advisor estimate` takes, its parts apart, once everything is imported.

    python benchmarks/estimate_speed.py [--runs 3] [--model NAME]…

All in one process: each question is asked `--runs` times, without and with a device (times on it, and the largest batch that it
holds), and what was learnt of operators' shapes is forgotten before each, as in the sandbox, where each estimate has a process of
its own. Seconds are of the processor and, in brackets, of the clock, both the least of the runs, since other work on the machine
only adds to them; RSS is the process's largest so far.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import time
from concurrent.futures import Future
from typing import Any

from batch_requests import machine

import advisor
from advisor.verify import shapes
from advisor.verify.evidence import Job
from advisor.verify.light_imports import import_without_compiler

BYTES_A_KIB = 1024
GIB = 2**30
TARGETS = {"resnet50": 0.5, "vit_base_patch16_224": 0.5, "bert-base-uncased": 0.5, "meta-llama/Llama-3.1-8B": 5.0}  # seconds
BATCHES = {name: (1, 32, 256) if target < 1 else (1,) for name, target in TARGETS.items()}
CARD, LARGE_CARD = "RTX 3090", "H100"
DECODER: dict[str, Any] = {"precision": "bf16", "sequence_length": 2048}


class Here:
    """Stands for the sandbox: answers in this process, and takes the time."""

    def __init__(self) -> None:
        self.processor, self.clock = 0.0, 0.0

    def submit(self, job: Job) -> Future[Any]:
        from advisor.verify.estimate import check_estimate

        shapes._SHAPES.forget()
        clock, processor = time.perf_counter(), time.process_time()
        answer: Future[Any] = Future()
        answer.set_result(check_estimate(job))
        self.processor, self.clock = time.process_time() - processor, time.perf_counter() - clock
        return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--model", action="append", choices=TARGETS, help="one of the models alone; may be repeated")
    arguments = parser.parse_args()
    import_without_compiler(("torch", "timm", "transformers.modeling_utils", "transformers.models.auto.modeling_auto", "peft"))
    gc.freeze()  # as the sandbox does
    print(f"{machine()}, load {os.getloadavg()[0]:.1f}, seconds of processor (clock)")
    print(f"{'model':24} {'batch':>5} {'one batch':>14} {'largest batch too':>18} {'target':>6} {'largest':>7} {'RSS GiB':>8}")
    for model in arguments.model or TARGETS:
        is_large = TARGETS[model] > 1
        kinds = ({}, {"lora_rank": 16}) if is_large else ({},)
        for options in kinds:
            for batch in BATCHES[model]:
                report(model, batch, {**(DECODER if is_large else {}), **options}, LARGE_CARD if is_large else CARD, arguments.runs)


def report(model: str, batch: int, options: dict[str, Any], card: str, runs: int) -> None:
    ask(model, batch, {**options, "on": card})  # libraries import a model's code when it is first built
    alone = [ask(model, batch, options) for _ in range(runs)]
    largest = [ask(model, batch, {**options, "on": card}) for _ in range(runs)]
    cells = [f"{min(p for p, _, _ in found):7.2f} ({min(c for _, c, _ in found):.2f})" for found in (alone, largest)]
    name = model.rpartition("/")[2] + (", LoRA" if "lora_rank" in options else "")
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_A_KIB / GIB
    print(f"{name:24} {batch:5} {cells[0]:>14} {cells[1]:>18} {TARGETS[model]:6} {largest[0][2]!s:>7} {rss:8.2f}", flush=True)


def ask(model: str, batch: int, options: dict[str, Any]) -> tuple[float, float, int | None]:
    """Seconds of the processor and of the clock, and the largest batch where a device is named."""
    here = Here()
    answer = advisor.estimate(model, batch=batch, verifier=here, **options)  # type: ignore[arg-type]
    return here.processor, here.clock, answer.largest_batch


if __name__ == "__main__":
    main()

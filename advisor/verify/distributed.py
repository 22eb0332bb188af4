"""Two steps of data-parallel training on several devices of this machine: every process must end with the same weights.

The processes are forked, so that this must come before anything is computed in the one that calls it.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from advisor.verify.batches import Batch, compute_loss
from advisor.verify.confine import refuse
from advisor.verify.evidence import Job, SmokeCheck
from advisor.verify.hardware import Hardware
from advisor.verify.overfit import mark, parts
from advisor.verify.reduce import GIB, Limits, reduce_job
from advisor.verify.repeats import seed_generators

NAME = "distributed"
STEPS = 2
STEP_FLOPS = 1e12  # a second or less on any GPU of today: this is about whether it runs, not how fast
MEMORY_SHARE = 0.6  # of the memory that is free: DistributedDataParallel keeps the gradients twice
LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}  # all that a process without a network has
READ_BYTES = 2**16


class Loss(nn.Module):
    """The model with its loss, so that whatever a task's forward pass asks of the model, it asks the model itself."""

    def __init__(self, model: nn.Module, job: Job) -> None:
        super().__init__()
        self.model, self._job = model, job

    def forward(self, batch: Batch) -> Tensor:
        return compute_loss(self.model, batch, self._job)


def check_distributed(job: Job, hardware: Hardware, deadline: float) -> SmokeCheck | None:
    """For a recipe that trains on several devices: it does, on those that are here, or why that was not tried."""
    wanted = job.recipe.batch.devices
    if wanted < 2 or job.recipe.optimizer.name == "none":
        return None
    count = len(hardware.gpus)
    if count < 2:
        here = f"has {'one GPU' if count else 'no GPU'}" + (f" ({hardware.gpu_reason})" if hardware.gpu_reason else "")
        return SmokeCheck(name=NAME, status="skipped", detail=f"the recipe trains on {wanted} devices, and this machine {here}")
    gpus = hardware.gpus[:wanted]
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpu.uuid for gpu in gpus)
    limits = Limits(min(gpu.free_gib for gpu in gpus) * GIB * MEMORY_SHARE, STEP_FLOPS)
    return train_together(job, [f"cuda:{index}" for index in range(len(gpus))], limits, deadline)


def train_together(job: Job, devices: Sequence[str], limits: Limits, deadline: float) -> SmokeCheck:
    """Fork a process for each device, wait until `deadline` (of time.monotonic), and compare what they ended with."""
    with tempfile.TemporaryDirectory() as folder:
        meeting = Path(folder) / "store"
        ranks = [_fork(job, device, rank, len(devices), meeting, limits) for rank, device in enumerate(devices)]
        try:
            answers = [_read(pipe, deadline) for _, pipe in ranks]
        finally:
            for pid, pipe in ranks:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                os.close(pipe)
    return _judge(answers, devices)


def _judge(answers: list[dict[str, Any] | None], devices: Sequence[str]) -> SmokeCheck:
    if any(answer is None for answer in answers):
        return SmokeCheck(name=NAME, status="skipped", detail="not every process answered in the time")
    found = [answer for answer in answers if answer is not None]
    errors = [answer["error"] for answer in found if "error" in answer]
    if errors:
        status = "failed" if any(answer.get("status") == "failed" for answer in found) else "skipped"
        return SmokeCheck(name=NAME, status=status, detail=errors[0])
    losses = " and ".join(f"{answer['losses'][-1]:.4g}" for answer in found)
    what = f"{len(devices)} processes on {', '.join(dict.fromkeys(device.partition(':')[0] for device in devices))}"
    apart = {json.dumps(answer["marks"], sort_keys=True) for answer in found}
    if len(apart) > 1:
        return SmokeCheck(name=NAME, status="failed", detail=f"{what} ended with different weights: their gradients are not shared")
    return SmokeCheck(name=NAME, status="passed", detail=f"{what}, {STEPS} steps, losses {losses} on parts of their own, the same weights")


# --- in each process -------------------------------------------------------------------------------------------------


def _fork(job: Job, device: str, rank: int, world: int, meeting: Path, limits: Limits) -> tuple[int, int]:
    out, into = os.pipe()
    pid = os.fork()
    if pid:
        os.close(into)
        return pid, out
    try:
        try:
            answer = _train(job, torch.device(device), rank, world, meeting, limits)
        except BaseException as error:
            refusal = refuse(error)
            answer = {"error": refusal.reason, "status": refusal.status}
        with os.fdopen(into, "wb") as pipe:
            pipe.write(json.dumps(answer).encode())
    finally:
        os._exit(0)


def _train(job: Job, device: torch.device, rank: int, world: int, meeting: Path, limits: Limits) -> dict[str, Any]:
    from advisor.verify.smoke import build_for_training, prepare, stand_in

    os.environ.update(LOOPBACK)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    torch.distributed.init_process_group(backend, init_method=f"file://{meeting}", rank=rank, world_size=world)
    small, _ = reduce_job(stand_in(job, device)[0], limits)
    batch = small.recipe.batch
    whole = batch.model_copy(update={"accumulation": 1, "per_device": batch.per_device * world})
    seed_generators(job.seed)
    subject = prepare(
        small.model_copy(update={"recipe": small.recipe.model_copy(update={"batch": whole, "ema": None})}),
        build_for_training(small, device)[0],
        device,
    )
    own = list(parts(subject.batch, world))[rank]
    shared = share(Loss(subject.model, small), device)
    losses = []
    for _ in range(STEPS):
        subject.optimizer.zero_grad(set_to_none=True)
        with subject.autocast():
            loss = shared(own)
        loss.backward()
        subject.optimizer.step()
        losses.append(float(loss.detach()))
    weights = {name for name, _ in subject.model.named_parameters()}
    return {"losses": losses, "marks": {name: bits for name, bits in mark(subject.model).items() if name in weights}}


def share(module: nn.Module, device: torch.device) -> nn.Module:
    """The module with its gradients averaged over all processes."""
    return DistributedDataParallel(module, device_ids=[device.index] if device.type == "cuda" else None)


def _read(pipe: int, deadline: float) -> dict[str, Any] | None:
    """One process's answer; None where it gave none in time."""
    data = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            some = os.read(pipe, READ_BYTES)
            if not some:
                answer: dict[str, Any] | None = json.loads(data) if data else None
                return answer
            data += some
    return None

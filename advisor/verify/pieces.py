"""Parts of static evidence that several checks have in common, kept in the launcher's folder for as long as the launcher lives.

Each check is a process of its own, so that what one found out reaches the next through a file. A part is kept under the plainest
job that gives it, and is found out from that very job: so that it cannot depend on what its name does not hold. A file that is
damaged, or cannot be written, costs speed only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from advisor.recipe import Recipe, RecipeBatch, RecipeOptimizer
from advisor.verify.evidence import Job, Target
from advisor.wire import Wire

MOST_BYTES = 256 * 10**6  # some 5,000 traces of medium models
KEPT_SHARE = 0.5  # of them, when the oldest are removed
STORES_BETWEEN_LOOKS = 100  # a look at 1,000 files takes milliseconds
OLDEST_GENERATION, NEWEST_GENERATION = 7, 9  # whose kernels and workspaces differ from those of its neighbours: cuda_choices, memory
_NOT_IN_A_STEP = ("schedule", "epochs", "steps", "augmentation", "compression", "export")  # of a recipe's fields
ON_CUDA = ("gpu", "multi_gpu")

P = TypeVar("P", bound=Wire)


class Pieces:
    """Parts by what they depend on. Without a folder nothing is kept. Safe for several processes; only `find_out` raises."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def get(self, kind: type[P], job: Job, find_out: Callable[[], P], *, also: object = None) -> P:
        """What `find_out` gives for this job and what it depends on beside it, from the folder where it is there."""
        if self._folder is None:
            return find_out()
        name = json.dumps([kind.__name__, job.model_dump_json(), also])
        path = self._folder / hashlib.sha256(name.encode()).hexdigest()
        with contextlib.suppress(OSError, ValueError):
            checksum, _, body = path.read_bytes().partition(b"\n")
            if checksum == _checksum(body):
                return kind.model_validate_json(body)
        found = find_out()
        with contextlib.suppress(OSError):
            self._keep(path, found.model_dump_json(by_alias=True).encode())
        return found

    def _keep(self, path: Path, body: bytes) -> None:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_checksum(body) + b"\n" + body)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        if random.random() * STORES_BETWEEN_LOOKS < 1:  # by chance: no check knows how many others have stored
            _shrink(path.parent)


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def _shrink(folder: Path) -> None:
    """Remove the oldest files where they take too much together."""
    files = sorted((state.st_mtime, state.st_size, path) for path in folder.iterdir() if (state := path.stat()))
    total = sum(size for _, size, _ in files)
    room = MOST_BYTES if total <= MOST_BYTES else KEPT_SHARE * MOST_BYTES
    for _, size, path in files:
        if total > room:
            path.unlink(missing_ok=True)
            total -= size


def model_job(job: Job) -> Job:
    """What the model, and a forward pass of it, depend on: its build, its task and its sample, and the loss that shapes some batches."""
    recipe = job.recipe
    model = recipe.model.model_copy(update={"id": "", "license": "", "pretrained": False, "adaptation": "scratch"})
    plain = Recipe(
        model=model,
        input=recipe.input,
        loss=recipe.loss,
        metric="",
        split="",
        optimizer=RecipeOptimizer(name="none"),
        batch=RecipeBatch(per_device=1, effective=1),
        precision="fp32",
    )
    return Job(check="static", task=job.task, build=job.build, recipe=plain, target=Target(kind="cpu"))


def training_job(job: Job) -> Job:
    """What the allocations of a training step depend on: all of the recipe but how long it trains and what comes before and after
    a step; of the device, its kind and the generation of its kernels.
    """
    recipe, batch = job.recipe, job.recipe.batch
    changes = {
        "model": recipe.model.model_copy(update={"id": "", "license": "", "pretrained": False}),
        "batch": batch.model_copy(update={"accumulation": min(2, batch.accumulation), "effective": 0}),  # as TrainingLoop does it
        **{name: Recipe.model_fields[name].get_default(call_default_factory=True) for name in _NOT_IN_A_STEP},
        **dict.fromkeys(("metric", "split"), ""),
    }
    target = Target(kind="gpu" if job.target.kind in ON_CUDA else "cpu", compute_capability=f"{generation(job.target)}.0")
    return Job(check="static", task=job.task, build=job.build, recipe=recipe.model_copy(update=changes), target=target)


def generation(target: Target) -> int:
    """The compute capability as far as kernels and workspaces change with it: 7 before Ampere, 8, and 9 from Hopper on."""
    return min(NEWEST_GENERATION, max(OLDEST_GENERATION, int(float(target.compute_capability or 8.0))))

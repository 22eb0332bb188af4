"""Parts of static evidence that several checks have in common, kept in the launcher's folder for as long as the launcher lives.

A check may write in its own folder only: what it found out it leaves there, and where it gave evidence the launcher takes that in, for
later checks to read. A part is kept under the plainest job that gives it, and is found out from that very job: so that it cannot depend
on what its name does not hold. A file that is damaged, or cannot be written, costs speed only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from advisor.files import sealed, unsealed
from advisor.recipe import Recipe, RecipeBatch, RecipeOptimizer
from advisor.verify.evidence import Job, Target
from advisor.wire import Wire

MOST_BYTES = 256 * 10**6  # some 5,000 traces of medium models
MOST_PIECES = 8  # of one check, which has four
OLDEST_GENERATION, NEWEST_GENERATION = 7, 9  # whose kernels and workspaces differ from those of its neighbours: cuda_choices, memory
_NOT_IN_A_STEP = ("schedule", "epochs", "steps", "augmentation", "compression", "export")  # of a recipe's fields

P = TypeVar("P", bound=Wire)


class Pieces:
    """Parts by what they depend on: those in `kept` are read, new ones are put into `own`. Without folders nothing is; only
    `find_out` raises.
    """

    def __init__(self, kept: Path | None = None, own: Path | None = None) -> None:
        self._kept, self._own = kept, own

    def get(self, kind: type[P], job: Job, find_out: Callable[[], P], *, also: object = None) -> P:
        """What `find_out` gives for this job and what it depends on beside it, from the folder where it is there."""
        if self._kept is None or self._own is None:
            return find_out()
        parts = json.dumps([kind.__name__, job.model_dump_json(), also])
        name = hashlib.sha256(parts.encode()).hexdigest()
        with contextlib.suppress(OSError, ValueError):
            return kind.model_validate_json(unsealed((self._kept / name).read_bytes()))
        found = find_out()
        body = found.model_dump_json(by_alias=True).encode()
        with contextlib.suppress(OSError):
            self._own.mkdir(exist_ok=True)
            (self._own / name).write_bytes(sealed(body))
        return found


class Kept:
    """The launcher's folder, which it fills itself: a check may write nowhere but in its own. Never raises."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bytes = 0

    def take(self, folder: Path) -> None:
        """Move in what a check found out. Where that is too much, all that was there before goes."""
        with contextlib.suppress(OSError):
            files = [(path, state.st_size) for path in folder.iterdir() if stat.S_ISREG((state := path.lstat()).st_mode)]
            self._bytes += sum(size for _, size in files)
            if self._bytes > MOST_BYTES:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._bytes = sum(size for _, size in files)
            self._folder.mkdir(mode=0o700, exist_ok=True)
            for path, _ in files[:MOST_PIECES]:
                path.replace(self._folder / path.name)


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
    target = Target(kind="gpu" if job.target.has_cuda else "cpu", compute_capability=f"{generation(job.target)}.0")
    return Job(check="static", task=job.task, build=job.build, recipe=recipe.model_copy(update=changes), target=target)


def generation(target: Target) -> int:
    """The compute capability as far as kernels and workspaces change with it: 7 before Ampere, 8, and 9 from Hopper on."""
    return min(NEWEST_GENERATION, max(OLDEST_GENERATION, int(target.capability)))

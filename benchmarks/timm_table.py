"""timm's published results, row by row: which columns carry throughput, which models to take, what each consists of."""

from __future__ import annotations

import csv
import hashlib
import pickle
import random
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

CACHE = Path(__file__).resolve().parents[1] / ".cache" / "operators"
INFERENCE, TRAINING = "infer", "train"
SEED = 0
_HALF = ("bf16", "fp16")
CLASSES = 1000  # ImageNet's, where timm names none
_COLUMN = re.compile(
    r"(?P<device>.+?)_(?P<precision>amp|fp32|fp16|bf16)(?:_(?P<layout>nchw|nhwc))?_(?P<torch>pt\d+)(?P<compile>_compile)?$"
)

Picture = tuple[str, int]
"""An architecture and the side of its square input in pixels."""


@dataclass(frozen=True)
class Column:
    """A setting that throughput was measured in. `key` is the column's name without its prefix."""

    key: str
    device: str
    precision: str
    channels_last: bool
    compiled: bool
    work: str = INFERENCE


@dataclass(frozen=True)
class Measured:
    picture: Picture
    column: Column
    batch: int
    images_per_second: float


def read_columns(names: Iterable[str], work: str = INFERENCE) -> list[Column]:
    """The throughput columns among these names. Raises ValueError for one that does not say its device, precision and torch."""
    prefix = f"{work}_sps_"
    columns = []
    for name in names:
        if not name.startswith(prefix):
            continue
        found = _COLUMN.match(name.removeprefix(prefix))
        if found is None:
            raise ValueError(f"{name}: not of the form {prefix}DEVICE_PRECISION[_LAYOUT]_TORCH[_compile]")
        columns.append(Column(found[0], found["device"], found["precision"], found["layout"] == "nhwc", bool(found["compile"]), work))
    return columns


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def measurements(rows: list[dict[str, str]], work: str = INFERENCE) -> list[Measured]:
    """Every throughput in the table with its batch size, once per architecture and size: rows repeat it for each set of weights."""
    found = {}
    for column in read_columns(rows[0] if rows else (), work):
        for row in rows:
            rate, batch = row[f"{work}_sps_{column.key}"], row.get(f"{work}_bs_{column.key}")
            if rate and batch:
                picture = (row["arch"], int(row["img_size"]))
                found[picture, column.key] = Measured(picture, column, int(float(batch)), float(rate))
    return list(found.values())


def family(arch: str) -> str:
    """The module of timm that defines an architecture: what shares its code shares its name."""
    import timm

    return timm.models.model_entrypoint(arch).__module__.rpartition(".")[2]


def still_in_timm(pictures: Iterable[Picture]) -> list[Picture]:
    import timm

    return sorted(picture for picture in set(pictures) if timm.is_model(picture[0]))


def stratified(pictures: list[Picture], most: int) -> list[Picture]:
    """At most `most`, seeded: one of each family in turn, until there are enough."""
    source, families = random.Random(SEED), defaultdict(list)
    for picture in sorted(pictures):
        families[family(picture[0])].append(picture)
    for members in families.values():
        source.shuffle(members)
    turns = (
        members[turn] for turn in range(max(map(len, families.values()), default=0)) for members in families.values() if turn < len(members)
    )
    return sorted(picture for _, picture in zip(range(most), turns, strict=False))


def image_job(picture: Picture) -> Any:
    """A check of timm's model at this size, with the outputs that timm gives it."""
    import timm

    from advisor.recipe import Recipe
    from advisor.verify.evidence import Build, Job, Target

    shipped = timm.get_pretrained_cfg(picture[0])
    outputs = shipped.num_classes if shipped and shipped.num_classes else CLASSES

    recipe = Recipe.model_validate({
        "model": {"id": picture[0], "library": "timm", "architecture_family": "cnn", "pretrained": False, "adaptation": "scratch",
                  "license": "none"},
        "input": {"kind": "image", "image_size": picture[1], "channels": 3, "outputs": outputs}, "loss": [{"name": "cross_entropy"}],
        "metric": "accuracy", "split": "none", "optimizer": {"name": "adamw", "learning_rate": 1e-3},
        "batch": {"per_device": 1, "effective": 1}, "precision": "fp32",
    })  # fmt: skip
    build = Build(library="timm", factory="create_model", config={"name": picture[0]})
    return Job(check="static", task="image_classification", build=build, recipe=recipe, target=Target(kind="cpu"))


def operators_of(picture: Picture, precision: str) -> list[Any]:
    """The model's operators over one image, kept in .cache/ for the next run. Raises what building or running the model raises."""
    import torch

    from advisor.verify import operators
    from advisor.verify.build import build_model
    from advisor.verify.given import given_workload

    code = hashlib.sha256(Path(operators.__file__).read_bytes()).hexdigest()[:12]
    kept = CACHE / f"{version('timm')}-{code}" / f"{picture[0]}-{picture[1]}-{precision}.pickle"
    if kept.exists():
        works: list[Any] = pickle.loads(kept.read_bytes())
        return works
    model = build_model(image_job(picture), "meta")
    if precision in _HALF:
        model.to({"bf16": torch.bfloat16, "fp16": torch.float16}[precision])
    sample = f"{precision if precision in _HALF else 'fp32'}:3x{picture[1]}x{picture[1]}"
    works = operators.read_operators(model, given_workload([sample]), torch.float16 if precision == "amp" else None)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(pickle.dumps(works))
    return works

"""How the second FLOPs counter (fvcore on real tensors) and the static one agree with timm's published GMACs.

    python benchmarks/flops_timm.py CSV [--most 80 | --all]

CSV is timm's table of results: arch, img_size, infer_gmacs. Models of up to 20 GMACs that timm still has are counted, by
default a seeded sample stratified by family; seconds a model. Counts are kept in .cache/, so that a run that was stopped goes on.

timm publishes what fvcore adds up: multiply-adds of products and convolutions, and the operations of norms, pooling and
resizing. The cross-check is that same sum. The static counter has the products alone, as is usual, so that the operators it
differs by can be named. A model that timm can re-parameterize for inference is published in either form; the form that is
nearer is taken, and the models taken in their inference form are counted on the line before the last.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from timm_table import CACHE, Picture, image_job, read_table, still_in_timm, stratified
from torch.overrides import TorchFunctionMode

from advisor.verify import flops
from advisor.verify.batches import make_batch
from advisor.verify.build import build_model
from advisor.verify.flops import FVCORE_PRODUCTS, MOST_MULTIPLY_ADDS, count_flops, count_with_fvcore

GIGA = 1e9
OPERATIONS = 2  # a multiply-add
NEAR = 0.02
LAST_DIGIT = 0.005  # GMACs: the published figures have two decimals
DRAWN = (torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.erfinv_)
MOST = 80
EVERYTHING = sys.maxsize


@dataclass(frozen=True)
class Count:
    """GMACs of one model: published, by fvcore and operator, and by the static counter; `remark` says why there is none."""

    arch: str
    size: int
    published: float
    crossed: dict[str, float] = field(default_factory=dict)
    static: float = 0.0
    reparameterized: bool = False
    unknown: list[str] = field(default_factory=list)
    remark: str = ""

    @property
    def total(self) -> float:
        return sum(self.crossed.values())

    @property
    def besides(self) -> dict[str, float]:
        """What fvcore counts and the static counter does not: by operator, and what fvcore is blind to."""
        others = {name: gmacs for name, gmacs in self.crossed.items() if name not in FVCORE_PRODUCTS}
        rest = f"not in fvcore: {', '.join(self.unknown)}" if self.unknown else "unexplained"
        return {**others, rest: self.total - self.static - sum(others.values())}

    def is_near(self, counted: float) -> bool:
        """Within 2 % of the published figure, or as near as its last digit tells."""
        return counted > 0 and abs(counted - self.published) <= max(NEAR * self.published, LAST_DIGIT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--most", type=int, default=MOST, help="models to take")
    parser.add_argument("--all", action="store_true", help="every model in the table")
    arguments = parser.parse_args()
    published = read_published(read_table(arguments.csv))
    pictures = stratified(still_in_timm(published), EVERYTHING if arguments.all else arguments.most)
    if not pictures:
        sys.exit(f"{arguments.csv}: no model of up to {MOST_MULTIPLY_ADDS / GIGA:.0f} GMACs that timm still has")
    counts = []
    for picture in pictures:
        counts.append(kept_count(picture, published[picture]))
        if not counts[-1].is_near(counts[-1].total):
            print(describe(counts[-1]), flush=True)
    print_explained(counts)
    print(f"{sum(found.reparameterized for found in counts)} models are published in their re-parameterized form")
    print(last_line(counts))


def read_published(rows: list[dict[str, str]]) -> dict[Picture, float]:
    """GMACs by architecture and size, up to what the cross-check takes on."""
    found = {(row["arch"], int(row["img_size"])): float(row["infer_gmacs"]) for row in rows if row["infer_gmacs"]}
    return {picture: gmacs for picture, gmacs in found.items() if gmacs <= MOST_MULTIPLY_ADDS / GIGA}


def kept_count(picture: Picture, published: float) -> Count:
    """The count that .cache/ holds, made by this code with this timm, or a new one, which is then kept."""
    code = hashlib.sha256(Path(flops.__file__).read_bytes()).hexdigest()[:12]
    kept = CACHE.parent / "flops" / f"{version('timm')}-{code}" / f"{picture[0]}-{picture[1]}.json"
    if kept.exists():
        return Count(**{**json.loads(kept.read_text(encoding="utf-8")), "published": published})
    try:
        found = count(picture, published)
    except Exception as error:
        found = Count(*picture, published, remark=" ".join(str(error).split())[:100])
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(asdict(found)), encoding="utf-8")
    return found


class Uninitialized(TorchFunctionMode):
    """Draws no weights, which takes a third less time: counts come from shapes.

    They are zero where they would be drawn: `trunc_normal_` draws again and again until all lie within its bounds.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in DRAWN:
            return args[0].zero_()
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def count(picture: Picture, published: float) -> Count:
    """The model as it trains; where that is far from the published figure, as timm re-parameterizes it, if that is nearer."""
    job = image_job(picture)
    with Uninitialized():
        model = build_model(job, "cpu")
    found = count_form(picture, published, job, model, build_model(job, "meta"))
    if found.is_near(found.total):
        return found
    from timm.utils.model import reparameterize_model

    with torch.device("meta"):  # where the fused layers are made
        fused_static = reparameterize_model(build_model(job, "meta"))
    fused = count_form(picture, published, job, reparameterize_model(model), fused_static)
    is_nearer = abs(fused.total - published) < abs(found.total - published)
    return Count(**{**asdict(fused), "reparameterized": True}) if is_nearer else found


def count_form(picture: Picture, published: float, job: Any, model: Any, static_model: Any) -> Count:
    counts, unknown = count_with_fvcore(model, job)
    static, _ = count_flops(static_model, make_batch(job, 1, "meta"), job)
    crossed = {name: operations / GIGA for name, operations in counts.items()}
    return Count(*picture, published, crossed, static / OPERATIONS / GIGA, unknown=unknown)


def describe(found: Count) -> str:
    name = f"{found.arch} at {found.size}"
    unknown = f"; fvcore does not count {', '.join(found.unknown)}" if found.unknown else ""
    return f"{name:52} published {found.published:6.2f}, cross-check {found.total:.2f}, static {found.static:.2f}; {found.remark}{unknown}"


def print_explained(counts: list[Count]) -> None:
    """By operator: how many of the models that the static counter is off for it explains for the most part."""
    off = [found for found in counts if found.crossed and not found.is_near(found.static)]
    largest = Counter(max(found.besides, key=lambda name: abs(found.besides[name])) for found in off)
    print(f"\nthe static counter is off for {len(off)} models; most of the difference is")
    for name, number in largest.most_common():
        print(f"  {name:24} {number:5}")
    for found in off:
        if abs(found.besides.get("unexplained", 0.0)) > max(NEAR * found.published, LAST_DIGIT):
            print(f"  {describe(found)} unexplained {found.besides['unexplained']:+.3f}")


def last_line(counts: list[Count]) -> str:
    crossed = sum(found.is_near(found.total) for found in counts) / len(counts)
    static = sum(found.is_near(found.static) for found in counts) / len(counts)
    return f"cross-check within-2% {100 * crossed:.1f}% static within-2% {100 * static:.1f}% n={len(counts)}"


if __name__ == "__main__":
    main()

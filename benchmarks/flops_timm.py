"""How the second FLOPs counter (fvcore on real tensors) and the static one agree with timm's published GMACs.

    python benchmarks/flops_timm.py CSV [--most 80 | --all]

CSV is timm's table of results: arch, img_size, infer_gmacs. Models of up to 20 GMACs that timm still has are counted, by
default a seeded sample stratified by family; seconds a model. Every model that is further off than 2 % is named.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from timm_table import Picture, image_job, read_table, still_in_timm, stratified

from advisor.verify.batches import make_batch
from advisor.verify.build import build_model
from advisor.verify.flops import MOST_MULTIPLY_ADDS, count_flops, cross_check_flops

GIGA = 1e9
OPERATIONS = 2  # a multiply-add
NEAR = 0.02
MOST = 80
EVERYTHING = sys.maxsize


@dataclass(frozen=True)
class Count:
    """GMACs of one model: published, by the cross-check (or why not), and by the static counter."""

    picture: Picture
    published: float
    crossed: float | None
    static: float
    remark: str

    def is_near(self, counted: float | None) -> bool:
        """Within 2 % of the published figure, or as near as its last digit tells: it has two decimals."""
        return counted is not None and abs(counted - self.published) <= max(NEAR * self.published, 0.005)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--most", type=int, default=MOST, help="models to take")
    parser.add_argument("--all", action="store_true", help="every model in the table")
    arguments = parser.parse_args()
    published = read_published(read_table(arguments.csv))
    counts = []
    for picture in stratified(still_in_timm(published), EVERYTHING if arguments.all else arguments.most):
        try:
            counts.append(count(picture, published[picture]))
        except Exception as error:
            counts.append(Count(picture, published[picture], None, 0.0, " ".join(str(error).split())[:100]))
        if not counts[-1].is_near(counts[-1].crossed):
            print(describe(counts[-1]), flush=True)
    if not counts:
        sys.exit(f"{arguments.csv}: no model of up to {MOST_MULTIPLY_ADDS / GIGA:.0f} GMACs that timm still has")
    print(last_line(counts))


def read_published(rows: list[dict[str, str]]) -> dict[Picture, float]:
    """GMACs by architecture and size, up to what the cross-check takes on."""
    found = {(row["arch"], int(row["img_size"])): float(row["infer_gmacs"]) for row in rows if row["infer_gmacs"]}
    return {picture: gmacs for picture, gmacs in found.items() if gmacs <= MOST_MULTIPLY_ADDS / GIGA}


def count(picture: Picture, published: float) -> Count:
    job = image_job(picture)
    operations, remark = cross_check_flops(job)
    static, _ = count_flops(build_model(job, "meta"), make_batch(job, 1, "meta"), job)
    crossed = None if operations is None else operations / OPERATIONS / GIGA
    return Count(picture, published, crossed, static / OPERATIONS / GIGA, remark)


def describe(found: Count) -> str:
    crossed = "none" if found.crossed is None else f"{found.crossed:.2f}"
    name = f"{found.picture[0]} at {found.picture[1]}"
    return f"{name:52} published {found.published:6.2f}, cross-check {crossed}, static {found.static:.2f}; {found.remark}"


def last_line(counts: list[Count]) -> str:
    crossed = sum(found.is_near(found.crossed) for found in counts) / len(counts)
    static = sum(found.is_near(found.static) for found in counts) / len(counts)
    return f"cross-check within-2% {100 * crossed:.1f}% static within-2% {100 * static:.1f}% n={len(counts)}"


if __name__ == "__main__":
    main()

"""What a forward pass consists of, as plain data: kinds of work, and one operator's share of it. Never imports torch."""

from __future__ import annotations

from typing import NamedTuple

KINDS = (
    "dense", "pointwise", "grouped", "depthwise", "large_depthwise", "matmul", "attention",
    "batch_norm", "norm", "softmax", "copy", "gather", "elementwise",
)  # fmt: skip
"""Kinds of work, as the coefficients in catalogue/efficiency.yaml name them."""


class Work(NamedTuple):
    """One operator over one sample. `rows` x `depth` x `width` is its matrix product (a group's, for a convolution), else 0s.

    `moved` and `weights` are bytes: activations read and written, and parameters and buffers read.
    """

    kind: str
    flops: int
    moved: int
    weights: int
    rows: int
    depth: int
    width: int

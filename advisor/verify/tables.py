"""Networks for tables from rtdl, whose authors measured them (arXiv:2106.11959), and TabM (arXiv:2410.24210)."""

from __future__ import annotations

import importlib
from typing import Any

from torch import Tensor, nn

from advisor.errors import CheckError, did_you_mean
from advisor.verify.evidence import Job

_KNOWN = {"rtdl_revisiting_models": ("FTTransformer", "ResNet"), "tabm": ("TabM",)}
_TAKES_CATEGORIES = ("FTTransformer", "TabM")


class _Rows(nn.Module):
    """A network that takes numbers and categories apart, fed with rows of numbers alone: [B, F] to [B, outputs].

    Of an ensemble in one network every member answers: [B, members, outputs].
    """

    def __init__(self, network: nn.Module, *, takes_categories: bool) -> None:
        super().__init__()
        self.network, self.takes_categories = network, takes_categories

    def forward(self, rows: Tensor) -> Tensor:
        answers: Tensor = self.network(rows, None) if self.takes_categories else self.network(rows)
        return answers


def build_table_network(job: Job) -> nn.Module:
    """The library's network for the recipe's columns and outputs. Raises CheckError for one that it does not have."""
    name, sample, known = job.build.factory, job.recipe.input, _KNOWN[job.build.library]
    if name not in known:
        raise CheckError(f"{job.build.library} has no network {name!r}{did_you_mean(name, known)}; known are {', '.join(known)}")
    if sample.features is None:
        raise CheckError(f"recipe.input.features is needed to build {name}, and is missing")
    places: dict[str, dict[str, Any]] = {
        "FTTransformer": {"n_cont_features": sample.features, "cat_cardinalities": []},
        "ResNet": {"d_in": sample.features},
        "TabM": {"n_num_features": sample.features},
    }
    shape = {"d_out": sample.outputs or 1, **places[name]}
    factory = getattr(importlib.import_module(job.build.library), name)
    try:
        made = (factory.make if name == "TabM" else factory)(**shape, **job.build.config)
        return _Rows(made, takes_categories=name in _TAKES_CATEGORIES)
    except (TypeError, AssertionError) as error:
        raise CheckError(f"{job.build.library}'s {name} does not take its settings: {error}") from error

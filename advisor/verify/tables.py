"""Networks for tables from rtdl, whose authors measured them (arXiv:2106.11959)."""

from __future__ import annotations

from torch import Tensor, nn

from advisor.errors import CheckError, did_you_mean
from advisor.verify.evidence import Job

_KNOWN = ("FTTransformer", "ResNet")


class _Rows(nn.Module):
    """A network that takes numbers and categories apart, fed with rows of numbers alone: [B, F] to [B, outputs]."""

    def __init__(self, network: nn.Module, *, takes_categories: bool) -> None:
        super().__init__()
        self.network, self.takes_categories = network, takes_categories

    def forward(self, rows: Tensor) -> Tensor:
        answers: Tensor = self.network(rows, None) if self.takes_categories else self.network(rows)
        return answers


def build_table_network(job: Job) -> nn.Module:
    """rtdl's network for the recipe's columns and outputs. Raises CheckError for one that it does not have."""
    import rtdl_revisiting_models as rtdl

    name, sample = job.build.factory, job.recipe.input
    if name not in _KNOWN:
        raise CheckError(f"rtdl has no network {name!r}{did_you_mean(name, _KNOWN)}; known are {', '.join(_KNOWN)}")
    if sample.features is None:
        raise CheckError(f"recipe.input.features is needed to build {name}, and is missing")
    shape = {"d_out": sample.outputs or 1}
    shape |= {"n_cont_features": sample.features, "cat_cardinalities": []} if name == "FTTransformer" else {"d_in": sample.features}  # type: ignore[dict-item]
    try:
        return _Rows(getattr(rtdl, name)(**shape, **job.build.config), takes_categories=name == "FTTransformer")
    except (TypeError, AssertionError) as error:
        raise CheckError(f"rtdl's {name} does not take its settings: {error}") from error

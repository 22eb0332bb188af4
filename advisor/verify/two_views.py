"""Two views of one image through one encoder: how SimCLR, MoCo, BYOL, SimSiam, Barlow Twins and DINO learn without labels.

B is the batch size, W the number of views (two whole ones first, then DINO's small crops), D the width of a projection.

MoCo, BYOL and DINO take their targets from a moving average of the weights: the recipe's `ema`, which `follow` makes the teacher.
Without one the network itself is it, its gradient stopped, as in SimSiam. MoCo v2 has 65,536 earlier keys as negatives; here it has
those of the batch, as MoCo v3 does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from advisor.errors import CheckError, did_you_mean
from advisor.verify.evidence import Job

FACTORY = "TwoViews"
_OWN = ("projector", "predictor", "prototypes", "local_views", "normalized")  # settings that are not the encoder's
_TEMPERATURE = {"nt_xent": 0.1, "info_nce": 0.2}  # arXiv:2002.05709, section 5.1 and table 5; arXiv:2003.04297, table 2
_STUDENT, _TEACHER = 0.1, 0.04  # DINO's temperatures: arXiv:2104.14294, section 3.1
_REDUNDANCY = 0.0051  # weight of the off-diagonal terms: `lambd` of facebookresearch/barlowtwins main.py
_TINY = 1e-5
_NARROW = 512  # projections and prototypes of a reduced copy: more than it has samples by far


class Views(NamedTuple):
    """What the views became: `predicted` [W, B, D] with a gradient, `targets` [2, B, D] of the whole views without."""

    predicted: Tensor
    targets: Tensor


class TwoViews(nn.Module):
    """An encoder with its projector, and a predictor or prototypes where the method has them."""

    def __init__(self, encoder: nn.Module, settings: dict[str, Any]) -> None:
        super().__init__()
        self.encoder = encoder
        normalized = settings.get("normalized", True)
        self.projector = _perceptron(int(encoder.num_features), settings["projector"], normalized)
        width = settings["projector"][-1]
        self.predictor = _perceptron(width, settings["predictor"], normalized) if "predictor" in settings else nn.Identity()
        self.prototypes = nn.Linear(width, settings["prototypes"], bias=False) if "prototypes" in settings else None
        self._teacher: list[TwoViews] = []  # within a list, so that it is no part of this module

    def forward(self, first: Tensor, second: Tensor, local: Tensor | None = None) -> Views:
        """Two views [B, 3, S, S], and small ones [B, W - 2, 3, L, L] of the same images."""
        whole = [self._project(view) for view in (first, second)]
        small = [] if local is None else list(self._project(local.flatten(0, 1)).unflatten(0, local.shape[:2]).unbind(1))
        with torch.no_grad():
            targets = [self._teacher[0]._project(view) for view in (first, second)] if self._teacher else whole
        return Views(torch.stack([self.predictor(seen) for seen in (*whole, *small)]), torch.stack(targets).detach())

    def follow(self, average: nn.Module) -> None:
        """Take the targets from `average`, a copy of this module that whoever trains it keeps up to date."""
        assert isinstance(average, TwoViews)
        self._teacher = [average.train()]

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """The encoder's own."""
        self.encoder.set_grad_checkpointing(enable)

    def _project(self, view: Tensor) -> Tensor:
        projected: Tensor = self.projector(self.encoder(view))
        if self.prototypes is None:
            return projected
        return F.linear(F.normalize(projected, dim=-1), F.normalize(self.prototypes.weight, dim=-1))


def _perceptron(width: int, sizes: Sequence[int], normalized: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size in sizes[:-1]:
        layers += [nn.Linear(width, size, bias=not normalized), *([nn.BatchNorm1d(size)] if normalized else []), nn.ReLU()]
        width = size
    return nn.Sequential(*layers, nn.Linear(width, sizes[-1]))


def encoder_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """What of a catalogue entry's settings is the encoder's, which timm makes."""
    return {name: value for name, value in settings.items() if name not in _OWN} | {"num_classes": 0}


def narrower_heads(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of projector, predictor and prototypes for a reduced copy; none where there are no wide ones."""
    wide = {name: settings[name] for name in ("projector", "predictor", "prototypes") if name in settings}
    most = {
        name: [min(size, _NARROW) for size in value] if isinstance(value, list) else min(value, _NARROW) for name, value in wide.items()
    }
    return {name: value for name, value in most.items() if value != wide[name]}


def deviation(job: Job) -> str | None:
    """Where the loss here is not the method's, in words; None where it is."""
    names = {loss.name for loss in job.recipe.loss}
    if job.build.factory != FACTORY or "info_nce" not in names or "predictor" in job.build.config:
        return None
    return "the batch's own keys as negatives instead of a queue of earlier ones"


def loss_of_views(outputs: Views, batch: dict[str, Tensor], job: Job) -> Tensor:
    """The recipe's loss. Raises CheckError for one that two views do not have."""
    del batch
    name = job.recipe.loss[0].name if job.recipe.loss else "none"
    if name not in _LOSSES:
        raise CheckError(f"there is no loss {name!r} of two views{did_you_mean(name, _LOSSES)}; known are {', '.join(_LOSSES)}")
    return _LOSSES[name](Views(outputs[0].float(), outputs[1].float()))


def _nt_xent(views: Views) -> Tensor:
    """Each of the 2 B views is to find its other among all the others: arXiv:2002.05709, equation 1."""
    every = F.normalize(torch.cat([views.predicted[0], views.predicted[1]]), dim=-1)
    alike = every @ every.T / _TEMPERATURE["nt_xent"]
    alike = alike.masked_fill(torch.eye(len(every), dtype=torch.bool, device=every.device), -torch.inf)
    return F.cross_entropy(alike, torch.arange(len(every), device=every.device).roll(len(every) // 2))


def _info_nce(views: Views) -> Tensor:
    """Each query is to find its key among those of the batch, in both directions: arXiv:2104.02057, algorithm 1."""
    queries, keys = F.normalize(views.predicted[:2], dim=-1), F.normalize(views.targets.flip(0), dim=-1)
    alike = queries @ keys.mT / _TEMPERATURE["info_nce"]
    own = torch.arange(alike.shape[-1], device=alike.device).expand(2, -1)
    return F.cross_entropy(alike.flatten(0, 1), own.flatten())


def _negative_cosine(views: Views) -> Tensor:
    """SimSiam's, above its least value: 1 minus the cosine, which is half of BYOL's squared error of normalized vectors."""
    return 1 - F.cosine_similarity(views.predicted[:2], views.targets.flip(0), dim=-1).mean()


def _barlow(views: Views) -> Tensor:
    """The views' cross-correlation towards the identity: arXiv:2103.03230, equation 1, a dimension."""
    scaled = [(view - view.mean(0)) / (view.var(0, correction=0) + _TINY).sqrt() for view in views.predicted[:2]]
    crossed = scaled[0].T @ scaled[1] / len(scaled[0])
    diagonal = crossed.diagonal()
    return ((diagonal - 1).square().sum() + _REDUNDANCY * (crossed.square().sum() - diagonal.square().sum())) / len(diagonal)


def _distilled(views: Views) -> Tensor:
    """Every view is to say what the teacher says of another whole one, centred and sharpened: arXiv:2104.14294, equation 3.

    Above its least value, the teacher's own entropy, which has no gradient.
    """
    wanted = ((views.targets - views.targets.mean((0, 1))) / _TEACHER).log_softmax(-1)
    said = (views.predicted / _STUDENT).log_softmax(-1)
    pairs = [(whole, view) for whole in range(2) for view in range(len(said)) if view != whole]
    return torch.stack([F.kl_div(said[view], wanted[whole], reduction="batchmean", log_target=True) for whole, view in pairs]).mean()


_LOSSES: dict[str, Callable[[Views], Tensor]] = {
    "nt_xent": _nt_xent,
    "info_nce": _info_nce,
    "negative_cosine_similarity": _negative_cosine,
    "normalized_mse": lambda views: 2 * _negative_cosine(views),
    "barlow_twins": _barlow,
    "dino_cross_entropy": _distilled,
}

"""Losses of networks that forecast a distribution instead of a number."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

STUDENT_PARAMETERS = 3  # location, scale and degrees of freedom of each step
_LEAST_FREEDOM = 2.0  # below it a Student-t distribution has no variance


def student_t_nll(parameters: Tensor, targets: Tensor) -> Tensor:
    """Mean negative log-likelihood of `targets` [B, H] under location, raw scale and raw degrees of freedom [B, H, 3]."""
    location, scale, freedom = parameters.float().unbind(-1)
    scale, freedom = F.softplus(scale) + torch.finfo(scale.dtype).eps, _LEAST_FREEDOM + F.softplus(freedom)
    distance = (targets - location) / scale
    each = torch.lgamma(freedom / 2) - torch.lgamma((freedom + 1) / 2) + 0.5 * torch.log(torch.pi * freedom) + torch.log(scale)
    return (each + (freedom + 1) / 2 * torch.log1p(distance**2 / freedom)).mean()

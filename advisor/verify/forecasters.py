"""Pretrained forecasters of the package chronos-forecasting: Chronos-Bolt, after arXiv:2403.07815, and Chronos-2, arXiv:2510.15821."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from advisor.errors import CheckError, did_you_mean
from advisor.verify.evidence import Job

if TYPE_CHECKING:
    from transformers.modeling_outputs import CausalLMOutput

_KNOWN = ("ChronosBolt", "Chronos2")


class _Forecaster(nn.Module):
    """Windows [B, T, 1] and what follows them [B, H, 1] to the quantile loss and the quantiles, [B, quantiles, at least H]."""

    def __init__(self, network: nn.Module, patch: int | None) -> None:
        super().__init__()
        self.network, self.patch = network, patch  # steps of an output patch, of a model that is told how many of them to give

    def forward(self, past_values: Tensor, future_values: Tensor) -> CausalLMOutput:
        from transformers.modeling_outputs import CausalLMOutput  # a second and more, which no other model need wait for

        past, future = past_values[..., 0], future_values[..., 0]
        if self.patch:
            made = self.network(context=past, future_target=future, num_output_patches=math.ceil(future.shape[-1] / self.patch))
        else:
            made = self.network(context=past, target=future)
        return CausalLMOutput(loss=made.loss, logits=made.quantile_preds)


def build_chronos(job: Job) -> nn.Module:
    """The network behind a Chronos pipeline. Raises CheckError for one that the package does not have."""
    name, config = job.build.factory, dict(job.build.config)
    if name not in _KNOWN:
        raise CheckError(f"chronos-forecasting has no network {name!r}{did_you_mean(name, _KNOWN)}; known are {', '.join(_KNOWN)}")
    try:
        if name == "ChronosBolt":
            return _Forecaster(_bolt(config), None)
        return _Forecaster(_second(config), int(config["chronos_config"]["output_patch_size"]))
    except (TypeError, ValueError) as error:
        raise CheckError(f"chronos-forecasting's {name} does not take its settings: {error}") from error


def _bolt(config: dict[str, Any]) -> nn.Module:
    from chronos.chronos_bolt import ChronosBoltModelForForecasting
    from transformers import T5Config

    made: nn.Module = ChronosBoltModelForForecasting(T5Config(decoder_start_token_id=0, pad_token_id=0, eos_token_id=1, **config))
    return made


def _second(config: dict[str, Any]) -> nn.Module:
    from chronos import Chronos2Model
    from chronos.chronos2 import Chronos2CoreConfig

    made: nn.Module = Chronos2Model(Chronos2CoreConfig(reg_token_id=1, **config))
    return made

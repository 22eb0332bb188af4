"""The published forecasting networks that no library here has, after their papers: DLinear, N-BEATS, iTransformer and TFT.

Each maps windows [batch, context, features] to the next values of the first feature, [batch, horizon]; TFT to three quantiles
of them, [batch, horizon, 3]. Each keeps its output layer in `head`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

QUANTILES = (0.1, 0.5, 0.9)  # of TFT's output: arXiv:1912.09363, section 5
_SMOOTHING = 25  # steps of DLinear's moving average: arXiv:2205.13504, appendix
_TINY = 1e-5  # keeps the scale of a constant window above zero


class _DecompositionForecaster(nn.Module):
    """DLinear of arXiv:2205.13504: one linear map for the trend of a window, a second one for what is left of it."""

    def __init__(self, context: int, horizon: int) -> None:
        super().__init__()
        self.trend = nn.Linear(context, horizon)
        self.head = nn.Linear(context, horizon)

    def forward(self, series: Tensor) -> Tensor:
        target = series[:, :, 0]
        ends = F.pad(target.unsqueeze(1), (_SMOOTHING // 2, _SMOOTHING // 2), mode="replicate")
        trend = F.avg_pool1d(ends, _SMOOTHING, stride=1).squeeze(1)
        return self.trend(trend) + self.head(target - trend)


class _ResidualBlock(nn.Module):
    """A generic block of arXiv:1905.10437."""

    def __init__(self, context: int, horizon: int, width: int, layers: int, *, is_last: bool) -> None:
        super().__init__()
        widths = [context] + [width] * layers
        self.body = nn.Sequential(*(nn.Sequential(nn.Linear(widths[i], width), nn.ReLU()) for i in range(layers)))
        self.backcast = None if is_last else nn.Linear(width, context, bias=False)  # nothing listens to what is left after the last
        self.forecast = nn.Linear(width, horizon, bias=False)

    def forward(self, left: Tensor) -> tuple[Tensor, Tensor]:
        """What of the window this block leaves unexplained, and its share of the forecast."""
        state = self.body(left)
        return left if self.backcast is None else left - self.backcast(state), self.forecast(state)


class _ResidualForecaster(nn.Module):
    """N-BEATS: blocks that each take what they explain out of the window, their forecasts added up."""

    def __init__(self, context: int, horizon: int, blocks: int, width: int, layers: int) -> None:
        super().__init__()
        self.head = nn.ModuleList(_ResidualBlock(context, horizon, width, layers, is_last=i == blocks - 1) for i in range(blocks))

    def forward(self, series: Tensor) -> Tensor:
        left, total = series[:, :, 0], torch.zeros((), device=series.device)
        for block in self.head:
            left, share = block(left)
            total = total + share
        return total


class _AttentionBlock(nn.Module):
    """Attention and a feed-forward network, each with a shortcut, the norm after it."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.forwards = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Dropout(dropout), nn.Linear(inner, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))

    def forward(self, tokens: Tensor) -> Tensor:
        queries, keys, values = self.queries_keys_values(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        heard = F.scaled_dot_product_attention(queries, keys, values, dropout_p=self.dropout if self.training else 0.0)
        tokens = self.norms[0](tokens + self.mix(heard.transpose(1, 2).flatten(2)))
        return self.norms[1](tokens + self.forwards(tokens))


class _InvertedForecaster(nn.Module):
    """iTransformer of arXiv:2310.06625: each feature's whole window is one token, and attention is among features."""

    def __init__(self, context: int, horizon: int, width: int, heads: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.embed = nn.Linear(context, width)
        self.body = nn.Sequential(*(_AttentionBlock(width, heads, width, dropout) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, horizon)

    def forward(self, series: Tensor) -> Tensor:
        mean = series.mean(1, keepdim=True)
        scale = (series.var(1, keepdim=True, unbiased=False) + _TINY).sqrt()
        tokens = self.embed(((series - mean) / scale).transpose(1, 2))
        return self.head(self.norm(self.body(tokens))[:, 0]) * scale[:, :, 0] + mean[:, :, 0]


class _Gate(nn.Module):
    """A gated linear unit, the shortcut around it, and a norm: add and norm of arXiv:1912.09363, section 4.1."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.dropout, self.open, self.norm = nn.Dropout(dropout), nn.Linear(width, 2 * width), nn.LayerNorm(width)

    def forward(self, x: Tensor, around: Tensor) -> Tensor:
        return self.norm(around + F.glu(self.open(self.dropout(x)), dim=-1))


class _GatedResidual(nn.Module):
    """The gated residual network of arXiv:1912.09363, equations 2 to 4."""

    def __init__(self, width_in: int, width: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(width_in, width), nn.ELU(), nn.Linear(width, width))
        self.skip = nn.Linear(width_in, width) if width_in != width else nn.Identity()
        self.gate = _Gate(width, dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.gate(self.body(x), self.skip(x))


class _FusionForecaster(nn.Module):
    """TFT of arXiv:1912.09363 for features seen in the past: selection, a recurrent encoder and decoder, attention, quantiles."""

    def __init__(self, horizon: int, features: int, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.horizon = horizon
        self.embed = nn.ModuleList(nn.Linear(1, width) for _ in range(features))
        self.select = _GatedResidual(features * width, features, dropout)
        self.each = nn.ModuleList(_GatedResidual(width, width, dropout) for _ in range(features))
        self.steps = nn.Parameter(torch.zeros(horizon, width))  # stands for what is known of the future: its distance
        self.encoder, self.decoder = (nn.LSTM(width, width, batch_first=True) for _ in range(2))
        self.attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.gates = nn.ModuleList(_Gate(width, dropout) for _ in range(3))
        self.enrich, self.digest = (_GatedResidual(width, width, dropout) for _ in range(2))
        self.head = nn.Linear(width, len(QUANTILES))

    def forward(self, series: Tensor) -> Tensor:
        tokens = [embed(series[:, :, i : i + 1]) for i, embed in enumerate(self.embed)]
        weights = self.select(torch.cat(tokens, -1)).softmax(-1).unsqueeze(-1)
        past = (weights * torch.stack([grn(token) for grn, token in zip(self.each, tokens, strict=True)], 2)).sum(2)
        future = self.steps.expand(len(series), -1, -1)
        seen, state = self.encoder(past)
        told, _ = self.decoder(future, state)
        both = self.gates[0](torch.cat([seen, told], 1), torch.cat([past, future], 1))
        enriched = self.enrich(both)
        asking = enriched[:, -self.horizon :]
        heard, _ = self.attention(asking, enriched, enriched, need_weights=False)
        digested = self.digest(self.gates[1](heard, asking))
        return self.head(self.gates[2](digested, both[:, -self.horizon :]))


def dlinear_forecaster(*, context: int, horizon: int, features: int) -> nn.Module:
    del features  # each column would be forecast from its own past alone; the first is the target
    return _DecompositionForecaster(context, horizon)


def nbeats_forecaster(*, context: int, horizon: int, features: int, blocks: int = 30, width: int = 512, layers: int = 4) -> nn.Module:
    del features
    return _ResidualForecaster(context, horizon, blocks, width, layers)


def itransformer_forecaster(
    *, context: int, horizon: int, features: int, width: int = 512, heads: int = 8, layers: int = 3, dropout: float = 0.1
) -> nn.Module:
    del features  # as many tokens as there are, through the same weights
    return _InvertedForecaster(context, horizon, width, heads, layers, dropout)


def tft_forecaster(*, context: int, horizon: int, features: int, width: int = 160, heads: int = 4, dropout: float = 0.1) -> nn.Module:
    del context
    return _FusionForecaster(horizon, features, width, heads, dropout)


PUBLISHED: dict[str, Callable[..., nn.Module]] = {
    f.__name__: f for f in (dlinear_forecaster, nbeats_forecaster, itransformer_forecaster, tft_forecaster)
}

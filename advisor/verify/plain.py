"""Small models of our own for series, tables and spoken words: plain PyTorch, trained from scratch.

Forecasters map a window [batch, context, features] to the next values of the first feature, [batch, horizon].
The multilayer perceptron maps rows [batch, features] to [batch, outputs]. The keyword
spotter maps cepstra to words. Each keeps its output layer in `head`.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from advisor.verify.plain_forecasters import PUBLISHED
from advisor.verify.plain_series import CLASSIFIERS, DETECTORS, deepar_forecaster
from advisor.verify.plain_texts import READERS


class _RecurrentForecaster(nn.Module):
    """A stack of recurrent layers whose last hidden state is read out once for the whole horizon."""

    def __init__(self, body: nn.LSTM | nn.GRU, horizon: int) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(body.hidden_size, horizon)

    def forward(self, series: Tensor) -> Tensor:
        states, _ = self.body(series)
        return self.head(states[:, -1])


class _CausalConvolution(nn.Module):
    """Two dilated causal convolutions with a residual connection: the TCN block of arXiv:1803.01271, figure 1."""

    def __init__(self, channels_in: int, channels: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.padding = (kernel - 1) * dilation
        self.first = nn.Conv1d(channels_in, channels, kernel, dilation=dilation)
        self.second = nn.Conv1d(channels, channels, kernel, dilation=dilation)
        self.skip = nn.Conv1d(channels_in, channels, 1) if channels_in != channels else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for convolution in (self.first, self.second):
            y = self.dropout(F.relu(convolution(F.pad(y, (self.padding, 0)))))
        return F.relu(y + self.skip(x))


class _TemporalConvolutionForecaster(nn.Module):
    def __init__(self, *, horizon: int, features: int, hidden: int, layers: int, kernel: int, dropout: float) -> None:
        super().__init__()
        widths = [features] + [hidden] * layers
        self.body = nn.Sequential(*(_CausalConvolution(widths[i], hidden, kernel, 2**i, dropout) for i in range(layers)))
        self.head = nn.Linear(hidden, horizon)

    def forward(self, series: Tensor) -> Tensor:
        return self.head(self.body(series.transpose(1, 2))[:, :, -1])


class _LinearForecaster(nn.Module):
    """NLinear of arXiv:2205.13504: one linear map over time, with the window's last value taken out and put back."""

    def __init__(self, context: int, horizon: int) -> None:
        super().__init__()
        self.head = nn.Linear(context, horizon)

    def forward(self, series: Tensor) -> Tensor:
        target = series[:, :, 0]
        last = target[:, -1:]
        return self.head(target - last) + last


class _Perceptron(nn.Module):
    def __init__(self, features: int, outputs: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        widths = [features] + [hidden] * layers
        blocks = (nn.Sequential(nn.Linear(widths[i], hidden), nn.ReLU(), nn.Dropout(dropout)) for i in range(layers))
        self.body = nn.Sequential(*blocks)
        self.head = nn.Linear(hidden, outputs)

    def forward(self, rows: Tensor) -> Tensor:
        return self.head(self.body(rows))


def lstm_forecaster(*, context: int, horizon: int, features: int, hidden: int = 64, layers: int = 2, dropout: float = 0.1) -> nn.Module:
    del context  # a recurrent network takes any length
    return _RecurrentForecaster(nn.LSTM(features, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0), horizon)


def gru_forecaster(*, context: int, horizon: int, features: int, hidden: int = 64, layers: int = 2, dropout: float = 0.1) -> nn.Module:
    del context
    return _RecurrentForecaster(nn.GRU(features, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0), horizon)


def tcn_forecaster(
    *, context: int, horizon: int, features: int, hidden: int = 64, layers: int = 4, kernel: int = 3, dropout: float = 0.1
) -> nn.Module:
    del context
    return _TemporalConvolutionForecaster(horizon=horizon, features=features, hidden=hidden, layers=layers, kernel=kernel, dropout=dropout)


def nlinear_forecaster(*, context: int, horizon: int, features: int) -> nn.Module:
    del features  # each column would be forecast from its own past alone; the first is the target
    return _LinearForecaster(context, horizon)


def mlp(*, features: int, outputs: int, hidden: int = 256, layers: int = 3, dropout: float = 0.1) -> nn.Module:
    return _Perceptron(features, outputs, hidden, layers, dropout)


class _DepthwiseSeparable(nn.Sequential):
    """A 3 x 3 convolution of each channel, then a 1 x 1 convolution over channels, each normalized."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )


class _KeywordSpotter(nn.Module):
    """DS-CNN of arXiv:1711.07128: frames of cepstra [batch, 1, frames, 10] to the logits of the words [batch, outputs]."""

    def __init__(self, outputs: int, channels: int, layers: int, dropout: float) -> None:
        super().__init__()
        stem = (nn.Conv2d(1, channels, (10, 4), stride=2, padding=(5, 1)), nn.BatchNorm2d(channels), nn.ReLU())
        self.body = nn.Sequential(*stem, *(_DepthwiseSeparable(channels) for _ in range(layers)))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels, outputs)

    def forward(self, frames: Tensor) -> Tensor:
        return self.head(self.dropout(self.body(frames).mean((2, 3))))


def ds_cnn(*, outputs: int, channels: int = 64, layers: int = 4, dropout: float = 0.2) -> nn.Module:
    return _KeywordSpotter(outputs, channels, layers, dropout)


FORECASTERS: dict[str, Callable[..., nn.Module]] = {
    f.__name__: f for f in (lstm_forecaster, gru_forecaster, tcn_forecaster, nlinear_forecaster, deepar_forecaster)
} | PUBLISHED
SPOTTERS: dict[str, Callable[..., nn.Module]] = {ds_cnn.__name__: ds_cnn}
FACTORIES: dict[str, Callable[..., nn.Module]] = {**FORECASTERS, **CLASSIFIERS, **DETECTORS, **SPOTTERS, **READERS, mlp.__name__: mlp}

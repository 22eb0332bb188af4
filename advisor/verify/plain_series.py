"""Small networks of our own for series: classifiers, detectors of anomalies and a probabilistic forecaster, plain PyTorch.

Classifiers map windows [batch, steps, features] to [batch, outputs], detectors give the window back, and the forecaster gives
the parameters of a Student-t distribution for each step ahead, [batch, horizon, 3]. Each keeps its output layer in `head`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_RESIDUAL_KERNELS = (7, 5, 3)  # one block of arXiv:1611.06455
_INCEPTION_KERNELS = (39, 19, 9)  # 40, 20 and 10 in arXiv:1909.04939, made odd so that windows keep their length
_INCEPTION_DEPTH = 3  # modules between two shortcuts


class _ConvolutionBlock(nn.Module):
    """Convolution, batch norm and ReLU, several times, with a shortcut around them: the block of arXiv:1611.06455."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        widths = [channels_in, channels, channels, channels]
        layers = [
            nn.Sequential(nn.Conv1d(a, b, kernel, padding=kernel // 2, bias=False), nn.BatchNorm1d(b), nn.ReLU())
            for (a, b), kernel in zip(pairwise(widths), _RESIDUAL_KERNELS, strict=True)
        ]
        self.body = nn.Sequential(*layers)
        self.shortcut = nn.Sequential(nn.Conv1d(channels_in, channels, 1, bias=False), nn.BatchNorm1d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


class _InceptionModule(nn.Module):
    """Three kernel sizes and a pooled path side by side: arXiv:1909.04939, figure 2."""

    def __init__(self, channels_in: int, filters: int) -> None:
        super().__init__()
        self.bottleneck = nn.Conv1d(channels_in, filters, 1, bias=False)
        self.paths = nn.ModuleList(nn.Conv1d(filters, filters, k, padding=k // 2, bias=False) for k in _INCEPTION_KERNELS)
        self.pooled = nn.Conv1d(channels_in, filters, 1, bias=False)
        self.norm = nn.BatchNorm1d(filters * (len(_INCEPTION_KERNELS) + 1))

    def forward(self, x: Tensor) -> Tensor:
        narrow = self.bottleneck(x)
        paths = [path(narrow) for path in self.paths] + [self.pooled(F.max_pool1d(x, 3, stride=1, padding=1))]
        return F.relu(self.norm(torch.cat(paths, 1)))


class _InceptionBlock(nn.Module):
    def __init__(self, channels_in: int, filters: int) -> None:
        super().__init__()
        width = filters * (len(_INCEPTION_KERNELS) + 1)
        self.body = nn.Sequential(*(_InceptionModule(width if i else channels_in, filters) for i in range(_INCEPTION_DEPTH)))
        self.shortcut = nn.Sequential(nn.Conv1d(channels_in, width, 1, bias=False), nn.BatchNorm1d(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


class _ConvolutionClassifier(nn.Module):
    """Convolutions over time, the mean over it, and one linear layer."""

    def __init__(self, body: nn.Module, width: int, outputs: int) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(width, outputs)

    def forward(self, series: Tensor) -> Tensor:
        return self.head(self.body(series.transpose(1, 2)).mean(-1))


class _RecurrentClassifier(nn.Module):
    def __init__(self, features: int, outputs: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.LSTM(features, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.head = nn.Linear(hidden, outputs)

    def forward(self, series: Tensor) -> Tensor:
        states, _ = self.body(series)
        return self.head(states.mean(1))


class _RecurrentAutoencoder(nn.Module):
    """The window read into one state and told again from it, the encoder-decoder of arXiv:1607.00148."""

    def __init__(self, context: int, features: int, hidden: int) -> None:
        super().__init__()
        self.context = context
        self.encoder = nn.LSTM(features, hidden, batch_first=True)
        self.decoder = nn.LSTM(hidden, hidden, batch_first=True)
        self.head = nn.Linear(hidden, features)

    def forward(self, series: Tensor) -> Tensor:
        states, _ = self.encoder(series)
        told, _ = self.decoder(states[:, -1:].expand(-1, self.context, -1))
        return self.head(told)


class _ConvolutionAutoencoder(nn.Module):
    """Convolutions to a narrow middle and back: a window's shape has to pass through a few channels."""

    def __init__(self, features: int, hidden: int, middle: int, kernel: int) -> None:
        super().__init__()
        widths = [features, hidden, middle, hidden]
        self.body = nn.Sequential(*(nn.Sequential(nn.Conv1d(a, b, kernel, padding=kernel // 2), nn.ReLU()) for a, b in pairwise(widths)))
        self.head = nn.Conv1d(hidden, features, kernel, padding=kernel // 2)

    def forward(self, series: Tensor) -> Tensor:
        return self.head(self.body(series.transpose(1, 2))).transpose(1, 2)


class _AttentionAutoencoder(nn.Module):
    """Each step a token, attention among them, and each step told again: the backbone of arXiv:2110.02642 with plain attention."""

    def __init__(self, context: int, features: int, width: int, heads: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.embed = nn.Linear(features, width)
        self.places = nn.Parameter(torch.zeros(context, width))
        layer = nn.TransformerEncoderLayer(width, heads, width, dropout, activation="gelu", batch_first=True)
        self.body = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, features)

    def forward(self, series: Tensor) -> Tensor:
        return self.head(self.body(self.embed(series) + self.places))


class _StudentForecaster(nn.Module):
    """A recurrent network whose state gives location, scale and degrees of freedom for each step: after arXiv:1704.04110.

    DeepAR feeds samples back step by step; here all steps ahead are read from the last state at once.
    """

    def __init__(self, features: int, horizon: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.LSTM(features, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.head = nn.Linear(hidden, 3 * horizon)

    def forward(self, series: Tensor) -> Tensor:
        states, _ = self.body(series)
        return self.head(states[:, -1]).unflatten(-1, (-1, 3))


def deepar_forecaster(*, context: int, horizon: int, features: int, hidden: int = 40, layers: int = 2, dropout: float = 0.1) -> nn.Module:
    del context  # a recurrent network takes any length
    return _StudentForecaster(features, horizon, hidden, layers, dropout)


def series_resnet(*, features: int, outputs: int, width: int = 64) -> nn.Module:
    blocks = [_ConvolutionBlock(features, width), _ConvolutionBlock(width, 2 * width), _ConvolutionBlock(2 * width, 2 * width)]
    return _ConvolutionClassifier(nn.Sequential(*blocks), 2 * width, outputs)


def inception_time(*, features: int, outputs: int, filters: int = 32) -> nn.Module:
    width = filters * (len(_INCEPTION_KERNELS) + 1)
    return _ConvolutionClassifier(nn.Sequential(_InceptionBlock(features, filters), _InceptionBlock(width, filters)), width, outputs)


def lstm_classifier(*, features: int, outputs: int, hidden: int = 64, layers: int = 2, dropout: float = 0.2) -> nn.Module:
    return _RecurrentClassifier(features, outputs, hidden, layers, dropout)


def lstm_autoencoder(*, context: int, features: int, hidden: int = 64) -> nn.Module:
    return _RecurrentAutoencoder(context, features, hidden)


def convolution_autoencoder(*, context: int, features: int, hidden: int = 64, middle: int = 8, kernel: int = 7) -> nn.Module:
    del context
    return _ConvolutionAutoencoder(features, hidden, middle, kernel)


def transformer_autoencoder(
    *, context: int, features: int, width: int = 512, heads: int = 8, layers: int = 3, dropout: float = 0.1
) -> nn.Module:
    return _AttentionAutoencoder(context, features, width, heads, layers, dropout)


PROBABILISTIC: dict[str, Callable[..., nn.Module]] = {deepar_forecaster.__name__: deepar_forecaster}
CLASSIFIERS: dict[str, Callable[..., nn.Module]] = {f.__name__: f for f in (series_resnet, inception_time, lstm_classifier)}
DETECTORS: dict[str, Callable[..., nn.Module]] = {
    f.__name__: f for f in (lstm_autoencoder, convolution_autoencoder, transformer_autoencoder)
}

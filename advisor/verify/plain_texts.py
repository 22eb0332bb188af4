"""Small networks over word vectors, of our own: plain PyTorch, trained from scratch.

They map tokens, int64 [batch, length] below the vocabulary, to the logits of a text, [batch, outputs], or of each of its tokens,
[batch, outputs, length], where cross-entropy looks for classes. Each keeps its output layer in `head`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _SentenceConvolution(nn.Module):
    """Convolutions of several widths over word vectors, the greatest answer of each filter: arXiv:1408.5882, section 2."""

    def __init__(self, outputs: int, vocabulary: int, width: int, filters: int, kernels: list[int], dropout: float) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.convolutions = nn.ModuleList(nn.Conv1d(width, filters, kernel, padding=kernel // 2) for kernel in kernels)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(filters * len(kernels), outputs)

    def forward(self, tokens: Tensor) -> Tensor:
        vectors = self.words(tokens).transpose(1, 2)
        found = torch.cat([F.relu(convolution(vectors)).amax(-1) for convolution in self.convolutions], dim=-1)
        return self.head(self.dropout(found))


class _Reader(nn.Module):
    """An LSTM over word vectors, in one direction or both, with dropout around it."""

    def __init__(self, vocabulary: int, width: int, hidden: int, layers: int, dropout: float, is_both_ways: bool) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.dropout = nn.Dropout(dropout)
        between = dropout if layers > 1 else 0.0
        self.body = nn.LSTM(width, hidden, layers, batch_first=True, dropout=between, bidirectional=is_both_ways)
        self.width = hidden * (2 if is_both_ways else 1)

    def forward(self, tokens: Tensor) -> Tensor:
        states, _ = self.body(self.dropout(self.words(tokens)))
        return self.dropout(states)


class _TextReader(nn.Module):
    def __init__(self, reader: _Reader, outputs: int) -> None:
        super().__init__()
        self.reader = reader
        self.head = nn.Linear(reader.width, outputs)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.reader(tokens).amax(1))


class _TokenReader(nn.Module):
    def __init__(self, reader: _Reader, outputs: int) -> None:
        super().__init__()
        self.reader = reader
        self.head = nn.Linear(reader.width, outputs)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.reader(tokens)).transpose(1, 2)


def text_cnn(*, outputs: int, vocabulary: int, kernels: list[int], width: int = 300, filters: int = 100, dropout: float = 0.5) -> nn.Module:
    return _SentenceConvolution(outputs, vocabulary, width, filters, kernels, dropout)


def text_lstm(*, outputs: int, vocabulary: int, width: int = 300, hidden: int = 256, layers: int = 1, dropout: float = 0.5) -> nn.Module:
    return _TextReader(_Reader(vocabulary, width, hidden, layers, dropout, is_both_ways=True), outputs)


def lstm_tagger(*, outputs: int, vocabulary: int, width: int = 100, hidden: int = 256, layers: int = 1, dropout: float = 0.5) -> nn.Module:
    return _TokenReader(_Reader(vocabulary, width, hidden, layers, dropout, is_both_ways=True), outputs)


def lstm_language_model(
    *, outputs: int, vocabulary: int, width: int = 650, hidden: int = 650, layers: int = 2, dropout: float = 0.5
) -> nn.Module:
    """Each token's successor, from those before it alone; `outputs` is the vocabulary's."""
    del outputs
    return _TokenReader(_Reader(vocabulary, width, hidden, layers, dropout, is_both_ways=False), vocabulary)


READERS: dict[str, Callable[..., nn.Module]] = {f.__name__: f for f in (text_cnn, text_lstm, lstm_tagger, lstm_language_model)}

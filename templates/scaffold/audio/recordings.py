"""Recordings: the manifest that lists them, WAV files as waveforms, noise."""

from __future__ import annotations

import csv
from math import gcd
from pathlib import Path

import numpy as np
import torch
from scipy.io import wavfile
from scipy.signal import resample_poly
from torch import Tensor
from torch.nn import functional as F

RATE = 16_000  # samples of a waveform a second, in what the models were trained on
LOUDEST = 0.1  # of full scale, for noise that is added


def read_manifest(data: Path) -> list[dict[str, str]]:
    """The lines of DATA/manifest.csv."""
    with (data / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_wav(file: Path) -> Tensor:
    """A recording as one channel [samples] between -1 and 1, 16,000 a second, whatever the file has."""
    try:
        rate, samples = wavfile.read(file)
    except ValueError as error:
        raise SystemExit(f"{file}: {error}; make it a WAV file: ffmpeg -i FILE -ac 1 -ar {RATE} FILE.wav") from error
    wave = samples.astype(np.float32)
    if samples.dtype.kind == "u":
        wave = wave / 128 - 1
    elif samples.dtype.kind == "i":
        wave /= -float(np.iinfo(samples.dtype).min)
    if wave.ndim == 2:
        wave = wave.mean(1)
    return torch.from_numpy(wave if rate == RATE else resample(wave, RATE, rate))


def read_noises(data: Path) -> list[Tensor]:
    """The recordings in DATA/noise, where there are any."""
    return [read_wav(file) for file in sorted((data / "noise").glob("*.wav"))]


def resample(wave: np.ndarray, wanted: int, rate: int) -> np.ndarray:
    """The waveform at `wanted` samples a second, of `rate`."""
    common = gcd(wanted, rate)
    return resample_poly(wave, wanted // common, rate // common).astype(np.float32)


def fit_length(wave: Tensor, length: int, training: bool) -> Tensor:
    """A part of `length` samples, from anywhere in training, else the middle; silence after what is shorter."""
    spare = max(0, len(wave) - length)
    start = int(torch.randint(spare + 1, ())) if training else spare // 2
    part = wave[start : start + length]
    return F.pad(part, (0, length - len(part)))


def add_noise(wave: Tensor, noises: list[Tensor]) -> Tensor:
    """The recording in noise of up to a tenth of full scale: one of `noises`, white noise where there are none."""
    chosen = noises[int(torch.randint(len(noises), ()))] if noises else torch.randn(len(wave))
    noise = fit_length(chosen, len(wave), training=True)
    return wave + noise * LOUDEST * torch.rand(()) / noise.abs().max().clamp(min=1e-6)

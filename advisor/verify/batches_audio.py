"""Synthetic batches and losses of the audio tasks. Audio is mono at 16 kHz; the recipe says how many seconds a clip has.

B is the batch size, T the samples of a waveform (16,000 a second), F the frames of a spectrogram (100 a second), M its mel bands,
C the recipe's outputs, U the tokens of a transcript (four a second for characters or words alike, at least two).

| models                   | task                                   | batch                                                            |
| ------------------------ | -------------------------------------- | ---------------------------------------------------------------- |
| wav2vec2, HuBERT, WavLM  | speech_recognition                     | input_values float [B, T] about N(0, 1), labels int64 [B, U]     |
| w2v-BERT                 | speech_recognition                     | input_features float [B, F / 2, 160], labels int64 [B, U]        |
| Whisper                  | speech_recognition                     | input_features float [B, M, 3000], labels int64 [B, U]           |
| wav2vec2, HuBERT, WavLM  | audio_classification, keyword_spotting | input_values float [B, T], labels int64 [B]                      |
| AST                      | audio_classification, keyword_spotting | input_values float [B, F, M], labels int64 [B]                   |
| DS-CNN                   | audio_classification, keyword_spotting | inputs float [B, 1, F / 2, 10], targets int64 [B]                |
| timm's image networks    | audio_classification                   | inputs float [B, 1, F, 128], targets int64 [B]                   |

The labels of CTC are in [1, C), 0 is its blank. A clip of a class is a tone of its own in noise.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from advisor.verify.batches import _FIRST_WORD, _NOISE, Batch, Exercise, _size, _Source, own_loss
from advisor.verify.build import transformers_config
from advisor.verify.evidence import Job

SAMPLE_RATE = 16_000
FRAMES_A_SECOND = 100  # a window every 10 ms, as in Kaldi's filter banks
STACKED_BANDS = 160  # two frames of 80 mel bands, w2v-BERT's input
CEPSTRA = 10  # of a keyword spotter's frames, every 20 ms: arXiv:1711.07128, section 4
MEL_BANDS = 128  # of the spectrograms that image networks read, as of AST's: arXiv:2104.01778, section 2
_FRAMES_A_POSITION = 2  # Whisper's, which has 1500 positions for the 30 s that it takes whatever the clip: arXiv:2212.04356, section 2.2
_TOKENS_A_SECOND = 4  # about three words a second in English, most of them one token
_FEWEST_TOKENS = 2


def _transcribed_clips(job: Job, batch: int, source: _Source) -> Batch:
    length = max(_FEWEST_TOKENS, int(_seconds(job) * _TOKENS_A_SECOND))
    config = transformers_config(job)
    if config.model_type == "whisper":
        clips = {"input_features": source.normal(batch, config.num_mel_bins, _FRAMES_A_POSITION * config.max_source_positions)}
        return {**clips, "labels": source.integers(_FIRST_WORD, config.vocab_size, batch, length)}
    labels = source.integers(1, _size(job, "outputs"), batch, length)
    if config.model_type == "wav2vec2-bert":
        return {"input_features": source.normal(batch, _frames(job) // 2, STACKED_BANDS), "labels": labels}
    return {"input_values": source.normal(batch, _samples(job)), "labels": labels}


def _classified_clips(job: Job, batch: int, source: _Source) -> Batch:
    labels = source.integers(0, _size(job, "outputs"), batch)
    if job.build.library == "timm":
        bands = source.code(labels, MEL_BANDS).view(batch, 1, 1, MEL_BANDS)
        return {"inputs": bands + _NOISE * source.normal(batch, 1, _frames(job), MEL_BANDS), "targets": labels}
    if job.build.library == "torch":
        frames = source.code(labels, CEPSTRA).view(batch, 1, 1, CEPSTRA) + _NOISE * source.normal(batch, 1, _frames(job) // 2, CEPSTRA)
        return {"inputs": frames, "targets": labels}
    config = transformers_config(job)
    if hasattr(config, "num_mel_bins"):
        bands = source.code(labels, config.num_mel_bins).unsqueeze(1)
        return {"input_values": bands + _NOISE * source.normal(batch, config.max_length, config.num_mel_bins), "labels": labels}
    times = torch.arange(_samples(job), device=source.device) / SAMPLE_RATE
    pitches = _LOWEST_TONE * (1 + labels.unsqueeze(-1))
    tones = torch.sin(2 * torch.pi * pitches * times)
    return {"input_values": tones + _NOISE * source.normal(batch, _samples(job)), "labels": labels}


_LOWEST_TONE = 100  # Hz


def _align(outputs: Any, batch: Batch, job: Job) -> Tensor:
    """Whisper's own loss; else CTC over log-probabilities [T', B, C] in fp32. transformers' own asks tensors for values."""
    if "encoder_last_hidden_state" in outputs:
        return own_loss(outputs, batch, job)
    scores = outputs.logits.float().log_softmax(-1).transpose(0, 1)
    labels = batch["labels"]
    if scores.is_meta:  # CTC has no kernel there: the same reads of the same tensor
        return -scores.mean(0).gather(-1, labels).mean()
    steps = torch.full((len(labels),), scores.shape[0], dtype=torch.long)
    lengths = torch.full((len(labels),), labels.shape[1], dtype=torch.long)
    return F.ctc_loss(scores, labels, steps, lengths, zero_infinity=True)


def _transcribe(model: Any, batch: Batch, job: Job) -> Any:
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    is_written = model.config.is_encoder_decoder
    return model(**inputs, labels=batch["labels"], use_cache=False) if is_written else model(**inputs)


def _seconds(job: Job) -> float:
    return float(job.recipe.input.seconds or _DEFAULT_SECONDS)


_DEFAULT_SECONDS = 10.0  # AudioSet's clips


def _samples(job: Job) -> int:
    return int(_seconds(job) * SAMPLE_RATE)


def _frames(job: Job) -> int:
    return int(_seconds(job) * FRAMES_A_SECOND)


EXERCISES = {
    "speech_recognition": Exercise(_transcribed_clips, _transcribe, _align),
    "audio_classification": Exercise(_classified_clips),
    "keyword_spotting": Exercise(_classified_clips),
}

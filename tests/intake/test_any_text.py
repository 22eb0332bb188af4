"""Whatever the text: it is understood or it is a RequestError, and soon."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.errors import RequestError
from advisor.intake import load_catalogue
from advisor.intake.accuracy import read_accuracy
from advisor.intake.compute import read_compute
from advisor.intake.counts import FORMS, read_counts
from advisor.intake.limits import read_budget, read_latency, read_model_size
from advisor.intake.text import MAX_LENGTH, Text
from advisor.intake.words import load_words, segments

WORDS = load_words()
CATALOGUE = load_catalogue()
PARSERS: dict[str, Callable[[str], object]] = {
    "size": lambda said: read_counts(Text("data.size", said, FORMS), WORDS.nouns),
    "latency": lambda said: read_latency("latency", said),
    "model size": lambda said: read_model_size("model size", said),
    "budget": lambda said: read_budget("budget", said),
    "accuracy": lambda said: read_accuracy("accuracy", said, WORDS.metrics),
    "compute": lambda said: read_compute("compute", said, CATALOGUE.device_names, CATALOGUE.devices),
}
# Pieces that the grammars know, so that random texts get deep into them.
PIECES = ["5,000", "10k", "1e99", "-3", "1.5", "0", "½", "images", "classes", "per class", "of", "with", "each", "labelled",
          "unlabelled", "daily", "years", "hours of audio", "tokens", "series",
          "between", "and", "to", "-", "x", "8x", "V100", "A100", "RTX 3090", "GPU", "CPU", "TPU v4-8", "GB", "nodes", "<", ">=", "ms",
          "fps", "MB", "%", "top-1", "F1", "WER", "$", "EUR", "GPU-hours",
          "million", "hundred", "one", "no", "(", ")", ",", "\0", "İ", "\ud800", "𝟙", "٣", "\u2028"]  # fmt: skip
texts = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(PIECES), max_size=9).map(" ".join),
    st.lists(st.sampled_from(PIECES), max_size=6).map("".join),
)
SOON = 0.5  # seconds of processor time; a text takes a few milliseconds, a runaway pattern minutes


@pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS)
@settings(max_examples=200, deadline=None)
@given(said=texts)
def test_any_text_is_understood_or_a_request_error(parse: Callable[[str], object], said: str) -> None:
    start = time.process_time()
    try:
        parse(said)
    except RequestError as error:
        assert error.faults[0].message
    assert time.process_time() - start < SOON


@pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS)
@pytest.mark.parametrize(
    "piece",
    [
        "1",
        "1,",
        "1 ",
        "a ",
        "of a ",
        "a hundred ",
        "10 images of a ",
        "1-",
        "8x",
        "rtx ",
        "no ",
        "1 gb ",
        "1 year of ",
        "x1",
        "a-",
        "$1 ",
        "\0",
        "1e9 million ",
        "aA",
        "9" * 9 + " ",
    ],
)
def test_long_repetitions_do_not_run_away(parse: Callable[[str], object], piece: str) -> None:
    said = (piece * MAX_LENGTH)[:MAX_LENGTH]
    start = time.process_time()
    with contextlib.suppress(RequestError):
        parse(said)
    assert time.process_time() - start < SOON


@settings(max_examples=100, deadline=None)
@given(said=texts)
def test_phrases_and_segments_lie_inside_the_text(said: str) -> None:
    spans = [(hit.start, hit.end) for hit in WORDS.lexicon.hits(said, WORDS.facts)] + segments(said)
    assert all(0 <= start < end <= len(said) for start, end in spans)


def test_a_long_description_is_read_in_bounded_time() -> None:
    start = time.process_time()
    WORDS.lexicon.hits("loss gradient train val image " * 20_000, WORDS.facts)
    assert time.process_time() - start < SOON


@settings(max_examples=150, deadline=None)
@given(
    said=st.lists(
        st.one_of(texts.filter(lambda text: "\ud800" not in text), st.just("image classification"), st.just("10 classes, 1:5")),
        min_size=8,
        max_size=8,
    )
)
def test_any_request_is_understood_or_a_request_error(intake: Callable[..., object], said: list[str]) -> None:
    sections = {
        "task": {"type": said[0] or "x", "domain": said[1] or "x", "specificTask": said[2]},
        "data": {"quality": said[3], "distribution": said[4], "labelAvailability": said[5]},
        "challenges": [said[6]],
        "existingSetup": {"framework": said[6], "baseModel": said[7], "trainingIssues": [said[7]]},
    }
    try:
        intake(**sections)
    except RequestError as error:
        assert error.faults

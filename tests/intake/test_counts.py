from __future__ import annotations

import pytest

from advisor.errors import RequestError
from advisor.intake.counted import Counts, steps_in
from advisor.intake.counts import FORMS, read_counts
from advisor.intake.text import Text
from advisor.intake.words import load_words


def read(said: str) -> Counts:
    return read_counts(Text("data.size", said, FORMS), load_words().nouns)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("-5 images", "negative"),
        ("1,5 images", "no whole number"),
        ("1.5 million pixels", "counts pixels; say how many images"),
        ("1.5 images", "no whole number"),
        ("10 GB of images", "a volume, which tells no number of samples"),
        ("lots", "not understood"),
        ("a few hundred images", "not understood"),
        ("5,000 images and 3,000 texts", "more than one number of samples"),
        ("5,000 images of which half are unlabelled", "not understood"),
        ("20,000 tickets, 500 labels", "classes or labelled"),
        ("60 tickets, 20 labels", "classes or labelled"),
        ("1000 images, 10 classes, 500 per class", "contradicts itself"),
        ("4 class", "10 classes"),
        ("10k to 5k images", "lower end"),
        ("5 years of daily data 2019-2023", "not understood"),
        ("9" * 30 + " images", "not understood"),
        ("1e99 million billion images", "more than there can be"),
        ("", "empty"),
        ("x" * 500, "characters long"),
        ("10k images 🎉 maybe", "not understood"),
    ],
)
def test_what_is_not_wholly_understood_is_an_error_that_shows_two_forms(said: str, why: str) -> None:
    with pytest.raises(RequestError, match=why) as caught:
        read(said)
    assert caught.value.faults[0].place.path == "data.size"
    assert FORMS[0] in str(caught.value) and FORMS[1] in str(caught.value)


def test_the_part_that_is_not_understood_is_underlined() -> None:
    with pytest.raises(RequestError) as caught:
        read("5,000 images or so")
    assert str(caught.value).splitlines()[1:3] == ["    5,000 images or so", "                 ^^ ^^"]


def test_a_long_text_is_cut_around_what_is_not_understood() -> None:
    with pytest.raises(RequestError) as caught:
        read("5,000 images of " + "very " * 60 + "nice things, or not")
    assert all(len(line) < 120 for line in str(caught.value).splitlines())


@pytest.mark.parametrize(
    ("said", "samples"),
    [
        ("10k samples", 10_000), ("5000", 5_000), ("1.28M", 1_280_000), ("1.28M images", 1_280_000), ("~1k images", 1_000),
        ("393k pairs", 393_000),
        ("400 volumes", 400), ("567k pairs", 567_000), ("10M env steps", 10_000_000), ("118k images", 118_000),
        ("~800 image-caption pairs", 800),
        ("61k preference pairs", 61_000), ("88k questions", 88_000), ("3.5k clips", 3_500), ("100k rows", 100_000),
        ("about 20,000", 20_000),
        ("between 5k and 10k", 5_000), ("5-10k images", 5_000), ("5k–10k samples", 5_000), ("ten thousand images", 10_000),
        ("one million rows", 1_000_000),
        ("10 000 images", 10_000), ("10'000 images", 10_000), ("10.000 images", 10_000),
        ("1,5k images", 1_500), ("1,5 million images", 1_500_000), ("1,28M", 1_280_000),
        ("1.280.000 images", 1_280_000),
        ("34,272 steps x 207 sensors", 34_272 * 207), ("120 series x 900 days", 120 * 900), ("54k leaves, 38 classes", 54_000),
        ("12 hospitals, 40k x-rays", 40_000), ("1e6 rows", 1_000_000), ("5,000 chest x-ray images", 5_000),
        ("10M+ rows", 10_000_000),
        ("5,000 images of metal parts from our factory", 5_000), ("10k customer records", 10_000),
        ("3 million user-item interactions", 3_000_000),
        ("50k train / 10k test images", 50_000), ("50,000 training images and 10,000 test images", 50_000),
        ("100 videos of 10 seconds", 100),
        ("2,000 10-second clips", 2_000), ("100 per class, 10 classes", 1_000), ("8-shot, 20 classes", 160), ("0 images", 0),
        ("20k docs", 20_000),
        ("500 points, one series", 500), ("1,000 daily series of 1,000 steps", 1_000_000), ("2 years of daily sales", 730),
        ("5 years monthly", 60),
        ("3 months of hourly data", 2_190), ("730 daily observations", 730), ("24 months of hourly electricity load", 17_520),
        ("９00 images", 900),
        ("78k queries with up to 10 passages", 78_000),
        ("5k receipts with 12 fields each", 5_000),
        ("158k questions on videos", 158_000),
    ],
)  # fmt: skip
def test_samples(said: str, samples: int) -> None:
    assert read(said).samples == samples


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("5,000 labelled images, 10 classes", {"classes": 10, "unit": "images"}),
        ("20,000 labeled support tickets in 5 categories", {"classes": 5, "unit": "tickets"}),
        ("160 images, 8 per class", {"classes": 20, "per_class": 8}),
        ("10000 samples (5000 per class)", {"classes": 2, "per_class": 5_000}),
        ("2,708 nodes, 140 labels", {"labels": "semi"}),
        ("9k cases, 10 labels", {"samples": 9000, "classes": 10}),
        ("800 receipts, 30 labels", {"samples": 800, "classes": 30}),
        ("22k questions over 510 contracts", {"samples": 22_000}),
        ("over 510 contracts", {"samples": 510}),
        ("400k sentences, 20k sentences per language", {"samples": 400_000}),
        ("10k images, 500 labelled", {"labels": "semi"}),
        ("500 labelled and 50k unlabelled images", {"samples": 500, "labels": "semi"}),
        ("10k unlabelled images", {"labels": "none"}),
        ("1,000 daily series of 1,000 steps", {"series": 1_000, "frequency": "daily"}),
        ("500 points, one series", {"series": 1}),
        ("1,000 series", {"series": 1_000, "samples": None}),
        ("120 series x 900 days", {"frequency": "daily", "remarks": ("'900 days' of each series is read as daily steps",)}),
        ("1.200 photos", {"samples": 1_200, "remarks": ("'1.200' is read as 1,200",)}),
        ("2 years of sales data", {"days": 730, "samples": None}),
        ("40 hours of audio", {"audio_hours": 40, "samples": None}),
        ("3k hours of speech", {"audio_hours": 3_000, "samples": None}),
        ("2,5 hours of audio", {"audio_hours": 2.5, "remarks": ("'2,5' is read as 2.5",)}),
        ("2,5 years of daily sales", {"samples": 912}),
        ("10 hours of audio, 12 keywords", {"audio_hours": 10, "classes": 12}),
        ("20 images of 1.5 million pixels each", {"samples": 20}),
        ("2 GB of text", {"text_bytes": 2e9, "samples": None}),
        ("1,5 TB of plain German web text", {"text_bytes": 1.5e12}),
        ("3B tokens", {"tokens": 3_000_000_000, "samples": None}),
        ("~9B tokens OpenWebText", {"tokens": 9_000_000_000, "datasets": ("OpenWebText",)}),
        ("9.2k conversations (OASST1)", {"samples": 9_200, "datasets": ("OASST1",)}),
        ("100 texts of 200 tokens each", {"samples": 100, "sample_tokens": 200}),
        ("5,000 images of 512x512", {"image_size": 512}),
        ("5,000 images of 640 x 480 px", {"image_size": 480}),
        ("100k rows, 12 columns", {"features": 12}),
        ("10k images from 200 patients", {"remarks": ("'200 patients' decides nothing here",)}),
        ("50k widgets", {"samples": 50_000, "remarks": ("'widgets' are taken for samples",)}),
        ("<1000 samples", {"samples": 1_000, "remarks": ("is an upper bound, read as the number itself",)}),
    ],
)
def test_what_a_size_says_beside_the_samples(said: str, expected: dict[str, object]) -> None:
    counts = read(said)
    assert {name: getattr(counts, name) for name in expected} == expected


def test_what_was_computed_is_told_from_what_was_said() -> None:
    assert read("160 images, 8 per class").derived == {"classes"}
    assert read("2 years of daily sales").derived == {"samples"}
    assert read("5,000 images").derived == set()


@pytest.mark.parametrize(
    ("frequency", "steps"), [("second", 86_400 * 7), ("minute", 1_440 * 7), ("hourly", 168), ("daily", 7), ("weekly", 1), ("monthly", 0)]
)
def test_steps_in_a_week(frequency: str, steps: int) -> None:
    assert steps_in(7, frequency) == steps


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("3.3B words (Wikipedia + BookCorpus)", {"tokens": 3_300_000_000, "samples": None}),
        ("1M characters", {"tokens": 1_000_000}),
        ("8,926 series of length 100", {"series": 8926, "samples": 892_600}),
        ("7 series x 17,420 steps", {"series": 7, "samples": 121_940}),
        ("48k rows x 14 columns", {"samples": 48_000, "features": 14}),
        ("700k time steps, 38 channels", {"samples": 700_000, "features": 38}),
        ("82k images, 443k questions", {"samples": 443_000}),
        ("4k labels + 46k unlabelled images", {"labels": "semi"}),
        ("60k images (own photographs)", {"samples": 60_000}),
    ],
)
def test_sizes_as_published_recipes_write_them(said: str, expected: dict[str, object]) -> None:
    counts = read(said)
    assert {name: getattr(counts, name) for name in expected} == expected


@pytest.mark.parametrize("said", ["60k images (half unlabelled)", "60k images (test)"])
def test_brackets_that_speak_of_labels_or_splits_are_no_origin(said: str) -> None:
    with pytest.raises(RequestError, match="not understood"):
        read(said)


@pytest.mark.parametrize(
    ("said", "samples", "remark"),
    [
        ("7,352 windows of 128 steps, 6 classes", 7_352, "of 128 steps"),
        ("60k sentences, 18 oddities", 60_000, "18 oddities"),
        ("9,843 shapes, 40 classes", 9_843, ""),
        ("9,843 CAD models of 40 kinds", 9_843, "models"),
        ("38k ads, 22 columns", 38_000, "ads"),
        ("train 40k / val 5k / test 5k", 40_000, ""),
        ("250 3D scans", 250, ""),
        ("100 documents (avg. 20 pages)", 100, "(avg. 20 pages)"),
        ("5,000 rows since 2015", 5_000, "since 2015"),
        ("4,500 question/query pairs", 4_500, ""),
        ("5,000 images, taken lovingly by hand", 5_000, "'taken lovingly' is not understood"),
    ],
)
def test_what_is_counted_beside_the_samples_is_remarked_upon(said: str, samples: int, remark: str) -> None:
    counts = read(said)
    assert counts.samples == samples
    assert not remark or any(remark in text for text in counts.remarks)


def test_trillions_are_counted() -> None:
    assert read("2T tokens").tokens == read("2 trillion tokens").tokens == 2 * 10**12


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("69,680 steps every 15 minutes, 7 variables", {"samples": 69_680, "frequency": "minute", "features": 7}),
        ("2 years of 15-minute data", {"samples": 70_080, "frequency": "minute"}),
        ("35,040 steps at 30-minute resolution", {"samples": 35_040, "frequency": "minute"}),
        ("52,696 ten-minute steps", {"samples": 52_696, "frequency": "minute"}),
        ("17,520 half-hourly steps", {"samples": 17_520}),
        ("2M steps at 100 Hz", {"samples": 2_000_000, "frequency": "second"}),
        ("26,304 hourly steps, 321 clients", {"samples": 26_304, "frequency": "hourly"}),
    ],
)
def test_steps_that_lie_so_far_apart(said: str, expected: dict[str, object]) -> None:
    counts = read(said)
    assert {name: getattr(counts, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("said", "samples"),
    [("9,843 shapes of 1,024 points", 9_843), ("10,299 windows of 128 samples", 10_299), ("50k ECG beats of 187 samples", 50_000),
     ("24 graphs, 56,944 nodes", 24), ("41M impressions, 39 fields", 41_000_000)],
)  # fmt: skip
def test_what_a_sample_is_made_of_is_no_number_of_samples(said: str, samples: int) -> None:
    assert read(said).samples == samples


def test_what_tells_samples_apart_is_counted_as_classes() -> None:
    assert read("140k clips of 1 second, 10 scenes").classes == 10
    assert read("5,000 scenes").samples == 5_000


def test_labels_where_all_are_labelled_are_classes() -> None:
    text = Text("data.size", "17k recordings, 71 labels", FORMS)
    assert read_counts(text, load_words().nouns, all_labelled=True).classes == 71

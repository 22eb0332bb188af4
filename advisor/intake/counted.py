"""What the numbers of a size mean together: samples from steps and series, a duration or classes; labels from how many have them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from advisor.intake.text import Text
from advisor.quantity import SECONDS, number, seconds

DAY = SECONDS["day"]
# Facts beside the number may come from its rounding: 8 a class and 160 images are 20 classes, give or take this factor.
CONTRADICTION = 2.0
SPELT = {"half an": 0.5, "half": 0.5, "quarter": 0.25, "five": 5.0, "ten": 10.0, "fifteen": 15.0, "twenty": 20.0, "thirty": 30.0}


@dataclass(frozen=True)
class Counts:
    """What a size says: `samples` in `unit`, or what makes them later (hours, days, tokens, bytes of text). `derived` was computed."""

    samples: int | None = None
    unit: str = ""
    classes: int | None = None
    per_class: float | None = None
    series: int | None = None
    frequency: str | None = None
    features: int | None = None
    image_size: int | None = None
    sample_tokens: int | None = None
    labels: str | None = None
    days: float | None = None
    audio_hours: float | None = None
    tokens: int | None = None
    text_bytes: float | None = None
    datasets: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    derived: frozenset[str] = frozenset()


@dataclass
class Found:
    """Numbers by what they count."""

    by: dict[str, list[int]] = field(default_factory=dict)
    noun: str = ""
    remarks: list[str] = field(default_factory=list)
    train: list[int] = field(default_factory=list)
    labelled: list[int] = field(default_factory=list)

    def one(self, text: Text, kind: str) -> int | None:
        values = self.by.get(kind, [])
        if len(set(values)) > 1:
            text.fail(f"gives more than one number of {kind}: {', '.join(f'{value:,}' for value in values)}; keep the one to train on")
        return values[0] if values else None


def with_time(text: Text, counts: Counts, found: Found, durations: list[float], *, is_audio: bool) -> Counts:
    """Steps from a duration and its frequency; hours of audio stay hours."""
    if not durations:
        return counts
    if len(durations) > 1 or durations[0] <= 0:
        text.fail("names more than one duration" if len(durations) > 1 else "names no time at all")
    days = durations[0]
    if is_audio and not counts.frequency:
        return replace(counts, audio_hours=days * 24)
    if not counts.frequency or found.by.get("steps"):
        return replace(counts, days=days)
    found.by["steps"] = [steps_in(days, counts.frequency)]
    return replace(counts, days=days, unit="steps", derived=frozenset({"samples"}))


def spacing(match: re.Match[str]) -> float:
    """Seconds between two steps, of a match of SPACING."""
    if match["hertz"]:
        return 1 / max(number(match["hertz"]), 1e-9)
    if match["part"]:
        return SECONDS["hour"] * SPELT[match["part"]]
    said, unit = re.split(r"[ -](?=[a-z]+$)", match["every"] or match["apart"])
    return (SPELT.get(said) or number(said)) * seconds(unit)


def frequency_of(apart: float) -> str:
    """The nearest name for steps so many seconds apart, as the longest unit that is no longer."""
    return next((name for name, length in (("hourly", 3600.0), ("minute", 60.0)) if apart >= length), "second")


def steps_in(days: float, frequency: str) -> int:
    """How many steps of a frequency a duration has: two years of days are 730."""
    length = {
        "second": 1.0,
        "minute": 60.0,
        "hourly": 3600.0,
        "daily": DAY,
        "weekly": 7 * DAY,
        "monthly": SECONDS["month"],
        "quarterly": 3 * SECONDS["month"],
        "yearly": SECONDS["year"],
    }[frequency]
    return int(days * DAY / length + 1e-6)


def with_labels(counts: Counts, found: Found) -> Counts:
    """Labels as far as numbers tell of them: fewer labelled than there are, or none."""
    total = sum(found.by.get("samples", [])[:1])
    if found.by.get("unlabelled") or any(value < total for value in found.labelled):
        return replace(counts, labels="semi")
    return replace(counts, labels="none") if found.by.get("all_unlabelled") else counts


def with_samples(text: Text, counts: Counts, found: Found) -> Counts:
    """The number of samples, from whichever of the counts there are."""
    if found.train:
        found.by["samples"] = found.train
    samples, steps = found.one(text, "samples"), found.one(text, "steps")
    if steps is not None and samples is not None and samples != steps:
        text.fail("gives both samples and time steps; keep the one to train on")
    derived = set(counts.derived)
    if samples is None and steps is not None:
        samples = steps * (counts.series or 1)
        derived |= {"samples"} if samples != steps else set()
    if samples is None and counts.per_class and counts.classes:
        samples = round(counts.per_class * counts.classes)
        derived.add("samples")
    if samples and counts.per_class and counts.classes is None:
        counts = replace(counts, classes=max(1, round(samples / counts.per_class)))
        derived.add("classes")
    elif samples and counts.per_class and counts.classes:
        product = counts.classes * counts.per_class
        if not 1 / CONTRADICTION <= samples / product <= CONTRADICTION:
            text.fail(f"contradicts itself: {counts.classes} classes of {counts.per_class:g} are {product:g}, not {samples}")
    return replace(counts, samples=samples, derived=frozenset(derived))

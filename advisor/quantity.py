"""Numbers and units as people write them: the fragments of patterns, and what they are worth.

Patterns are searched in lower case. A GPU's GB is GiB; a file's MB is 10⁶ bytes.
"""

from __future__ import annotations

import re

# The look-arounds keep a pattern from reading a part of a longer number: "5" in "1.5", "1" in "1,5k".
_START, _END = r"(?<![\w.])(?<!\d,)", r"(?![.,]?\d)"
_DIGITS = r"(?:\d{1,3}(?:[,_' ]\d{3})+(?:\.\d+)?|\d{1,15}(?:\.\d{1,12})?|\.\d{1,12})"
_EXPONENT = r"(?:e[+-]?\d{1,2})?"
_MULTIPLES = {
    "k": 1e3,
    "thousand": 1e3,
    "m": 1e6,
    "mn": 1e6,
    "mio": 1e6,
    "million": 1e6,
    "b": 1e9,
    "bn": 1e9,
    "billion": 1e9,
    "t": 1e12,
    "trillion": 1e12,
}
_WORDS = dict(zip("one two three four five six seven eight nine ten".split(), range(1, 11), strict=True))  # noqa: SIM905 - a list to read
_WORDS |= {"twelve": 12, "twenty": 20, "fifty": 50, "hundred": 100}
_NAMED = "|".join(sorted(_WORDS, key=len, reverse=True))
MULTIPLE = "|".join(sorted(_MULTIPLES, key=len, reverse=True))

# Atomic: a number never gives back its last digits or its multiple so that the rest of a pattern may match.
NUMBER = rf"{_START}(?>{_DIGITS}{_EXPONENT}){_END}"
COUNT = (
    rf"{_START}(?>(?:{_DIGITS}{_EXPONENT}{_END}|(?:a|{_NAMED})(?=[ -](?:hundred|thousand|million|billion|trillion)\b))"
    rf"(?:[ -]?(?:hundred|{MULTIPLE})\b){{0,3}}|(?:{_NAMED})\b)"
)
"""A number that may be a word or have a multiple: `10k`, `1.28M`, `two`, `ten thousand`."""

_PARTS = re.compile(rf"{_DIGITS}{_EXPONENT}|[a-z]+")

SECONDS = {
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86_400.0,
    "week": 604_800.0,
    "month": 365 / 12 * 86_400.0,
    "year": 365 * 86_400.0,
}
_DURATIONS = {
    "us": r"us|µs|μs|microsec(?:ond)?s?",
    "ms": r"ms|msecs?|millisec(?:ond)?s?",
    "s": r"s|secs?|seconds?",
    "minute": r"mins?|minutes?",
    "hour": r"h|hrs?|hours?",
    "day": r"d|days?",
    "week": r"wks?|weeks?",
    "month": r"months?",
    "year": r"yrs?|years?",
}
DURATION = rf"(?:{'|'.join(_DURATIONS.values())})(?![^\W\d])"

BYTES = {"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30, "tib": 2.0**40}
_BYTE_WORDS = {"kilobyte": "kb", "megabyte": "mb", "gigabyte": "gb", "terabyte": "tb"}
BYTE_UNIT = r"(?:[kmgt]i?b|(?:kilo|mega|giga|tera)bytes?)(?![^\W\d])"


def number(text: str) -> float:
    """The value of what NUMBER or COUNT matched: `1.28M` is 1,280,000, `ten thousand` 10,000."""
    value = 1.0
    for part in _PARTS.findall(text.lower()):
        if part in _WORDS:
            value *= _WORDS[part]
        elif part in _MULTIPLES:
            value *= _MULTIPLES[part]
        elif part != "a":
            value *= float(re.sub(r"[,_' ]", "", part))
    return value


def seconds(unit: str) -> float:
    """How many seconds a unit of time has. A month is a twelfth of a year of 365 days."""
    return next(SECONDS[name] for name, pattern in _DURATIONS.items() if re.fullmatch(pattern, unit))


def bytes_in(unit: str) -> float:
    """How many bytes a unit has: MB is 10⁶, MiB is 2²⁰."""
    return BYTES[_BYTE_WORDS.get(unit.rstrip("s"), unit)]

"""The patterns of `data.size`: numbers with what they count. Each is searched in lower case, and blanked where it is found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from advisor.intake.remembering import Remembered
from advisor.quantity import BYTE_UNIT, COUNT, DURATION, MULTIPLE, NUMBER

# Words that turn the meaning of what they stand in, so that it may not be passed over as a description.
_TURNING = (
    r"(?!(?:which|half|some|not|no|none|most|without|but|or|if|maybe|perhaps|missing|per|each|yet|about|around|un\w+|at|"
    r"train\w*|test\w*|val\w*|dev|held|than|to|and|in|into|across|every|of)\b)"
)
_WORD = rf"{_TURNING}(?!{BYTE_UNIT})[^\W\d_][\w'/.-]{{0,30}}"
_TAIL = rf"(?:\s+(?:of|on|from|with|about)(?:\s+(?:(?:in|and|the|a|our|to)\s+)?{_WORD}){{1,5}}(?=\s*(?:[,;.()]|$|\sin\s)))?"
_SPLIT = r"train(?:ing)?|val(?:id(?:ation)?)?|dev|test(?:ing)?|held[- ]out"
LABELLED = r"labell?ed|annotated"

# "1.200 photos", "12.000 mails": points between thousands, as half of Europe writes them; no count has a fraction.
POINTED = re.compile(rf"(?<![\w.,])[1-9]\d{{0,2}}(?:\.\d{{3}})+(?![\w.,%])(?!\s*(?:{DURATION}|{BYTE_UNIT}))")
# "1,5 million", "2,5k": a comma before one or two digits and a multiple or a unit is the point of half of Europe.
DECIMAL_COMMA = re.compile(rf"(?<![\w.,])\d{{1,3}},\d{{1,2}}(?=[ -]?(?:(?:{MULTIPLE})\b|{BYTE_UNIT}|{DURATION}))")
FRACTION_COMMA = re.compile(r"(?<![\w.,])\d{1,3},\d{1,2}(?![\w,])")
PLUS = re.compile(r"(?<=[\dkmb])\+(?=\s|$)")
# "train 40k / val 5k": the number stands behind its split; "250 3D scans": no number; "since 2015", "(avg. 20 pages)": none of samples.
SPLIT_FIRST = re.compile(rf"\b(?P<split>{_SPLIT})\s*[:=]?\s*(?P<value>{COUNT})(?!\w)(?!\s*(?:{_SPLIT}))")
DIMENSIONS = re.compile(r"(?<=\d )[123]d(?= [^\W\d_])")
BESIDE = re.compile(r"\bsince (?:(?:19|20)\d\d)\b|\((?:avg\.?|average|averaging|mean|median|typically|usually|up to|max\.?)\s[^()]*\)")
RANGE = re.compile(rf"(?:\b(?:between|from)\s+)?(?P<low>{COUNT})\s*(?:-|\bto\b|\band\b|\.\.)\s*(?P<high>{COUNT})")
PER_CLASS = re.compile(
    rf"(?P<value>{COUNT})[ -]?(?:[^\W\d_]{{1,20}}\s)?(?:(?:per|/|for each|in each|each)\s?(?:class|category|label)\b|-?shots?\b)"
)
PER_OTHER = re.compile(
    rf"(?P<value>{COUNT})\s+[^\W\d_]+\s+(?:per|for each|in each)\s+(?!class|category|label)[^\W\d_]+"
)  # "20k sentences per language"
EACH_HAS = re.compile(
    rf"(?<=[a-z])\s+with\s+(?:up to|on average|about)?\s*{COUNT}\s+[^\W\d_]+\s+each\b|(?<=[a-z])\s+with up to {COUNT}\s+[^\W\d_]+"
)
IMAGE_SIZE = re.compile(
    r"(?<![\w.])(?P<width>\d{2,5})\s?(?:px\s?)?[x×]\s?(?P<height>\d{2,5})(?:\s?[x×]\s?\d{1,4})?\s?(?:px|pixels?)?(?!\w)"
)
LENGTH = re.compile(rf"(?:\bof\s+)?(?P<value>{COUNT})\s+tokens?\s+(?:each|per \w+|long)\b")
TOKENS = re.compile(
    rf"(?P<value>{COUNT})\s*(?:(?:[^\W\d_]+\s)?tokens\b|(?<=[mb] )(?:words|characters)\b){_TAIL}"
)  # a corpus: millions of words
# "7 series x 17,420 steps": the sign of a product between two counts, where each is told by its own noun.
TIMES = re.compile(
    rf"(?<=[a-z])\s[x×]\s(?={COUNT}\s+(?:time )?(?:steps?|timesteps?|points?|columns?|features?|variables?|channels?|"
    r"series|sensors?|stores?|shops?|products?|skus|patients?|subjects?|sites?|stations?|hours|days|weeks|months|quarters|years)(?!\w))"
)
OF_LENGTH = re.compile(rf"\bof length (?P<value>{COUNT})(?!\w)")
# What stands in brackets without a number, and says nothing of labels or splits, is where the data come from.
ORIGIN = re.compile(r"\((?![^()]*(?:label|annot|train|test|valid|held|per |each|not |no ))[^()\d]*\)")
PERIOD = re.compile(rf"(?P<value>{COUNT})[ -]?(?P<unit>{DURATION})(?!-)(?:['\s]+(?:worth\s+)?(?:of\s+)?(?:{_WORD}\s*){{1,6}})?")
# How far apart the steps are, where no word of the vocabulary says it: "every 15 minutes", "10-minute data", "half-hourly", "at 100 Hz".
_APART = rf"(?:{NUMBER}|half an|half|quarter|five|ten|fifteen|twenty|thirty)[ -](?:second|minute|min|hour)"
_STEPS = r"(?:data|steps|time steps|readings|measurements|values|points|load|observations)"
SPACING = re.compile(
    rf"(?:\b(?:sampled|recorded|measured|logged|taken)\s+)?(?:\b(?:every|each)\s+(?P<every>{_APART}s?)\b"
    rf"|(?:\b(?:at|in)\s+)?\b(?P<apart>{_APART})(?:[ -](?:resolution|intervals?|spacing|sampling|granularity)\b|(?=\s{_STEPS}\b))"
    rf"|\b(?P<part>half|quarter)[ -]?hourly\b|(?:\bat\s+)?(?P<hertz>{NUMBER})\s?hz\b)"
)
_SHORT = r"(?:s|secs?|seconds?|mins?|minutes?)"
# Samples that are cut or drawn to one length: the points of each are no samples.
_CUT = ("windows", "segments", "recordings", "sequences", "trials", "shapes", "clouds", "scans", "objects", "scenes", "signals", "beats",
        "waveforms", "samples", "examples", "episodes", "trajectories")  # fmt: skip
EACH_LASTS = re.compile(
    rf"\bof\s+(?:about\s+)?{NUMBER}[ -]?{_SHORT}\b(?:\s+each\b)?"
    rf"|{NUMBER}-?{_SHORT}\s(?=(?:[^\W\d_]+\s)?(?:clip|video|recording|utterance|segment)s?\b)"
    + "".join(rf"|(?<={noun}) of {COUNT} (?:time ?)?(?:steps|points|samples|values|frames)\b" for noun in _CUT)
)
TEXT_VOLUME = re.compile(
    rf"(?P<value>{NUMBER})\s*(?P<unit>{BYTE_UNIT})(?:\s+of)?(?:\s+{_WORD}){{0,3}}?\s+(?:texts?|corpus|corpora|books|code|wikipedia|documents)\b{_TAIL}"
)
PIXELS = re.compile(rf"(?P<value>{COUNT})\s+(?:mega)?pixels\b(?:\s+(?:each|per \w+))?")
VOLUME = re.compile(rf"(?P<value>{NUMBER})\s*{BYTE_UNIT}")
BARE = re.compile(rf"(?P<value>{COUNT})(?:\s*(?P<labelled>{LABELLED})\b)?(?:\s*(?P<split>{_SPLIT})\b)?")
PLURAL = re.compile(rf"(?P<value>{COUNT})\s+(?P<noun>(?:{_WORD}\s+){{0,2}}(?={_WORD})[^\W\d_]{{2,30}}s)\b{_TAIL}")
UNLABELLED = re.compile(rf"(?P<value>{COUNT})\s*(?:unlabell?ed|not (?:yet )?(?:labell?ed|annotated))\b")
# A name for something: it has a capital inside or a digit, as OpenWebText or OASST1 do.
NAME = re.compile(r"(?<![\w.])[^\W\d_](?=[\w.-]*[A-Z0-9])[\w.-]{1,40}")
AUDIO = re.compile(r"\b(?:audio|speech|recordings?|sounds?|music|voice|podcasts?|calls)\b")


@dataclass(frozen=True)
class Nouns:
    """The nouns that numbers stand before, as patterns; made once from the vocabulary."""

    item: re.Pattern[str]
    class_of: Mapping[str, str]
    frequencies: Mapping[str, re.Pattern[str]]
    read: Remembered[Any] = field(default_factory=Remembered, compare=False)
    """What was counted by them."""


def compile_nouns(nouns: Mapping[str, Iterable[str]], frequencies: Mapping[str, Iterable[str]]) -> Nouns:
    """Patterns from `nouns` and `frequencies` of the vocabulary; a noun stands there in the singular."""
    class_of = {form: kind for kind, words in nouns.items() for word in words for form in (word, word + "s")}
    choice = "|".join(re.escape(word) for word in sorted(class_of, key=len, reverse=True))
    item = re.compile(
        rf"(?P<value>{COUNT})[ -]*(?P<words>(?:{_WORD}\s+|(?:{_SPLIT})\s+|(?:{LABELLED})\s+){{0,4}}?(?:[^\W\d_]+-)?)"
        rf"(?P<noun>{choice})(?![-/]?\w|\s+(?:{choice})(?!\w))(?:\s+each\b)?{_TAIL}"
    )
    return Nouns(item, class_of, {name: re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b") for name, words in frequencies.items()})

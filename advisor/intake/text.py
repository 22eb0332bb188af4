"""A request's text, and how much of it has been understood: what a pattern took is gone, what nobody took is an error or a remark."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NoReturn

from advisor.errors import Fault, Place, RequestError

MAX_LENGTH = 400  # a quantity is a phrase; what is longer is an essay, and would only be half understood
SHOWN = 100
TAKEN = "\0"
PUNCTUATION = frozenset(",;:.()[]/&+-!?'\"")

UPPER = re.compile(
    r"<=|=<|<|≤|\b(?:(?:no|not) (?:more|larger|bigger|longer|slower|over|higher) ?(?:than)?|"
    r"(?:less|fewer|smaller|lower|faster|shorter) than|at most|up to|under|below|"
    r"within|max(?:imum|imal)?|not exceed(?:ing)?|limit(?:ed to)?)(?!\w)"
)
LOWER = re.compile(
    r">=|=>|>|≥|\b(?:(?:no|not) (?:less|lower|fewer|worse) than|(?:more|greater|higher|better|larger) than|"
    r"at least|over|above|min(?:imum|imal)?|exceed(?:ing|s)?|beyond)(?!\w)"
)
ABOUT = re.compile(r"~|≈|\b(?:about|around|approximately|approx|roughly|circa|ca|nearly|almost|some|only|just)(?!\w)")
NO_LIMIT = re.compile(
    r"\W*(?:none|no|no (?:hard |strict |specific )?(?:limits?|constraints?|requirements?|targets?|restrictions?)|unlimited|any|n/?a|"
    r"not (?:critical|important|relevant|limited|applicable)|unconstrained|unrestricted|does not matter|doesn't matter|whatever)\W*"
)

# What turns the meaning of a quantity that it stands beside, or is a quantity itself: never left aside.
_TURNING = re.compile(
    r"not|no|none|never|without|except|but|or|if|unless|maybe|perhaps|either|half|some|most|missing|per|each|every|yet|than|"
    r"un(?:label|annot|us|avail|bal|cert|clear|known|less|til)\w*|"
    r"few|couple|several|many|lots?|dozens?|hundreds?|thousands?|millions?|billions?|twice|double|"
    r"label\w*|annotat\w*|train\w*|test\w*|val\w*|dev|held|"
    r"(?:milli|micro)?seconds?|m?secs?|minutes?|mins?|hours?|hrs?|days?|weeks?|months?|quarters?|years?"
)
_SPACES = "\u00a0\u202f\u2009\t\n\r"
_ALIKE = str.maketrans("–—−‑’⩽⩾" + _SPACES + TAKEN, "----'≤≥" + " " * len(_SPACES) + "�")
_TOKEN = re.compile(rf"[^\W_]+|[^\s{TAKEN}]")
_NEGATIVE = re.compile(r"(?<![\w)\0])-\s?\.?\d")  # nor after a name that was taken out: WikiText-2


class Text:
    """The text of one field. `left` is what is not understood yet, in lower case; what was taken is blanked out."""

    def __init__(self, field: str, said: str, forms: tuple[str, str]) -> None:
        self.field, self.said, self.forms = field, said, forms
        self.left = lowered(said.translate(_ALIKE))
        if len(said) > MAX_LENGTH:
            self.fail(f"is {len(said):,} characters long; say it in at most {MAX_LENGTH}")
        if not said.strip():
            self.fail("is empty; leave it out where nothing is to be said")

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """The first place that the pattern matches in what is left."""
        found = pattern.search(self.left)
        if found:
            self.blank(*found.span())
        return found

    def take_all(self, pattern: re.Pattern[str]) -> list[re.Match[str]]:
        """Every place that the pattern matches in what is left."""
        found = list(pattern.finditer(self.left))
        for match in found:
            self.blank(*match.span())
        return found

    def blank(self, start: int, end: int) -> None:
        self.left = self.left[:start] + TAKEN * (end - start) + self.left[end:]

    def is_unlimited(self) -> bool:
        """Whether all that it says is that there is no limit."""
        return NO_LIMIT.fullmatch(self.left) is not None

    def refuse_negative(self) -> None:
        """A minus before a number, where no range stood."""
        found = _NEGATIVE.search(self.left)
        if found:
            self.fail("cannot be negative", [found.span()])

    def finish(self, words: Collection[str] = ()) -> None:
        """Everything is understood but these words and punctuation, or it is an error that shows the rest."""
        rest = [found.span() for found in _TOKEN.finditer(self.left) if found[0] not in words and found[0] not in PUNCTUATION]
        if rest:
            self.fail("is not understood", rest)

    def leave(self, words: Collection[str] = ()) -> list[str]:
        """As `finish`, but words without a number are left aside, a remark for each phrase; what may turn the meaning is an error."""
        rest = [found for found in _TOKEN.finditer(self.left) if found[0] not in words and found[0] not in PUNCTUATION]
        if any(not found[0].isalpha() or _TURNING.fullmatch(found[0]) for found in rest):
            self.fail("is not understood", [found.span() for found in rest])
        phrases: list[tuple[int, int]] = []
        for found in rest:
            is_next = bool(phrases) and self.left[phrases[-1][1] : found.start()].isspace()
            phrases.append((phrases.pop()[0] if is_next else found.start(), found.end()))
        return [f"{printable(self.said[start:end][:SHOWN])!r} is not understood, and decides nothing" for start, end in phrases]

    def fail(self, message: str, spans: list[tuple[int, int]] | None = None) -> NoReturn:
        """Raise with the text quoted, the spans underlined, and two forms that would be understood."""
        lines = [message, *_underlined(self.said, spans or []), f"write it like {self.forms[0]!r} or {self.forms[1]!r}"]
        raise RequestError([Fault(Place(path=self.field), "\n".join(lines))])


def words(listed: str) -> frozenset[str]:
    """The words of a quantity that may stand beside its numbers and say nothing."""
    return frozenset(listed.split())


def lowered(said: str) -> str:
    """Lower case, character for character: spans in it are spans in the text."""
    if len(small := said.lower()) == len(said):  # no character's lower case is shorter than itself
        return small
    return "".join(small if len(small := char.lower()) == 1 else char for char in said)


def quoted(field: str, said: object) -> str:
    """How a fact's detail names its text: `data.size: "5,000 images"`."""
    shown = said if isinstance(said, str) else str(said)
    return f'{field}: "{printable(shown[:SHOWN])}{"…" if len(shown) > SHOWN else ""}"'


def printable(text: str) -> str:
    """The text on one line, control characters made visible as one character each."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else " " if char.isspace() else "�" for char in text)


def _underlined(said: str, spans: list[tuple[int, int]]) -> list[str]:
    """The text, and under it carets; cut to the part around the first span where it is long."""
    start = max(0, (spans[0][0] if spans else 0) - SHOWN // 2) if len(said) > SHOWN else 0
    shown = printable(said[start : start + SHOWN])
    marks = "".join("^" if any(low <= start + at < high for low, high in spans) else " " for at in range(len(shown))).rstrip()
    return [f"    {shown}", *([f"    {marks}"] if marks else [])]

"""Phrases of `rules/vocabulary.yaml` in running text. No regular expressions: words are compared, so the time is bounded."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from advisor.engine.facts import Value
from advisor.errors import KnowledgeError
from advisor.intake.accuracy import Metrics
from advisor.intake.count_patterns import Nouns, compile_nouns
from advisor.intake.remembering import Remembered
from advisor.located import read_text
from advisor.parsed import remembered
from advisor.resources import data_folder

FILE = "vocabulary.yaml"
GAP, MAX_GAP = "..", 4
NEGATIONS = frozenset({"no", "not", "without", "never", "non", "isn", "aren", "don", "doesn"})
NEGATION_REACH = 2  # "no class imbalance": the negation stands at most so many words before
MAX_WORDS = 2_000
KEY = 3  # phrases are looked up by the first letters of their first word

_WORD = re.compile(r"[^\W_]+")
_SEGMENT = re.compile(r"(?<!\d),|,(?!\d)|[;()\n]|\.\s|\s-\s|→|->")  # no comma inside a number


@dataclass(frozen=True)
class Phrase:
    """Words that mean that `about` is `value`."""

    parts: tuple[str, ...]
    about: str
    value: Value

    @property
    def weight(self) -> int:
        """How much it says: its words, a whole one before a beginning of one."""
        return sum(3 - part.endswith("*") for part in self.parts if part != GAP)


@dataclass(frozen=True)
class Hit:
    """A phrase found in a text, from character `start` to `end`."""

    phrase: Phrase
    start: int
    end: int
    said: str

    @property
    def value(self) -> Value:
        return self.phrase.value


class Lexicon:
    """All phrases of the vocabulary, by how they begin."""

    def __init__(self, phrases: Iterable[Phrase]) -> None:
        self.phrases = tuple(phrases)
        self._indices: dict[frozenset[str], dict[str, list[Phrase]]] = {}
        self._hits = Remembered[list[Hit]]()

    def hits(self, said: str, about: Iterable[str]) -> list[Hit]:
        """What the text says about these; of overlapping phrases about one thing the weightiest, none that is negated."""
        asked = frozenset(about)
        return list(self._hits.get(said, asked, read=lambda: self._find(said, asked)))

    def _find(self, said: str, about: frozenset[str]) -> list[Hit]:
        by_key = self._index(about)
        tokens = [(found[0].lower(), *found.span()) for found in _WORD.finditer(said)][:MAX_WORDS]
        words = [word for word, _, _ in tokens]
        found = []
        for at, word in enumerate(words):
            for phrase in by_key.get(word[:KEY], ()):
                end = _end(phrase.parts, words, at)
                # What begins with a refusal itself is turned by none before it: "no GPU, no training".
                if end is not None and (word in NEGATIONS or not NEGATIONS & set(words[max(0, at - NEGATION_REACH) : at])):
                    start, stop = tokens[at][1], tokens[end - 1][2]
                    found.append(Hit(phrase, start, stop, said[start:stop]))
        return _weightiest(found)

    def _index(self, about: frozenset[str]) -> dict[str, list[Phrase]]:
        """The phrases about these by how they begin; intake asks about the same few sets again and again."""
        if about not in self._indices:
            by_key: dict[str, list[Phrase]] = {}
            for phrase in self.phrases:
                if phrase.about in about:
                    by_key.setdefault(phrase.parts[0].rstrip("*")[:KEY], []).append(phrase)
            self._indices[about] = by_key
        return self._indices[about]


def _end(parts: tuple[str, ...], words: list[str], at: int) -> int | None:
    """One past the last word of the phrase if it stands at `at`."""
    reach = 1
    for part in parts:
        if part == GAP:
            reach = MAX_GAP + 1
            continue
        stop = min(at + reach, len(words))
        while at < stop and not _fits(part, words[at]):
            at += 1
        if at >= stop:
            return None
        at, reach = at + 1, 1
    return at


def _fits(part: str, word: str) -> bool:
    return word.startswith(part[:-1]) if part.endswith("*") else word == part


def _weightiest(hits: list[Hit]) -> list[Hit]:
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: -hit.phrase.weight):
        if not any(other.phrase.about == hit.phrase.about and other.start < hit.end and hit.start < other.end for other in kept):
            kept.append(hit)
    return sorted(kept, key=lambda hit: hit.start)


def segments(said: str) -> list[tuple[int, int]]:
    """The parts of a description between commas, brackets and full stops, as character spans without the blanks around."""
    cuts = [0, *(place for found in _SEGMENT.finditer(said) for place in found.span()), len(said)]
    spans = [(start, end) for start, end in zip(cuts[::2], cuts[1::2], strict=True)]
    return [
        (start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip()))
        for start, end in spans
        if _WORD.search(part := said[start:end])
    ]


@dataclass(frozen=True)
class Kind:
    """A task kind: the types and domains that lead to it, those that go with it, and the types with which a hint leads to it."""

    types: tuple[str, ...]
    domains: tuple[str, ...]
    fits: tuple[str, ...]
    also: tuple[str, ...] = ()
    hinted: tuple[str, ...] = ()

    def accepts(self, types: Collection[str]) -> bool:
        """Whether one of the types leads to it, goes with it, or does where a hint of it stands."""
        return not {*self.types, *self.fits, *self.hinted}.isdisjoint(types)

    def suits(self, types: Collection[str]) -> bool:
        """Whether it goes with one of the types, or no type is known."""
        accepted = {*self.types, *self.fits}
        return not types or not accepted or not accepted.isdisjoint(types)

    def is_in(self, domains: Collection[str]) -> bool:
        """Whether it belongs to one of the domains, or none is known."""
        return not domains or not {*self.domains, *self.also}.isdisjoint(domains)


@dataclass(frozen=True)
class Words:
    """The vocabulary, compiled. Phrases about `kind`, `hint`, `type` and `domain` are those of the task; the others are about facts."""

    lexicon: Lexicon
    kinds: Mapping[str, Kind]
    nouns: Nouns
    metrics: Metrics
    stronger: frozenset[tuple[str, Value, Value]]
    implies: tuple[tuple[tuple[str, Value], tuple[str, Value]], ...]
    assumed: Mapping[str, float]
    facts: frozenset[str]

    def is_stronger(self, fact: str, value: Value, than: Value) -> bool:
        return (fact, value, than) in self.stronger


@cache
def load_words() -> Words:
    """`rules/vocabulary.yaml`, compiled once.

    Raises:
        KnowledgeError: when the file cannot be read.
    """
    text, faults = read_text(data_folder("rules") / FILE)
    with remembered("vocabulary") as parse:
        document = parse(text, FILE)
    if faults or document.faults:
        raise KnowledgeError(faults or document.faults)
    return compile_words(document.data)


def compile_words(data: Mapping[str, Any]) -> Words:
    """The vocabulary from its plain data."""
    phrases = [*_phrases("domain", data["domains"]), *_phrases("type", data["types"])]
    phrases += _phrases("kind", {name: entry["words"] for name, entry in data["kinds"].items()})
    for name, entry in data["hints"].items():
        phrases += _phrases(hint_of(name), {name: entry["words"]})
    for fact, values in data["facts"].items():
        phrases += _phrases(fact, values)
    hinted = {name: tuple(entry["types"]) for name, entry in data["hints"].items()}
    kinds = {
        name: Kind(
            tuple(entry["types"]), tuple(entry["domains"]), tuple(entry.get("fits", ())), tuple(entry.get("also", ())), hinted.get(name, ())
        )
        for name, entry in data["kinds"].items()
    }
    stronger = frozenset((fact, more, less) for fact, more, less in data["stronger"])
    implies = tuple((tuple(entry["if"]), tuple(entry["then"])) for entry in data["implies"])
    assumed = {name: float(entry["value"]) for name, entry in data["assumed"].items()}
    nouns = compile_nouns(data["nouns"], data["frequencies"])
    return Words(Lexicon(phrases), kinds, nouns, Metrics(data["metrics"]), stronger, implies, assumed, frozenset(data["facts"]))


def hint_of(kind: str) -> str:
    """What the phrases that hint at a kind are about; of its own, so that a word may hint at several kinds."""
    return f"hint.{kind}"


def _phrases(about: str, values: Mapping[str, Iterable[object]]) -> list[Phrase]:
    meant: dict[str, Value] = {"true": True, "false": False}
    return [Phrase(_parts(str(words)), about, meant.get(value, value)) for value, phrases in values.items() for words in phrases]


def _parts(words: str) -> tuple[str, ...]:
    return tuple(part for part in re.findall(r"\.\.|[^\W_]+\*?", words.lower()))

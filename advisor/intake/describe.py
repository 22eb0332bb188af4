"""The descriptive fields: phrases of the vocabulary and a few plain numbers; what matches nothing becomes a notice, quoted."""

from __future__ import annotations

import re
from collections.abc import Iterable

from advisor.engine.facts import Origin
from advisor.intake.fits import note_scores
from advisor.intake.notes import Notes
from advisor.intake.text import lowered, quoted
from advisor.intake.words import Hit, segments
from advisor.quantity import COUNT, NUMBER, number
from advisor.request import Request

Span = tuple[int, int]
MAX_TEXT = 4_000

# Numbers that a description may hold. A period of time counts in the steps of its own unit.
_CLASSES = re.compile(
    rf"(?P<value>{COUNT})[ -]+(?:(?!(?:samples?|images?|texts?|examples?) )[^\W\d_]+[ -]){{0,2}}?"
    r"(?:class(?:es)?|categor(?:y|ies)|intents|species|topics|genres|way)\b(?! each)"
)
_BINARY = re.compile(r"\bbinary\b")
_IMAGE_SIZE = re.compile(
    r"(?<![\w.])(?P<value>\d{2,5})\s?(?:px\s?)?[x×]\s?(?P<other>\d{2,5})\s?(?:px|pixels?)?(?!\w)|(?<![\w.])(?P<only>\d{2,5})\s?(?:px|pixels)\b"
)
_HORIZON = re.compile(
    rf"\b(?:next|following|coming|upcoming)\s+(?P<next>{COUNT})\s+[^\W\d_]+|(?P<ahead>{COUNT})[ -](?:[^\W\d_]+[ -])?(?:ahead|horizon)\b"
    rf"|\bhorizon(?: of|:|=)?\s*(?P<of>{COUNT})(?:\s+[^\W\d_]+)?"
)
_CONTEXT = re.compile(
    rf"\b(?:past|last|previous|preceding)\s+(?P<past>{COUNT})\s+[^\W\d_]+"
    rf"|\b(?:lookback|look-back|context|window)(?: of|:|=)?\s*(?P<of>{COUNT})(?:\s+[^\W\d_]+)?"
)
_TOKENS = re.compile(rf"(?P<value>{COUNT})\s+tokens?\b")
_RATIO = re.compile(r"(?<![\w.])(?P<one>\d{1,6})\s*(?::|/|to)\s*(?P<other>\d{1,6})(?![\w.])")
_SHARE = re.compile(rf"(?P<value>{NUMBER})\s*%")
# How many of the samples are of one kind: "3 % cancel", "40 of them bad"; of labels and splits other patterns tell.
_PART = re.compile(
    rf"(?:(?:only|about|around|roughly)\s+)?(?:(?P<count>{COUNT})\s+of\s+(?:them|these|those|which|whom)|(?P<share>{NUMBER})\s*%"
    r"(?:\s+of\s+(?:them|these|those|which|whom|all))?)\s+(?![^,;.]*(?:label|annot|train|test|valid|held|missing|dev\b))"
    r"(?:[^\W\d_][^\W\d_-]*\s?){1,4}"
)
EVEN = (0.4, 0.6)  # the share of one of two kinds that are still called balanced
_CONTRAST = re.compile(
    r"\b(?:beat\w*|than|versus|vs|against|replac\w*|compar\w*|instead|outperform\w*|current\w*|existing|from|already|tried)\b[^,;.]{0,30}$"
)
_AFTER = re.compile(r"^[^,;.]{0,12}\bbaselines?\b")

CHALLENGES = (
    "challenge.few_shot",
    "challenge.domain_shift",
    "challenge.real_time",
    "challenge.long_tail",
    "challenge.multi_label",
    "challenge.imbalance",
    "challenge.noisy_labels",
    "challenge.weak_labels",
    "challenge.continual",
    "challenge.privacy",
    "challenge.fairness",
    "challenge.interpretability",
)
ASKED = (
    "asked.active_learning",
    "asked.federated",
    "asked.subject",
    "asked.distillation",
    "asked.search",
    "asked.self_supervised",
    "asked.reproduction",
    "asked.accumulation",
    "asked.sharding",
    "asked.custom_architecture",
)
TASK_FACTS = (
    "license.commercial",
    "task.scratch",
    "task.objective",
    "setup.adaptation",
    "data.observation",
    "data.speech",
    "data.environments",
    *CHALLENGES,
    *ASKED,
)


def note_descriptions(request: Request, notes: Notes) -> None:
    """Quality, distribution, labels, challenges, issues and framework."""
    issues = tuple(name for name in notes.vocabulary if name.startswith("issue."))
    data, setup = request.data, request.existing_setup
    if data.augmentation_needed is not None:
        notes.state(
            "data.augmentation_wanted",
            data.augmentation_needed,
            f"data.augmentationNeeded: {str(data.augmentation_needed).lower()}",
            "data.augmentationNeeded",
        )
    _note(notes, "data.quality", data.quality, ("data.noise",), numbers=("data.image_size", "data.tokens"))
    _note(notes, "data.distribution", data.distribution, ("data.balance", "data.noise"), numbers=("data.classes", "data.balance"))
    _note(notes, "data.labelAvailability", data.label_availability, ("data.labels", "data.noise"), numbers=())
    for index, challenge in enumerate(request.challenges or ()):
        _note(notes, f"challenges[{index}]", challenge, (*CHALLENGES, *ASKED, "license.commercial"), numbers=())
    for index, issue in enumerate(setup.training_issues or ()):
        path = f"existingSetup.trainingIssues[{index}]"
        named = note_phrases(notes, path, issue, issues)
        if not note_scores(notes, path, issue[:MAX_TEXT], named=bool(named)):
            note_rest(notes, path, issue, named)
    _note(notes, "existingSetup.framework", setup.framework, ("setup.framework",), numbers=(), whole=True)


def _note(notes: Notes, path: str, said: str | None, about: Iterable[str], *, numbers: Iterable[str], whole: bool = False) -> None:
    if not said or not said.strip():
        return
    spans = note_phrases(notes, path, said, about) + note_numbers(notes, path, said, numbers)
    note_rest(notes, path, said, spans, whole=whole)


def note_phrases(notes: Notes, path: str, said: str, about: Iterable[str]) -> list[Span]:
    """The facts that phrases in a text state, and where they stood."""
    hits = [hit for hit in notes.words.lexicon.hits(said[:MAX_TEXT], about) if not is_contrast(said, hit)]
    for hit in hits:
        notes.state(hit.phrase.about, hit.value, quoted(path, said), path)
    return [(hit.start, hit.end) for hit in hits]


def is_contrast(said: str, hit: Hit) -> bool:
    """Whether a method is named only to be compared with: "beat our XGBoost baseline" wants no XGBoost."""
    return hit.phrase.about == "task.wants" and bool(
        _CONTRAST.search(said[max(0, hit.start - 60) : hit.start].lower()) or _AFTER.search(said[hit.end : hit.end + 30].lower())
    )


def note_numbers(notes: Notes, path: str, said: str, facts: Iterable[str]) -> list[Span]:
    """The numbers in a text that say one of these facts, and where they stood."""
    text = lowered(said[:MAX_TEXT])
    spans = []
    for fact in facts:
        for value, span in _numbers(text, fact):
            notes.state(fact, value, quoted(path, said), path)
            spans.append(span)
    return spans


def _numbers(text: str, fact: str) -> list[tuple[int | str, Span]]:
    if fact == "data.balance":
        ratios = [(int(found["one"]) == int(found["other"]), found.span()) for found in _RATIO.finditer(text)]
        shares = [(number(found["value"]) == 50, found.span()) for found in _SHARE.finditer(text)]
        return [("balanced" if even else "imbalanced", span) for even, span in ratios + shares]
    if fact == "data.image_size":
        return [
            (min(int(found["value"] or found["only"]), int(found["other"] or found["only"])), found.span())
            for found in _IMAGE_SIZE.finditer(text)
        ]
    patterns = {"data.classes": _CLASSES, "data.horizon": _HORIZON, "data.context": _CONTEXT, "data.tokens": _TOKENS}
    found = [(number(next(part for part in match.groups() if part)), match.span()) for match in patterns[fact].finditer(text)]
    if fact == "data.classes" and not found and (binary := _BINARY.search(text)):
        return [(2, binary.span())]
    return [(round(value), span) for value, span in found if value.is_integer()]


def note_parts(notes: Notes, path: str, said: str) -> list[Span]:
    """Where a text about the amount of data says how many samples are of one kind; their balance is noted."""
    text = lowered(said)
    parts = list(_PART.finditer(text))
    amounts = [number(found[0]) for found in re.finditer(rf"(?<![\w.,]){COUNT}(?!\w)", text)]
    for part in parts:
        share = number(part["share"]) / 100 if part["share"] else number(part["count"]) / max(1.0, *amounts)
        notes.state("data.balance", "balanced" if EVEN[0] <= share <= EVEN[1] else "imbalanced", quoted(path, said), path)
    return [part.span() for part in parts]


def absences(notes: Notes, said: str) -> list[Span]:
    """Where a text says that there are no labels; what it says of some labels is left to be weighed with the numbers."""
    text = lowered(said)
    spans = [(hit.start, hit.end) for hit in notes.words.lexicon.hits(said, ("data.labels",))]
    return [span for span in spans if text[slice(*span)].startswith(("no ", "without "))]


def note_rest(notes: Notes, path: str, said: str, spans: list[Span], *, whole: bool = False) -> None:
    """A notice for each part between commas that nothing was found in; with `whole`, only where nothing was found at all."""
    if whole and spans:
        return
    for start, end in segments(said):
        if not any(low < end and start < high for low, high in spans):
            notes.not_understood(path, said[start:end])
    if not spans and not segments(said):
        notes.not_understood(path, said)


def note_labels_in_size(notes: Notes, path: str, said: str) -> None:
    """ "5,000 labelled images" says how they are labelled, where nothing better does."""
    for hit in notes.words.lexicon.hits(said, ("data.labels",)):
        if "data.labels" not in notes.facts:
            notes.state("data.labels", hit.value, quoted(path, said), path, origin=Origin.DERIVED)

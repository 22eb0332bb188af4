"""Which task it is: from the words of specificTask, else the dataset, else type and domain together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from difflib import get_close_matches

from advisor.catalogue.entries import DatasetEntry
from advisor.engine.facts import Origin
from advisor.intake.catalogue import Catalogue
from advisor.intake.derive import BASE_MODEL
from advisor.intake.describe import TASK_FACTS, is_contrast, note_numbers, note_phrases, note_rest
from advisor.intake.notes import SHOWN, Notes
from advisor.intake.text import lowered, quoted
from advisor.intake.words import Hit, hint_of
from advisor.request import Request

NUMBERS = ("data.classes", "data.image_size", "data.horizon", "data.context", "data.tokens")
SHOWN_KINDS = 6
MISSPELT = 0.8  # as difflib's ratio: a letter or two wrong, and no other word
DETAIL_TYPE, DETAIL_DOMAIN, DETAIL_TASK, SIZE = "task.type", "task.domain", "task.specificTask", "data.size"

MULTIMODAL = "multimodal"
PRETRAIN = re.compile(r"\bpre[- ]?train")
ASKING = re.compile(r"question|\bqa\b|docvqa")
PRINTED = re.compile(r"\b(?:documents?|pages?|layout)\b")
REWRITTEN = re.compile(r"\btext[- ]to[- ]text\b")
ANY = re.compile("")
# What a model's kind tells of a task that several kinds could do: the task as it is read, what is said of it, the task as it is meant.
BY_MODEL = (
    ({"text_generation"}, PRETRAIN, "masked_language_modeling", "it reads to both sides, and is pretrained by masked language modelling"),
    ({"text_generation", "instruction_tuning", "question_answering"}, ANY, "visual_question_answering", "it reads images beside texts"),
    ({"question_answering", "summarization", "translation"}, ANY, "instruction_tuning", "it writes: designed as instruction tuning"),
    ({"visual_question_answering", "text_recognition"}, ASKING, "question_answering", "it reads the words of a page, and marks the answer"),
    ({"visual_question_answering", "text_recognition"}, ANY, "token_classification", "it labels the words of a page"),
    ({"image_classification"}, PRINTED, "text_classification", "it reads the words of a page"),
    ({"text_recognition"}, ANY, "image_captioning", "it writes what it reads in an image"),
    ({"multimodal_classification"}, ANY, "visual_question_answering", "it answers about an image and a text; the classes are the answers"),
    ({"text_classification", "question_answering"}, REWRITTEN, "summarization", "it writes the label or the answer: designed as summaries"),
    (
        {"imitation_learning"},
        ANY,
        "reinforcement_offline",
        "its kind of agent learns from logged transitions: designed as offline learning",
    ),
    ({"text_generation", "instruction_tuning"}, ANY, "summarization", "it writes one text from another: the design is that of summaries"),
)


def note_task(request: Request, notes: Notes, catalogue: Catalogue) -> list[DatasetEntry]:
    """Notes task.kind, task.wants, task.scratch, setup.adaptation; returns the datasets that the request names."""
    task, said = request.task, request.task.specific_task or ""
    lexicon = notes.words.lexicon
    types = _values(lexicon.hits(task.type, ("type",)))
    domains = _values(lexicon.hits(task.domain, ("domain",))) or _domains_elsewhere(request, notes, types)
    named = catalogue.named_datasets(lowered(said))
    kinds, hints = lexicon.hits(said, ("kind",)), []
    in_type = lexicon.hits(task.type, ("kind",))
    _note_wants(notes, {DETAIL_TASK: said, DETAIL_TYPE: task.type})
    if kinds and not _is_elsewhere(kinds, request, notes, types, domains):
        _note_kind(notes, DETAIL_TASK, said, kinds, types, domains)
    elif in_type and not kinds:
        _note_kind(notes, DETAIL_TYPE, task.type, in_type, types, domains)
    if "task.kind" not in notes.facts:
        hints = _derive_kind(notes, request, types, domains, [entry for entry, _ in named], catalogue)
    _read_by_model(request, notes, catalogue)
    if not types and not in_type and "task.wants" not in notes.facts:
        notes.not_understood(DETAIL_TYPE, task.type)
    if not domains:
        notes.not_understood(DETAIL_DOMAIN, task.domain)
    # Labels and framework have fields of their own; the task's words count where those are empty.
    own = {"data.labels": request.data.label_availability, "setup.framework": request.existing_setup.framework}
    spans = note_phrases(notes, DETAIL_TASK, said, (*TASK_FACTS, *(fact for fact, field in own.items() if field is None)))
    spans += note_numbers(notes, DETAIL_TASK, said, NUMBERS)
    spans += [(hit.start, hit.end) for hit in (*kinds, *hints, *lexicon.hits(said, ("type", "domain", "task.wants", *own)))]
    spans += [span for _, span in named]
    if said.strip() and spans:
        note_rest(notes, DETAIL_TASK, said, spans)
    elif said.strip():
        _note_unknown_task(notes, said)
    return [entry for entry, _ in named]


def _read_by_model(request: Request, notes: Notes, catalogue: Catalogue) -> None:
    """The task that the named model is made for, where it is not made for the task as it was read but for one of the same kind."""
    kind, said = notes.facts.get("task.kind"), request.existing_setup.base_model
    if kind is None or said is None or "task.kind" in notes.given:
        return
    serves = set(catalogue.tasks_of(lowered(said)))
    for kinds, words, other, why in BY_MODEL:
        if kind.value in kinds - serves and other in serves and words.search(lowered(request.task.specific_task or "")):
            notes.notice("read as", f"{quoted(BASE_MODEL, said)}: {why}; say facts.task.kind where another is meant")
            notes.facts["task.kind"] = kind._replace(value=other, origin=Origin.DERIVED)
            return


def _values(hits: Iterable[Hit]) -> list[str]:
    return list(dict.fromkeys(str(hit.value) for hit in hits))


def _note_wants(notes: Notes, texts: dict[str, str]) -> None:
    for path, said in texts.items():
        for hit in notes.words.lexicon.hits(said, ("task.wants",)):
            if not is_contrast(said, hit):
                notes.state("task.wants", hit.value, quoted(path, said), path)


def _note_kind(notes: Notes, path: str, said: str, hits: list[Hit], types: list[str], domains: list[str]) -> None:
    """The kind that suits domain and type best, and is named with most words; between equals nothing is decided."""
    kinds = notes.words.kinds
    scores = {
        str(hit.value): (kinds[str(hit.value)].is_in(domains), kinds[str(hit.value)].suits(types), hit.phrase.weight)
        for hit in reversed(hits)
    }
    best = max(scores.values())
    chosen = [kind for kind, score in scores.items() if score == best]
    if len(chosen) > 1:
        notes.undecided("task.kind", quoted(path, said), sorted(chosen))
        return
    kind = chosen[0]
    for fits, field, stated in ((best[0], DETAIL_DOMAIN, domains), (best[1], DETAIL_TYPE, types)):
        if not fits:
            notes.notice(
                "contradiction", f"{quoted(path, said)} is read as {kind}, though {field} says {', '.join(stated)}; correct one of them"
            )
    for other, score in scores.items():
        if other != kind and score[:2] == (True, True) == best[:2] and not _is_inside(hits, other, kind):
            notes.notice("read as", f"{quoted(path, said)} is read as {kind}; {other} is not designed for")
    notes.state("task.kind", kind, quoted(path, said), path)


def _is_elsewhere(hits: list[Hit], request: Request, notes: Notes, types: list[str], domains: list[str]) -> bool:
    """Whether the kinds named are of other domains alone, and other words, or type and domain, tell one of this.

    "Toxicity of molecules" is no text, and a "retrieval-based network" over rows no search.
    """
    kinds = notes.words.kinds
    if any(kinds[str(hit.value)].is_in(domains) for hit in hits):
        return False
    # A word may describe, and so may a name that says no kind of data ("species classification"); "image classification" contradicts.
    describes = all(
        len(hit.said.split()) == 1
        or (
            not set(kinds[str(hit.value)].types).isdisjoint(types)
            and set(domains).issuperset(_values(notes.words.lexicon.hits(hit.said, ("domain",))))
        )
        for hit in hits
    )
    return bool(_hints(request, notes, types, domains)[1]) or (describes and len(_leads(notes, types, domains)) == 1)


def _note_unknown_task(notes: Notes, said: str) -> None:
    """A specific task of which no word is known: what it was taken for, and how to say otherwise."""
    spelt = said.strip().lower().replace(" ", "_")[:SHOWN]
    near = "".join(f"; did you mean {name}?" for name in get_close_matches(spelt, notes.words.kinds, n=1, cutoff=MISSPELT))
    kind = notes.value("task.kind")
    taken = f"it is read as {kind}, as task.type and task.domain say" if kind else "task.type and task.domain do not say which it is"
    notes.notice("not understood", f"{quoted(DETAIL_TASK, said)} names no task that is known{near}; {taken}; say it as facts.task.kind")


def _note_misfit(notes: Notes, detail: str, types: list[str], domains: list[str], meant: list[str]) -> None:
    """A type and a domain of which no task has both: the domains that the type goes with, and the types that go with the domain."""
    kinds = notes.words.kinds.values()
    elsewhere = sorted({domain for kind in kinds if not set(types).isdisjoint(kind.types) for domain in kind.domains})
    here = sorted({type_ for kind in kinds if not set(domains).isdisjoint(kind.domains) for type_ in kind.types})
    known = f"{', '.join(types)} is known of {', '.join(elsewhere) or 'no domain alone'}, and {', '.join(domains)} of {', '.join(here)}"
    near = f"; {meant[0]} comes nearest" if meant else ""
    notes.notice("contradiction", f"{detail}: no task that is known is both; {known}{near}; correct one of them, or say facts.task.kind")


def _is_inside(hits: list[Hit], other: str, kind: str) -> bool:
    """Whether every phrase of one kind lies in or over one of another: "text classification" in "news text classification"."""
    mine = [hit for hit in hits if hit.value == kind]
    return all(any(hit.start < own.end and own.start < hit.end for own in mine) for hit in hits if hit.value == other)


def _domains_elsewhere(request: Request, notes: Notes, types: list[str]) -> list[str]:
    """The domain that the specific task or the data tell of, where task.domain names a field of work ("medical") and no kind of data."""
    for path, said in ((DETAIL_TASK, request.task.specific_task), (SIZE, request.data.size if types else None)):
        hits = notes.words.lexicon.hits(str(said or ""), ("domain",))
        if hits:
            domains = _values(hits)
            read = f"{quoted(DETAIL_DOMAIN, request.task.domain)} is no kind of data; it is read as {' and '.join(domains)}"
            notes.notice("read as", f'{read}, as {path} says "{hits[0].said}"')
            return domains
    return []


def _hints(request: Request, notes: Notes, types: list[str], domains: list[str]) -> tuple[str, list[Hit]]:
    """Words that tell which of the tasks of this type and domain it is, and where they stand: "CT scans" to be segmented are volumes."""
    kinds = notes.words.kinds
    fitting = {hint_of(name) for name, kind in kinds.items() if kind.is_in(domains) and (not types or kind.accepts(types))}
    for path, said in ((DETAIL_TASK, request.task.specific_task), (SIZE, request.data.size)):
        hits = notes.words.lexicon.hits(str(said or ""), map(hint_of, kinds))
        if found := [hit for hit in hits if hit.phrase.about in fitting]:
            return path, found
    return "", []


def _note_hinted(notes: Notes, path: str, said: str, hits: list[Hit]) -> None:
    weights = Counter[str]()
    for hit in hits:
        weights[str(hit.value)] += hit.phrase.weight
    best = [kind for kind, weight in weights.items() if weight == max(weights.values())]
    if len(best) > 1:
        notes.undecided("task.kind", quoted(path, said), sorted(best))
        return
    word = next(hit.said for hit in hits if hit.value == best[0])
    notes.notice("read as", f'{quoted(path, said)} is read as {best[0]}, for "{word}"; say facts.task.kind where it is another')
    notes.state("task.kind", best[0], quoted(path, said), path, origin=Origin.DERIVED)


def _derive_kind(
    notes: Notes, request: Request, types: list[str], domains: list[str], datasets: list[DatasetEntry], catalogue: Catalogue
) -> list[Hit]:
    """The kind from what is named beside it; returns the hints that stand in the specific task."""
    kinds = notes.words.kinds
    meant = {name for name, kind in kinds.items() if kind.is_in(domains) and kind.accepts(types)}
    served = catalogue.tasks_of(lowered(request.existing_setup.base_model or "")) & meant
    only = served if len(served) == 1 else set(kinds)  # what the named model alone can do outranks data sets and hints
    for entry in datasets:
        if (
            entry.task in kinds
            and kinds[entry.task].suits(types)
            and (not domains or kinds[entry.task].is_in(domains))
            and entry.task in only
        ):
            notes.state("task.kind", entry.task, f"what {entry.name} is for", DETAIL_TASK, origin=Origin.DERIVED)
            return []
    path, hints = _hints(request, notes, types, domains)
    if path == SIZE and served:  # "30 images with captions" are for whatever the named model does with them
        hints = [hit for hit in hints if hit.value in served]
    if only.isdisjoint(str(hit.value) for hit in hints):
        hints = []
    if hints and (types or domains):
        _note_hinted(notes, path, str(request.task.specific_task if path == DETAIL_TASK else request.data.size), hints)
    else:
        _derive_lead(notes, request, types, domains, catalogue)
    return hints if path == DETAIL_TASK else []


def _leads(notes: Notes, types: list[str], domains: list[str]) -> list[str]:
    """The kinds to which a type and a domain lead, the first of each pair."""
    kinds = notes.words.kinds
    found = [
        [name for name, kind in kinds.items() if type_ in kind.types and domain in kind.domains][:1]
        for type_ in types
        for domain in domains
    ]
    return list(dict.fromkeys(name for names in found for name in names))


def _derive_lead(notes: Notes, request: Request, types: list[str], domains: list[str], catalogue: Catalogue) -> None:
    """The kind that type and domain lead to, or that the base model is for; where there is none, those that they may mean."""
    kinds, leads = notes.words.kinds, _leads(notes, types, domains)
    detail = f"{quoted(DETAIL_TYPE, request.task.type)} and {quoted(DETAIL_DOMAIN, request.task.domain)}"
    if len(leads) == 1:
        notes.state("task.kind", leads[0], detail, DETAIL_TYPE, origin=Origin.DERIVED)
    elif domains and not types:
        led = [name for name, kind in kinds.items() if kind.types and not set(kind.domains).isdisjoint(domains)]
        notes.undecided("task.kind", detail, led[:SHOWN_KINDS])
    elif types and domains:
        meant = leads or [name for name, kind in kinds.items() if kind.is_in(domains) and kind.accepts(types)]
        said = request.existing_setup.base_model or ""
        served = [task for task in catalogue.tasks_of(lowered(said)) if task in meant]
        if len(served) == 1 or (served and domains == [MULTIMODAL]):  # who names a decoder that sees means to ask it
            notes.state("task.kind", served[0], f"what {quoted(BASE_MODEL, said)} is for", DETAIL_TYPE, origin=Origin.DERIVED)
        elif len(meant) > 1:
            notes.undecided("task.kind", detail, meant[:SHOWN_KINDS])
        else:
            _note_misfit(notes, detail, types, domains, meant)

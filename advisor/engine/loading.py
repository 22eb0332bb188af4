"""From the YAML files to a compiled rule set. Every fault in every file is reported at once, with its line and column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from advisor.engine.compiling import RuleReader
from advisor.engine.declaring import read_slots, read_vocabulary
from advisor.engine.documents import FACTS_FILE, RETIRED_FILE, SLOTS_FILE, Documents
from advisor.engine.rules import RuleSet
from advisor.engine.vocabulary import Vocabulary
from advisor.errors import KnowledgeError, Place
from advisor.parsed import remembered
from advisor.resources import data_folder

SHIPPED = "shipped"


@dataclass(frozen=True)
class Knowledge:
    """The fact vocabulary and the rule set that speaks it; and where each fact is declared."""

    vocabulary: Vocabulary
    rules: RuleSet
    places: Mapping[str, Place] = field(default_factory=dict)


def load_knowledge(packs: tuple[Path, ...] = ()) -> Knowledge:
    """The shipped rules, and a user's packs over them. Read once a process.

    Raises:
        KnowledgeError: with every fault found, each at its file, line and column.
    """
    return _load(packs)


@cache
def _load(packs: tuple[Path, ...]) -> Knowledge:
    with remembered("packs" if packs else "rules") as parse:
        return read_knowledge(data_folder("rules"), packs, Documents(parse=parse))


def load_rules(packs: tuple[Path, ...] = ()) -> RuleSet:
    """The rule set alone."""
    return load_knowledge(packs).rules


def load_vocabulary() -> Vocabulary:
    """The fact vocabulary alone, with the facts that decisions add."""
    return load_knowledge().vocabulary


def rule_paths(packs: Iterable[str | Path] | str | Path) -> tuple[Path, ...]:
    """Packs as given, as absolute paths; a single one may stand by itself, and is not read letter by letter."""
    return tuple(Path(pack).absolute() for pack in ([packs] if isinstance(packs, str | Path) else packs))


def read_knowledge(folder: Path, packs: Sequence[Path] = (), documents: Documents | None = None) -> Knowledge:
    """The rules of `folder`, which also declares facts and slots, and packs over them; read and parsed afresh, unless `documents` does it.

    Raises:
        KnowledgeError: with every fault found, each at its file, line and column.
    """
    documents = documents or Documents()
    vocabulary, places = read_vocabulary(documents, folder / FACTS_FILE)
    slots = read_slots(documents, folder / SLOTS_FILE, vocabulary)
    reader = RuleReader(documents, vocabulary, slots, _read_retired(documents, folder / RETIRED_FILE))
    for path in documents.rule_files(folder, is_pack=False):
        reader.read(documents.read(path), SHIPPED)
    for pack in packs:
        for path in documents.rule_files(pack, is_pack=True):
            reader.read(documents.read(path), str(pack))
    reader.check_overrides()
    if documents.faults:
        raise KnowledgeError(sorted(set(documents.faults)))
    return Knowledge(vocabulary, reader.rule_set(), places)


def _read_retired(documents: Documents, path: Path) -> frozenset[str]:
    """Ids that were used once and may not be used again."""
    if not path.exists():
        return frozenset()
    document = documents.read(path)
    if not isinstance(document.data, list):
        documents.fault(document.place(()), "must be a list of the ids that are never used again")
        return frozenset()
    return frozenset(map(str, document.data))

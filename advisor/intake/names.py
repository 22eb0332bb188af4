"""Names of the catalogue in running text: compared by their runs of letters and digits, so `8xA100-80G` names an `A100 80G`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol

from advisor.intake.remembering import Remembered

# The x of "8xV100" stands between a count and a name, and belongs to neither.
_RUN = re.compile(r"(?<=\d)x(?=[^\W\d_])|[^\W\d_]+|\d+")
_GAP = re.compile(r"[\s_./-]{0,2}")
MAX_NAME = 200
NEAR = 0.6
_ALIKE = str.maketrans("oli", "011")  # letters that are typed for digits: "resnet-5O", "efficientnet-bo"


class Named(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def aliases(self) -> Sequence[str]: ...


Runs = tuple[str, ...]


@dataclass(frozen=True)
class Mention:
    """Where a name stands in a text, and the ids that go by it."""

    start: int
    end: int
    ids: tuple[str, ...]
    runs: Runs


class NameIndex:
    """The ids, names and aliases of catalogue entries."""

    def __init__(self, entries: Mapping[str, Named]) -> None:
        ids: dict[Runs, list[str]] = {}
        self.of: dict[str, list[Runs]] = {}
        self._with: dict[str, dict[str, None]] = {}  # the ids with a run in a name of theirs, in order
        self._shown: dict[str, str] = {}
        for entry in entries.values():
            for name in _spellings(entry):
                runs = tuple(found[0] for found in _RUN.finditer(name.lower()))
                self._shown.setdefault(_joined(runs), entry.name)
                self.of.setdefault(entry.id, []).append(runs)
                for run in runs:
                    self._with.setdefault(run, {})[entry.id] = None
                if runs and entry.id not in ids.setdefault(runs, []):
                    ids[runs].append(entry.id)
        self._alike = {joined.translate(_ALIKE): name for joined, name in reversed(self._shown.items())}
        self._ids = {runs: tuple(found) for runs, found in ids.items()}
        self._whole = {_joined(runs): found for runs, found in reversed(self._ids.items())}
        self._longest = max(map(len, self._ids), default=0)
        self._found = Remembered[list[Mention]]()

    def find(self, text: str) -> list[Mention]:
        """Every name in a lower-case text: at each place the longest, none over another."""
        return list(self._found.get(text, read=lambda: self._find(text)))

    def _find(self, text: str) -> list[Mention]:
        spans = [(found[0], *found.span()) for found in _RUN.finditer(text)]
        mentions, at = [], 0
        while at < len(spans):
            mention = self._longest_at(text, spans, at)
            mentions += [mention] if mention else []
            at += len(mention.runs) if mention else 1
        return mentions

    def _longest_at(self, text: str, spans: list[tuple[str, int, int]], at: int) -> Mention | None:
        last = at
        while last + 1 < len(spans) and last - at < self._longest and _GAP.fullmatch(text, spans[last][2], spans[last + 1][1]):
            last += 1
        for stop in range(last + 1, at, -1):
            runs = tuple(run for run, _, _ in spans[at:stop])
            if runs in self._ids:
                return Mention(spans[at][1], spans[stop - 1][2], self._ids[runs], runs)
        return None

    def exact(self, text: str) -> tuple[str, ...]:
        """The ids whose name is the whole text, but for case and punctuation."""
        return self._whole.get(_joined(found[0] for found in _RUN.finditer(text[:MAX_NAME].lower())), ())

    def variants(self, runs: Runs, plain: Collection[str]) -> list[str]:
        """The ids with a name that has these runs in it, and beside them only numbers and `plain` words: memory sizes, form factors."""
        width = len(runs)

        def is_variant(name: Runs) -> bool:
            places = (at for at in range(len(name) - width + 1) if name[at : at + width] == runs)
            return any(all(run.isdigit() or run in plain for run in name[:at] + name[at + width :]) for at in places)

        rarest = min((self._with.get(run, {}) for run in runs), key=len, default={})
        return [id_ for id_ in rarest if any(map(is_variant, self.of[id_]))]

    def beginning(self, runs: Runs) -> list[str]:
        """The ids with a name that begins with these runs."""
        return [id_ for id_, names in self.of.items() if any(name[: len(runs)] == runs for name in names)]

    def nearest(self, text: str, *, likeness: float = NEAR) -> str | None:
        """The known name most like the text, if it is at least that much like it (as difflib's ratio)."""
        asked = _joined(found[0] for found in _RUN.finditer(text[:MAX_NAME].lower())).translate(_ALIKE)
        near = get_close_matches(asked, self._alike, n=1, cutoff=likeness)
        return self._alike[near[0]] if near else None


def _spellings(entry: Named) -> Iterable[str]:
    """The names of an entry; a hub's `owner/name` goes by its name too, timm's `model.weights` is one spelling."""
    yield from (entry.id, entry.name, *entry.aliases)
    if "/" in entry.id:
        yield entry.id.partition("/")[2]


def _joined(runs: Iterable[str]) -> str:
    return "".join(runs)

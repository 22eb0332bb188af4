"""The exceptions that a caller can meet.

    AdvisorError
    ├── RequestError      the request cannot be read or makes no sense       exit status 2
    ├── UsageError        the command or call itself is wrong                exit status 2
    ├── KnowledgeError    rules, slots, facts or catalogue are faulty        exit status 2
    ├── CheckError        a check's machinery failed; reported, never fatal
    └── BreakdownError    a check crashed, hung or ran out of memory; a batch's row says so

Everything else that escapes is a defect of ours (exit status 70).
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, order=True)
class Place:
    """Where something stands: a file with a one-based line and column, or a path inside a document."""

    file: str = ""
    line: int = 0
    column: int = 0
    path: str = ""

    def __str__(self) -> str:
        spot = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        return ": ".join(part for part in (spot, self.path) if part)


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that is wrong, and where."""

    place: Place
    message: str

    def __str__(self) -> str:
        place = str(self.place)
        return f"{place}: {self.message}" if place else self.message


class AdvisorError(Exception):
    """What a caller of this package may want to catch; carries every fault found, not the first one only."""

    code = "error"

    def __init__(self, faults: Iterable[Fault] | str) -> None:
        self.faults = (Fault(Place(), faults),) if isinstance(faults, str) else tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class RequestError(AdvisorError):
    """The request cannot be read, has the wrong shape, or contradicts itself."""

    code = "bad_request"


class UsageError(AdvisorError):
    """The command line or the call is wrong, not the request."""

    code = "bad_usage"


class KnowledgeError(AdvisorError):
    """Rules, slots, the fact vocabulary or the catalogue are faulty; every fault carries its file and line."""

    code = "bad_knowledge"


class CheckError(AdvisorError):
    """A check could not be carried out, for a reason outside the design."""

    code = "check_failed"


class BreakdownError(AdvisorError):
    """A check began and broke down, so that nothing is known of the request it was made for."""

    def __init__(self, code: str, message: str, path: str) -> None:
        self.code = code
        super().__init__((Fault(Place(path=path), message),))


PART = 4  # "latency" means latencyRequirement; shorter parts stand in too many names


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A closing clause with the nearest known name, or nothing."""
    names = list(known)
    near = get_close_matches(name, names, n=1, cutoff=0.6) or [
        whole for whole in names if len(name) >= PART and name.lower() in whole.lower()
    ]
    return f"; did you mean {near[0]!r}?" if near else ""

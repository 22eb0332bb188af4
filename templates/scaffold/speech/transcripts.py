"""Transcripts: how they are compared, and the errors in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

WORST = 10  # transcripts that are shown
Pairs = list[tuple[str, str]]  # each recording's transcript as it is said and as it is true, both normalized


def normalize(text: str) -> str:
    """What transcripts are compared as: small letters, digits and apostrophes, words one space apart."""
    return " ".join(re.sub(r"[^\w']|_", " ", text.casefold()).split())


def count_edits(said: Sequence[str], true: Sequence[str]) -> int:
    """The fewest insertions, deletions and substitutions between two rows of words or letters (Levenshtein's distance)."""
    before = list(range(len(true) + 1))
    for row, word in enumerate(said, 1):
        now = [row]
        for column, other in enumerate(true, 1):
            now.append(min(before[column] + 1, now[-1] + 1, before[column - 1] + (word != other)))
        before = now
    return before[-1]


def error_rates(pairs: Pairs) -> dict[str, float]:
    """Errors in words (WER) and in letters (CER) as shares of all that was said."""
    words = sum(count_edits(said.split(), true.split()) for said, true in pairs) / max(1, sum(len(true.split()) for _, true in pairs))
    letters = sum(count_edits(said, true) for said, true in pairs) / max(1, sum(len(true) for _, true in pairs))
    return {"wer": words, "cer": letters}


def list_errors(pairs: Pairs) -> dict[str, Any]:
    """The share of transcripts without an error, and those with most."""
    worst = sorted(pairs, key=lambda pair: -count_edits(pair[0].split(), pair[1].split()))[:WORST]
    right = sum(said == true for said, true in pairs) / max(1, len(pairs))
    return {"without_error": right, "worst": [{"said": said, "true": true} for said, true in worst]}

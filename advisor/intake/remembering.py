"""What was read from a text, kept: the requests of a batch say the same things again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

MOST_TEXTS = 1024
LONGEST = 400  # characters that are kept of one: a phrase, not an essay

Read = TypeVar("Read")


class Remembered(Generic[Read]):
    """What some reader made of short texts, of at most so many; all are forgotten when there are more. A failed reading is not kept."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Read] = {}

    def get(self, text: str, *how: object, read: Callable[[], Read]) -> Read:
        """What was read from the text, or is now; `how` is all else that the reading depends on."""
        key = text, *how
        found = self._known.get(key)
        if found is None:
            found = read()
            if len(text) <= LONGEST:
                if len(self._known) >= MOST_TEXTS:
                    self._known.clear()
                self._known[key] = found
        return found

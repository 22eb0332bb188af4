"""Lines of any length, of which only so much is held as may be a request. Each knows its number, its hash and where it ends."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from advisor.located import MAX_BYTES

CHUNK_BYTES = 2**16  # what is read at once
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
HASH_CHARACTERS = 16  # 64 bits; a row is matched by its line's number as well, so that no two lines can be mistaken


@dataclass(frozen=True)
class Line:
    """One line of the input. `content` is None where it is longer than a request may be; `end` counts the input's bytes so far."""

    number: int
    content: bytes | None
    hash: str
    end: int = 0

    @property
    def is_blank(self) -> bool:
        return self.content is not None and not self.content.removeprefix(BYTE_ORDER_MARK).strip()


def read_lines(stream: BinaryIO) -> Iterator[Line]:
    """Every line of the stream, the last one also without its newline. A long line is read to its end and not kept."""
    number = end = 0
    while piece := stream.readline(CHUNK_BYTES):
        number += 1
        digest, kept, is_long = hashlib.sha256(), bytearray(), False
        while piece:
            end += len(piece)
            body = piece.rstrip(b"\r\n")
            digest.update(body)
            is_long = is_long or len(kept) + len(body) > MAX_BYTES
            if not is_long:
                kept += body
            if piece.endswith(b"\n"):
                break
            piece = stream.readline(CHUNK_BYTES)
        yield Line(number, None if is_long else bytes(kept), digest.hexdigest()[:HASH_CHARACTERS], end)

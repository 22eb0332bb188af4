"""Files that appear whole or not at all, and tell whether they are as they were written."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path


def write_whole(path: Path, text: str) -> Path:
    """Write beside the target, then move into place, so that an interruption leaves no half file and no link is followed."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        return Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def sealed(body: bytes) -> bytes:
    """What `unsealed` gives the body of."""
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def unsealed(written: bytes) -> bytes:
    """The body; raises ValueError where it is not what was sealed."""
    body = written.partition(b"\n")[2]
    if sealed(body) != written:
        raise ValueError("the file is not what was written")
    return body

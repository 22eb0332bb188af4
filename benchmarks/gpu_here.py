"""What the benchmarks on a GPU share: whether there is one that they can use, what stands above their tables, and how these are kept."""

from __future__ import annotations

import datetime
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from advisor.verify.hardware import Hardware

PACKAGES = ("torch", "timm", "transformers", "peft", "diffusers", "bitsandbytes")
OLDEST_PYTHON, OLDEST_TORCH = (3, 12), (2, 11)


def what_is_lacking(hardware: Hardware) -> str | None:
    """Why nothing can be measured here, in words. Does not start CUDA, so that processes may be forked afterwards."""
    if not hardware.gpus:
        return f"this needs an NVIDIA GPU: {hardware.gpu_reason or 'there is none'}"
    if sys.version_info[:2] < OLDEST_PYTHON:
        return f"this needs Python {'.'.join(map(str, OLDEST_PYTHON))} or later, and this is {platform.python_version()}"
    if tuple(int(part) for part in version("torch").split(".")[:2]) < OLDEST_TORCH:
        return f"this needs torch {'.'.join(map(str, OLDEST_TORCH))} or later, and {version('torch')} is installed"
    return None


def heading(hardware: Hardware) -> str:
    """Date, device, driver and versions, in one line."""
    gpu = hardware.gpus[0]
    device = f"{len(hardware.gpus)} x {gpu.name}, {gpu.memory_gib:.1f} GiB, compute capability {gpu.compute_capability}"
    versions = ", ".join(f"{package} {_version(package)}" for package in PACKAGES)
    return f"{datetime.date.today()}, {device}, driver {hardware.driver}, Python {platform.python_version()}, {versions}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


@dataclass
class Table:
    """A Markdown table that is written again with each row, so that a run which is cut off leaves what it has found."""

    head: Sequence[str]
    path: Path | None
    rows: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, row: str | None, *notes: str) -> None:
        """A row, which is printed as well, and what belongs below the table."""
        if row is not None:
            self.rows.append(row)
            print(row, flush=True)
        for note in notes:
            self.notes.append(f"- {note}")
            print(self.notes[-1], flush=True)
        self._write()

    def end(self, line: str) -> None:
        """The last line."""
        print(line)
        self._write("", line)

    def _write(self, *last: str) -> None:
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text("\n".join([*self.head, *self.rows, "", *self.notes, *last, ""]), encoding="utf-8")


class Clock:
    """Whether there is time for one more, of so many minutes in all."""

    def __init__(self, minutes: float) -> None:
        self._end = time.monotonic() + 60 * minutes

    def is_up(self) -> bool:
        return time.monotonic() > self._end

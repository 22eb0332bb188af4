"""The device that an estimate is for: `RTX 4090`, `4090 24GB`, `8xA100-80G`, `M2 Max`, `Pi 5` all name one, or the nearest is told."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from advisor import catalogue
from advisor.catalogue.entries import DeviceEntry
from advisor.errors import RequestError, UsageError
from advisor.intake.compute import NEAR_DEVICE, read_compute
from advisor.intake.names import NameIndex

_FIELD = "--on"


@dataclass(frozen=True)
class Chosen:
    """A device of the catalogue, how many of them, and the memory of each in GiB."""

    entry: DeviceEntry
    count: int
    memory_gib: float | None
    remarks: tuple[str, ...]


def find_device(said: str) -> Chosen:
    """Raises UsageError, with the nearest known name, where the text names no device of the catalogue."""
    devices = catalogue.devices()
    try:
        found = read_compute(_FIELD, said, _names(), devices)
    except RequestError as error:
        raise UsageError(f"{error}{_nearest(said)}") from error
    if found.device is None:
        raise UsageError(f"{_FIELD} {said!r} is no device of the catalogue{_nearest(said)}")
    entry = devices[found.device]
    return Chosen(entry, found.devices or 1, found.memory_gib or entry.memory_gib, found.remarks)


@cache
def _names() -> NameIndex:
    return NameIndex(catalogue.devices())


def _nearest(said: str) -> str:
    near = _names().nearest(said, likeness=NEAR_DEVICE)
    return f"; the nearest is {near!r}" if near else "; `advisor estimate MODEL --on 'RTX 4090'` names one"

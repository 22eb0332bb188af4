"""Requests for the benchmarks of batches: the examples, varied in the size of their data, their device and their limits."""

from __future__ import annotations

import datetime
import json
import os
import platform
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
FACTORS = (0.5, 1, 2, 4)  # of the data's size
DEVICES = ("RTX 3060 12GB", "RTX 4090", "2x RTX 3090", "A100 80GB", "T4", "CPU only")
LATENCIES = (None, "inference <50ms", "inference <10ms")
SEED = 0


def machine() -> str:
    """What the figures were taken on, and when."""
    name = platform.processor() or platform.machine()
    return f"{datetime.date.today()}, {name}, {os.cpu_count()} CPUs, Python {platform.python_version()}"


def make_requests(count: int, folder: Path = EXAMPLES) -> Iterator[dict[str, Any]]:
    """`count` envelopes; the same for the same `count`."""
    examples = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.yaml"))]
    chance = random.Random(SEED)
    for number in range(count):
        request = json.loads(json.dumps(chance.choice(examples), default=str))
        request["data"] = {**(request.get("data") or {}), **_resized(request, chance.choice(FACTORS))}
        limits: dict[str, Any] = {"computeResources": chance.choice(DEVICES), "latencyRequirement": chance.choice(LATENCIES)}
        limits = {name: value for name, value in limits.items() if value}
        yield {"id": number, "request": {**request, "constraints": {**(request.get("constraints") or {}), **limits}}}


def _resized(request: dict[str, Any], factor: float) -> dict[str, str]:
    """The data's size times `factor`, where it is a plain count at the beginning of its text."""
    words = str((request.get("data") or {}).get("size", "")).split()
    if not words or not words[0].replace(",", "").isdigit():
        return {}
    return {"size": " ".join([f"{int(int(words[0].replace(',', '')) * factor):,}", *words[1:]])}


def write_requests(path: Path, count: int, folder: Path = EXAMPLES) -> Path:
    """The requests as NDJSON."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(request) + "\n" for request in make_requests(count, folder))
    return path

"""Evidence kept on disk between runs, under a name that holds everything it depends on.

One file a check, not a database: a file appears whole by a rename, needs no lock, survives any crash, and works on the network
folders that clusters have for homes, where SQLite's write-ahead log does not. Evidence is kept, as JSON with a checksum, and that a
model cannot be built or run as its design says, which is as much a fact; never that a check broke down or that the machine lacks something.
Whatever is wrong with the folder or a file in it, nothing is found there and the check is run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from advisor import __version__
from advisor.files import sealed, unsealed
from advisor.verify.evidence import DeployEvidence, Job, Refusal, SmokeEvidence, StaticEvidence

Evidence = StaticEvidence | SmokeEvidence | DeployEvidence
_KINDS: dict[str, type[Evidence]] = {"static": StaticEvidence, "smoke": SmokeEvidence, "deploy": DeployEvidence}

FOLDER_VARIABLE = "ADVISOR_CACHE_DIR"
LIMIT_BYTES = 256 * 10**6  # some 60,000 checks, at one file block each
KEPT_SHARE = 0.8  # of the limit, when the least recently used are removed
STORES_BETWEEN_LOOKS = 500  # a look at 60,000 files takes about a second
BLOCK_BYTES = 4096  # what a small file takes on disk
_REFUSED = b"refused "  # before the body of a refusal
FRESH_S = 3600.0  # a file used within the hour is not marked as used again, and a temporary one may still be somebody's

# Whatever may count, build or train in a check. A package that is not installed is part of the key as well.
_PACKAGES = (
    "torch", "torchvision", "timm", "transformers", "peft", "tabicl", "fvcore", "numpy", "diffusers", "segmentation-models-pytorch",
    "dynamic-network-architectures", "monai", "tabm", "chronos-forecasting", "torchaudio", "bitsandbytes", "onnx", "onnxscript",
    "onnxruntime", "torch-pruning",
)  # fmt: skip
_CODE = ("verify/*.py", "estimating/*.py", "recipe.py", "wire.py")


@dataclass(frozen=True)
class CacheInfo:
    """What a cache holds: bytes as they lie on disk."""

    folder: Path
    entries: int
    bytes: int
    limit: int


class EvidenceCache:
    """Evidence by job. Safe for any number of processes and threads; never raises."""

    def __init__(self, folder: Path | None = None, limit_bytes: int = LIMIT_BYTES) -> None:
        self.folder = (folder or cache_folder()) / "evidence"
        self._limit = limit_bytes

    def find(self, job: Job, threads: int) -> Evidence | Refusal | None:
        """The answer for this job on this machine with these versions, if it is here."""
        return self.read(job, self.name(job, threads))

    def read(self, job: Job, name: str) -> Evidence | Refusal | None:
        """As `find`, where the answer's name is known."""
        path = self._at(name)
        try:
            body = unsealed(path.read_bytes())
            kind: type[Evidence | Refusal] = Refusal if body.startswith(_REFUSED) else _KINDS.get(job.check, SmokeEvidence)
            answer = kind.model_validate_json(body.removeprefix(_REFUSED))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            self._remove(path)
            return None
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > FRESH_S:
                os.utime(path)
        return answer

    def store(self, job: Job, threads: int, answer: Evidence | Refusal) -> None:
        """Keep the answer, if that is possible, and if another moment would give the same."""
        if not _is_lasting(job, answer):
            return
        path = self._path(job, threads)
        body = answer.model_dump_json(by_alias=True, exclude_none=True).encode()
        body = _REFUSED + body if isinstance(answer, Refusal) else body
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(sealed(body))
                Path(name).replace(path)
            except BaseException:
                self._remove(Path(name))
                raise
            if random.random() * STORES_BETWEEN_LOOKS < 1:  # by chance, because no process knows how many the others have stored
                self.shrink()

    def shrink(self) -> None:
        """Remove the least recently used files until the cache is well within its limit, and what killed writers left behind."""
        files = sorted(self._files())
        total = sum(size for _, size, _ in files)
        room = self._limit if total <= self._limit else self._limit * KEPT_SHARE
        for used, size, path in files:
            if total > room or (path.name.startswith(".") and time.time() - used > FRESH_S):
                self._remove(path)
                total -= size

    def info(self) -> CacheInfo:
        sizes = [size for _, size, path in self._files() if not path.name.startswith(".")]
        return CacheInfo(self.folder, len(sizes), sum(sizes), self._limit)

    def clear(self) -> int:
        """Remove everything; returns the number of files that are gone."""
        return sum(self._remove(path) for _, _, path in list(self._files()))

    def _path(self, job: Job, threads: int) -> Path:
        return self._at(self.name(job, threads))

    def _at(self, name: str) -> Path:
        return self.folder / name[:2] / name[2:]

    @staticmethod
    def name(job: Job, threads: int) -> str:
        """The name of the answer for this job on this machine with these versions: a hash of all that it depends on."""
        found = {
            "job": job.model_dump(mode="json", exclude={"time_limit_s"} if job.check == "static" else None),
            "code": _code_hash(),
            "versions": _versions(),
            "machine": _machine(job.check, threads),
        }
        return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """When each file was last used, what it takes on disk, and its path."""
        for folder in self.folder.glob("??"):
            with contextlib.suppress(OSError), os.scandir(folder) as found:
                for file in found:
                    with contextlib.suppress(OSError):
                        state = file.stat(follow_symlinks=False)
                        yield state.st_mtime, -(-state.st_size // BLOCK_BYTES) * BLOCK_BYTES, Path(file.path)

    @staticmethod
    def _remove(path: Path) -> bool:
        with contextlib.suppress(OSError):
            path.unlink()
            return True
        return False


def _is_lasting(job: Job, answer: Evidence | Refusal) -> bool:
    """A static check computes on no numbers, so that what its model raises it raises everywhere; a training run may fail by chance."""
    if isinstance(answer, Refusal):
        return job.check == "static" and not job.cross_check and answer.status == "failed"
    return not (isinstance(answer, SmokeEvidence) and answer.is_makeshift)


def cache_folder() -> Path:
    """ADVISOR_CACHE_DIR, or the platform's folder for a user's caches."""
    stated = os.environ.get(FOLDER_VARIABLE)
    if stated:
        return Path(stated)
    with contextlib.suppress(RuntimeError):  # no home
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
        return Path(base) / "advisor"
    return Path(os.devnull)  # in which nothing can be kept


@cache
def _code_hash() -> str:
    """Of the code that checks, and of this package's version."""
    digest, package = hashlib.sha256(__version__.encode()), Path(__file__).parent
    for path in sorted(path for pattern in _CODE for path in package.glob(pattern)):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@cache
def _versions() -> dict[str, str | None]:
    def found(package: str) -> str | None:
        try:
            return version(package)
        except PackageNotFoundError:
            return None

    return {"python": platform.python_version(), **{package: found(package) for package in _PACKAGES}}


@cache
def _machine(check: str, threads: int) -> dict[str, object]:
    """What a measurement depends on; counting depends on the kind of processor at most."""
    if check == "static":
        return {"machine": platform.machine(), "system": platform.system()}
    from advisor.verify.hardware import detect

    found = detect()
    return {
        "cpu": found.cpu, "cpus": found.cpus, "memory": round(found.memory_gib), "threads": threads, "driver": found.driver,
        "gpus": [asdict(gpu) | {"free_gib": None, "used_by": None, "busy_percent": None} for gpu in found.gpus],
    }  # fmt: skip

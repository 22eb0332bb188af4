"""`this machine` as the target: what is really there, by NVML and the operating system, instead of what somebody wrote about it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from advisor.catalogue.entries import DeviceEntry
from advisor.intake.compute import SAME_MEMORY, Compute
from advisor.intake.names import NameIndex
from advisor.verify.hardware import Hardware, detect

_HERE = re.compile(
    r"\s*(?:on )?(?:(?:this|the local|local) (?:machine|computer|host|pc|server|workstation|hardware)|localhost)\s*", re.IGNORECASE
)


def means_here(said: str) -> bool:
    """Whether the text names the machine that it is read on, and nothing else."""
    return bool(_HERE.fullmatch(said))


def read_here(index: NameIndex, entries: Mapping[str, DeviceEntry], hardware: Hardware | None = None) -> Compute:
    """This machine's GPUs, or where it has none its processor and memory. Of unlike GPUs the one with most memory counts, alone."""
    found = hardware or detect()
    if not found.gpus:
        remark = f"{found.cpu}, {found.cpus} CPUs" + (f"; {found.gpu_reason}" if found.gpu_reason else "")
        return Compute("cpu", None, 1, round(found.memory_gib, 1), remarks=(remark,))
    best = max(found.gpus, key=lambda gpu: gpu.memory_gib)
    alike = [gpu for gpu in found.gpus if gpu.name == best.name]
    mentions = index.find(best.name.lower())
    same = [entries[id_] for id_ in (mentions[0].ids if mentions else ())]
    fitting = [entry.id for entry in same if entry.memory_gib and abs(entry.memory_gib - best.memory_gib) <= SAME_MEMORY * best.memory_gib]
    kind = "gpu" if len(alike) == 1 else "multi_gpu"
    return Compute(
        kind,
        next(iter(fitting), None),
        len(alike),
        round(best.memory_gib, 1),
        host_memory_gib=round(found.memory_gib, 1),
        remarks=(f"{best.name}, {best.memory_gib:.1f} GiB",),
    )

"""The target's hardware: `8x V100 32GB`, `RTX 3060 12GB`, `single-GPU 24GB`, `TPU v4-8`, `2 nodes with 8 H100 each`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from advisor.catalogue.entries import DeviceEntry
from advisor.intake.names import Mention, NameIndex
from advisor.intake.text import Text, words
from advisor.quantity import NUMBER, number

FORMS = ("RTX 3060 12GB", "8x V100")
MAX_DEVICES = 100_000
PHONE = "phone-soc-flagship-2024"
NEAR_DEVICE = 0.5  # device names are short: "RTX 9999" and "RTX 3090" share little more than half
SAME_MEMORY = 0.1  # a card of "80 GB" may be listed with 79.6

# A TPU slice is named by its TensorCores up to v5p, by its chips from v5e on (cloud.google.com/tpu/docs, versions v2 to v6e).
CORES_PER_CHIP = {"2": 2, "3": 2, "4": 2, "5p": 2, "5e": 1, "5litepod": 1, "6e": 1}

_NODES = re.compile(r"(?<![\w.])(?P<count>\d{1,5}|two|four|eight)[ -]?(?:nodes?|machines?|servers?|hosts?)\b")
_SLICE = re.compile(r"\btpu[ -]?(?P<version>v(?:2|3|4|5p|5e|5litepod|6e))-(?P<size>\d{1,5})\b")
_TENSOR_CORES = re.compile(r"(?<![\w.])(?P<size>\d{1,5}) tpu ?(?P<version>v[23])? ?cores\b")
_HOST_MEMORY = re.compile(rf"(?P<value>{NUMBER})\s*(?:gb|gib|g|tb)\s*(?:of\s+)?(?:system |host |main )?(?:ram|system memory|ddr[45])\b")
_MEMORY = re.compile(
    rf"(?P<value>{NUMBER})\s*-?(?P<unit>gb|gib|g|mb|mib|tb)"
    r"(?:\s*(?:of\s+)?(?:gpu |video |unified |hbm\d?e? |gddr\d? ?)?(?:vram|memory|mem|hbm\d?e?))?"
    r"(?:\s*(?:each|per (?:gpu|card|device)))?(?!\w)"
)
_CORES = re.compile(
    rf"{NUMBER}[ -]*(?:v?cpus?|(?:physical |virtual |cpu )?cores?|threads?)(?:[ -]cpu)?\b|\b(?:dual|quad|octa)[ -]?core(?: cpu)?\b"
)
_DEVICES = r"(?:gpus?|tpus?|cards?|chips?|devices?|accelerators?)\b"
# A name that was found is blanked with \0, so that "8x V100" leaves "8x \0\0\0\0".
_COUNT = re.compile(
    rf"(?<![\w.])(?:(?P<before>\d{{1,6}})\s*(?:[x×*]\s*(?=[^\W\d]|\0)|(?:nvidia |amd )?(?=-?{_DEVICES}|\s*\0)))"
    r"|(?:(?<=\0)|(?<=\0 )|(?<=\bgpu )|(?<=\bgpus ))\(?[x×*]\s?(?P<after>\d{1,6})(?![\w.])"
    r"|(?<![\w.])(?P<alone>\d{1,6})[x×](?!\w)"
    rf"|\b(?P<named>single|one|a|dual|two|four|quad|eight)(?=[ -](?:nvidia |amd |cheap |consumer |small )?{_DEVICES}|[ -]?\0)"
)
# What may stand beside a device of a kind: an Apple chip and a Jetson have GPUs, a phone has a CPU.
_COMPATIBLE = {"gpu": {"edge"}, "edge": {"gpu", "cpu"}, "apple": {"gpu", "edge"}}
_COUNTS = {"single": 1, "one": 1, "a": 1, "dual": 2, "two": 2, "four": 4, "quad": 4, "eight": 8, "octa": 8}
_NO_GPU = re.compile(r"\b(?:no|without(?: an?| any)?) gpus?\b")
_KINDS = {
    "multi_gpu": re.compile(r"\b(?:multi|multiple|several|many)[ -]?gpus?\b|\bgpus\b|\bgpu (?:cluster|server)\b"),
    "gpu": re.compile(r"\b(?:gpu|graphics card|cuda|vram)\b"),
    "tpu": re.compile(r"\btpus?\b"),
    "apple": re.compile(r"\b(?:apple(?: silicon)?|macbook(?: pro| air)?|mac(?: mini| studio)?|mps)\b"),
    "edge": re.compile(
        r"\b(?:edge(?:[ -]device)?|mobile|(?:smart)?phones?|tablets?|android|iphones?|ipads?|ios|embedded(?: device)?|microcontroller|mcu|"
        r"iot|jetson|raspberry pi|browser|esp-?32(?:-\w+)?|stm32\w*|arduino|cortex[- ]?m\d+\w*)\b"
    ),
    "cpu": re.compile(r"\bcpus?\b(?:[ -]?only)?"),
}
_GPU_BRANDS = re.compile(
    r"\b(?:nvidia|geforce|rtx|gtx|titan|quadro|tesla|radeon|rx|instinct|amd gpu|arc|gaudi|mi\d{2,3}\w?|[ahlbvtp]\d{2,4})"
    r"(?:[ -]?(?:[a-z]{1,10}|[a-z]?\d{1,5}[a-z]{0,6})\b(?<!gpu)(?<!with)(?<!only)){0,4}"
)
_CPU_BRANDS = re.compile(
    r"\b(?:intel|amd|xeon|epyc|ryzen|core i[3579]|i[3579]|graviton|threadripper)\b"
    r"(?:[ -](?:(?:gold|silver|platinum|ultra|core|xeon|epyc|ryzen|threadripper|i[3579])\b|\d[\w-]{0,10})){0,4}"
)
_DEVICE_LIKE = re.compile(r"\b(?!\d+x?\b)(?!gpus?\b)(?!v?cpus?\b)(?=\w*\d|\w*gpu)(?=\w*[^\W\d])\w{2,30}(?: \d{1,5}[a-z]{0,3}\b)?")
_TIMES = re.compile(r"(?<![\w.])(\d{1,5})[x×](?=\d+\s?gi?b)")
_PLURAL = re.compile(r"s(?!\w)")
# Beside a device's name, these and numbers tell its memory and its board, not another device.
_PLAIN = frozenset({"gb", "g", "gib", "sxm", "pcie", "nvl", "hbm", "e", "nvidia", "geforce", "tesla", "amd", "apple", "google", "intel"})
_PHONE_MODEL = re.compile(r"(?: ?(?:\d{1,2}[a-z]?|pro|max|plus|mini|ultra|se|s\d{1,2}|fold|note|galaxy|pixel)(?!\w))+")
_OFFLINE = re.compile(
    r"\b(?:(?:no|without) (?:internet|network|cloud)(?: (?:access|connection))?|offline|air[- ]gapped|on[- ]premises?(?: only)?)\b"
)
_UNDECIDED = re.compile(
    r"\W*(?:(?:not|un)[ -]?(?:yet )?(?:decided|known|clear)(?: yet)?|tbd|tba|to be (?:decided|determined)|any(?:thing)?|unlimited)\W*"
)
_WORDS = words(
    """
    my train deploy deployed run running serve serving with each of the a an and on in for only x via per have has we one our from device
    devices card cards chip chips accelerator accelerators memory ram nvidia amd google aws gcp azure colab kaggle cloud cluster
    server workstation desktop laptop local premise prem premises machine instance vm pro free tier target training inference
    deployment all total available consumer commodity node nvlink pcie sxm computer gpu gpus cpu tpu tpus v core
    """
)


@dataclass(frozen=True)
class Compute:
    """What the request says of its hardware; None where it says nothing."""

    kind: str | None = None
    device: str | None = None
    devices: int | None = None
    memory_gib: float | None = None
    nodes: int | None = None
    host_memory_gib: float | None = None
    remarks: tuple[str, ...] = ()


def read_compute(field: str, said: str, index: NameIndex, entries: Mapping[str, DeviceEntry]) -> Compute:
    """Raises RequestError where a part is not understood, or where the parts contradict each other."""
    return _Reader(Text(field, said, FORMS), index, entries).read()


class _Reader:
    def __init__(self, text: Text, index: NameIndex, entries: Mapping[str, DeviceEntry]) -> None:
        self.text, self.index, self.entries = text, index, entries
        self.remarks: list[str] = []

    def read(self) -> Compute:
        text = self.text
        if _UNDECIDED.fullmatch(text.left):
            return Compute(remarks=("names no device",))
        text.refuse_negative()
        slice_ = self._slice()
        if offline := text.take(_OFFLINE):
            self.remarks.append(f"{offline[0]!r} is a matter of fetching weights and data beforehand, and changes no figure")
        text.left = _TIMES.sub(r"\1x ", text.left)
        host = text.take(_HOST_MEMORY)
        mentions = self._mentions()
        machine = self._machine()
        memory = [_gib(found) for found in text.take_all(_MEMORY)]
        if len(set(memory)) > 1:
            text.fail("names more than one memory size; keep that of one device")
        brand = None if mentions else text.take(_GPU_BRANDS) or (text.take(_DEVICE_LIKE) if memory else None)
        cores = text.take(_CORES)
        nodes = text.take(_NODES)
        count = self._count(nodes)
        cpu_brand = text.take(_CPU_BRANDS)
        no_gpu = text.take(_NO_GPU)
        kinds = [kind for kind, pattern in _KINDS.items() if text.take_all(pattern)]
        if mentions or machine or brand or cores or cpu_brand or no_gpu or kinds:
            self.remarks += text.leave(_WORDS)
        else:
            text.finish(_WORDS)  # the word may be the device
        device = self._device(mentions, memory[0] if memory else None)
        if machine and not (device or brand or kinds):
            device, count = machine[0], (count or 1) * machine[1]
            self.remarks.append(f"is read as {count} x {device.name}")
        kind = self._kind(kinds, device, bool(brand), bool(cores or cpu_brand or no_gpu), bool(no_gpu))
        if kind in ("gpu", "multi_gpu") and not (kinds or mentions or machine or brand):
            text.fail("names no device")
        unknown = brand or (cpu_brand if kind == "cpu" and not device else None)
        found = self._compute(kind, device, slice_ or count, memory, host, unknown)
        return replace(found, nodes=_COUNTS.get(nodes["count"]) or int(nodes["count"])) if nodes else found

    # --- parts ---

    def _slice(self) -> int | None:
        """A TPU slice's chips; the device itself is left to be found by name."""
        found = self.text.take(_SLICE) or self.text.take(_TENSOR_CORES)
        if not found:
            return None
        self.text.left = (
            self.text.left[: found.start()]
            + f"tpu {found['version'] or ''}".ljust(found.end() - found.start())
            + self.text.left[found.end() :]
        )
        return max(1, int(found["size"]) // CORES_PER_CHIP[(found["version"] or "v3")[1:]])

    def _mentions(self) -> list[Mention]:
        mentions = self.index.find(self.text.left)
        for mention in mentions:
            is_phone = PHONE in mention.ids
            plural = (_PHONE_MODEL if is_phone else _PLURAL).match(self.text.left, mention.end)
            if is_phone and plural:
                self.remarks.append(f"the catalogue has one phone: {self.entries[PHONE].name}; its figures are used")
            self.text.blank(mention.start, plural.end() if plural else mention.end)
        return mentions

    def _machine(self) -> tuple[DeviceEntry, int] | None:
        """The rented machine that is named, which its device beside it, or a kind, overrules."""
        found = self.text.take(
            _machines(frozenset(name for entry in self.entries.values() for each in entry.machines for name in each.names))
        )
        return next(
            ((entry, each.devices) for entry in self.entries.values() for each in entry.machines if found and found[0] in each.names), None
        )

    def _count(self, nodes: re.Match[str] | None) -> int | None:
        found = self.text.take_all(_COUNT)
        counts = [next(part for part in match.groups() if part) for match in found]
        values = {_COUNTS[count] if count in _COUNTS else int(count) for count in counts}
        if len(values) > 1:
            self.text.fail("names more than one number of devices")
        each = next(iter(values), None)
        if each == 0:
            self.text.fail("names no device at all; write 'CPU' where there is no accelerator")
        if nodes is None or re.search(r"\b(?:total|in all|overall|altogether)\b", self.text.left):
            return each
        if found and found[0].start() < nodes.start() and not re.search(r"\b(?:each|per)\b", self.text.left):
            self.text.fail(
                "has these devices in each node, or in all? write '2 nodes with 8 H100 each' or '16 H100 in total'", [nodes.span()]
            )
        per_node = _COUNTS.get(nodes["count"]) or int(nodes["count"])
        return each * per_node if each else None

    def _device(self, mentions: list[Mention], memory: float | None) -> DeviceEntry | None:
        """The one device that is named; of several memory sizes the stated one, or else the smallest."""
        if not mentions:
            return None
        runs_of = {mention.ids: mention.runs for mention in mentions}
        hosts = [ids for ids in runs_of if self.entries[ids[0]].kind == "cpu"]
        if len(runs_of) > len(hosts):
            for ids in hosts:
                self.remarks.append(f"{' '.join(runs_of.pop(ids))!r} is the machine around the device, and decides nothing")
        named, runs = list(runs_of), next(iter(runs_of.values()))
        if len(named) > 1:
            names = " and ".join(self.entries[ids[0]].name for ids in named)
            self.text.fail(f"names two devices, {names}; name the one that the design is for")
        same = [self.entries[id_] for id_ in dict.fromkeys((*named[0], *self.index.variants(runs, _PLAIN)))]
        fitting = [entry for entry in same if memory and entry.memory_gib and abs(entry.memory_gib - memory) <= SAME_MEMORY * memory]
        if fitting:
            return fitting[0]
        chosen = min((self.entries[id_] for id_ in named[0]), key=lambda entry: entry.memory_gib or 0.0)
        if memory and chosen.memory_gib:
            self.remarks.append(f"the catalogue lists {chosen.name} with {chosen.memory_gib:g} GiB; the stated {memory:g} GiB count")
        elif memory is None and len(sizes := {entry.memory_gib for entry in same if entry.memory_gib}) > 1:
            self.remarks.append(
                f"comes with {' or '.join(f'{size:g}' for size in sorted(sizes))} GiB; the design is for {chosen.memory_gib:g}"
            )
        return chosen

    def _kind(self, kinds: list[str], device: DeviceEntry | None, brand: bool, host: bool, no_gpu: bool) -> str:
        several = "multi_gpu" in kinds
        words = list(dict.fromkeys("gpu" if kind == "multi_gpu" else kind for kind in kinds))
        if no_gpu:
            words = ["no gpu", *(word for word in words if word not in ("gpu", "cpu"))]
        if device is not None:
            clash = [word for word in words if word != device.kind and word not in _COMPATIBLE.get(device.kind, ())]
            if clash:
                self.text.fail(f"names both {device.name} and {clash[0]}; name the one that the design is for")
            return "multi_gpu" if several and device.kind == "gpu" else device.kind
        if brand and "gpu" not in words:
            words.append("gpu")
        if set(words) == {"edge", "gpu"}:  # "edge GPU"
            words = ["edge"]
        if len(words) > 1:
            self.text.fail(f"names both {words[0]} and {words[1]}; name the one that the design is for")
        if not words:
            return "cpu" if host else "gpu"
        return "multi_gpu" if several else "cpu" if no_gpu else words[0]

    # --- the whole ---

    def _compute(
        self,
        kind: str,
        device: DeviceEntry | None,
        count: int | None,
        memory: list[float],
        host: re.Match[str] | None,
        unknown: re.Match[str] | None,
    ) -> Compute:
        if count is not None and count > MAX_DEVICES:
            self.text.fail(f"names more than {MAX_DEVICES:,} devices")
        if kind in ("gpu", "multi_gpu"):
            if kind == "multi_gpu" and count == 1:
                self.text.fail("names one GPU and several")
            kind = "multi_gpu" if kind == "multi_gpu" or (count or 1) > 1 else "gpu"
        if count is None and kind != "multi_gpu":
            count = 1
        gib = memory[0] if memory else None
        host_gib = _gib_of(host) if host else None
        if kind in ("cpu", "apple", "edge"):
            gib, host_gib = gib or host_gib, None
        if unknown:
            near = self.index.nearest(unknown[0], likeness=NEAR_DEVICE)
            self.remarks.append(f"{unknown[0].strip()!r} is no device of the catalogue{f'; the nearest is {near}' if near else ''}")
        return Compute(kind, device.id if device else None, count, gib, None, host_gib, tuple(self.remarks))


@cache
def _machines(names: frozenset[str]) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(names, key=len, reverse=True))) or '(?!)'})(?!\w)")


def _gib(found: re.Match[str]) -> float:
    """A device's GB is GiB."""
    return number(found["value"]) * {"t": 1024.0, "m": 1 / 1024}.get(found["unit"][0], 1.0)


def _gib_of(found: re.Match[str]) -> float:
    return number(found["value"]) * (1024.0 if "tb" in found[0] else 1.0)

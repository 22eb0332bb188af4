"""What follows from what was said: figures of the catalogue, plain implications, lists given whole, and declared assumptions."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from advisor.catalogue.entries import DatasetEntry, ModelEntry
from advisor.engine.facts import Fact, Facts, Origin, Value
from advisor.engine.vocabulary import Assume
from advisor.intake.catalogue import Catalogue
from advisor.intake.counted import Counts, steps_in
from advisor.intake.names import NameIndex
from advisor.intake.notes import ROUNDING, Notes
from advisor.intake.text import lowered, quoted
from advisor.request import Request

BASE_MODEL = "existingSetup.baseModel"
UNKNOWN = "unknown"
LISTED_WHOLE = ("challenge.", "issue.", "asked.")  # what such a list leaves out is false
SIZE = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?) ?([mb])(?![a-z])")
NUMBER_NEXT = re.compile(r"[\s_./-]{0,2}\d")
NOTHING = frozenset({"", "none", "no", "n/a", "nothing", "not yet", "from scratch", "random initialization"})
NONE_STATED = "none stated"
IN_ONE_MACHINE = 8  # what a DGX or HGX board holds: docs.nvidia.com/dgx
# bfloat16 at full rate came with Ampere, float16 with Volta (docs.nvidia.com/cuda, arithmetic throughput by compute capability).
BF16_FROM, FP16_FROM = 8.0, 7.0
CLOSED: dict[str, Value] = {
    "limit.latency_ms": math.inf,
    "limit.model_mb": math.inf,
    "limit.cost_usd": math.inf,
    "limit.gpu_hours": math.inf,
    "limit.days": math.inf,
    "limit.accuracy": 0.0,
    "limit.accuracy_metric": "none",
    "task.wants": "deep_learning",
    "task.scratch": False,
    "setup.adaptation": "any",
    "setup.base_pretrained": False,
    "task.objective": "any",
}
SEQUENCE_KINDS = frozenset({"text_generation", "instruction_tuning", "preference_tuning"})
AGENT_KINDS = frozenset({"reinforcement_discrete", "reinforcement_continuous", "reinforcement_offline"})
SERIES_KINDS = frozenset({"forecasting", "anomaly_detection"})
IMAGE_DOMAINS = frozenset({"cv", "video", "multimodal", "rl"})


def derive_facts(request: Request, notes: Notes, catalogue: Catalogue, counts: Counts, datasets: list[DatasetEntry]) -> None:
    """Everything that stands in no field of its own, in the order in which one follows from another."""
    _derive_implied(notes)
    _derive_base_model(request, notes, catalogue)
    _derive_samples(request, notes, counts)
    _derive_dataset(notes, datasets)
    if "data.samples" not in notes.facts and request.data.size is not None and not notes.faults:
        notes.notice(
            "read as", f"{quoted('data.size', request.data.size)} does not say how many samples there are; say it as facts.data.samples"
        )
    _derive_compute(notes, catalogue)
    devices = notes.number("compute.devices")
    if devices is not None and devices <= IN_ONE_MACHINE:
        notes.derive("compute.nodes", 1, f"up to {IN_ONE_MACHINE} devices go into one machine")
    samples, classes = notes.number("data.samples"), notes.number("data.classes")
    if samples is not None and classes:
        notes.derive("data.samples_per_class", samples / classes, "data.samples / data.classes")
    _note_misplaced(notes)
    _close(notes)


def follow(facts: Facts) -> dict[str, Fact]:
    """Facts with those that follow from others computed again, after one of the others was changed."""
    samples, classes, each = (facts.get(name) for name in ("data.samples", "data.classes", "data.samples_per_class"))
    if each is None or each.origin is not Origin.DERIVED or samples is None or classes is None:
        return dict(facts)
    return {**facts, "data.samples_per_class": each._replace(value=float(samples.value) / float(classes.value))}


def _derive_implied(notes: Notes) -> None:
    for _ in range(2):  # a consequence may have one of its own: "few labels" are few-shot
        for (cause, value), (fact, follows) in notes.words.implies:
            known = notes.facts.get(cause)
            if known is None or known.value != value or fact in notes.given:
                continue
            if isinstance(follows, bool):
                notes.derive(fact, follows, known.detail)
            else:
                notes.state(fact, follows, known.detail, known.detail.partition(":")[0], origin=Origin.DERIVED)


def _derive_base_model(request: Request, notes: Notes, catalogue: Catalogue) -> None:
    said = request.existing_setup.base_model
    if said is not None and said.strip().lower() not in NOTHING:
        detail, index = quoted(BASE_MODEL, said), catalogue.model_names
        ids = index.exact(said) or _with_size(said, catalogue) or _architecture(said, index, notes)
        ids = _serving(ids, notes, catalogue) or _stand_in(said, notes, catalogue) or ids
        if ids:
            notes.state("setup.base_model", _as_observed(ids[0], notes, catalogue), detail, BASE_MODEL)
        else:
            near = index.nearest(said)
            notes.derive("setup.base_model", UNKNOWN, detail)
            hint = f"the nearest is {near}; correct the name to have it compared" if near else "the design compares models of the catalogue"
            notes.notice("not understood", f"{detail} is no model of the catalogue; {hint}")
    entry = catalogue.models.get(str(notes.value("setup.base_model")))
    if entry is not None:
        _note_unfit(notes, entry)
        notes.derive("setup.base_line", entry.line, f"the line of {entry.id}")
        notes.derive("setup.base_pretrained", entry.pretrained, f"whether weights are published for {entry.id}")


def _architecture(said: str, index: NameIndex, notes: Notes) -> tuple[str, ...]:
    """timm writes `architecture.weights`: a known architecture with weights that are not in the catalogue."""
    name, _, weights = said.strip().partition(".")
    ids = index.exact(name) if weights and name else ()
    if ids:
        notes.notice(
            "read as", f"{quoted(BASE_MODEL, said)} is read as {ids[0]}: the same architecture; mind the licence of its own weights"
        )
    return ids[:1]


def _as_observed(id_: str, notes: Notes, catalogue: Catalogue) -> str:
    """An agent's algorithm names no network: of those in its line, the one for what the agent sees."""
    family = {"vector": "mlp", "pixels": "cnn"}.get(str(notes.value("data.observation")))
    named = catalogue.models[id_]
    if named.family == family or notes.value("task.kind") not in AGENT_KINDS:
        return id_
    fits = (entry.id for entry in catalogue.models.values() if entry.line == named.line and entry.family == family)
    return next(iter(_serving(fits, notes, catalogue)), id_)


def _serving(ids: Iterable[str], notes: Notes, catalogue: Catalogue) -> tuple[str, ...]:
    """Those of the models that are in the catalogue for the task."""
    kind = notes.value("task.kind")
    return tuple(id_ for id_ in ids if kind is None or kind in catalogue.models[id_].tasks)


def _stand_in(said: str, notes: Notes, catalogue: Catalogue) -> tuple[str, ...]:
    """The model that serves the task and is nearest in kind to one that the catalogue does not have: by the longest name in its name, of equals the first.

    A number behind a name of the catalogue makes it another model ("ResNet-56"), or a misspelt one; a stand-in's names allow for it.
    """
    text = lowered(said)
    own = [mention for mention in catalogue.model_names.find(text) if not NUMBER_NEXT.match(text, mention.end)]
    found = [(mention, mention.ids) for mention in own] + [
        (mention, tuple(by for id_ in mention.ids for by in catalogue.stand_ins[id_].by)) for mention in catalogue.stand_in_names.find(text)
    ]
    fitting = [(mention, fits) for mention, ids in found if (fits := _serving(ids, notes, catalogue))]
    if not fitting:
        return ()
    mention, ids = max(fitting, key=lambda pair: (pair[0].end - pair[0].start, -pair[0].start))
    recipe = next((stand_in.recipe for id_ in mention.ids if (stand_in := catalogue.stand_ins.get(id_)) and stand_in.recipe), None)
    if recipe is not None:
        notes.derive("setup.recipe", recipe, quoted(BASE_MODEL, said))
    nearest = _nearest_size(ids, text, catalogue)
    name = catalogue.models[nearest].name
    notes.notice(
        "read as",
        f"{quoted(BASE_MODEL, said)} is no model of the catalogue; {name} stands in for it, as the nearest in kind: the advice holds for "
        "both, the figures and the licence are the stand-in's",
    )
    return (nearest,)


def _nearest_size(ids: tuple[str, ...], text: str, catalogue: Catalogue) -> str:
    """The first model, or where the text says a parameter count ("7b"), the one nearest to it."""
    size = SIZE.search(text)
    if size is None:
        return ids[0]
    parameters = float(size[1]) * {"m": 1e6, "b": 1e9}[size[2]]
    return min(ids, key=lambda id_: abs(math.log(catalogue.models[id_].parameters.value / parameters)) if parameters else 0.0)


def _note_unfit(notes: Notes, entry: ModelEntry) -> None:
    kind = notes.value("task.kind")
    if kind is not None and kind not in entry.tasks:
        fits = ", ".join(task.replace("_", " ") for task in entry.tasks)
        text = f"{entry.name} is in the catalogue for {fits}, not for {str(kind).replace('_', ' ')}; it is not among the models compared"
        notes.notice("not used", f"{BASE_MODEL}: {text}")


def _with_size(said: str, catalogue: Catalogue) -> tuple[str, ...]:
    """A name with its parameter count beside it ("gpt2 124M"), where the count is the entry's own."""
    name, _, size = said.strip().rpartition(" ")
    multiple = {"m": 1e6, "b": 1e9}.get(size[-1:].lower())
    try:
        parameters = float(size[:-1]) * multiple if multiple else 0.0
    except ValueError:
        return ()
    return tuple(
        id_
        for id_ in catalogue.model_names.exact(name)
        if abs(catalogue.models[id_].parameters.value - parameters) <= ROUNDING * parameters
    )


def _derive_dataset(notes: Notes, datasets: list[DatasetEntry]) -> None:
    kind = notes.value("task.kind")
    named = list({entry.id: entry for entry in datasets}.values())
    stated = notes.value("task.benchmark")
    entry = next((entry for entry in named if kind in (None, entry.task) and stated in (None, entry.id)), None)
    if entry is None:
        for other in named[:1]:
            notes.notice("read as", f"{other.name} is in the catalogue for {other.task}; its figures are not used for {kind}")
        return
    notes.derive("task.benchmark", entry.id, f"named in the request: {entry.name}")
    for fact, noun, known in (("data.samples", "training samples", entry.samples), ("data.classes", "classes", entry.classes)):
        value = notes.number(fact)
        if known and value is None:
            notes.derive(fact, known, f"the catalogue's figure for {entry.name}")
        elif known and value is not None and abs(value - known) > ROUNDING * known:
            notes.notice(
                "contradiction",
                f"{entry.name} has {known:,} {noun}, and the request says {value:,.0f}; the request counts; correct it if all are meant",
            )


def _derive_samples(request: Request, notes: Notes, counts: Counts) -> None:
    """Samples from a size in hours, tokens, days or series; what that rests on is an assumption where it is a typical value."""
    detail, assumed, kind = quoted("data.size", request.data.size or ""), notes.words.assumed, notes.value("task.kind")
    if kind == "series_classification" and counts.series and "samples" in counts.derived:
        notes.facts.pop("data.samples", None)  # each series is a sample there, not each of its steps
    if "data.samples" in notes.facts:
        return
    frequency = notes.value("data.frequency")
    if counts.days is not None and isinstance(frequency, str):
        notes.derive("data.samples", steps_in(counts.days, frequency), f"{detail}, {frequency}")
    elif counts.series is not None and kind not in SERIES_KINDS:
        notes.derive("data.samples", counts.series, detail)
    elif counts.audio_hours is not None:
        length = assumed["clip_seconds"]
        notes.assume("data.samples", int(counts.audio_hours * 3600 / length), f"{detail}, in clips of {length:g} s as in LibriSpeech")
    elif counts.tokens is not None:
        length = int(notes.number("data.tokens") or assumed["packed_tokens"])
        if kind in SEQUENCE_KINDS or kind is None:
            notes.assume("data.samples", max(1, counts.tokens // length), f"{detail}, packed into sequences of {length} tokens")


def _derive_compute(notes: Notes, catalogue: Catalogue) -> None:
    entry = catalogue.devices.get(str(notes.value("compute.device")))
    devices = notes.number("compute.devices")
    if entry is not None:
        several = (devices or 1) > 1
        notes.derive("compute.kind", "multi_gpu" if entry.kind == "gpu" and several else entry.kind, f"what {entry.name} is")
        notes.derive("compute.devices", 1, "one device named")
        if entry.memory_gib is not None:
            notes.derive("compute.memory_gib", entry.memory_gib, f"the memory of {entry.name}")
        capability = float(entry.compute_capability) if entry.compute_capability else None
        for fact, least, name in (("compute.bf16", BF16_FROM, "bf16"), ("compute.fp16", FP16_FROM, "fp16")):
            runs = name in entry.tflops if capability is None else capability >= least
            basis = "the catalogue's peaks" if capability is None else f"compute capability {capability:g}"
            notes.derive(fact, runs, f"{entry.name}: {basis}")
        return
    kind = notes.value("compute.kind")
    if kind is not None and kind != "multi_gpu":
        notes.derive("compute.devices", 1, "one device of the kind")
    if kind == "cpu":
        notes.derive("compute.bf16", False, "a CPU that is not named")
        notes.derive("compute.fp16", False, "a CPU that is not named")
    elif kind == "tpu":
        notes.derive("compute.bf16", True, "every TPU multiplies in bfloat16")
        notes.derive("compute.fp16", False, "no TPU multiplies in float16")


def _note_misplaced(notes: Notes) -> None:
    kind = notes.words.kinds.get(str(notes.value("task.kind")))
    size = notes.facts.get("data.image_size")
    if size is not None and kind is not None and IMAGE_DOMAINS.isdisjoint(kind.domains):
        notes.notice("not used", f"{size.detail}: an image size decides nothing for {notes.value('task.kind')}")


def _close(notes: Notes) -> None:
    """Lists are given whole: a challenge, issue or limit that is not stated is not there. The rest is assumed, or stays unknown."""
    for fact in _booleans(notes):
        notes.derive(fact, False, NONE_STATED)
    for fact, value in CLOSED.items():
        notes.derive(fact, value, NONE_STATED)
    for name, spec in notes.vocabulary.items():
        if isinstance(spec.when_missing, Assume):
            notes.assume(name, spec.when_missing.assume, spec.question or spec.about)


def _booleans(notes: Notes) -> Iterable[str]:
    return (name for name, spec in notes.vocabulary.items() if spec.type == "bool" and name.startswith(LISTED_WHOLE))

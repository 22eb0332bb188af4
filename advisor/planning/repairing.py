"""Repair: the smallest edits, in a fixed order, until a design's predicted figures fit the limits, each re-verified.

For memory: a smaller per-device batch with accumulation, so that the optimizer's step stays the same; then activation
checkpointing, which costs time and no quality; then a lighter adaptation, which the request must not have ruled out. For
the file: a smaller number format. What no edit mends is left failed, and the next candidate is tried.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import cast

from advisor import choices as c
from advisor.catalogue.entries import DeviceEntry, ModelEntry
from advisor.engine.deciding import Decided
from advisor.engine.loading import Knowledge
from advisor.planning.checking import Assessment, assess
from advisor.planning.figures import DECODERS, FORMAT_OF, GIB
from advisor.planning.plan import NO_EDITS, Brief, Design, Edits, plan
from advisor.planning.sizing import value
from advisor.report import Check, Edit
from advisor.verify.evidence import Refusal, StaticEvidence

MOST_EDITS = 8
LIGHTER = {"full": "lora", "layer_decay": "lora", "lora": "qlora"}  # for decoders: arXiv:2106.09685, arXiv:2305.14314
SMALLER_FORMAT = {"none": "fp16", "bf16": "int8-dynamic", "fp16": "int8-dynamic"}

Verify = Callable[[Design], StaticEvidence | Refusal | None]


def fit(
    knowledge: Knowledge, request: Brief, candidate: ModelEntry, verify: Verify, devices: Mapping[str, DeviceEntry]
) -> tuple[Assessment, tuple[Edit, ...]]:
    """The candidate's design, edited until it fits or nothing more can be done; and what was edited, with the numbers."""
    edits: Edits = NO_EDITS
    done: list[Edit] = []
    assessment = _assessed(knowledge, request, candidate, edits, verify, devices)
    while len(done) < MOST_EDITS and (proposed := next(_proposals(knowledge, assessment), None)) is not None:
        check, decided, before = proposed
        edits = _with(knowledge, edits, decided)
        following = _assessed(knowledge, request, candidate, edits, verify, devices)
        done.append(_edit(check, decided, before, following))
        assessment = following
    return _marked(assessment, done), tuple(done)


def _with(knowledge: Knowledge, edits: Edits, decided: Decided) -> Edits:
    """The edits with one more; those of later stages were made for what it replaces, and go."""
    order = [slot.stage for slot in knowledge.rules.slots]
    stage = order.index(decided.slot.stage)
    kept = {name: edit for name, edit in edits.items() if order.index(edit.slot.stage) <= stage}
    return {**kept, decided.slot.name: decided}


def _assessed(
    knowledge: Knowledge, request: Brief, candidate: ModelEntry, edits: Edits, verify: Verify, devices: Mapping[str, DeviceEntry]
) -> Assessment:
    design = plan(knowledge, request, candidate, edits)
    return assess(design, verify(design), devices)


def _edit(check: Check, decided: Decided, before: object, following: Assessment) -> Edit:
    after = next((other.value for other in following.checks if other.name == check.name), None)
    return Edit(
        slot=decided.slot.name,
        before=before,
        after=_shown(decided.choice),
        reason=decided.reason,
        figure=check.name,
        value_before=check.value or 0.0,
        value_after=after or 0.0,
        limit=check.limit or 0.0,
        unit=check.unit or "",
    )


def _marked(assessment: Assessment, done: list[Edit]) -> Assessment:
    """Checks that pass only because of an edit say `repaired`."""
    mended = {edit.figure for edit in done}
    checks = tuple(
        check.model_copy(update={"status": "repaired"}) if check.status == "passed" and check.name in mended else check
        for check in assessment.checks
    )
    return Assessment(assessment.design, assessment.evidence, checks, assessment.figures)


# --- the edits, cheapest first ---------------------------------------------------------------------------------------

Proposal = tuple[Check, Decided, object]


def _proposals(knowledge: Knowledge, assessment: Assessment) -> Iterator[Proposal]:
    for check in assessment.failed:
        if check.name == "training_memory":
            yield from _smaller_batch(knowledge, assessment, check)
            yield from _checkpointing(knowledge, assessment, check)
            yield from _lighter_adaptation(knowledge, assessment, check)
        elif check.name == "model_size":
            yield from _smaller_format(knowledge, assessment, check)


def _smaller_batch(knowledge: Knowledge, assessment: Assessment, check: Check) -> Iterator[Proposal]:
    """The largest power of two that the prediction says will fit: memory is a fixed part and a part for each sample."""
    batch, evidence = assessment.design.recipe.batch, assessment.evidence
    if batch.per_device == 1 or evidence is None or evidence.training_memory is None or check.limit is None:
        return
    memory = evidence.training_memory
    fixed = sum(memory.categories.get(name, 0) for name in ("weights", "gradients", "optimizer_state", "context", "workspace"))
    each = (memory.high - fixed) / batch.per_device
    room = (check.limit * GIB - fixed) / each if each > 0 else 0.0
    most = min(batch.per_device - 1, max(1, math.floor(room)))
    per_device = 2 ** math.floor(math.log2(most))
    old = cast("c.Batch", assessment.design.choice("batch"))
    reason = f"{per_device} samples a device at once instead of {batch.per_device}, accumulated to the same step"
    choice = old.model_copy(update={"effective": batch.effective, "per_device": per_device})
    yield check, Decided(knowledge.rules.slot["batch"], choice, None, reason=reason), batch.per_device


def _checkpointing(knowledge: Knowledge, assessment: Assessment, check: Check) -> Iterator[Proposal]:
    if assessment.design.recipe.activation_checkpointing or assessment.design.recipe.optimizer.name == "none":
        return
    reason = "activations are computed again in the backward pass instead of kept: about a third more time, the same result"
    yield check, Decided(knowledge.rules.slot["checkpointing"], c.Checkpointing(enabled=True), None, reason=reason), False


def _lighter_adaptation(knowledge: Knowledge, assessment: Assessment, check: Check) -> Iterator[Proposal]:
    facts, current = assessment.design.facts, assessment.design.recipe.model.adaptation
    wanted = LIGHTER.get(current)
    if wanted is None or value(facts, "task.kind") not in DECODERS or value(facts, "setup.adaptation") == current:
        return
    slot = knowledge.rules.slot["adaptation"]
    rule = next((rule for rule in knowledge.rules.rules["adaptation"] if rule.choice.key == wanted), None)
    if rule is not None:
        yield check, Decided(slot, rule.choice, None, reason=f"{wanted} instead of {current}: {rule.why} ({rule.id})"), current


def _smaller_format(knowledge: Knowledge, assessment: Assessment, check: Check) -> Iterator[Proposal]:
    evidence, slot = assessment.evidence, knowledge.rules.slot["quantization"]
    name: str = assessment.design.recipe.compression.quantization
    while (smaller := SMALLER_FORMAT.get(name)) is not None:
        name = smaller
        size = evidence.file_bytes.get(FORMAT_OF[name], math.inf) / 1e6 if evidence else 0.0
        if check.limit is not None and size <= check.limit:
            choice = c.Quantization.model_validate(
                {"name": name, "text": f"Store and serve the weights as {name} to stay under {check.limit:g} MB."}
            )
            reason = f"weights stored as {name}"
            yield check, Decided(slot, choice, None, reason=reason), assessment.design.recipe.compression.quantization
            return


def _shown(choice: c.Choice) -> object:
    if isinstance(choice, c.Batch):
        return choice.per_device
    return choice.key

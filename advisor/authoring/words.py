"""A rule in words: its condition, and its value, as text that the caller escapes."""

from __future__ import annotations

import json

from advisor.choices import Choice
from advisor.engine.explaining import describe
from advisor.engine.region import Box
from advisor.engine.rules import Rule

ALWAYS = "always"


def condition_in_words(rule: Rule) -> str:
    """`task.kind is forecasting, data.samples is at least 1,000; but not where …`."""
    parts = [box_in_words(rule.when)] if rule.when else []
    if rule.any:
        parts.append("one of: " + "; or ".join(box_in_words(box) for box in rule.any))
    said = "; and ".join(parts) or ALWAYS
    return said + "".join(f"; but not where {box_in_words(box)}" for box in rule.unless)


def box_in_words(box: Box) -> str:
    return ", ".join(f"{fact} is {describe(domain, None)}" for fact, domain in box.items()) or ALWAYS


def value_in_words(choice: Choice) -> str:
    """What the rule says, as it is written: `name: adamw, learning_rate: {value: 0.004, at_batch: 4096}`."""
    return _flow(choice.model_dump(mode="json", exclude_unset=True))[1:-1] or "nothing"


def _flow(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_flow(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return value if isinstance(value, str) else json.dumps(value)

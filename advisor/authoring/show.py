"""One rule, or one thing that a pack forbids, as text for a terminal."""

from __future__ import annotations

from advisor.authoring.words import box_in_words, condition_in_words, value_in_words
from advisor.engine.rules import Forbidding, Rule, RuleSet
from advisor.errors import UsageError, did_you_mean
from advisor.render.escape import clean


def show(rules: RuleSet, id_: str) -> str:
    """Everything about the rule.

    Raises:
        UsageError: nothing has that id.
    """
    if id_ in rules.by_id:
        lines = _rule(rules, rules.by_id[id_])
    else:
        forbids = [forbid for forbid in rules.forbids if forbid.id == id_]
        if not forbids:
            known = [*rules.by_id, *(forbid.id for forbid in rules.forbids)]
            raise UsageError(f"{clean(id_)}: no rule has this id{did_you_mean(id_, known)}")
        lines = _forbidding(forbids)
    width = max(len(name) for name, _ in lines)
    return "".join(f"{name:{width}}  {clean(text)}\n" for name, text in lines)


def _rule(rules: RuleSet, rule: Rule) -> list[tuple[str, str]]:
    beaten_by = sorted(other.id for other in rules.rules[rule.slot] if rule.id in other.overrides)
    successor = rule.written.superseded_by if rule.written else None
    lines = [
        (rule.id, rule.title),
        ("slot", rule.slot),
        ("where", str(rule.place)),
        ("when", condition_in_words(rule)),
        ("then", value_in_words(rule.choice)),
        ("why", rule.why),
        ("confidence", f"{rule.confidence}, {rule.basis}"),
        *(("source", ", ".join(filter(None, (source.ref, source.claim, source.checked)))) for source in rule.sources),
        ("overrides", ", ".join(sorted(rule.overrides))),
        ("overridden", ", ".join(beaten_by)),
        ("deprecated", f"superseded by {successor}" if rule.deprecated else ""),
        *(("example", f"{example.expect}: {_facts(example.facts)}") for example in rule.examples),
    ]
    return [(name, text) for name, text in lines if text]


def _facts(facts: dict[str, bool | int | float | str]) -> str:
    return (
        ", ".join(f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in facts.items()) or "nothing known"
    )


def _forbidding(forbids: list[Forbidding]) -> list[tuple[str, str]]:
    boxes = [box_in_words(forbid.box) for forbid in forbids]
    return [(forbids[0].id, f"forbids models where {'; or where '.join(boxes)}"), ("why", forbids[0].why), ("where", str(forbids[0].place))]

"""A report in the making: all of it but its facts and decisions, which most of its bytes are, and what those are told from.

One reader wants them as objects. A batch wants the bytes: what a rule says of its decision is then written once and not once a
report, a fact once a report and not once a decision, and neither is made an object first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from json.encoder import encode_basestring  # it escapes what JSON wants escaped and no more, as pydantic does
from typing import Any

from pydantic import TypeAdapter

from advisor import projection as p
from advisor import report as r
from advisor.engine.deciding import Decided, Outcomes
from advisor.engine.facts import Fact, Facts
from advisor.engine.rules import Rule

MOST_REMEMBERED = 8192  # of some 600 bytes each: more than there are rules, for those whose texts name facts
LINE_ENDS = "\x85\u2028\u2029"  # some readers split lines there; JSON allows them as they are, and escaped
_REPORT, _DECISION, _NUMBER = TypeAdapter(r.Report), TypeAdapter(r.Decision), TypeAdapter[float](float)
_FIELDS = list(r.Report.model_fields)
_DECISIONS_AT, _FACTS_AT = _FIELDS.index("decisions"), _FIELDS.index("facts")
_SAID = list(r.Decision.model_fields)
_MATCHED_AT = _SAID.index("facts")

Pieces = tuple[str, str, str]
_by_rule: dict[tuple[Rule, tuple[str, ...]], Pieces] = {}


@dataclass(frozen=True)
class Draft:
    """A report without its facts and decisions; the outcomes that the decisions are, and the facts on which they rest."""

    report: r.Report
    outcomes: Outcomes
    facts: Facts

    def finished(self) -> r.Report:
        """The whole report."""
        told = p.matched(sorted(self.facts), self.facts)
        return self.report.model_copy(update={"facts": told, "decisions": p.decisions(self.outcomes, self.facts, told)})

    def to_json(self) -> bytes:
        """The whole report on one line, byte for byte as if it had been finished and written: camelCase, nulls left out."""
        told = {name: _fact(name, self.facts[name]) for name in sorted(self.facts)}
        made = [_decision(decided, self.facts, told) for outcome in self.outcomes.values() for decided in outcome.decided]
        parts = (
            _members(_REPORT, self.report, _FIELDS[:_DECISIONS_AT]),
            f'"decisions":[{",".join(made)}]',
            _members(_REPORT, self.report, _FIELDS[_DECISIONS_AT + 1 : _FACTS_AT]),
            f'"facts":[{",".join(told.values())}]',
            _members(_REPORT, self.report, _FIELDS[_FACTS_AT + 1 :]),
        )
        text = f"{{{','.join(parts)}}}"
        for end in LINE_ENDS:
            text = text.replace(end, f"\\u{ord(end):04x}")
        return text.encode()


def _members(adapter: TypeAdapter[Any], value: Any, fields: Iterable[str]) -> str:
    """Some fields of a value as they stand between the braces of its JSON."""
    return adapter.dump_json(value, include=set(fields), by_alias=True, exclude_none=True)[1:-1].decode()


def _fact(name: str, fact: Fact) -> str:
    value = p.shown(fact.value)
    if isinstance(value, bool):
        said = "true" if value else "false"
    elif isinstance(value, str):
        said = encode_basestring(value)
    else:
        said = _NUMBER.dump_json(value).decode() if isinstance(value, float) else str(value)
    return f'{{"fact":"{name}","value":{said},"origin":{encode_basestring(p.origin(fact))}}}'


def _decision(decided: Decided, facts: Facts, told: Mapping[str, str]) -> str:
    before, between, after = _remembered(decided, facts)
    matching, overrode = ",".join(p.matching(decided, told)), ",".join([f'"{other.id}"' for other in decided.overrode])
    return f'{{{before},"facts":[{matching}],{between},"overrode":[{overrode}]{after}}}'


def _remembered(decided: Decided, facts: Facts) -> Pieces:
    """The pieces, which for a rule are the same wherever the facts that its texts name are."""
    rule = decided.rule
    if rule is None:
        return _pieces(decided, facts)
    key = rule, tuple([p.spelt(facts.get(name)) for name in rule.placeholders])
    found = _by_rule.get(key)
    if found is None:
        if len(_by_rule) == MOST_REMEMBERED:
            _by_rule.clear()
        found = _by_rule[key] = _pieces(decided, facts)
    return found


def _pieces(decided: Decided, facts: Facts) -> Pieces:
    """What a decision says of itself: before the facts that matched, between them and what it overrode, and after that."""
    decision = r.Decision(**p.reasoned(decided, facts))
    before, between, after = (_members(_DECISION, decision, part) for part in (_SAID[:_MATCHED_AT], ["sources"], ["path"]))
    return before, between, f",{after}" if after else ""

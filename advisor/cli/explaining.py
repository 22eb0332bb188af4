"""`advisor explain` and `advisor what-if`: why each value, why not another, and what would change."""

from __future__ import annotations

import argparse
import json
from typing import Any

from advisor.errors import UsageError, did_you_mean
from advisor.explanation import Comparison, Explanation, explain, what_if
from advisor.reading import read_request


def run(arguments: argparse.Namespace) -> int:
    request = read_request(arguments.request, settings=arguments.settings if arguments.command == "explain" else ())
    answer: Explanation | Comparison
    if arguments.command == "what-if":
        answer = what_if(request, read_request(request, settings=arguments.settings), rules=arguments.rules)
        text = _compared(answer)
    else:
        answer = _explained(request, arguments)
        text = _told(answer)
    print(json.dumps(answer.to_wire(), indent=2, ensure_ascii=False) if arguments.format == "json" else text)
    return 0


def _explained(request: Any, arguments: argparse.Namespace) -> Explanation:
    try:
        answer = explain(request, arguments.slot, not_value=arguments.why_not, rules=arguments.rules)
    except KeyError:
        known = list(explain(request, rules=arguments.rules).slots)
        raise UsageError(
            f"--slot {arguments.slot}: no such decision here{did_you_mean(arguments.slot, known)}; known: {', '.join(known)}"
        ) from None
    if arguments.why_not is not None and not answer.slots:
        raise UsageError(f"--why-not {arguments.why_not}: no rule of {arguments.slot or 'any slot'} gives that value")
    return answer


def _told(answer: Explanation) -> str:
    lines = [f"For the candidate {answer.candidate}:" if answer.candidate else "Before any candidate:"]
    for slot in answer.slots.values():
        lines += ["", f"{slot.slot}: {_plain(slot.value)}", f"  why: {slot.why}"]
        for point in slot.standpoints:
            lines += [f"  {point.standing:<8}{point.rule_id}  {point.title}", f"          {point.because}"]
    for title, entries in (("Assumed", answer.assumed), ("Unknown, and it matters", answer.unknown)):
        lines += ["", f"{title}:", *(f"  {entry}" for entry in entries)] if entries else []
    return "\n".join(lines)


def _compared(answer: Comparison) -> str:
    lines = [f"{name}: {before} -> {after}" for name, (before, after) in answer.facts.items()] or ["The facts are the same."]
    if answer.candidate_before != answer.candidate_after:
        lines += ["", f"candidate: {answer.candidate_before} -> {answer.candidate_after}"]
    if not answer.changes:
        return "\n".join([*lines, "", "No decision changes."])
    for change in answer.changes:
        lines += ["", f"{change.slot}: {_plain(change.before)} -> {_plain(change.after)}", f"  {change.why}"]
    return "\n".join(lines)


def _plain(value: Any) -> str:
    """A choice on one line: its name where it has one, its text where it has not."""
    if isinstance(value, list):
        return ", ".join(_plain(part) for part in value) or "nothing"
    if isinstance(value, dict):
        rest = ", ".join(
            f"{key} {part}" for key, part in value.items() if key not in ("name", "text") and not isinstance(part, dict | list)
        )
        return " ".join(str(part) for part in (value.get("name") or value.get("text") or "", f"({rest})" if rest else "") if part)
    return "nothing" if value is None else str(value)

"""A Markdown page for each slot: its decision table, and every rule with its reason and sources. An index beside them."""

from __future__ import annotations

from pathlib import Path

from advisor.authoring.words import condition_in_words, value_in_words
from advisor.engine.rules import Rule, RuleSet, Slot
from advisor.errors import UsageError
from advisor.render.escape import code_span, escape_cell, escape_text, link_source

MARKER = "<!-- Written by `advisor rules docs`; edit the rules instead. -->"
INDEX = "README.md"
HIT = {
    "unique": "one rule wins",
    "collect": "every rule that holds adds a value; one value a name",
    "any": "the rules that hold agree",
    "min": "the smallest value wins",
    "max": "the largest value wins",
}


def make_pages(rules: RuleSet) -> dict[str, str]:
    """The text of each page by its file name."""
    pages = {f"{slot.name}.md": _page(slot, rules) for slot in rules.slots}
    return {INDEX: _index(rules), **pages}


def stale_pages(folder: Path, pages: dict[str, str]) -> list[str]:
    """The names of files that differ from the pages, are missing, or show a slot that is gone."""
    stale = [name for name, text in pages.items() if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text]
    return sorted([*stale, *_abandoned(folder, pages)])


def write_pages(folder: Path, pages: dict[str, str]) -> list[str]:
    """Write what is stale and remove what is abandoned; returns those names.

    Raises:
        UsageError: the folder cannot be written.
    """
    stale = stale_pages(folder, pages)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in stale:
            if name in pages:
                (folder / name).write_text(pages[name], encoding="utf-8")
            else:
                (folder / name).unlink()
    except OSError as error:
        raise UsageError(f"-o {folder}: cannot be written: {error.strerror or error}") from error
    return stale


def _abandoned(folder: Path, pages: dict[str, str]) -> list[str]:
    """Pages written by an earlier run and not by this one; a file of anybody else's is left alone."""
    found = sorted(folder.glob("*.md")) if folder.is_dir() else []
    return [path.name for path in found if path.name not in pages and path.read_text(encoding="utf-8", errors="replace").startswith(MARKER)]


def _index(rules: RuleSet) -> str:
    rows = [
        f"| [{slot.name}]({slot.name}.md) | {slot.stage} | {slot.per} | {HIT[slot.hit]} | {len(rules.rules[slot.name])} |"
        for slot in rules.slots
    ]
    lines = [
        MARKER,
        "",
        "# Rules",
        "",
        f"{len(rules.slots)} decisions, by {sum(map(len, rules.rules.values()))} rules, in the order in which they are taken.",
        "",
        "| decision | stage | once per | of several rules | rules |",
        "| --- | --- | --- | --- | ---: |",
        *rows,
    ]
    if rules.forbids:
        lines += ["", "## Forbidden", "", *(f"- {code_span(forbid.id)}: {escape_text(forbid.why)}" for forbid in rules.forbids)]
    return "\n".join(lines) + "\n"


def _page(slot: Slot, rules: RuleSet) -> str:
    mine = rules.rules[slot.name]
    facts = {
        "stage": f"{slot.stage}, once per {slot.per}",
        "of several rules": HIT[slot.hit],
        "if none holds": _when_empty(slot),
        "settled by": ", ".join(code_span(fact) for fact in slot.specificity),
        "shows as": code_span(slot.path) if slot.path else "",
    }
    lines = [
        MARKER,
        "",
        f"# {slot.name}",
        "",
        *(f"- {name}: {text}" for name, text in facts.items() if text),
        "",
        "| rule | when | then | confidence |",
        "| --- | --- | --- | --- |",
        *(_row(rule) for rule in mine),
    ]
    for rule in mine:
        lines += ["", *_section(rule, rules)]
    return "\n".join(lines) + "\n"


def _when_empty(slot: Slot) -> str:
    if slot.default is not None:
        return code_span(value_in_words(slot.default))
    return "there is no design" if slot.presence == "required" else "it stays empty"


def _row(rule: Rule) -> str:
    cells = (condition_in_words(rule), value_in_words(rule.choice), rule.confidence)
    return f"| [{rule.id}](#{rule.id.lower()}) | " + " | ".join(map(escape_cell, cells)) + " |"


def _section(rule: Rule, rules: RuleSet) -> list[str]:
    beaten_by = sorted(other.id for other in rules.rules[rule.slot] if rule.id in other.overrides)
    given = {"Overrides": sorted(rule.overrides), "Overridden by": beaten_by}
    return [
        f"## {rule.id}",
        "",
        f"**{escape_text(rule.title)}**",
        "",
        escape_text(rule.why),
        "",
        f"- When: {escape_text(condition_in_words(rule))}",
        f"- Then: {escape_text(value_in_words(rule.choice))}",
        f"- Confidence: {rule.confidence} ({rule.basis})",
        *(f"- {name}: {', '.join(f'[{id_}](#{id_.lower()})' for id_ in ids)}" for name, ids in given.items() if ids),
        *(
            f"- Source: {link_source(source.ref)}"
            + (f": {escape_text(source.claim)}" if source.claim else "")
            + (f" (checked {escape_text(source.checked)})" if source.checked else "")
            for source in rule.sources
        ),
    ]

"""The parser of `advisor rules`, apart from what the commands do, so that the command line starts without importing it."""

from __future__ import annotations

import argparse
import datetime

Commands = argparse._SubParsersAction  # argparse gives the type no public name


def add_rule_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    about = "Write rules, check them, and read what they say."
    group = commands.add_parser("rules", help=about, description=about)
    parts = group.add_subparsers(dest="part", metavar="COMMAND", required=True)
    lint = _add(parts, "lint", "Find what is wrong with the rules: overlaps, gaps, rules that never win, missing sources …")
    add_format(lint)
    lint.add_argument("--as-of", type=_date, metavar="DATE", help="also warn of sources and figures checked more than a year before")
    add_format(_add(parts, "test", "Try every rule on its examples."))
    add_format(_add(parts, "coverage", "Say what the examples leave untried."))
    show = _add(parts, "show", "Show one rule: condition, value, reason, sources and examples.")
    show.add_argument("id", metavar="ID")
    new = parts.add_parser("new", help="Start a rule, with its examples in place.", description="Start a rule, with its examples in place.")
    new.add_argument("slot", metavar="SLOT", help="the decision: optimizer, adaptation, loss …")
    new.add_argument("id", metavar="ID", help="two to five capitals and three digits, such as OPT012")
    new.add_argument("--rules", metavar="DIR", help="the folder to write to (default: the shipped rules)")
    docs = _add(parts, "docs", "Write a Markdown page for each decision, and an index.")
    docs.add_argument("-o", "--output", metavar="DIR", default="docs/rules", help="where to (default: docs/rules)")
    docs.add_argument("--check", action="store_true", help="write nothing; fail if a page is stale")


def _add(parts: Commands[argparse.ArgumentParser], name: str, about: str) -> argparse.ArgumentParser:
    command = parts.add_parser(name, help=about, description=about)
    command.add_argument("--rules", action="append", default=[], metavar="DIR", help="a folder of further rules; may be given again")
    return command


def add_format(command: argparse.ArgumentParser) -> None:
    command.add_argument("--format", choices=("text", "json"), default="text", help="what to print (default: text)")


def _date(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; write it like 2026-11-21") from None

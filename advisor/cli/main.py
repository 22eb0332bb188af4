"""The command line: data on stdout, messages on stderr, and exit statuses that scripts can rely on.

    0    a design (or: the command did what it was asked)
    1    a valid answer that is no design: needs_input, not_applicable, infeasible
    2    a bad request or bad usage
    3    a batch with some error rows
    70   a defect of ours
    130  interrupted

Only the parser is imported at the start; each command imports what it needs.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from advisor import __version__
from advisor.cli.estimate_parser import add_estimate_command
from advisor.cli.rules_parser import add_rule_commands

OK, NO_DESIGN, BAD_INPUT, SOME_ROWS_FAILED, DEFECT, INTERRUPTED = 0, 1, 2, 3, 70, 130
COMMANDS = {
    "design": "designing",
    "batch": "batching",
    "estimate": "estimating",
    "scaffold": "scaffolding",
    "explain": "explaining",
    "what-if": "explaining",
    "rules": "rules",
    "cache": "caching",
}
WRONG_CHOICE = re.compile(r"invalid choice: '(?P<said>[^']*)' \(choose from (?P<known>.*)\)")
DEPTHS = ("none", "static", "smoke")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status. Never shows a traceback."""
    if sys.stderr is None:  # closed by the caller; what is printed to None goes to standard output, among the data
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - until the process ends
    parsed = make_parser().parse_args(arguments)
    if parsed.command is None:
        make_parser().print_help(sys.stderr)
        return BAD_INPUT
    try:
        command = import_module(f"advisor.cli.{COMMANDS[parsed.command]}")
        return int(command.run(parsed))
    except KeyboardInterrupt:
        print("advisor: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader, such as `head`, has had enough
        sys.stdout = None
        return OK
    except Exception as error:
        return _report(error)


class Parser(argparse.ArgumentParser):
    """Names the nearest of the choices where an argument is none of them."""

    def error(self, message: str) -> NoReturn:
        from advisor.errors import did_you_mean

        wrong = WRONG_CHOICE.search(message)
        super().error(message + did_you_mean(wrong["said"], re.findall(r"[\w-]+", wrong["known"])) if wrong else message)


def make_parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = Parser(
        prog="advisor", description="From a description of a deep-learning problem to a checked design report."
    )
    parser.add_argument("--version", action="version", version=f"advisor {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_design(commands)
    _add_batch(commands)
    add_estimate_command(commands)
    _add_scaffold(commands)
    _add_explain(commands)
    _add_what_if(commands)
    _add_cache(commands)
    add_rule_commands(commands)
    return parser


Commands = argparse._SubParsersAction  # argparse gives the type no public name


def _add_design(commands: Commands[argparse.ArgumentParser]) -> None:
    about = "Design a model for a request: choose, plan, check, and explain."
    command = commands.add_parser("design", help=about, description=about)
    command.add_argument("request", metavar="REQUEST", help="a YAML or JSON file, or - for standard input")
    command.add_argument("-o", "--output", metavar="DIR", help="write report.json, report.html and model_card.md there")
    command.add_argument("--format", choices=("summary", "json", "md", "html"), default="summary", help="what to print (default: summary)")
    add_settings(command)
    add_verification(command)


def _add_batch(commands: Commands[argparse.ArgumentParser]) -> None:
    about = "Answer many requests: one JSON object a line in, one a line out, in order."
    command = commands.add_parser("batch", help=about, description=about)
    command.add_argument("input", metavar="IN.ndjson", help='lines of {"id": …, "request": {…}}, or - for standard input')
    command.add_argument("-o", "--output", metavar="OUT.ndjson", default="-", help="where the answers go (default: standard output)")
    command.add_argument("--jobs", type=int, default=1, metavar="N", help="how many lines are answered at once (default: 1)")
    command.add_argument("--engine", choices=("local", "ray"), default="local", help="ray: on the cluster at RAY_ADDRESS, or a local one")
    command.add_argument("--unordered", action="store_true", help="write answers as they come, not in the order of the lines")
    command.add_argument("--resume", action="store_true", help="go on with OUT.ndjson where an earlier run was cut short")
    command.add_argument("--recompute", action="store_true", help="with --resume: replace answers of other rules or versions")
    add_verification(command, default="static")


def _add_scaffold(commands: Commands[argparse.ArgumentParser]) -> None:
    about = "Write a project that trains the design: scripts, settings, pinned requirements."
    command = commands.add_parser("scaffold", help=about, description=about)
    command.add_argument("request", metavar="REQUEST", help="a request (YAML or JSON), designed by rules alone, or a report.json")
    command.add_argument("-o", "--output", metavar="DIR", required=True, help="the folder to write; it must be empty or new")
    command.add_argument("--force", action="store_true", help="overwrite the project's files in a folder that is not empty")
    add_settings(command)
    add_rules(command)


def _add_cache(commands: Commands[argparse.ArgumentParser]) -> None:
    about = "Say what is kept of earlier checks, or remove it."
    command = commands.add_parser("cache", help=about, description=about)
    command.add_argument("action", choices=("info", "clear"), help="say what is there, or remove it")


def _add_explain(commands: Commands[argparse.ArgumentParser]) -> None:
    about = "Say why each decision is what it is, or why it is not something else. Nothing is built or run."
    command = commands.add_parser("explain", help=about, description=about)
    command.add_argument("request", metavar="REQUEST", help="a YAML or JSON file, or - for standard input")
    command.add_argument("--slot", help="one decision only: optimizer, adaptation, loss …")
    command.add_argument("--why-not", metavar="VALUE", help="only the rules that would have given this value, and what kept them from it")
    command.add_argument("--format", choices=("text", "json"), default="text", help="what to print (default: text)")
    add_settings(command)
    add_rules(command)


def _add_what_if(commands: Commands[argparse.ArgumentParser]) -> None:
    about = "Show which decisions change when the request does, and why."
    command = commands.add_parser("what-if", help=about, description=about)
    command.add_argument("request", metavar="REQUEST", help="a YAML or JSON file, or - for standard input")
    command.add_argument("--format", choices=("text", "json"), default="text", help="what to print (default: text)")
    add_settings(command, required=True)
    add_rules(command)


def add_settings(command: argparse.ArgumentParser, *, required: bool = False) -> None:
    shown = "change the request: constraints.latencyRequirement='10 ms', facts.data.classes=10"
    command.add_argument("--set", action="append", default=[], required=required, metavar="PATH=VALUE", dest="settings", help=shown)


def add_verification(command: argparse.ArgumentParser, default: str = "smoke") -> None:
    command.add_argument("--verify", choices=DEPTHS, default=default, help=f"how much to check (default: {default})")
    shown = "time for the checks of one request, such as 60s or 5min; what it does not reach is skipped, and says so"
    command.add_argument("--budget", type=_budget, metavar="TIME", help=shown)
    command.add_argument("--no-cache", action="store_false", dest="use_cache", help="check anew, and keep nothing for later")
    add_rules(command)


def _budget(said: str) -> float:
    from advisor.errors import UsageError
    from advisor.verify.budget import parse_budget

    try:
        return parse_budget(said)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_rules(command: argparse.ArgumentParser) -> None:
    command.add_argument("--rules", action="append", default=[], metavar="DIR", help="a folder of further rules; may be given again")


def _report(error: Exception) -> int:
    from advisor.errors import AdvisorError

    if isinstance(error, AdvisorError):
        for fault in error.faults:
            print(f"advisor: {fault}", file=sys.stderr)
        return BAD_INPUT
    print(f"advisor: a defect of ours: {type(error).__name__}: {error}", file=sys.stderr)
    print("advisor: please report it, with the request; ADVISOR_TRACEBACK=1 shows where it happened", file=sys.stderr)
    _show_traceback(error)
    return DEFECT


def _show_traceback(error: Exception) -> None:
    import traceback

    if os.environ.get("ADVISOR_TRACEBACK"):
        traceback.print_exception(error, file=sys.stderr)

"""`advisor cache`: what is kept of earlier checks, and the way to be rid of it."""

from __future__ import annotations

import argparse

MEGABYTE = 10**6


def run(arguments: argparse.Namespace) -> int:
    """Say what the cache holds, or empty it."""
    from advisor.cache import EvidenceCache
    from advisor.cli.main import OK

    cache = EvidenceCache()
    info = cache.info()
    if arguments.action == "clear":
        print(f"removed {_counted(cache.clear(), 'file')} from {info.folder}")
    else:
        share = f"{info.bytes / MEGABYTE:.1f} of at most {info.limit / MEGABYTE:,.0f} MB"
        print(f"{info.folder}: {_counted(info.entries, 'check')}, {share}")
    return OK


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'s' * (number != 1)}"

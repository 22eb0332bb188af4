"""The command as a process of its own: `advisor`, or `python -m advisor`.

It lives for about as long as its imports take, so that the garbage collector's part shows: with its usual threshold, and a last
collection at the end over all that is alive anyway, it took a quarter of the time of a design by rules alone.
"""

from __future__ import annotations

import gc
import sys

from advisor.cli.main import main

ALLOCATIONS_BETWEEN_COLLECTIONS = 200_000


def run() -> None:
    """Run one command, and exit with its status."""
    gc.set_threshold(ALLOCATIONS_BETWEEN_COLLECTIONS)
    status = main()
    gc.freeze()
    sys.exit(status)


if __name__ == "__main__":
    run()

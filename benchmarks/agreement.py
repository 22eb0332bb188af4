"""How far the designs agree with published training recipes, by field.

    python benchmarks/agreement.py --recipes RECIPES.yaml --score SCORE.py [--misses]

SCORE is a program of two uses: `SCORE RECIPES --requests` prints the recipes as lines of `advisor batch`, and
`SCORE RECIPES REPORTS` compares the answers with what was published. The requests are designed by rules alone, as one batch.
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", required=True, type=Path, help="the published recipes")
    parser.add_argument("--score", required=True, type=Path, help="the program that asks and scores")
    parser.add_argument("--misses", action="store_true", help="the fields each case misses, too")
    arguments = parser.parse_args()
    score = [sys.executable, str(arguments.score), str(arguments.recipes)]
    with tempfile.TemporaryDirectory() as folder:
        requests, reports = Path(folder) / "requests.ndjson", Path(folder) / "reports.ndjson"
        requests.write_text(printed([*score, "--requests"]), encoding="utf-8")
        # Every line is answered anew: what an earlier run left in the cache is no part of the measurement.
        printed([sys.executable, "-m", "advisor", "batch", str(requests), "-o", str(reports), "--verify", "none", "--no-cache"])
        table = printed([*score, str(reports), *(["--misses"] if arguments.misses else [])])
    print(f"{datetime.date.today()}, {arguments.recipes.name}\n{table}", end="")


def printed(command: list[str]) -> str:
    """What a command prints; its own message stays on the screen, and one that fails ends the run with its status."""
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


if __name__ == "__main__":
    main()

"""How long a training project takes to render and to write, warm, for one example of each kind.

    python benchmarks/scaffold_speed.py

Prints the processor's milliseconds of the second writing in one process: the first also reads templates and catalogue.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from advisor import design, scaffold
from advisor.scaffolding.families import family_of

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
TARGET_MS = 500


def main() -> None:
    for path in sorted(EXAMPLES.glob("*.yaml")):
        report = design(path, "none")
        task = next((str(fact.value) for fact in report.facts if fact.fact == "task.kind"), "")
        if report.recipe is None or family_of(report.recipe, task) is None:
            continue
        with tempfile.TemporaryDirectory() as folder:
            scaffold(report, folder)
            started = time.process_time()
            scaffold(report, folder, force=True)
            print(f"{path.stem:24} {1000 * (time.process_time() - started):6.1f} ms of {TARGET_MS}")


if __name__ == "__main__":
    main()

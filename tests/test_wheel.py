"""An installed wheel works away from the checkout: rules, catalogue, templates and schemas are inside it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import EXAMPLES, ROOT

UV = Path(sys.executable).parent / "uv"


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_wheel_designs_from_any_directory_in_a_clean_environment(tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path / "dist", cwd=ROOT)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    clean = tmp_path / "clean"
    run(UV, "venv", "--python", sys.executable, clean, cwd=tmp_path)
    run(UV, "pip", "install", "--python", clean / "bin" / "python", "--constraint", ROOT / "constraints.txt", wheel, cwd=tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    where = run(clean / "bin" / "python", "-c", "import advisor; print(advisor.__file__)", cwd=elsewhere)
    assert str(clean) in where
    told = run(
        clean / "bin" / "advisor", "design", EXAMPLES / "defects.yaml", "--verify", "static", "--format", "json", "-o", "out", cwd=elsewhere
    )
    report = json.loads(told)
    assert report["status"] == "designed"
    assert next(check for check in report["verification"] if check["name"] == "build")["status"] == "passed"
    assert (elsewhere / "out" / "model_card.md").read_text(encoding="utf-8").startswith("---")

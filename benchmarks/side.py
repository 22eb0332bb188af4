"""Side environments: a few packages of other versions, or of other people, before everything of this environment."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def side_python(name: str, packages: tuple[str, ...]) -> str:
    """The interpreter of the environment `.cache/NAME`, made on first use with these packages and none that they ask for."""
    folder = ROOT / ".cache" / name
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        uv = [sys.executable, "-m", "uv"] if _has_uv_module() else [_uv_beside_python()]
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
        subprocess.run([*uv, "pip", "install", "--quiet", "--python", str(python), "--no-deps", *packages], check=True)
        [site] = (folder / "lib").glob("python*/site-packages")
        (site / "main.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
        ready.touch()
    return str(python)


def _has_uv_module() -> bool:
    return subprocess.run([sys.executable, "-m", "uv", "--version"], capture_output=True, check=False).returncode == 0


def _uv_beside_python() -> str:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else "uv"

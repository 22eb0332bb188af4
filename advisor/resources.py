"""Where the package's data lies: inside an installed wheel, or beside the package in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def data_folder(name: str) -> Path:
    """The folder `rules`, `catalogue`, `templates` or `schemas`."""
    installed = _PACKAGE / "data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def data_file(name: str) -> Path:
    """A file beside those folders, such as `constraints.txt`."""
    installed = _PACKAGE / "data" / name
    return installed if installed.is_file() else _PACKAGE.parent / name

"""The scripts that projects are given, as modules."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from advisor.resources import data_folder


def load(folder: str, name: str) -> ModuleType:
    """A script of a folder of the templates, which may read the settings."""
    templates = data_folder("templates") / "scaffold"
    spec = importlib.util.spec_from_file_location(name, templates / folder / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(templates / "common"))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(templates / "common"))
        sys.modules.pop("settings", None)
    return module

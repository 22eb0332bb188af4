"""What the tests of verification share."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

# `jobs` is no test and no package: tests and the processes that they start load it by its path
_SPEC = importlib.util.spec_from_file_location("jobs", Path(__file__).with_name("jobs.py"))
assert _SPEC and _SPEC.loader
_MODULE = importlib.util.module_from_spec(_SPEC)
sys.modules["jobs"] = _MODULE
_SPEC.loader.exec_module(_MODULE)

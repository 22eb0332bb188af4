"""Import torch, timm, transformers and peft without the compiler, in a process that never compiles.

`import timm` takes nine seconds on two cores, and five of them go to `torch._dynamo`, the front end of `torch.compile`. Nobody
compiles here; it is imported because

- torchvision asks `torch._dynamo.utils` whether an operator's Python form may be compiled;
- timm decorates functions with `torch.compiler.disable`, which is `torch._dynamo.disable`;
- every `torch.optim` method and the backward of a checkpoint is wrapped by `torch._compile._disable_dynamo`, which imports
  `torch._dynamo` at the first call: in each forked child again.

All three only say "do not compile this", so where nothing is compiled the function itself is the right answer. The stand-ins
below give it, let the light submodules (`torch._dynamo.config`) load from their files, and load the real package as soon as
anything else is asked of it, so that code that does want the compiler still gets it. They belong in the sandbox's process and
must never be installed in a user's own.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

DYNAMO = "torch._dynamo"
DYNAMO_UTILS = "torch._dynamo.utils"
COMPILE = "torch._compile"
_LIGHT_SUBMODULES = ("config",)  # what eager code reads from the package: torch.utils.checkpoint its configuration


class _StandIn(ModuleType):
    """A module with a few names of its own; any other name loads the module that it stands for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in _LIGHT_SUBMODULES:
            return importlib.import_module(f"{self.__name__}.{name}")
        return getattr(_load_real(self.__name__), name)


def import_without_compiler(libraries: tuple[str, ...]) -> list[str]:
    """Import `libraries` with the stand-ins in place; returns those that are not installed.

    Where the stand-ins do not suit an installed version, everything is imported in the ordinary way.
    """
    _install()
    missing = []
    collecting = gc.isenabled()
    gc.disable()  # an import makes a million objects that stay; collecting among them costs 15 % of the time
    try:
        for library in libraries:
            if importlib.util.find_spec(library) is None:
                missing.append(library)
            else:
                _import_or_retreat(library)
    finally:
        if collecting:
            gc.enable()
    return missing


def _import_or_retreat(library: str) -> None:
    try:
        importlib.import_module(library)
    except Exception:
        if not _remove():
            raise
        for name in [name for name in sys.modules if name.split(".")[0] == library != "torch"]:
            del sys.modules[name]
        importlib.import_module(library)


def _install() -> None:
    if DYNAMO in sys.modules:
        return
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return
    dynamo, utils = _StandIn(DYNAMO), _StandIn(DYNAMO_UTILS)
    dynamo.__path__ = [str(Path(spec.origin).parent / "_dynamo")]
    dynamo.__dict__.update(disable=_leave_alone, is_compiling=_never, utils=utils)
    utils.__dict__["is_compile_supported"] = _never
    sys.modules[DYNAMO], sys.modules[DYNAMO_UTILS] = dynamo, utils
    if COMPILE not in sys.modules:
        decorators = ModuleType(COMPILE)
        decorators.__dict__["_disable_dynamo"] = _leave_alone
        sys.modules[COMPILE] = decorators


def _remove() -> bool:
    """Take the stand-ins for the compiler out; False where there are none."""
    found = [name for name in (DYNAMO, DYNAMO_UTILS) if isinstance(sys.modules.get(name), _StandIn)]
    for name in found:
        del sys.modules[name]
    return bool(found)


def _load_real(name: str) -> ModuleType:
    _remove()
    return importlib.import_module(name)


def _leave_alone(fn: Callable[..., Any] | None = None, *_: Any, **__: Any) -> Any:
    """The decorator that forbids to compile a function, bare or with arguments: the function as it is."""
    return _leave_alone if fn is None else fn


def _never(*_: Any, **__: Any) -> bool:
    return False

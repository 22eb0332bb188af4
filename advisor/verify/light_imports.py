"""Import torch, timm, transformers and peft without the compiler, in a process that never compiles.

`import timm` takes nine seconds on two cores, and five of them go to `torch._dynamo`, the front end of `torch.compile`. Nobody
compiles here; it is imported because

- torchvision asks `torch._dynamo.utils` whether an operator's Python form may be compiled;
- timm decorates functions with `torch.compiler.disable`, which is `torch._dynamo.disable`;
- every `torch.optim` method and the backward of a checkpoint is wrapped by `torch._compile._disable_dynamo`, which imports
  `torch._dynamo` at the first call: in each forked child again.

All three only say "do not compile this", so where nothing is compiled the function itself is the right answer. In the same
way, shape checks on `meta` tensors ask `torch.fx.experimental.symbolic_shapes` whether a size is symbolic, which imports sympy
(1.6 s), and whether a number is one of sympy's; of sizes that are plain integers, `concrete` knows the answers.

And the counter of FLOPs imports Triton (a second), to count kernels that a compiler made; it does without where there is none.

The stand-ins below give these answers, let the light submodules load from their files, and load the real package as soon as
anything else is asked of it, so that code that does want the compiler still gets it. They belong in the sandbox's process and
must never be installed in a user's own.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import logging
import sys
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from advisor.verify.concrete import ANSWERS, are_concrete

NVML_ANSWERS = "PYTORCH_NVML_BASED_CUDA_CHECK"
"""Set to 1, whether there is a GPU is asked of NVML; CUDA, once asked, is lost to every process forked later: torch.cuda.is_available."""
DYNAMO = "torch._dynamo"
DYNAMO_UTILS = "torch._dynamo.utils"
COMPILE = "torch._compile"
SYMBOLIC = "torch.fx.experimental.symbolic_shapes"
SYMPY = "sympy"
FUNCTIONS = "torch.utils._sympy.functions"
TRITON = "triton"
FLOP_COUNTER = "torch.utils.flop_counter"
_SYMBOLS = (SYMBOLIC, FUNCTIONS, SYMPY)  # each needs the others in earnest
_ALL = (DYNAMO, DYNAMO_UTILS, *_SYMBOLS)
_DECORATORS = ("disable", "assume_constant_result", "allow_in_graph")
# What eager code takes from the package: torch.utils.checkpoint its configuration, transformers a mode for its masks.
_LIGHT_SUBMODULES = (f"{DYNAMO}.config", f"{DYNAMO}._trace_wrapped_higher_order_op")


class _StandIn(ModuleType):
    """A module with a few names of its own; any other name loads the module that it stands for."""

    def __init__(self, name: str, **own: Any) -> None:
        super().__init__(name)
        self.__dict__.update(own)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if f"{self.__name__}.{name}" in _LIGHT_SUBMODULES:
            return importlib.import_module(f"{self.__name__}.{name}")
        return getattr(_load_real(self.__name__), name)


class _RealPackageFirst(MetaPathFinder, Loader):
    """Whoever imports a submodule gets the whole real package with it, but for the few that stand alone."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        package = name.rpartition(".")[0]
        if name in _LIGHT_SUBMODULES or not isinstance(sys.modules.get(package), _StandIn):
            return None
        _load_real(package)
        return ModuleSpec(name, self) if name in sys.modules else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """It has run already, with its package."""


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
                _import_without_triton(FLOP_COUNTER)
    finally:
        if collecting:
            gc.enable()
    return missing


def _import_or_retreat(library: str) -> None:
    try:
        importlib.import_module(library)
    except Exception:
        if not _remove(_ALL):
            raise
        for name in [name for name in sys.modules if name.split(".")[0] == library != "torch"]:
            del sys.modules[name]
        importlib.import_module(library)


def _import_without_triton(module: str) -> None:
    """Import it as where Triton is not installed. Whoever asks for Triton later gets it."""
    if module in sys.modules or TRITON in sys.modules or "torch" not in sys.modules:
        return
    sys.modules[TRITON] = None  # type: ignore[assignment]  # the way to say that there is none: importlib, `import_`
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it says so, and nobody needs to know
    try:
        importlib.import_module(module)
    finally:
        logging.disable(level)
        del sys.modules[TRITON]


def _install() -> None:
    torch = importlib.util.find_spec("torch")
    if DYNAMO in sys.modules or torch is None or torch.origin is None:
        return
    sympy = importlib.util.find_spec(SYMPY)
    utils = _StandIn(DYNAMO_UTILS, is_compile_supported=_never)
    sys.modules[DYNAMO_UTILS] = utils
    sys.modules[DYNAMO] = _StandIn(
        DYNAMO,
        **dict.fromkeys(_DECORATORS, _leave_alone),
        graph_break=_do_nothing,
        is_compiling=_never,
        mark_static_address=_do_nothing,
        utils=utils,
        __path__=[str(Path(torch.origin).parent / "_dynamo")],
    )
    if COMPILE not in sys.modules:
        place = str(Path(torch.origin).parent / "_compile.py")  # the compiler asks where its own files lie
        sys.modules[COMPILE] = decorators = _StandIn(COMPILE, _disable_dynamo=_leave_alone, __file__=place)
        importlib.import_module("torch").__dict__["_compile"] = decorators
    if SYMBOLIC not in sys.modules and SYMPY not in sys.modules:
        answers = {name: _unless_symbolic(name, answer) for name, answer in ANSWERS.items()}
        sys.modules[SYMBOLIC] = symbolic = _StandIn(SYMBOLIC, **answers)
        importlib.import_module("torch.fx.experimental").__dict__["symbolic_shapes"] = symbolic
        # imported to compare the strides of two sizes, and not used there
        sys.modules[FUNCTIONS] = functions = _StandIn(FUNCTIONS, Max=max)
        importlib.import_module("torch.utils._sympy").__dict__["functions"] = functions
        # as long as sympy is not loaded, nothing is an instance of its classes
        sys.modules[SYMPY] = _StandIn(SYMPY, __spec__=sympy, __path__=[], Basic=type("Basic", (), {}))
    sys.meta_path.insert(0, _RealPackageFirst())


def _remove(names: tuple[str, ...]) -> bool:
    """Take the stand-ins for these modules out; False where there are none."""
    found = [name for name in names if isinstance(sys.modules.get(name), _StandIn)]
    for name in found:
        del sys.modules[name]
    return bool(found)


def _load_real(name: str) -> ModuleType:
    """The module itself. Symbolic sizes come with the compiler, which uses them in earnest, but not the other way round."""
    _remove(_ALL if name in (DYNAMO, DYNAMO_UTILS) else _SYMBOLS)
    return importlib.import_module(name)


def _unless_symbolic(name: str, answer: Callable[..., Any]) -> Callable[..., Any]:
    """`answer` for concrete sizes, and the real function for all else."""

    def ask(*values: Any) -> Any:
        return answer(*values) if are_concrete(values) else getattr(_load_real(SYMBOLIC), name)(*values)

    return ask


def _leave_alone(fn: Callable[..., Any] | None = None, *_: Any, **__: Any) -> Any:
    """The decorator that forbids to compile a function, bare or with arguments: the function as it is."""
    return _leave_alone if fn is None else fn


def _do_nothing(*_: Any, **__: Any) -> None:
    return None


def _never(*_: Any, **__: Any) -> bool:
    return False

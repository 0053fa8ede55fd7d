"""``tf.compat.v1`` and ``tf.compat.v2``: the facade's names, as one generation has them."""

from __future__ import annotations

import functools
import importlib
from types import FunctionType, ModuleType
from typing import Any

from corenn_tensorflow import mode

_ROOT = "corenn_tensorflow"
#: Namespaces that are the same in both generations.
_ALIKE = frozenset({"app", "errors", "flags", "gfile", "logging", "test", "version"})


def _spoken(function: Any, generation: int) -> Any:
    """A function whose body follows ``generation``."""

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        with mode.speaking(generation):
            return function(*args, **options)

    return call


class View(ModuleType):
    """A module that shows what another has, with functions as one generation has them."""

    def __init__(self, name: str, shown: str, generation: int) -> None:
        super().__init__(name, f"{name}: names of generation {generation}")
        self.__dict__.update(__path__=[], _shown=shown, _generation=generation)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__all__", "__version__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        shown, generation = self.__dict__["_shown"], self.__dict__["_generation"]
        found = _lookup(f"{_ROOT}{shown}", name)
        if isinstance(found, ModuleType) and name not in _ALIKE:
            inner = found.__name__
            found = (
                view(f"{self.__name__}.{name}", inner.removeprefix(_ROOT), generation)
                if inner.startswith(_ROOT)
                else found
            )
        elif not isinstance(found, ModuleType):
            form = getattr(found, f"v{generation}", None)
            if form is not None:
                found = form
            if isinstance(found, FunctionType):
                found = _spoken(found, generation)
        if not name.startswith("__"):
            self.__dict__[name] = found
        return found

    def __dir__(self) -> list[str]:
        return dir(importlib.import_module(f"{_ROOT}{self.__dict__['_shown']}"))


def _lookup(module: str, name: str) -> Any:
    home = importlib.import_module(module)
    try:
        return getattr(home, name)
    except AttributeError:
        try:
            return importlib.import_module(f"{module}.{name}")
        except ImportError:
            pass
        raise


@functools.cache
def view(name: str, shown: str, generation: int) -> View:
    """The view called ``name`` of the facade's module ``shown`` (``""``: the facade itself)."""
    return View(name, shown, generation)


__all__ = ["View", "view"]

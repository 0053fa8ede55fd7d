"""The ``tensorflow``-compatible API of corenn: ``import corenn_tensorflow as tf``.

Its names are gathered when the first of them is asked for: that imports much, and gives corenn's classes the methods
TensorFlow's have, which a process that only looks for plugins must not pay for.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
from typing import Any

from corenn_tensorflow import missing

_missing = missing.guard(__name__)
_gathered: set[str] = set()


def _gather() -> None:
    """Put the names of ``corenn_tensorflow.names`` here."""
    if not _gathered:
        names = importlib.import_module(f"{__name__}.names")
        _gathered.update(names.__all__)
        globals().update({name: getattr(names, name) for name in names.__all__})


def _asked_from_inside(frame: Any) -> bool:
    """Whether a module of this package asks, at its imports: ``from corenn_tensorflow import mode``.

    Gathering all names in the middle of that would meet modules that are half made.
    """
    if "importlib" in frame.f_globals.get("__name__", ""):
        frame = frame.f_back
    if frame is None or frame.f_code.co_name != "<module>":
        return False
    return str(frame.f_globals.get("__name__", "")).startswith(f"{__name__}.")


def __getattr__(name: str) -> Any:
    if name in ("__version__", "VERSION"):
        return importlib.import_module(f"{__name__}.version").of_generation()
    if name == "__all__":
        _gather()
        return sorted(_gathered)
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in _gathered and _asked_from_inside(sys._getframe(1)):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r} yet")  # importlib finds the module then
    _gather()
    if name in _gathered:
        return globals()[name]
    # A namespace of this package that nobody has imported yet; other finders would answer for TensorFlow's insides.
    if importlib.machinery.PathFinder.find_spec(f"{__name__}.{name}", __path__) is not None:
        return importlib.import_module(f"{__name__}.{name}")
    return _missing(name)


def __dir__() -> list[str]:
    _gather()
    return sorted(_gathered)

"""``tf.autograph``: functions are traced as they are; what branches on values runs as plain Python."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

from corenn_tensorflow import missing


def _as_it_is(func: Any = None, **options: Any) -> Any:
    """The function, unchanged."""
    return func if func is not None else _as_it_is


def set_verbosity(level: int, alsologtostdout: bool = False) -> None:
    """Nothing: no code is converted."""


def to_code(entity: Any, recursive: bool = True, experimental_optional_features: Any = None) -> str:
    """The source of a function."""
    return inspect.getsource(getattr(entity, "python_function", entity))


def to_graph(entity: Any, recursive: bool = True, experimental_optional_features: Any = None) -> Any:
    """The function, unchanged."""
    return entity


def trace(*args: Any) -> None:
    """Print the arguments while a function is traced."""
    print(*args)


experimental = SimpleNamespace(do_not_convert=_as_it_is, set_loop_options=lambda **options: None)

__all__ = ["experimental", "set_verbosity", "to_code", "to_graph", "trace"]

__getattr__ = missing.guard(__name__)

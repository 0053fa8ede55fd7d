"""``tensorflow.python.debug``: its debugger is a terminal program; sessions here show runs themselves."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from corenn.errors import UsageError
from corenn_tensorflow import missing


def has_inf_or_nan(datum: Any, tensor: Any) -> bool:
    """Whether a value holds an infinity or no number."""
    array = np.asarray(tensor)
    return array.dtype.kind in "fc" and not bool(np.isfinite(array).all())


class LocalCLIDebugWrapperSession:
    """UsageError: corenn has no terminal debugger for graphs."""

    def __init__(self, sess: Any = None, *args: Any, **options: Any) -> None:
        _refuse(type(self).__name__)


class DumpingDebugWrapperSession(LocalCLIDebugWrapperSession):
    """As above."""


class TensorBoardDebugWrapperSession(LocalCLIDebugWrapperSession):
    """As above."""


class LocalCLIDebugHook(LocalCLIDebugWrapperSession):
    """As above."""


class DumpingDebugHook(LocalCLIDebugWrapperSession):
    """As above."""


class TensorBoardDebugHook(LocalCLIDebugWrapperSession):
    """As above."""


def _refuse(name: str) -> NoReturn:
    raise UsageError(
        f"tf_debug.{name}", "TensorFlow's debugger of graphs is not in corenn",
        hint="use the session itself: set session.check_numerics = True to stop at the first operation with an inf or "
        "nan, or call tf.Session.run with options=tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)",
    )  # fmt: skip


__getattr__ = missing.guard(__name__)

__all__ = [
    "DumpingDebugHook", "DumpingDebugWrapperSession", "LocalCLIDebugHook", "LocalCLIDebugWrapperSession",
    "TensorBoardDebugHook", "TensorBoardDebugWrapperSession", "has_inf_or_nan",
]  # fmt: skip

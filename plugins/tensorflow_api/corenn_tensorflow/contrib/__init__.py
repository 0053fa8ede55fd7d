"""``tf.contrib``: what scripts of TensorFlow 1 used of it most; parts are loaded when they are first named."""

import importlib
import importlib.util
from typing import Any

from corenn_tensorflow import missing

_guard = missing.guard(__name__)


def __getattr__(name: str) -> Any:
    """A part of contrib."""
    if not name.startswith("_") and importlib.util.find_spec(f"{__name__}.{name}") is not None:
        return importlib.import_module(f"{__name__}.{name}")
    return _guard(name)

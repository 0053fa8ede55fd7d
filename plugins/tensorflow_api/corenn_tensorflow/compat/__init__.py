"""``tf.compat``: both generations side by side, and text in both forms."""

import importlib as _importlib
import numbers as _numbers
import os as _os
from typing import Any

import numpy as _np

from corenn_tensorflow import missing
from corenn_tensorflow.functions.text import as_bytes, as_str, as_str_any, as_text
from corenn_tensorflow.shapes import dimension_value

integral_types = (_numbers.Integral, _np.integer)
real_types = (_numbers.Real, _np.integer, _np.floating)
complex_types = (_numbers.Complex, _np.number)
bytes_or_text_types = (bytes, str)


def dimension_at_index(shape: Any, index: int) -> Any:
    """An extent of a shape."""
    return shape[index]


def path_to_str(path: Any) -> Any:
    """The path of an object that stands for one."""
    return _os.fspath(path) if hasattr(path, "__fspath__") else path


def forward_compatible(year: int, month: int, day: int) -> bool:
    """Whether results may need a TensorFlow younger than this day: no."""
    return False


__all__ = [
    "as_bytes", "as_str", "as_str_any", "as_text", "bytes_or_text_types", "complex_types", "dimension_at_index",
    "dimension_value", "forward_compatible", "integral_types", "path_to_str", "real_types",
]  # fmt: skip

_missing = missing.guard(__name__)


def __getattr__(name: str) -> Any:
    if name in ("v1", "v2"):  # they show all namespaces, so they come last
        return _importlib.import_module(f"{__name__}.{name}")
    return _missing(name)

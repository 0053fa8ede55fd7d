"""NumPy's names of the time the scripts are from: those that NumPy has dropped since are given back to a script.

Scripts of TensorFlow 1 call ``np.float``, ``np.product`` or ``np.reshape(a, newshape=...)``, which NumPy 1.24, 2.0 and
2.4 removed (each after years of warnings, with the replacements below in NumPy's own release notes).  ``corenn run``
adds what is missing, in its process; names that NumPy has are left as they are.  Methods of arrays that are gone
(``image.tostring()``, with which every writer of TFRecords begins) are found where the script itself calls them.
"""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable
from types import CodeType
from typing import Any

import numpy as np

from corenn.random import fresh_seed

#: What a script's calls of lost methods go through.
_FINDER = "__corenn_numpy_method__"

#: Names that are another name of what NumPy has.
_OTHER_NAMES = {
    "NAN": "nan", "NaN": "nan", "Inf": "inf", "Infinity": "inf", "infty": "inf", "PINF": "inf",
    "bool8": "bool_", "float_": "float64", "complex_": "complex128", "cfloat": "complex128", "string_": "bytes_",
    "unicode_": "str_", "alltrue": "all", "sometrue": "any", "product": "prod", "cumproduct": "cumprod",
    "round_": "round", "mat": "asmatrix", "row_stack": "vstack", "trapz": "trapezoid", "rank": "ndim",
}  # fmt: skip


def _asfarray(a: Any, dtype: Any = np.float64) -> Any:
    """``a`` as an array of a floating dtype."""
    return np.asarray(a, dtype=dtype if np.issubdtype(dtype, np.inexact) else np.float64)


def _in1d(ar1: Any, ar2: Any, assume_unique: bool = False, invert: bool = False) -> Any:
    """``np.isin`` of flat arrays."""
    return np.isin(np.asarray(ar1).ravel(), ar2, assume_unique=assume_unique, invert=invert)


class _Cast:
    """``np.cast["float32"](x)``."""

    def __getitem__(self, dtype: Any) -> Callable[[Any], Any]:
        return lambda x: np.asarray(x, dtype=dtype)


_VALUES: dict[str, Any] = {
    "int": int, "float": float, "complex": complex, "object": object, "str": str,
    "NINF": -np.inf, "PZERO": 0.0, "NZERO": -0.0, "cast": _Cast(), "asfarray": _asfarray, "in1d": _in1d,
    "asscalar": lambda a: np.asarray(a).item(), "msort": lambda a: np.sort(a, axis=0),
}  # fmt: skip


def restore() -> None:
    """Give NumPy the names it lacks, and ``np.reshape`` the argument ``newshape``."""
    there = vars(np)  # not hasattr, which warns for some
    for name, other in _OTHER_NAMES.items():
        if name not in there:
            setattr(np, name, getattr(np, other))
    for name, value in _VALUES.items():
        if name not in there:
            setattr(np, name, value)
    if "newshape" not in inspect.signature(np.reshape).parameters:
        np.reshape = _taking_newshape(np.reshape)


def seed_new_generators() -> None:
    """Let ``np.random.default_rng()`` begin from fresh seeds of corenn, not from the operating system's entropy."""
    if not hasattr(np.random.default_rng, "__wrapped__"):
        np.random.default_rng = _freshly_seeded(np.random.default_rng)


def _freshly_seeded(default_rng: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(default_rng)
    def seeded(seed: Any = None) -> Any:
        return default_rng(fresh_seed("numpy") if seed is None else seed)

    return seeded


#: Methods that arrays have lost; NumPy's own class cannot be given them back, so calls are.
_METHODS: dict[str, Callable[..., Any]] = {
    "tostring": lambda array, order="C": array.tobytes(order),
    "itemset": lambda array, *where: array.__setitem__(where[0] if len(where) > 1 else ..., where[-1]),
    "ptp": lambda array, *args, **options: np.ptp(array, *args, **options),
    "newbyteorder": lambda array, order="S": array.view(array.dtype.newbyteorder(order)),
}


def _method(held: Any, name: str) -> Any:
    """``held.name``; for an array that lacks it, what the method did."""
    if isinstance(held, (np.ndarray, np.generic)) and not hasattr(held, name):
        return functools.partial(_METHODS[name], held)
    return getattr(held, name)


class _Asking(ast.NodeTransformer):
    """Turns ``x.tostring`` into a call that finds what the method did, for arrays only."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        if node.attr not in _METHODS or not isinstance(node.ctx, ast.Load):
            return node
        call = ast.Call(ast.Name(_FINDER, ast.Load()), [node.value, ast.Constant(node.attr)], [])
        return ast.fix_missing_locations(ast.copy_location(call, node))


def compiled(source: str, filename: str, names: dict[str, Any]) -> CodeType:
    """Compile a script's source; calls of methods that NumPy's arrays have lost find them through ``names``."""
    if not any(f".{method}" in source and not hasattr(np.ndarray, method) for method in _METHODS):
        return compile(source, filename, "exec", dont_inherit=True)
    names[_FINDER] = _method
    tree = compile(source, filename, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    return compile(_Asking().visit(tree), filename, "exec", dont_inherit=True)


def _taking_newshape(reshape: Any) -> Any:
    @functools.wraps(reshape)
    def with_newshape(a: Any, *args: Any, **options: Any) -> Any:
        if "newshape" in options:
            options["shape"] = options.pop("newshape")
        return reshape(a, *args, **options)

    # So that it is not wrapped again, and help() says what it takes.
    found = inspect.signature(reshape)
    extra = inspect.Parameter("newshape", inspect.Parameter.KEYWORD_ONLY, default=None)
    with_newshape.__signature__ = found.replace(parameters=[*found.parameters.values(), extra])  # type: ignore[attr-defined]
    return with_newshape


__all__ = ["compiled", "restore", "seed_new_generators"]

"""Elementwise functions and reductions.

The shared kernels of composite functions make a dozen passes over their arrays: here they run on one cache-sized block
after another, and with NumPy's ufuncs in place of its slower wrappers.  Reductions call the ufuncs' own ``reduce``,
which saves the wrappers' microseconds.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from corenn.backend import Kernel
from corenn.ops.families import reduced_shape
from corenn.ops.table import TABLE
from corenn.spec import Spec

Array = np.ndarray[Any, Any]

#: Bytes in a block: a handful of temporaries of this size fit into a level-2 cache, and malloc keeps them at hand.
BLOCK = 96 * 1024

# ---------------------------------------------------------------- composite functions, block by block


def _clip(x: Array, low: float | None, high: float | None) -> Array:
    result: Array = x if low is None else np.maximum(x, low)
    return result if high is None else np.minimum(result, high)


_sum: Any = np.add.reduce  # called (x, axis, dtype, out, keepdims): positions are faster than keywords


def _reduce(ufunc: np.ufunc) -> Callable[..., Array]:
    reduce: Any = ufunc.reduce

    def run(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Array:
        # NumPy takes None faster than a tuple of all axes.
        found: Array = reduce(x, axis if len(axis) < x.ndim else None, None, None, keepdims)
        return found

    return run


#: What the shared kernels use of ``xp``, without the checks of NumPy's wrappers.
_XP = SimpleNamespace(
    clip=_clip,
    finfo=functools.cache(np.finfo),
    max=_reduce(np.maximum),
    min=_reduce(np.minimum),
    sum=_reduce(np.add),
    **{
        name: getattr(np, name)
        for name in (
            "abs", "astype", "copysign", "exp", "expm1", "float32", "float64", "full_like", "isdtype", "log", "log1p",
            "maximum", "ones_like", "reshape", "round", "sign", "sin", "sqrt", "tan", "where", "zeros_like",
        )
    },
)  # fmt: skip


def _shared(name: str) -> Callable[..., Array]:
    """The shared kernel of an op, without what it does about half precision: this backend widens that itself."""
    shared: Any = TABLE[name].kernel_function
    return functools.partial(getattr(shared, "__wrapped__", shared), _XP)


def blocked(function: Callable[..., Array]) -> Callable[..., Array]:
    """A unary function that keeps shape and dtype, on one block after another."""

    def run(x: Array, **attrs: Any) -> Array:
        if x.nbytes <= BLOCK:
            return function(x, **attrs)
        source, result = np.ascontiguousarray(x).reshape(-1), np.empty(x.size, x.dtype)
        step = BLOCK // x.itemsize
        for start in range(0, x.size, step):
            result[start : start + step] = function(source[start : start + step], **attrs)
        return result.reshape(x.shape)

    return run


_FEW_PASSES = ("hard_sigmoid", "hard_tanh", "leaky_relu", "relu6")
_MANY_PASSES = (
    "celu", "digamma", "elu", "erf", "erfc", "erfinv", "gelu", "hard_swish", "lgamma", "log_sigmoid", "mish",
    "polygamma", "selu", "sigmoid", "silu", "softplus", "softsign",
)  # fmt: skip


def select(condition: Array, x: Array, y: Array) -> Array:
    """``where`` of 32-bit elements by masking bits: NumPy's own branches, and mispredicts where a mask is irregular."""
    shape = condition.shape
    chosen = np.ascontiguousarray(condition).reshape(-1).view(np.int8)
    a, b = (np.ascontiguousarray(v).reshape(-1).view(np.int32) for v in (x, y))
    result = np.empty(condition.size, np.int32)
    step = BLOCK // x.itemsize
    for start in range(0, condition.size, step):
        part = slice(start, start + step)
        mine = b if b.size == 1 else b[part]
        bits = np.negative(chosen[part], dtype=np.int32)  # all ones where the condition holds
        bits &= (a if a.size == 1 else a[part]) ^ mine
        np.bitwise_xor(bits, mine, out=result[part])
    return result.view(x.dtype).reshape(shape)


def squared_difference(x: Array, y: Array) -> Array:
    """See the op; the difference is squared in its own memory."""
    difference = np.subtract(x, y)
    return np.multiply(difference, difference, out=difference) if difference.ndim else difference * difference


def gate(x: Array, condition: Array) -> Array:
    """``where(condition, x, 0)``, by masking bits where that pays (see ``select``)."""
    if x.size <= 4096 or x.shape != condition.shape:
        return np.where(condition, x, x.dtype.type(0))
    word = np.dtype(f"i{x.itemsize}")
    bits, chosen = (
        np.ascontiguousarray(x).reshape(-1).view(word),
        np.ascontiguousarray(condition).reshape(-1).view(np.int8),
    )
    result = np.empty(x.size, word)
    step = BLOCK // x.itemsize
    for start in range(0, x.size, step):
        part = result[start : start + step]
        np.negative(chosen[start : start + step], out=part, dtype=word)  # all ones where the condition holds
        part &= bits[start : start + step]
    return result.view(x.dtype).reshape(x.shape)


def clip(x: Array, *, min: float | None, max: float | None) -> Array:
    """The ufuncs, without the wrapper's checks."""
    return _clip(x, min, max) if min is not None or max is not None else x.copy()


def _selectable(specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> bool:
    condition, x, y = (s for s in specs if s is not None)
    whole = all(s.shape == condition.shape or (s.size == 1 and len(s.shape) <= len(condition.shape)) for s in (x, y))
    return whole and condition.size > 8192 and x.dtype.itemsize == 4


# ---------------------------------------------------------------- reductions


def _floating(specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> bool:
    return specs[0] is not None and specs[0].dtype.is_inexact


def _not_complex(specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> bool:
    return specs[0] is not None and specs[0].dtype.kind != "c"


def _reducer(ufunc: np.ufunc, specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> Callable[[Array], Array]:
    """A reduction by a ufunc of one array, its axes looked at once."""
    reduce: Any = ufunc.reduce
    axis, keepdims = attrs["axis"], attrs["keepdims"]
    (x,) = specs
    if x is None or len(axis) < x.ndim:
        return lambda x: reduce(x, axis, None, None, keepdims)
    if keepdims and axis:
        return lambda x: reduce(x, None, None, None, True)
    as_array = np.asarray  # without axes left NumPy gives a scalar
    return lambda x: as_array(reduce(x, None))


def reduction(ufunc: np.ufunc, when: Any = None) -> Kernel:
    """The kernel of a reduction by a ufunc."""
    return Kernel(prepare=functools.partial(_reducer, ufunc), when=when)


def _mean(specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> Callable[[Array], Array]:
    """The sum divided by the count, which NumPy's own does with more ado."""
    (x,) = specs
    assert x is not None  # the op has no optional operand
    total = _reducer(np.add, specs, attrs)
    count: Any = math.prod([x.static[a] for a in attrs["axis"]])
    if not count:
        return lambda x: total(x) + math.nan
    if reduced_shape(x.shape, attrs["axis"], attrs["keepdims"]):
        return lambda x: total(x) / count
    as_array = np.asarray
    return lambda x: as_array(total(x) / count)


def argmax(x: Any, *, axis: int | None, keepdims: bool) -> Array:
    """The method, without the function's wrapper."""
    return x.argmax(axis=axis, keepdims=keepdims)  # type: ignore[no-any-return]


def argmin(x: Any, *, axis: int | None, keepdims: bool) -> Array:
    """The method, without the function's wrapper."""
    return x.argmin(axis=axis, keepdims=keepdims)  # type: ignore[no-any-return]


def count_nonzero(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Array:
    """A sum of bools."""
    found: Array = _sum(x if x.dtype == np.bool_ else x != 0, axis, np.int64, None, keepdims)
    return found


def variance(x: Array, *, axis: tuple[int, ...], correction: float, keepdims: bool) -> Array:
    """Two passes: the mean, then the squares of what is left."""
    count = math.prod([x.shape[a] for a in axis])
    rest: Any = x - _sum(x, axis, None, None, True) / count
    rest *= rest
    return _sum(rest, axis, None, None, keepdims) / (count - correction)  # type: ignore[no-any-return]


def std(x: Array, *, axis: tuple[int, ...], correction: float, keepdims: bool) -> Array:
    """The root of the variance."""
    found: Array = np.sqrt(variance(x, axis=axis, correction=correction, keepdims=keepdims))
    return found


# ---------------------------------------------------------------- cumulative

_WIDE = {np.dtype(t): np.dtype(w) for t, w in (("i1", "i4"), ("i2", "i4"), ("u1", "u4"), ("u2", "u4"))}


def _accumulate(ufunc: np.ufunc, first: int) -> Callable[..., Array]:
    def run(x: Array, *, axis: int, reverse: bool, exclusive: bool) -> Array:
        before = (slice(None),) * axis
        dtype = _WIDE.get(x.dtype, x.dtype)
        source = x[(*before, slice(None, None, -1))] if reverse else x
        if not exclusive:
            result: Array = ufunc.accumulate(source, axis, dtype)
        else:
            result = np.empty(x.shape, dtype)
            result[(*before, slice(0, 1))] = first
            ufunc.accumulate(source[(*before, slice(0, -1))], axis, dtype, result[(*before, slice(1, None))])
        return result[(*before, slice(None, None, -1))] if reverse else result

    return run


KERNELS: dict[str, Kernel | Sequence[Kernel]] = {
    **{name: Kernel(_shared(name)) for name in _FEW_PASSES},
    **{name: Kernel(blocked(_shared(name))) for name in _MANY_PASSES},
    "relu": Kernel(lambda x: np.maximum(x, 0)),
    "squared_difference": Kernel(squared_difference, when=_not_complex),
    "exp2": Kernel(np.exp2),
    "cbrt": Kernel(np.cbrt),
    "cast": Kernel(lambda x, *, dtype: x.astype(dtype, copy=False), when=_not_complex),
    "clip": Kernel(clip, when=_floating),
    "gate": Kernel(gate),
    "where": Kernel(select, when=_selectable),
    "sum": reduction(np.add, _floating),
    "prod": reduction(np.multiply, _floating),
    "max": reduction(np.maximum),
    "min": reduction(np.minimum),
    "any": reduction(np.logical_or),
    "all": reduction(np.logical_and),
    "mean": Kernel(prepare=_mean),
    "argmax": Kernel(argmax),
    "argmin": Kernel(argmin),
    "count_nonzero": Kernel(count_nonzero),
    "logsumexp": Kernel(_shared("logsumexp")),
    "norm": Kernel(_shared("norm")),
    "variance": Kernel(variance),
    "std": Kernel(std),
    "cumsum": Kernel(_accumulate(np.add, 0)),
    "cumprod": Kernel(_accumulate(np.multiply, 1)),
}

"""Reductions, running sums, positions of extremes, sorting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import corenn
from corenn import dtypes
from corenn.tensor import Tensor
from corenn_onnx.ops._common import axes_of, positive
from corenn_onnx.table import onnx_op


def _max(x: Tensor, axis: Any, keepdims: bool) -> Tensor:
    return _extreme(corenn.max, x, axis, keepdims, low=True)


def _min(x: Tensor, axis: Any, keepdims: bool) -> Tensor:
    return _extreme(corenn.min, x, axis, keepdims, low=False)


def _extreme(compute: Callable[..., Tensor], x: Tensor, axis: Any, keepdims: bool, low: bool) -> Tensor:
    """The largest or smallest elements; of none the neutral element, of bools any or all."""
    if x.dtype is dtypes.bool_:
        return (corenn.any if low else corenn.all)(x, axis=axis, keepdims=keepdims)
    axes = range(len(x.shape)) if axis is None else axis
    if any(x.shape[a] == 0 for a in axes):
        if x.dtype.is_floating:
            value: float = -np.inf if low else np.inf
        else:
            info = np.iinfo(x.dtype.numpy)
            value = int(info.min if low else info.max)
        shape = [1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes]
        return corenn.full(tuple(shape), value, dtype=x.dtype)
    return compute(x, axis=axis, keepdims=keepdims)


def _sum(x: Tensor, axis: Any, keepdims: bool) -> Tensor:
    return corenn.sum(x, axis=axis, keepdims=keepdims).cast(x.dtype)


def _mean(x: Tensor, axis: Any, keepdims: bool) -> Tensor:
    if x.dtype.is_floating:
        return corenn.mean(x, axis=axis, keepdims=keepdims)
    return corenn.mean(x.cast(dtypes.float64), axis=axis, keepdims=keepdims).cast(x.dtype)


def _in_floats(compute: Callable[..., Tensor]) -> Any:
    """Integers are computed in float64."""

    def run(x: Tensor, axis: Any, keepdims: bool) -> Tensor:
        wide = x if x.dtype.is_floating else x.cast(dtypes.float64)
        return compute(wide, axis, keepdims).cast(x.dtype)

    return run


_REDUCTIONS = {
    "ReduceSum": _sum,
    "ReduceMean": _mean,
    "ReduceMax": _max,
    "ReduceMin": _min,
    "ReduceProd": lambda x, a, k: corenn.prod(x, axis=a, keepdims=k).cast(x.dtype),
    "ReduceL1": lambda x, a, k: _sum(corenn.abs(x), a, k),
    "ReduceL2": _in_floats(lambda x, a, k: corenn.sqrt(corenn.sum(corenn.square(x), axis=a, keepdims=k))),
    "ReduceSumSquare": lambda x, a, k: _sum(corenn.square(x), a, k),
    "ReduceLogSum": _in_floats(lambda x, a, k: corenn.log(corenn.sum(x, axis=a, keepdims=k))),
    "ReduceLogSumExp": _in_floats(lambda x, a, k: corenn.logsumexp(x, axis=a, keepdims=k)),
}


def _reduction(name: str, compute: Callable[..., Tensor], since: int) -> None:
    @onnx_op(name, since=since, host=("axes",))
    def run(
        x: Tensor, axes: np.ndarray[Any, Any] | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
    ) -> Tensor:
        if axes is None or not axes.size:
            if noop_with_empty_axes:
                return _REDUCED_OVER_NOTHING.get(name, lambda value: value)(x)  # type: ignore[no-any-return]
            return compute(x, None, bool(keepdims))
        return compute(x, axes_of(axes, len(x.shape)), bool(keepdims))

    @onnx_op(name)
    def run_attribute(x: Tensor, *, axes: Any = None, keepdims: int = 1) -> Tensor:
        return compute(x, axes_of(axes, len(x.shape)), bool(keepdims))


#: What a reduction over no axes leaves of each element.
_REDUCED_OVER_NOTHING: dict[str, Any] = {
    "ReduceL1": corenn.abs, "ReduceL2": corenn.abs, "ReduceSumSquare": corenn.square, "ReduceLogSum": corenn.log,
}  # fmt: skip

for _name, _compute in _REDUCTIONS.items():
    _reduction(_name, _compute, 13 if _name == "ReduceSum" else 18)


def _position(name: str, compute: Callable[..., Tensor]) -> None:
    @onnx_op(name)
    def run(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
        axis = positive(axis, len(x.shape))
        if not select_last_index:
            return compute(x, axis=axis, keepdims=bool(keepdims))
        found = compute(corenn.flip(x, axis=axis), axis=axis, keepdims=bool(keepdims))
        return corenn.subtract(x.shape[axis] - 1, found)


_position("ArgMax", corenn.argmax)
_position("ArgMin", corenn.argmin)


def _running(name: str, compute: Callable[..., Tensor]) -> None:
    @onnx_op(name, host=("axis",))
    def run(x: Tensor, axis: np.ndarray[Any, Any], *, exclusive: int = 0, reverse: int = 0) -> Tensor:
        place = positive(int(axis.reshape(())), len(x.shape))
        return compute(x, axis=place, exclusive=bool(exclusive), reverse=bool(reverse)).cast(x.dtype)


_running("CumSum", corenn.cumsum)
_running("CumProd", corenn.cumprod)


def _top(x: Tensor, k: int, axis: int, largest: int) -> tuple[Tensor, Tensor]:
    axis = positive(axis, len(x.shape))
    if largest:
        return corenn.top_k(x, k=k, axis=axis)  # type: ignore[return-value]
    order = corenn.argsort(x, axis=axis)
    places = corenn.gather(order, np.arange(k), axis=axis)
    return corenn.take_along_axis(x, places, axis=axis), places


@onnx_op("TopK", since=10, host=("k",))
def top_k(x: Tensor, k: np.ndarray[Any, Any], *, axis: int = -1, largest: int = 1, sorted: int = 1) -> Any:
    """The largest (or smallest) elements along an axis and their positions."""
    return _top(x, int(k.reshape(())), axis, largest)


@onnx_op("TopK")
def top_k_attribute(x: Tensor, *, k: int, axis: int = -1) -> Any:
    """Before opset 10 the number is an attribute."""
    return _top(x, k, axis, 1)


@onnx_op("NonZero", host=("x",))
def non_zero(x: np.ndarray[Any, Any]) -> Any:
    """Coordinates of the elements that are not zero, one row for each axis."""
    return np.array(np.nonzero(x), dtype=np.int64).reshape(x.ndim, -1)


@onnx_op("Unique", host=("x",))
def unique(x: np.ndarray[Any, Any], *, axis: int | None = None, sorted: int = 1) -> Any:
    """Distinct elements (or slices along ``axis``), where each occurs first, which each is, and how often it occurs."""
    values, first, inverse, counts = np.unique(x, return_index=True, return_inverse=True, return_counts=True, axis=axis)
    inverse = inverse.reshape(-1)
    if not sorted:
        order = np.argsort(first)
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        values = np.take(values, order, axis=axis or 0)
        first, inverse, counts = first[order], place[inverse], counts[order]
    return tuple([values, *[a.astype(np.int64) for a in (first, inverse, counts)]])

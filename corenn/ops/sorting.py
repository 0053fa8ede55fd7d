"""Order: sorting, the largest few, binary search, distinct values.

NaN sorts as the largest value: last when ascending, first when descending.  Positions are int64.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.dtypes import REAL
from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.ops.families import normal_axis
from corenn.ops.gathering import take_along, take_along_axis
from corenn.ops.sampling import distinct, error, integer, literal, real, sample
from corenn.ops.scatter import along_axis_add
from corenn.ops.table import Call, TensorLike, op
from corenn.spec import Spec
from corenn.tensor import Tensor


def _sort(call: Call, x: Spec) -> Spec:
    if not x.ndim:
        raise call.shape_error("takes an operand with axes", x="is 0-d")
    call.attrs["axis"] = normal_axis(call, call.attrs["axis"], x.ndim)
    return x.at(None)


def _argsort(call: Call, x: Spec) -> Spec:
    return _sort(call, x).of(dtypes.int64)


@op(infer=_sort, dtypes=REAL)
def sort(x: TensorLike, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """``x`` in ascending (or ``descending``) order along ``axis``; NaN counts as the largest value.

    ``stable`` is for symmetry with ``argsort``: equal values cannot be told apart.  ShapeError for 0-d operands.
    """


@sort.kernel
def _(xp: Any, x: Any, *, axis: int, descending: bool, stable: bool) -> Any:
    ordered = xp.sort(x, axis=axis, stable=stable)
    return xp.flip(ordered, axis=axis) if descending else ordered


@sort.vjp
def _(g: Tensor, x: Tensor, axis: int, descending: bool) -> Tensor:
    order = argsort(x, axis=axis, descending=descending)
    return take_along_axis(g, argsort(order, axis=axis), axis=axis)


@op(infer=_argsort, dtypes=REAL)
def argsort(x: TensorLike, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The positions (int64) along ``axis`` that put ``x`` in ascending (or ``descending``) order.

    Equal values keep their order unless ``stable=False``; NaN counts as the largest value.  ShapeError for 0-d ``x``.
    """


@argsort.kernel
def _order_of(xp: Any, x: Any, *, axis: int, descending: bool, stable: bool) -> Any:
    """Argsort in array-API terms; NumPy's own has no ``descending``."""
    if descending:  # turned twice, so that equal values keep their order
        last = x.shape[axis] - 1
        x = xp.flip(x, axis=axis)
    order = xp.astype(xp.argsort(x, axis=axis, stable=stable), xp.int64, copy=False)
    return last - xp.flip(order, axis=axis) if descending else order


_orders = (
    sample(distinct()),
    sample(distinct(shape=(2, 3, 2)), axis=1, descending=True),
    sample(distinct(shape=(4,)), axis=0, stable=False),
    sample(literal([[1.0, np.nan, -np.inf, 0.5]], "float32"), grad=False),
    sample(literal([[1.0, np.nan, -np.inf, 0.5]], "float32"), descending=True, grad=False),
    sample(literal([3, 1, 3, 2, 1], "int32"), descending=True, grad=False),
    sample(real(shape=(2, 0)), grad=False),
)
_sort_errors = (
    error(ShapeError, "is out of range", real(), axis=2),
    error(ShapeError, "with axes", real(shape=())),
    error(DTypeError, "not bool", literal([True], "bool")),
)


def _down(x: np.ndarray[Any, Any], axis: int) -> np.ndarray[Any, Any]:
    last: int = x.shape[axis] - 1
    turned: np.ndarray[Any, Any] = np.argsort(np.flip(x, axis), axis, kind="stable")
    return last - np.flip(turned, axis)


@argsort.reference
def _argsort_reference(x: np.ndarray[Any, Any], *, axis: int, descending: bool, stable: bool) -> np.ndarray[Any, Any]:
    return _down(x, axis) if descending else np.argsort(x, axis, kind="stable")


@sort.reference
def _(x: np.ndarray[Any, Any], *, axis: int, descending: bool, stable: bool) -> np.ndarray[Any, Any]:
    return np.take_along_axis(x, _argsort_reference(x, axis=axis, descending=descending, stable=stable), axis)


sort.samples(*_orders)
argsort.samples(*[replace(s, grad=False) for s in _orders])
sort.error_samples(*_sort_errors)
argsort.error_samples(*_sort_errors)


def _top_k(call: Call, x: Spec) -> tuple[Spec, Spec]:
    _sort(call, x)
    axis, k = call.attrs["axis"], call.attrs["k"]
    if not isinstance(k, int) or k < 0:
        raise call.attribute_error("k must be a non-negative int", k="")
    extent = x.shape[axis]
    if extent is not None and k > extent:
        raise call.shape_error(
            f"there are no {k} elements along axis {axis}", x=f"axis {axis} has extent {extent}", k=""
        )
    shape = (*x.shape[:axis], k, *x.shape[axis + 1 :])
    return Spec(shape, x.dtype), Spec(shape, dtypes.int64)


@op(infer=_top_k, dtypes=REAL, results=("values", "indices"))
def top_k(x: TensorLike, /, *, k: int, axis: int = -1, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """The ``k`` largest elements along ``axis`` and their positions (int64), largest first.

    Of equal elements those with lower positions come first.  NaN counts as the largest value.  ``sorted=False``
    permits any order.  ShapeError when there are fewer than ``k``.  Gradients flow to ``x``.
    """


@top_k.kernel
def _(xp: Any, x: Any, *, k: int, axis: int, sorted: bool, device: Any) -> Any:
    order = _order_of(xp, x, axis=axis, descending=True, stable=True)
    indices = order[(*[slice(None)] * axis, slice(0, k), Ellipsis)]
    return take_along(xp, x, indices, axis=axis, device=device), indices


@top_k.vjp
def _(g: tuple[Tensor, Tensor], x_spec: Spec, out: tuple[Tensor, Tensor], axis: int) -> Tensor:
    return along_axis_add(g[0], out[1], extent=x_spec.static[axis], axis=axis)


@top_k.reference
def _(x: np.ndarray[Any, Any], *, k: int, axis: int, sorted: bool) -> Any:
    indices = np.take(_down(x, axis), range(k), axis)
    return np.take_along_axis(x, indices, axis), indices


top_k.samples(
    sample(distinct(), k=2),
    sample(distinct(shape=(4, 2)), k=3, axis=0),
    sample(literal([[3, 1, 3, 2, 3]], "int32"), k=2, grad=False),
    sample(literal([[1.0, np.nan, 2.0]], "float32"), k=2, grad=False),
    sample(distinct(shape=(3,)), k=0, grad=False),
    sample(distinct(shape=(2, 8)), k=2),
    sample(literal([[3, 1, 3, 2, 3, 0, 3, 3], [0] * 8], "int32"), k=2, grad=False),
    sample(literal([[3, np.nan, 3, 2, 3, 0, np.nan, 3], [0] * 8], "float32"), k=2, grad=False),
)
top_k.error_samples(
    error(ShapeError, "no 5 elements", real(), k=5),
    error(AttributeValueError, "non-negative int", real(), k=-1),
)


def _searchsorted(call: Call, x: Spec, values: Spec) -> Spec:
    if x.ndim != 1:
        raise call.shape_error("searches along one axis", x=f"has {x.ndim} axes")
    if call.attrs["side"] not in ("left", "right"):
        raise call.attribute_error("side must be 'left' or 'right'", side="")
    return Spec(values.shape, dtypes.int64)


@op(infer=_searchsorted, promote=True, dtypes=REAL)
def searchsorted(x: TensorLike, values: TensorLike, /, *, side: str = "left") -> Tensor:
    """Where each of ``values`` would be put in to keep 1-D ``x``, which is in ascending order: int64, their shape.

    Before equal elements with ``side="left"``, after them with "right".  The dtypes promote.
    """


@searchsorted.kernel
def _(xp: Any, x: Any, values: Any, *, side: str) -> Any:
    return xp.astype(xp.searchsorted(x, values, side=side), xp.int64, copy=False)


searchsorted.samples(
    sample(literal([-1.0, 0.0, 0.0, 2.0]), literal([[0.0, 5.0], [-3.0, 1.0]]), grad=False),
    sample(literal([1, 3, 3, 7], "int32"), integer(0, 9), side="right", grad=False),
    sample(real(shape=(0,)), real(), grad=False),
    sample(literal([1.0]), real(shape=()), grad=False),
)
searchsorted.error_samples(
    error(ShapeError, "along one axis", real(), real()),
    error(AttributeValueError, "'left' or 'right'", real(shape=(3,)), real(), side="middle"),
    error(DTypeError, "do not promote", real(shape=(3,)), integer()),
)
searchsorted.reference(lambda x, values, *, side: np.searchsorted(x, values, side))


# ---------------------------------------------------------------- distinct values


@op(infer=lambda call, x: Spec((None,), x.dtype), dtypes=REAL | {dtypes.bool_})
def unique(x: TensorLike, /) -> Tensor:
    """The distinct values of ``x`` in ascending order, along one axis; each NaN counts as distinct.

    How many there are is known only when it has run.
    """


@unique.kernel
def _(xp: Any, x: Any, *, device: Any) -> Any:
    line = xp.reshape(x, (-1,))
    if xp.isdtype(x.dtype, "bool"):  # the array API sorts numbers only
        line = xp.astype(line, xp.uint8)
    line = xp.sort(line)
    line = line[_starts(xp, line, device)]
    return xp.astype(line, x.dtype, copy=False)


def _starts(xp: Any, line: Any, device: Any) -> Any:
    """Where a sorted line has another value than before."""
    one = min(1, line.shape[0])
    return xp.concat((xp.ones((one,), dtype=xp.bool, device=device), line[one:] != line[: line.shape[0] - one]))


unique.samples(
    sample(integer(0, 4), grad=False),
    sample(literal([[2.0, 1.0, np.inf, 1.0]], "float32"), grad=False),
    sample(literal([True, True], "bool"), grad=False),
    sample(real(shape=(0, 2)), grad=False),
    sample(real(shape=()), grad=False),
)
unique.error_samples(error(DTypeError, "takes floating", literal([1j], "complex64")))
unique.reference(np.unique)


@op(
    infer=lambda call, x: (
        Spec((None,), x.dtype), Spec((None,), dtypes.int64), Spec(x.shape, dtypes.int64), Spec((None,), dtypes.int64)
    ),
    dtypes=REAL,
    results=("values", "indices", "inverse", "counts"),
)  # fmt: skip
def unique_all(x: TensorLike, /) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The distinct values of ``x`` in ascending order, and about them (all int64):

    ``indices``: where each first occurs among the elements of ``x`` in C order; ``inverse``: for each element of
    ``x``, in its shape, the position of its value; ``counts``: how often each value occurs.  Each NaN counts as
    distinct.  How many values there are is known only when it has run.
    """


@unique_all.kernel
def _(xp: Any, x: Any, *, device: Any) -> Any:
    line = xp.reshape(x, (-1,))
    order = xp.astype(xp.argsort(line, stable=True), xp.int64, copy=False)
    line = xp.take(line, order, axis=0)
    new = _starts(xp, line, device)
    first = xp.astype(xp.nonzero(new)[0], xp.int64, copy=False)
    end = xp.full((min(1, line.shape[0]),), line.shape[0], dtype=xp.int64, device=device)
    rank = xp.cumulative_sum(xp.astype(new, xp.int64)) - 1
    inverse = xp.reshape(xp.take(rank, xp.argsort(order, stable=True), axis=0), x.shape)
    counts = xp.concat((first[min(1, line.shape[0]) :], end)) - first
    return xp.take(line, first, axis=0), xp.take(order, first, axis=0), inverse, counts


unique_all.samples(
    sample(integer(0, 4), grad=False),
    sample(literal([[2.0, 1.0, np.inf, 1.0]], "float32"), grad=False),
    sample(real(shape=(0, 2)), grad=False),
    sample(real(shape=()), grad=False),
)
unique_all.error_samples(error(DTypeError, "takes floating", literal([1j], "complex64")))


@unique_all.reference
def _(x: np.ndarray[Any, Any]) -> Any:
    values, indices, inverse, counts = np.unique(x, True, True, True)
    return values, indices, inverse.reshape(x.shape), counts


def unique_inverse(x: TensorLike) -> tuple[Tensor, Tensor]:
    """The distinct values of ``x`` in ascending order, and for each element (in its shape) which it is."""
    values, _, inverse, _ = unique_all(x)
    return values, inverse


def unique_counts(x: TensorLike) -> tuple[Tensor, Tensor]:
    """The distinct values of ``x`` in ascending order, and how often each occurs (int64)."""
    values, _, _, counts = unique_all(x)
    return values, counts

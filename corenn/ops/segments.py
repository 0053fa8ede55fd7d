"""Segments: sums, products and extremes of elements that share an id.  Every scatter that adds rests on segment_sum.

The shared kernel needs no assignment to elements, which the array API does not have: ids are sorted (stably, so the
order of addition is fixed), runs of one id are combined in log2(n) steps (Hillis & Steele, "Data parallel
algorithms", CACM 29, 1986), and the last element of each run is the segment's.  Runs never mix, so a NaN stays in
its segment.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.device import Device
from corenn.dtypes import INEXACT, INTEGER, NUMERIC, REAL
from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.ops.creation import arange, full, ones, zeros
from corenn.ops.elementwise import add, cast, clip, conj, divide, floor, maximum, multiply, select, subtract, where
from corenn.ops.families import broadcast_shapes
from corenn.ops.gathering import gather
from corenn.ops.logic import equal, greater_equal, less, logical_and
from corenn.ops.sampling import distinct, error, integer, literal, real, sample
from corenn.ops.shaping import reshape
from corenn.ops.slicing import check_same_dtype
from corenn.ops.table import Call, TensorLike, op
from corenn.spec import Spec
from corenn.tensor import Tensor


def _segments(call: Call, x: Spec, segment_ids: Spec) -> Spec:
    count = call.attrs["num_segments"]
    if not isinstance(count, int) or count < 0:
        raise call.attribute_error("num_segments must be a non-negative int", num_segments="")
    covered = x.shape[: segment_ids.ndim]
    if len(covered) < segment_ids.ndim or any(
        n != m for n, m in zip(segment_ids.shape, covered, strict=True) if n is not None and m is not None
    ):
        raise call.shape_error("the ids must have the extents of the first axes of x", segment_ids="")
    return Spec((count, *x.shape[segment_ids.ndim :]), x.dtype)


def _combine(xp: Any, x: Any, ids: Any, count: int, combine: Callable[[Any, Any], Any], empty: Any, device: Any) -> Any:
    """Rows of ``x`` [n, ...] that share an id of ``ids`` [n] combined: [count, ...]; ``empty`` where there are none."""
    rest = x.shape[1:]
    nothing = xp.full((count, *rest), empty, dtype=x.dtype, device=device)
    if not x.shape[0] or not count:
        return nothing
    ids = xp.astype(ids, xp.int64, copy=False)
    order = xp.argsort(ids, stable=True)
    ids, x = xp.take(ids, order, axis=0), xp.take(x, order, axis=0)
    ones = (1,) * len(rest)
    distance = 1
    while distance < x.shape[0]:
        same = xp.reshape(ids[distance:] == ids[:-distance], (-1, *ones))
        later = xp.where(same, combine(x[:-distance, ...], x[distance:, ...]), x[distance:, ...])
        x = xp.concat((x[:distance, ...], later), axis=0)
        distance *= 2
    wanted = xp.arange(count, dtype=xp.int64, device=device)
    last = xp.searchsorted(ids, wanted, side="right") - 1
    last = xp.where(last < 0, xp.zeros_like(last), last)
    found = xp.reshape(xp.take(ids, last, axis=0) == wanted, (count, *ones))
    return xp.where(found, xp.take(x, last, axis=0), nothing)


def _flat(xp: Any, x: Any, ids: Any) -> tuple[Any, Any]:
    """Data and ids with the ids' axes made one."""
    return xp.reshape(x, (math.prod(ids.shape), *x.shape[ids.ndim :])), xp.reshape(ids, (-1,))


def _lowest(xp: Any, dtype: Any) -> Any:
    return int(xp.iinfo(dtype).min) if xp.isdtype(dtype, "integral") else -math.inf


def _highest(xp: Any, dtype: Any) -> Any:
    return int(xp.iinfo(dtype).max) if xp.isdtype(dtype, "integral") else math.inf


_ids = integer(0, 3, shape=(5,))
_errors = (
    error(ShapeError, "extents of the first axes", real(shape=(4, 2)), _ids, num_segments=3),
    error(AttributeValueError, "non-negative int", real(shape=(5,)), _ids, num_segments=-1),
    error(DTypeError, "takes integer", real(shape=(5,)), real(shape=(5,)), num_segments=3),
)


@op(infer=_segments, dtypes={"x": NUMERIC, "segment_ids": INTEGER})
def segment_sum(x: TensorLike, segment_ids: TensorLike, /, *, num_segments: int) -> Tensor:
    """Sums of the slices of ``x`` that share an id: element i of the result adds all ``x[ids == i]``.

    ``segment_ids``: integers in any order, with the extents of the first axes of ``x``.  Shape:
    ``(num_segments, *the other axes)``; segments without elements are 0.  Slices with a negative id are left out;
    ids of ``num_segments`` and more are a ShapeError where the backend can tell without waiting, else left out too.
    Half-precision values are added in float32.
    """


@segment_sum.kernel
def _(xp: Any, x: Any, ids: Any, *, num_segments: int, device: Any) -> Any:
    x, ids = _flat(xp, x, ids)
    dtype = x.dtype
    narrow = xp.isdtype(dtype, "real floating") and xp.finfo(dtype).bits < 32
    x = xp.astype(x, xp.float32) if narrow else x
    return xp.astype(_combine(xp, x, ids, num_segments, xp.add, 0, device), dtype, copy=False)


def _spread(g: Tensor, ids: Tensor) -> Tensor:
    """Each segment's value at its elements; 0 where the id names no segment."""
    count = g.shape[0]
    inside = logical_and(greater_equal(ids, 0), less(ids, count))
    if not count:
        return zeros((*ids.shape, *g.shape[1:]), g.dtype, device=g.spec.device)
    taken = gather(g, clip(ids, min=0, max=count - 1))
    shown = reshape(inside, shape=(*ids.shape, *[1] * (g.ndim - 1)))
    return where(shown, taken, 0)


@segment_sum.vjp
def _(g: Tensor, segment_ids: Tensor, needs: tuple[bool, bool]) -> tuple[Tensor | None, Tensor | None]:
    return _spread(g, segment_ids) if needs[0] else None, None


@segment_sum.reference
def _(x: np.ndarray[Any, Any], ids: np.ndarray[Any, Any], *, num_segments: int) -> np.ndarray[Any, Any]:
    return _naive(x, ids, num_segments, lambda part: part.sum(0))


def _naive(
    x: np.ndarray[Any, Any], ids: np.ndarray[Any, Any], count: int, meaning: Callable[[Any], Any]
) -> np.ndarray[Any, Any]:
    flat = x.reshape(ids.size, *x.shape[ids.ndim :])
    rows = [meaning(flat[ids.reshape(-1) == i]) for i in range(count)]
    return np.stack(rows) if rows else np.zeros((0, *flat.shape[1:]))


segment_sum.samples(
    sample(real(shape=(5,)), _ids, num_segments=3),
    sample(real(shape=(5, 2)), literal([2, 0, 2, 2, -1], "int32"), num_segments=4),
    sample(real(shape=(2, 3, 2)), integer(0, 3, shape=(2, 3), dtype="uint8"), num_segments=3),
    sample(integer(shape=(5,)), _ids, num_segments=3, grad=False),
    sample(real(shape=(0, 2)), integer(0, 1, shape=(0,)), num_segments=2),
    sample(real(shape=(2,)), literal([-1, -1], "int32"), num_segments=0),
)
segment_sum.error_samples(*_errors)


@op(infer=_segments, dtypes={"x": INEXACT, "segment_ids": INTEGER})
def segment_mean(x: TensorLike, segment_ids: TensorLike, /, *, num_segments: int) -> Tensor:
    """Means of the slices of ``x`` that share an id; 0 for segments without elements.  Ids as in ``segment_sum``."""


@segment_mean.decompose
def _(x: Tensor, segment_ids: Tensor, *, num_segments: int) -> Tensor:
    total = segment_sum(x, segment_ids, num_segments=num_segments)
    real = x.dtype if x.dtype.is_floating else dtypes.float32
    counts = segment_sum(ones(segment_ids.shape, dtypes.float32, x.spec.device), segment_ids, num_segments=num_segments)
    counts = cast(maximum(counts, 1.0), dtype=real)
    return divide(total, reshape(cast(counts, dtype=x.dtype), shape=(num_segments, *[1] * (total.ndim - 1))))


segment_mean.samples(
    sample(real(shape=(5,)), _ids, num_segments=4),
    sample(real(shape=(5, 2)), literal([2, 0, 2, 2, -1], "int32"), num_segments=3),
)
segment_mean.error_samples(*_errors)
segment_mean.reference(
    lambda x, ids, *, num_segments: _naive(x, ids, num_segments, lambda part: part.sum(0) / max(1, len(part)))
)


@op(infer=_segments, dtypes={"x": REAL, "segment_ids": INTEGER})
def segment_max(x: TensorLike, segment_ids: TensorLike, /, *, num_segments: int) -> Tensor:
    """The largest of the slices of ``x`` that share an id, by element; NaN if one is.

    Segments without elements have the lowest value of the dtype (-inf).  Ids as in ``segment_sum``.  At ties the
    gradient is shared equally.
    """


@op(infer=_segments, dtypes={"x": REAL, "segment_ids": INTEGER})
def segment_min(x: TensorLike, segment_ids: TensorLike, /, *, num_segments: int) -> Tensor:
    """The smallest of the slices of ``x`` that share an id, by element; NaN if one is.

    Segments without elements have the highest value of the dtype (+inf).  Ids as in ``segment_sum``.  At ties the
    gradient is shared equally.
    """


@segment_max.kernel
def _(xp: Any, x: Any, ids: Any, *, num_segments: int, device: Any) -> Any:
    return _combine(xp, *_flat(xp, x, ids), num_segments, xp.maximum, _lowest(xp, x.dtype), device)


@segment_min.kernel
def _(xp: Any, x: Any, ids: Any, *, num_segments: int, device: Any) -> Any:
    return _combine(xp, *_flat(xp, x, ids), num_segments, xp.minimum, _highest(xp, x.dtype), device)


def _extreme_gradient(
    g: Tensor, x: Tensor, segment_ids: Tensor, out: Tensor, num_segments: int, needs: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    if not needs[0]:
        return None, None
    mine = cast(equal(x, _spread(out, segment_ids)), dtype=g.dtype)
    sharing = maximum(segment_sum(mine, segment_ids, num_segments=num_segments), 1)
    return multiply(_spread(divide(g, sharing), segment_ids), mine), None


def _extreme_reference(largest: bool) -> Callable[..., Any]:
    def reference(x: np.ndarray[Any, Any], ids: np.ndarray[Any, Any], *, num_segments: int) -> np.ndarray[Any, Any]:
        empty = (_lowest if largest else _highest)(np, x.dtype)
        meaning = np.max if largest else np.min
        return _naive(x, ids, num_segments, lambda part: meaning(part, 0, initial=empty)).astype(x.dtype)

    return reference


for _extreme in (segment_max, segment_min):
    _extreme.vjp(_extreme_gradient)
    _extreme.samples(
        sample(distinct(shape=(5,)), literal([2, 0, 2, 1, 0], "int32"), num_segments=3),
        sample(distinct(shape=(5, 2)), literal([2, 0, 2, 1, -1], "int32"), num_segments=3),
        sample(distinct(shape=(5,)), literal([2, 0, 2, 2, 0], "int32"), num_segments=4, grad=False),
    )
    _extreme.error_samples(*_errors)
    _extreme.reference(_extreme_reference(_extreme is segment_max))


@op(infer=_segments, dtypes={"x": NUMERIC, "segment_ids": INTEGER})
def segment_prod(x: TensorLike, segment_ids: TensorLike, /, *, num_segments: int) -> Tensor:
    """Products of the slices of ``x`` that share an id, by element; 1 for segments without elements.

    Ids as in ``segment_sum``.  The first gradient is exact also where factors are 0.
    """


@segment_prod.kernel
def _(xp: Any, x: Any, ids: Any, *, num_segments: int, device: Any) -> Any:
    return _combine(xp, *_flat(xp, x, ids), num_segments, xp.multiply, 1, device)


@segment_prod.vjp
def _(
    g: Tensor, x: Tensor, segment_ids: Tensor, num_segments: int, needs: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    if not needs[0]:
        return None, None
    zero = equal(x, 0)
    others = where(zero, 1, x)
    product = _spread(segment_prod(others, segment_ids, num_segments=num_segments), segment_ids)
    zeros = _spread(segment_sum(cast(zero, dtype=dtypes.int32), segment_ids, num_segments=num_segments), segment_ids)
    alone = select(zero, product, divide(product, others))  # the product of the others, if they have no zero
    alone = where(equal(subtract(zeros, cast(zero, dtype=dtypes.int32)), 0), alone, 0)
    alone = conj(alone) if x.dtype in dtypes.COMPLEX else alone
    return multiply(_spread(g, segment_ids), alone), None


segment_prod.samples(
    sample(real(0.5, 2, shape=(5,)), _ids, num_segments=4),
    sample(real(-2, -0.5, shape=(5, 2)), literal([2, 0, 2, 2, -1], "int32"), num_segments=3),
)
segment_prod.error_samples(*_errors)
segment_prod.reference(lambda x, ids, *, num_segments: _naive(x, ids, num_segments, lambda part: part.prod(0)))


# ---------------------------------------------------------------- the last of each segment


def _set_rows(call: Call, x: Spec, positions: Spec, updates: Spec) -> Spec:
    check_same_dtype(call, x, updates, "updates")
    if positions.ndim != 1 or not x.ndim or updates.shape != (*positions.shape, *x.shape[1:]):
        raise call.shape_error("updates must have one row of x for each position", positions="", updates="")
    return x.at(None)


@op(infer=_set_rows, dtypes={"positions": INTEGER}, namespace="_")
def set_rows(x: TensorLike, positions: TensorLike, updates: TensorLike, /) -> Tensor:
    """``x`` [n, ...] with the rows at ``positions`` [m] (not negative) replaced by ``updates`` [m, ...].

    Where a position occurs several times its last update stays.  Positions that are no row are left out.
    """


@set_rows.kernel
def _(xp: Any, x: Any, positions: Any, updates: Any, *, device: Any) -> Any:
    if not updates.shape[0] or not x.shape[0]:
        return xp.asarray(x, copy=True)
    positions = xp.astype(positions, xp.int64, copy=False)
    order = xp.argsort(positions, stable=True)
    ordered = xp.take(positions, order, axis=0)
    wanted = xp.arange(x.shape[0], dtype=xp.int64, device=device)
    last = xp.searchsorted(ordered, wanted, side="right") - 1
    last = xp.where(last < 0, xp.zeros_like(last), last)
    found = xp.reshape(xp.take(ordered, last, axis=0) == wanted, (-1, *[1] * (x.ndim - 1)))
    return xp.where(found, xp.take(updates, xp.take(order, last, axis=0), axis=0), x)


def _last_writer(positions: Tensor, rows: int) -> Tensor:
    """For each position whether it is the last of its value."""
    count = positions.size
    device = positions.spec.device
    numbers = arange(count, dtype=dtypes.int64, device=device)
    winner = set_rows(full((rows,), -1, dtypes.int64, device), positions, numbers)
    return equal(gather(winner, positions), numbers)


@set_rows.vjp
def _(
    g: Tensor, x_spec: Spec, positions: Tensor, updates_spec: Spec, needs: tuple[bool, ...]
) -> tuple[Tensor | None, ...]:
    gx = gupdates = None
    if needs[0]:
        gx = set_rows(g, positions, zeros(updates_spec.static, g.dtype, device=g.spec.device))
    if needs[2] and x_spec.shape[0]:
        last = reshape(_last_writer(positions, x_spec.static[0]), shape=(-1, *[1] * (x_spec.ndim - 1)))
        gupdates = where(last, gather(g, positions), 0)
    return gx, None, gupdates


@set_rows.reference
def _(x: np.ndarray[Any, Any], positions: np.ndarray[Any, Any], updates: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    out = x.copy()
    for position, row in zip(positions, updates, strict=True):
        out[position] = row
    return out


set_rows.samples(
    sample(real(), integer(0, 3, shape=(5,)), real(shape=(5, 4))),
    sample(real(shape=(3,)), literal([1, 1], "int32"), real(shape=(2,))),
    sample(real(), integer(0, 1, shape=(0,)), real(shape=(0, 4))),
)
set_rows.error_samples(
    error(ShapeError, "one row of x for each position", real(), integer(0, 3, shape=(2,)), real(shape=(3, 4))),
    error(DTypeError, "dtype of x", real(), integer(0, 3, shape=(2,)), integer(shape=(2, 4))),
)


# ---------------------------------------------------------------- counting


def _bincount(call: Call, x: Spec, weights: Spec | None) -> Spec:
    if x.ndim != 1:
        raise call.shape_error("takes integers along one axis", "corenn.ravel(x)", x=f"has {x.ndim} axes")
    least = call.attrs["minlength"]
    if not isinstance(least, int) or least < 0:
        raise call.attribute_error("minlength must be a non-negative int", minlength="")
    if weights is None:
        return Spec((None,), dtypes.int64)
    if broadcast_shapes(call, (weights.shape, x.shape)) != weights.shape or weights.ndim != 1:
        raise call.shape_error("takes one weight for each element", x="", weights="")
    return Spec((None,), weights.dtype)


@op(infer=_bincount, dtypes={"x": INTEGER, "weights": NUMERIC})
def bincount(x: TensorLike, weights: TensorLike | None = None, /, *, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, 2, ... occurs in ``x`` (1-D non-negative integers): int64, or the sums of ``weights``.

    Shape: ``(max(x) + 1,)`` or ``minlength`` if that is more, known only when it has run; ``segment_sum`` gives a
    shape known before.  Negative elements are not counted (NumPy refuses them).
    """


@bincount.kernel
def _(xp: Any, x: Any, weights: Any, *, minlength: int, device: Any, place: Device) -> Any:
    count = max(minlength, int(place.backend.to_host(xp.max(x))) + 1) if x.shape[0] else minlength
    values = xp.ones(x.shape, dtype=xp.int64, device=device) if weights is None else weights
    return _combine(xp, values, x, count, xp.add, 0, device)


bincount.vjp(weights=lambda g, x: _spread(g, x))
bincount.samples(
    sample(integer(0, 4, shape=(7,)), grad=False),
    sample(integer(0, 4, shape=(7,)), real(shape=(7,)), minlength=6),
    sample(integer(0, 1, shape=(0,)), minlength=2, grad=False),
)
bincount.error_samples(
    error(ShapeError, "along one axis", integer(0, 3)),
    error(ShapeError, "one weight for each", integer(0, 3, shape=(3,)), real(shape=(1,))),
    error(AttributeValueError, "non-negative", integer(0, 3, shape=(3,)), minlength=-1),
)


@bincount.reference
def _(x: np.ndarray[Any, Any], weights: np.ndarray[Any, Any] | None = None, *, minlength: int) -> np.ndarray[Any, Any]:
    values = np.ones(x.shape, np.int64) if weights is None else weights
    counts = np.zeros(max(minlength, x.max(initial=-1) + 1), values.dtype)
    np.add.at(counts, x, values)
    return counts


def histogram_fixed_width(
    values: TensorLike, value_range: tuple[float, float], nbins: int = 100, dtype: Any = dtypes.int32
) -> Tensor:
    """Counts of ``values`` (real floating, any shape) in ``nbins`` equal bins over ``value_range`` (low, high).

    Values below and above are counted in the first and the last bin, as TensorFlow does, and NaN nowhere.
    Shape ``(nbins,)``.
    """
    low, high = (float(v) for v in value_range)
    if not low < high or nbins < 1:
        what = "takes (low, high) with low < high, and at least one bin"
        raise AttributeValueError("histogram_fixed_width", what, {"value_range": value_range, "nbins": nbins})
    flat = reshape(values, shape=(-1,))
    places = floor(multiply(divide(add(flat, -low), high - low), float(nbins)))
    known = equal(flat, flat)
    ids = cast(where(known, clip(places, min=0.0, max=float(nbins - 1)), -1.0), dtype=dtypes.int32)
    return segment_sum(cast(known, dtype=dtype), ids, num_segments=nbins)

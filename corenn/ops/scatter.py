"""Scattering: putting or adding elements at positions; the reverse of indexing and gathering.

Where a position occurs several times, added elements all count and of set elements the last one stays (in C order
of the index arrays), on every backend.  Positions are as in ``gather``: negative ones count from the end.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.dtypes import INTEGER, NUMERIC, DType
from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.ops.binding import scalar_beside
from corenn.ops.creation import arange, tensor
from corenn.ops.elementwise import add
from corenn.ops.families import normal_axis, static_shape
from corenn.ops.gathering import flat_index, gather, take_along_axis
from corenn.ops.indexing import INDEX_SAMPLES, gather_nd, getitem, parse_index
from corenn.ops.layout import (
    Layout,
    advanced_shape,
    key_of,
    layout_of,
    part_of,
    positions_of,
    rows_of,
    to_front,
)  # fmt: skip
from corenn.ops.sampling import error, integer, real, sample
from corenn.ops.segments import segment_sum, set_rows
from corenn.ops.shaping import broadcast_to, operand, reshape, transpose, unstack
from corenn.ops.slicing import (
    ALL,
    Pattern,
    basic_index,
    basic_place,
    basic_shape,
    basic_update,
    check_region,
    check_same_dtype,
)
from corenn.ops.table import Call, TensorLike, op
from corenn.spec import Spec
from corenn.tensor import Tensor

_ARRAY = ("array",)
_INDEX_DTYPES = INTEGER | {dtypes.bool_}


# ---------------------------------------------------------------- the reverse of x[...] with arrays


def _getitem_add(call: Call, x: Spec, *indices: Spec) -> Spec:
    shape = call.attrs["shape"] = static_shape(call, call.attrs["shape"])
    check_region(call, x, advanced_shape(call, shape, indices, "shape"), "x")
    return Spec(shape, x.dtype)


@op(infer=_getitem_add, name="index_arrays_add", namespace="_", dtypes={"x": NUMERIC, "indices": _INDEX_DTYPES})
def getitem_add(x: TensorLike, /, *indices: TensorLike, shape: tuple[int, ...], pattern: Pattern) -> Tensor:
    """Zeros of ``shape`` with ``x`` added at what an index with arrays names: the gradient of ``x[...]``.

    ``x`` broadcasts to the shape of the part; elements named twice add up.
    """


@getitem_add.decompose
def _(x: Tensor, *indices: Tensor, shape: tuple[int, ...], pattern: Pattern) -> Tensor:
    layout = layout_of(pattern, shape)
    positions = flat_index(*positions_of(indices, pattern), extents=layout.extents)
    lines = to_front(x, positions.shape, layout)
    added = segment_sum(lines, reshape(positions, shape=(-1,)), num_segments=layout.rows[0])
    return from_rows(added, shape, layout)


def from_rows(rows: Tensor, shape: tuple[int, ...], layout: Layout) -> Tensor:
    """Rows back as an operand of ``shape``, zero outside the part the index names."""
    part = part_of(rows, layout)
    return basic_place(part, shape=shape, pattern=layout.basic) if layout.partial else part


@getitem_add.vjp
def _(g: Tensor, indices: tuple[Tensor, ...], pattern: Pattern, needs: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
    return (getitem(g, *indices, pattern=pattern) if needs[0] else None, *[None] * len(indices))


@getitem_add.reference
def _(
    x: np.ndarray[Any, Any], *indices: np.ndarray[Any, Any], shape: tuple[int, ...], pattern: Pattern
) -> np.ndarray[Any, Any]:
    out = np.zeros(shape, x.dtype)
    np.add.at(out, key_of(pattern, indices), x)
    return out


getitem_add.samples(
    *(
        sample(real(shape=()), *arrays, shape=shape, pattern=pattern)
        for shape, arrays, pattern in INDEX_SAMPLES
    ),
    sample(real(shape=(4,)), integer(-3, 3, shape=(4,)), shape=(3,), pattern=(_ARRAY,)),
    sample(real(shape=(2, 2)), integer(0, 3, shape=(2,)), shape=(3, 2), pattern=(_ARRAY,)),
    sample(
        real(shape=(2, 4, 2)), integer(0, 3, shape=(2, 1)), integer(0, 2, shape=(4,)),
        shape=(3, 2, 2), pattern=(_ARRAY, ALL, _ARRAY),
    ),
)  # fmt: skip
getitem_add.error_samples(
    error(ShapeError, "does not broadcast to the indexed part", real(shape=(3,)), integer(0, 2, shape=(2,)),
          shape=(4,), pattern=(_ARRAY,)),
    error(ShapeError, "too many indices", real(shape=()), integer(0, 2, shape=(2,)), shape=(), pattern=(_ARRAY,)),
)  # fmt: skip


# ---------------------------------------------------------------- x[...] with other elements


def _index_set(call: Call, x: Spec, value: Spec, *indices: Spec) -> Spec:
    check_same_dtype(call, x, value)
    check_region(call, value, advanced_shape(call, x.shape, indices, "x"))
    return x.at(None)


@op(infer=_index_set, name="index_arrays_update", dtypes={"indices": _INDEX_DTYPES}, namespace="_")
def index_set(x: TensorLike, value: TensorLike, /, *indices: TensorLike, pattern: Pattern) -> Tensor:
    """``x`` with what an index with arrays names replaced by ``value``, broadcast to it; the last one stays."""


@index_set.decompose
def _(x: Tensor, value: Tensor, *indices: Tensor, pattern: Pattern) -> Tensor:
    layout = layout_of(pattern, x.shape)
    positions = flat_index(*positions_of(indices, pattern), extents=layout.extents)
    lines = to_front(value, positions.shape, layout)
    part = part_of(set_rows(rows_of(x, layout), reshape(positions, shape=(-1,)), lines), layout)
    return basic_update(x, part, pattern=layout.basic) if layout.partial else part


@index_set.reference
def _(
    x: np.ndarray[Any, Any], value: np.ndarray[Any, Any], *indices: np.ndarray[Any, Any], pattern: Pattern
) -> np.ndarray[Any, Any]:
    out = x.copy()
    out[key_of(pattern, indices)] = value
    return out


index_set.samples(
    *(
        sample(real(shape=shape), real(shape=()), *arrays, pattern=pattern)
        for shape, arrays, pattern in INDEX_SAMPLES
    ),
    sample(real(shape=(3, 2)), real(shape=(4, 2)), integer(-3, 3, shape=(4,)), pattern=(_ARRAY,)),
    sample(real(shape=(2, 3)), real(shape=(1, 4)), integer(0, 3, shape=(4,)), pattern=(ALL, _ARRAY)),
)  # fmt: skip
index_set.error_samples(
    error(ShapeError, "does not broadcast", real(), real(shape=(3,)), integer(0, 2, shape=(2,)), pattern=(_ARRAY,)),
    error(DTypeError, "dtype of x", real(), integer(shape=(4,)), integer(0, 2, shape=(2,)), pattern=(_ARRAY,)),
)


def _value_beside(where: str, x: Tensor, value: Any) -> Any:
    if isinstance(value, Tensor) or hasattr(value, "__corenn_op__"):
        if value.spec.dtype is not x.spec.dtype:
            hint = f"corenn.cast(value, dtype={x.spec.dtype.name!r})"
            raise DTypeError(where, "value must have the dtype of x", {"x": x.spec, "value": value.spec}, hint=hint)
        return value
    if isinstance(value, (bool, int, float, complex)):
        return scalar_beside(value, x)
    return tensor(value, dtype=x.spec.dtype, device=x.spec.device)


def index_update(x: TensorLike, value: TensorLike, index: Any) -> Tensor:
    """A copy of ``x`` with ``x[index]`` replaced by ``value``, broadcast to it: NumPy's ``x[index] = value``.

    ``index`` is anything the brackets of a tensor take.  ``value`` has the dtype of ``x``; numbers, lists and arrays
    are converted.  Elements named twice keep the last value.  Gradients flow to ``x`` and to ``value``.  ShapeError
    when ``value`` does not broadcast to the indexed part, DTypeError for a tensor of another dtype.
    """
    given = operand(x)
    pattern, arrays = parse_index(given, index if index.__class__ is tuple else (index,))
    new = _value_beside("index_update", given, value)
    if arrays:
        return index_set(given, new, *arrays, pattern=pattern)
    return basic_update(given, new, pattern=pattern)


def _index_increase(call: Call, x: Spec, value: Spec, *indices: Spec) -> Spec:
    check_same_dtype(call, x, value)
    region = advanced_shape(call, x.shape, indices, "x") if indices else basic_shape(call, x.shape, "x")
    check_region(call, value, region)
    return x.at(None)


@op(infer=_index_increase, name="index_add", dtypes={"x": NUMERIC, "indices": _INDEX_DTYPES}, namespace="_")
def index_increase(x: TensorLike, value: TensorLike, /, *indices: TensorLike, pattern: Pattern) -> Tensor:
    """``x`` with ``value``, broadcast, added to what an index names; elements named twice get both."""


@index_increase.decompose
def _(x: Tensor, value: Tensor, *indices: Tensor, pattern: Pattern) -> Tensor:
    if indices:
        return add(x, getitem_add(value, *indices, shape=x.shape, pattern=pattern))
    return add(x, basic_place(value, shape=x.shape, pattern=pattern))


@index_increase.vjp
def _(g: Tensor, indices: tuple[Tensor, ...], pattern: Pattern, needs: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
    part = None
    if needs[1]:
        part = getitem(g, *indices, pattern=pattern) if indices else basic_index(g, pattern=pattern)
    return (g if needs[0] else None, part, *[None] * len(indices))


@index_increase.reference
def _(
    x: np.ndarray[Any, Any], value: np.ndarray[Any, Any], *indices: np.ndarray[Any, Any], pattern: Pattern
) -> np.ndarray[Any, Any]:
    out = x.copy()
    np.add.at(out, key_of(pattern, indices), value)
    return out


index_increase.samples(
    sample(real(), real(shape=(1,)), pattern=(("int", -1), ("slice", None, None, 2))),
    sample(real(), real(shape=(3, 4)), integer(0, 3, shape=(3,)), pattern=(_ARRAY,)),
    sample(integer(), integer(shape=()), pattern=(("all",), ("int", 1)), grad=False),
)
index_increase.error_samples(
    error(ShapeError, "does not broadcast", real(), real(shape=(3,)), pattern=(("int", 0),)),
    error(ShapeError, "does not broadcast", real(), real(shape=(3,)), integer(0, 2, shape=(2,)), pattern=(_ARRAY,)),
    error(DTypeError, "dtype of x", real(), integer(shape=(4,)), pattern=(("int", 0),)),
)


def index_add(x: TensorLike, value: TensorLike, index: Any) -> Tensor:
    """A copy of ``x`` with ``value``, broadcast, added to ``x[index]``; elements named twice get both.

    As ``numpy.add.at(x, index, value)``.  For ``index``, ``value``, gradients and errors see ``index_update``.
    """
    given = operand(x)
    pattern, arrays = parse_index(given, index if index.__class__ is tuple else (index,))
    return index_increase(given, _value_beside("index_add", given, value), *arrays, pattern=pattern)


# ---------------------------------------------------------------- scatter along an axis, and at coordinates


def _axis_pattern(axis: int, ndim: int) -> Pattern:
    return (*[ALL] * axis, _ARRAY, *[ALL] * (ndim - axis - 1))


def _scatter(call: Call, x: Spec, indices: Spec, updates: Spec) -> Spec:
    if not x.ndim:
        raise call.shape_error("takes an operand with axes", x="is 0-d")
    check_same_dtype(call, x, updates, "updates")
    axis = call.attrs["axis"] = normal_axis(call, call.attrs["axis"], x.ndim)
    check_region(call, updates, (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), "updates")
    return x.at(None)


@op(infer=_scatter, dtypes={"x": NUMERIC, "indices": INTEGER})
def scatter_add(x: TensorLike, indices: TensorLike, updates: TensorLike, /, *, axis: int = 0) -> Tensor:
    """``x`` with ``updates`` added to its slices at ``indices`` along ``axis``; slices named twice get both.

    ``updates``: the shape of ``gather(x, indices, axis=axis)``, or what broadcasts to it, in the dtype of ``x``.
    """


@scatter_add.decompose
def _(x: Tensor, indices: Tensor, updates: Tensor, *, axis: int) -> Tensor:
    return index_increase(x, updates, indices, pattern=_axis_pattern(axis, x.ndim))


@scatter_add.vjp
def _(g: Tensor, indices: Tensor, axis: int, needs: tuple[bool, ...]) -> tuple[Tensor | None, None, Tensor | None]:
    return g if needs[0] else None, None, gather(g, indices, axis=axis) if needs[2] else None


@op(infer=_scatter, dtypes={"indices": INTEGER})
def scatter_set(x: TensorLike, indices: TensorLike, updates: TensorLike, /, *, axis: int = 0) -> Tensor:
    """``x`` with its slices at ``indices`` along ``axis`` replaced by ``updates``; of several the last stays.

    ``updates``: the shape of ``gather(x, indices, axis=axis)``, or what broadcasts to it, in the dtype of ``x``.
    """


@scatter_set.decompose
def _(x: Tensor, indices: Tensor, updates: Tensor, *, axis: int) -> Tensor:
    return index_set(x, updates, indices, pattern=_axis_pattern(axis, x.ndim))


@scatter_add.reference
def _(x: Any, indices: Any, updates: Any, *, axis: int) -> Any:
    out = x.copy()
    np.add.at(out, (*[slice(None)] * (axis % x.ndim), indices), updates)
    return out


@scatter_set.reference
def _(x: Any, indices: Any, updates: Any, *, axis: int) -> Any:
    out = x.copy()
    out[(*[slice(None)] * (axis % x.ndim), indices)] = updates
    return out


for _function in (scatter_add, scatter_set):
    _function.samples(
        sample(real(), integer(-3, 3, shape=(5,)), real(shape=(5, 4))),
        sample(real(shape=(2, 3)), integer(0, 3, shape=(2, 2)), real(shape=(2, 2, 2)), axis=-1),
        sample(real(shape=(3,)), integer(0, 3, shape=()), real(shape=())),
    )
    _function.error_samples(
        error(ShapeError, "does not broadcast", real(), integer(0, 3, shape=(2,)), real(shape=(3, 4))),
        error(ShapeError, "axis 2 is out of range", real(), integer(0, 3, shape=(2,)), real(shape=(2, 4)), axis=2),
        error(DTypeError, "dtype of x", real(), integer(0, 3, shape=(2,)), integer(shape=(2, 4))),
    )


def _scatter_nd(call: Call, indices: Spec, updates: Spec) -> Spec:
    shape = call.attrs["shape"] = static_shape(call, call.attrs["shape"])
    depth = indices.shape[-1] if indices.ndim else None
    if depth is None or not 1 <= depth <= len(shape):
        what = f"the last axis of indices must hold 1 to {len(shape)} positions, one for each axis indexed"
        raise call.shape_error(what, indices="")
    check_region(call, updates, (*indices.shape[:-1], *shape[depth:]), "updates")
    return Spec(shape, updates.dtype)


@op(infer=_scatter_nd, dtypes={"indices": INTEGER, "updates": NUMERIC})
def scatter_nd(indices: TensorLike, updates: TensorLike, /, *, shape: tuple[int, ...]) -> Tensor:
    """Zeros of ``shape`` with ``updates`` added at coordinates; those that occur twice add up.

    ``indices`` [..., k] holds positions along the first k axes; ``updates`` has the shape
    ``indices.shape[:-1] + shape[k:]``, or broadcasts to it.
    """


@scatter_nd.decompose
def _(indices: Tensor, updates: Tensor, *, shape: tuple[int, ...]) -> Tensor:
    columns = unstack(indices, -1)
    return getitem_add(updates, *columns, shape=shape, pattern=(_ARRAY,) * len(columns))


scatter_nd.vjp(updates=lambda g, indices: gather_nd(g, indices))


@scatter_nd.reference
def _(indices: Any, updates: Any, *, shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, updates.dtype)
    np.add.at(out, tuple(np.moveaxis(indices, -1, 0)), updates)
    return out


scatter_nd.samples(
    sample(integer(0, 3, shape=(4, 1)), real(shape=(4, 2)), shape=(3, 2)),
    sample(integer(0, 2, shape=(2, 2, 2)), real(shape=(2, 2)), shape=(3, 2)),
    sample(integer(0, 2, shape=(2,)), real(shape=(3,)), shape=(2, 2, 3)),
)
scatter_nd.error_samples(
    error(ShapeError, "1 to 1 positions", integer(0, 2, shape=(3, 2)), real(shape=(3,)), shape=(4,)),
    error(ShapeError, "does not broadcast", integer(0, 2, shape=(3, 1)), real(shape=(2,)), shape=(4,)),
)


def _along_axis_add(call: Call, x: Spec, indices: Spec) -> Spec:
    if x.ndim != indices.ndim or not x.ndim:
        raise call.shape_error("x and indices must have as many axes, and at least one", x="", indices="")
    axis = call.attrs["axis"] = normal_axis(call, call.attrs["axis"], x.ndim)
    check_region(call, indices, x.shape, "indices")
    return Spec((*x.shape[:axis], call.attrs["extent"], *x.shape[axis + 1 :]), x.dtype)


@op(infer=_along_axis_add, dtypes={"x": NUMERIC, "indices": INTEGER}, namespace="_")
def along_axis_add(x: TensorLike, indices: TensorLike, /, *, extent: int, axis: int) -> Tensor:
    """Zeros, of ``extent`` along ``axis``, with each line of ``x`` added at the positions in its line of ``indices``.

    The gradient of ``take_along_axis``.  ``indices`` broadcasts to the shape of ``x``.
    """


@along_axis_add.decompose
def _(x: Tensor, indices: Tensor, *, extent: int, axis: int) -> Tensor:
    last = (*[i for i in range(x.ndim) if i != axis], axis)
    moved = transpose(x, axes=last)
    positions = broadcast_to(transpose(indices, axes=last), shape=moved.shape)
    lines, count = math.prod(moved.shape[:-1]), moved.shape[-1]
    starts = reshape(arange(lines, dtype=dtypes.int64, device=x.spec.device), shape=(lines, 1))
    flat = flat_index(starts, reshape(positions, shape=(lines, count)), extents=(lines, extent))
    values, ids = reshape(moved, shape=(-1,)), reshape(flat, shape=(-1,))
    added = reshape(segment_sum(values, ids, num_segments=lines * extent), shape=(*moved.shape[:-1], extent))
    return transpose(added, axes=tuple(sorted(range(x.ndim), key=last.__getitem__)))


along_axis_add.vjp(x=lambda g, indices, axis: take_along_axis(g, indices, axis=axis))


@along_axis_add.reference
def _(x: Any, indices: Any, *, extent: int, axis: int) -> Any:
    out = np.zeros((*x.shape[:axis], extent, *x.shape[axis:][1:]), x.dtype)
    for place, value in np.ndenumerate(x):
        there = list(place)
        there[axis] = int(np.broadcast_to(indices, x.shape)[place])
        out[tuple(there)] += value
    return out


along_axis_add.samples(
    sample(real(), integer(-5, 5, shape=(3, 4)), extent=5, axis=1),
    sample(real(shape=(4, 2, 2)), integer(0, 3, shape=(4, 1, 2)), extent=3, axis=0),
)
along_axis_add.error_samples(
    error(ShapeError, "as many axes", real(), integer(0, 2, shape=(4,)), extent=2, axis=0),
    error(ShapeError, "does not broadcast", real(), integer(0, 2, shape=(2, 4)), extent=2, axis=0),
)


# ---------------------------------------------------------------- one-hot


def _one_hot(call: Call, indices: Spec) -> Spec:
    depth = call.attrs["depth"]
    if not isinstance(depth, int) or depth < 0:
        raise call.attribute_error("depth must be a non-negative int", depth="")
    axis = call.attrs["axis"] = normal_axis(call, call.attrs["axis"], indices.ndim + 1)
    return Spec((*indices.shape[:axis], depth, *indices.shape[axis:]), call.attrs["dtype"])


@op(infer=_one_hot, dtypes=INTEGER)
def one_hot(
    indices: TensorLike, /, *, depth: int, on_value: float = 1, off_value: float = 0, axis: int = -1,
    dtype: DType | str = dtypes.float32,
) -> Tensor:  # fmt: skip
    """``on_value`` at the place each of ``indices`` names along a new ``axis`` of extent ``depth``, else ``off_value``.

    Shape: that of ``indices`` with ``depth`` put in at ``axis``; dtype float32 unless given.  An index outside
    0 to depth - 1 gives ``off_value`` throughout.
    """


@one_hot.kernel
def _(
    xp: Any, indices: Any, *, depth: int, on_value: float, off_value: float, axis: int, dtype: Any, device: Any
) -> Any:
    rest = iter(indices.shape)
    spread = xp.reshape(indices, tuple(1 if i == axis else next(rest) for i in range(indices.ndim + 1)))
    places = xp.arange(depth, dtype=xp.int64, device=device)
    places = xp.reshape(places, tuple(depth if i == axis else 1 for i in range(indices.ndim + 1)))
    hit = xp.astype(spread, xp.int64, copy=False) == places
    if on_value == 1 and off_value == 0:
        return xp.astype(hit, dtype, copy=False)
    on, off = (xp.full((), value, dtype=dtype, device=device) for value in (on_value, off_value))
    return xp.where(hit, on, off)


one_hot.samples(
    sample(integer(-1, 5, shape=(5,)), depth=4, grad=False),
    sample(integer(0, 3, shape=(2, 2), dtype="uint8"), depth=3, axis=1, on_value=2.5, off_value=-1, grad=False),
    sample(integer(0, 3, shape=()), depth=3, dtype=dtypes.int32, grad=False),
    sample(integer(0, 3, shape=(4,)), depth=3, axis=0, dtype=dtypes.bool_, grad=False),
)
one_hot.error_samples(
    error(AttributeValueError, "non-negative int", integer(), depth=-1),
    error(ShapeError, "axis 3 is out of range", integer(), depth=2, axis=3),
    error(DTypeError, "takes integer", real(), depth=2),
)


@one_hot.reference
def _(indices: Any, *, depth: int, on_value: float, off_value: float, axis: int, dtype: DType) -> Any:
    hot = np.where(indices[..., None] == np.arange(depth), on_value, off_value)
    return np.moveaxis(hot, -1, axis).astype(dtype.numpy)

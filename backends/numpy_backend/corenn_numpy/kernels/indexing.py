"""Indexing, scattering, the largest few and segments.

Adding at repeated positions is ``ufunc.at`` on flat positions, for which NumPy has a fast loop in one dimension only
(about 5 ns an element); rows of some hundred elements are quicker one by one.  Both add in the order of the operands.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from corenn.backend import Kernel
from corenn.errors import ShapeError
from corenn.ops.layout import Layout, key_of, layout_of
from corenn.ops.slicing import Pattern, assign
from corenn.spec import Spec

Array = np.ndarray[Any, Any]
_WIDE_ROW = 256
_BLOCK = 1 << 16  # elements whose positions are computed at once


# ---------------------------------------------------------------- positions


def _checked(op: str, positions: Array, extent: int, operand: str) -> Array:
    """Positions as int64 counted from the front; ShapeError for one outside the axis."""
    positions = positions.astype(np.int64, copy=False)
    if not positions.size:
        return positions
    low, high = int(positions.min()), int(positions.max())
    if low < -extent or high >= extent:
        raise _outside(op, low if low < -extent else high, extent, operand) from None
    return positions if low >= 0 else np.where(positions < 0, positions + extent, positions)


def _outside(op: str, position: int, extent: int, operand: str) -> ShapeError:
    what = f"position {position} is outside an axis of extent {extent}"
    return ShapeError(op, what, {operand: f"positions must be {-extent} to {extent - 1}"})


def _natural(indices: Array) -> Array:
    """Indices of a dtype NumPy takes without a word: it refuses uint64."""
    return indices.astype(np.int64) if indices.dtype == np.uint64 else indices


# ---------------------------------------------------------------- combining rows


def combine_rows(ufunc: np.ufunc, x: Array, rows: Array, out: Array) -> Array:
    """``out[rows[i]] = ufunc(out[rows[i]], x[i])`` for each i in turn, in place; rows are in range."""
    if not x.size:
        return out
    width = math.prod(out.shape[1:])
    flat, target = np.ascontiguousarray(x).reshape(x.shape[0], width), out.reshape(out.shape[0], width)
    if width == 1:
        ufunc.at(target.reshape(-1), rows, flat.reshape(-1))
    elif width >= _WIDE_ROW:
        for row, values in zip(rows.tolist(), flat, strict=True):
            ufunc(target[row], values, target[row])
    else:
        line, columns = target.reshape(-1), np.arange(width)
        step = max(1, _BLOCK // width)
        for start in range(0, flat.shape[0], step):
            places = rows[start : start + step, None] * width + columns
            ufunc.at(line, places.reshape(-1), flat[start : start + step].reshape(-1))
    return out


def add_rows(x: Array, rows: Array, count: int) -> Array:
    """Zeros [count, ...] with each row of ``x`` added at its place; half precision is added in float32."""
    wide = np.float32 if x.dtype.itemsize == 2 and x.dtype.kind not in "iu" else x.dtype
    out = np.zeros((count, *x.shape[1:]), wide)
    return combine_rows(np.add, x.astype(wide, copy=False), rows, out).astype(x.dtype, copy=False)


# ---------------------------------------------------------------- x[...] with arrays


def getitem(x: Array, *indices: Array, pattern: Pattern) -> Array:
    """NumPy's own indexing."""
    try:
        if len(indices) == 1 and pattern[0][0] == "array" and all(entry[0] == "all" for entry in pattern[1:]):
            return x.take(_natural(indices[0]), 0)  # quicker than brackets
        return x[key_of(pattern, indices)]  # type: ignore[no-any-return]
    except IndexError as error:
        raise ShapeError("index", str(error), {"x": f"has shape {list(x.shape)}"}) from None


def _rows(indices: tuple[Array, ...], pattern: Pattern, layout: Layout) -> Array:
    """The rows of the operand an index names, in the shape of its arrays broadcast together."""
    kinds = [entry[0] for entry in pattern if entry[0] in ("array", "mask", "fresh")]
    arrays = [np.flatnonzero(i) if kind == "mask" else i for kind, i in zip(kinds, indices, strict=True)]
    taken = np.broadcast_shapes(*[i.shape for i in arrays])
    if 0 in taken:
        return np.zeros(taken, np.int64)
    flat: Any = None
    for given, extent in zip(arrays, layout.extents, strict=True):
        positions = _checked("index", given, extent, "index")
        flat = positions if flat is None else flat * extent + positions
    return np.asarray(flat)


def getitem_add(x: Array, *indices: Array, shape: tuple[int, ...], pattern: Pattern) -> Array:
    """Zeros with ``x`` added at what an index names."""
    layout = layout_of(pattern, shape)
    rows = _rows(indices, pattern, layout)
    kept, at = layout.kept, layout.at
    x = np.broadcast_to(x, (*kept[:at], *rows.shape, *kept[at:]))
    if at and rows.ndim:
        x = np.moveaxis(x, range(at, at + rows.ndim), range(rows.ndim))
    added = add_rows(x.reshape(rows.size, *kept), rows.reshape(-1), layout.rows[0])
    added = added.reshape([layout.merged[a] for a in layout.order])
    part = added.transpose(np.argsort(layout.order)).reshape(layout.part)
    if not layout.partial:
        return part
    out = np.zeros(shape, x.dtype)
    assign(np, out, part, layout.basic)
    return out


def index_add(x: Array, value: Array, indices: Array, *, pattern: Pattern) -> Array:
    """Rows of the first axis added in place to a copy."""
    rows = _checked("index_add", indices, x.shape[0], "index")
    out = x.copy()
    values = np.broadcast_to(value, (*rows.shape, *x.shape[1:])).reshape(rows.size, *x.shape[1:])
    return combine_rows(np.add, values, rows.reshape(-1), out)


def _whole_rows(specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> bool:
    x, pattern = specs[0], attrs["pattern"]
    rows = len(specs) == 3 and pattern[0] == ("array",) and all(entry == ("all",) for entry in pattern[1:])
    return rows and x is not None and (x.dtype.itemsize > 2 or x.dtype.is_integer)  # half precision is added in float32


def index_set(x: Array, value: Array, *indices: Array, pattern: Pattern) -> Array:
    """NumPy's own assignment, on a copy; of repeated positions the last stays."""
    out = x.copy()
    try:
        out[key_of(pattern, indices)] = value
    except IndexError as error:
        raise ShapeError("index_update", str(error), {"x": f"has shape {list(x.shape)}"}) from None
    return out


def set_rows(x: Array, positions: Array, updates: Array) -> Array:
    """NumPy's own assignment, on a copy, of the rows that there are."""
    out = x.copy()
    inside = (positions >= 0) & (positions < x.shape[0])
    if inside.all():
        out[positions] = updates
    else:
        out[positions[inside]] = updates[inside]
    return out


# ---------------------------------------------------------------- gather


def gather(x: Array, indices: Array, *, axis: int) -> Array:
    """``x.take``, which checks positions."""
    try:
        return x.take(_natural(indices), axis)
    except IndexError:
        _checked("gather", indices, x.shape[axis], "indices")
        raise


def take_along_axis(x: Array, indices: Array, *, axis: int) -> Array:
    """Lines of the last axis by flat positions; other axes as NumPy does."""
    if axis == x.ndim - 1 and x.shape[:-1] == indices.shape[:-1]:
        extent, lines = x.shape[-1], math.prod(x.shape[:-1])
        positions = _checked("take_along_axis", indices, extent, "indices").reshape(lines, indices.shape[-1])
        flat: Array = positions + np.arange(lines)[:, None] * extent
        return np.take(x.reshape(-1), flat).reshape(indices.shape)
    try:
        return np.take_along_axis(x, _natural(indices), axis)
    except IndexError:
        _checked("take_along_axis", indices, x.shape[axis], "indices")
        raise


def along_axis_add(x: Array, indices: Array, *, extent: int, axis: int) -> Array:
    """Each line's elements added at flat positions."""
    moved = np.moveaxis(x, axis, -1)
    positions = _checked("take_along_axis", np.broadcast_to(indices, x.shape), extent, "indices")
    lines = math.prod(moved.shape[:-1])
    flat = np.moveaxis(positions, axis, -1).reshape(lines, x.shape[axis]) + np.arange(lines)[:, None] * extent
    added = add_rows(moved.reshape(-1), flat.reshape(-1), lines * extent)
    return np.moveaxis(added.reshape(*moved.shape[:-1], extent), -1, axis)


def top_k(x: Array, *, k: int, axis: int, sorted: bool) -> tuple[Array, Array]:
    """The k-th largest value of each line by partition; the elements above it, and the first of those equal to it."""
    lines = np.moveaxis(x, axis, -1)
    if x.dtype.kind not in "iu" and np.isnan(lines.max()):  # NaN compares with nothing: sort it all
        indices = _descending(lines)[..., :k]
    else:
        least = np.partition(lines, lines.shape[-1] - k, -1)[..., -k, None]
        above, level = lines > least, lines == least
        chosen = above | (level & (np.cumsum(level, -1) <= k - above.sum(-1, keepdims=True)))
        indices = np.nonzero(chosen)[-1].reshape(*lines.shape[:-1], k)
        indices = np.take_along_axis(indices, _descending(np.take_along_axis(lines, indices, -1)), -1)
    values = np.take_along_axis(lines, indices, -1)
    return np.moveaxis(values, -1, axis), np.moveaxis(indices, -1, axis)


def _descending(lines: Array) -> Array:
    """Stable order from the largest."""
    order: Array = np.argsort(lines[..., ::-1], -1, kind="stable")[..., ::-1]
    turned: Array = lines.shape[-1] - 1 - order
    return turned


def _few_of_many(specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> bool:
    x = specs[0]
    return x is not None and 0 not in x.shape and 0 < 4 * attrs["k"] <= x.static[attrs["axis"]]


# ---------------------------------------------------------------- segments


def _segments(op: str, x: Array, ids: Array, count: int) -> tuple[Array, Array]:
    """Rows of data and their segments, without the rows of negative ids; ShapeError for an id of ``count`` or more."""
    x, ids = x.reshape(ids.size, *x.shape[ids.ndim :]), ids.reshape(-1).astype(np.int64, copy=False)
    if not ids.size:
        return x, ids
    if (high := int(ids.max())) >= count:
        raise ShapeError(op, f"id {high} is not below num_segments", {"num_segments": count})
    return (x, ids) if ids.min() >= 0 else (x[ids >= 0], ids[ids >= 0])


def segment_sum(x: Array, ids: Array, *, num_segments: int) -> Array:
    """Rows added at their segment."""
    return add_rows(*_segments("segment_sum", x, ids, num_segments), num_segments)


def _combined(op: str, ufunc: np.ufunc, empty: Any) -> Kernel:
    def kernel(x: Array, ids: Array, *, num_segments: int) -> Array:
        rows, segments = _segments(op, x, ids, num_segments)
        out = np.full((num_segments, *rows.shape[1:]), empty(x.dtype), x.dtype)
        return combine_rows(ufunc, rows, segments, out)

    return Kernel(kernel)


def _lowest(dtype: Any) -> Any:
    return np.iinfo(dtype).min if dtype.kind in "iu" else -np.inf


def _highest(dtype: Any) -> Any:
    return np.iinfo(dtype).max if dtype.kind in "iu" else np.inf


def bincount(x: Array, weights: Array | None, *, minlength: int) -> Array:
    """``numpy.bincount`` for counts; weights are added in their own dtype."""
    x = x.astype(np.int64, copy=False)
    inside = x >= 0
    if not inside.all():
        x, weights = x[inside], None if weights is None else weights[inside]
    if weights is None:
        return np.bincount(x, minlength=minlength)
    return add_rows(weights, x, max(minlength, int(x.max(initial=-1)) + 1))


KERNELS: dict[str, Kernel | Sequence[Kernel]] = {
    "along_axis_add": Kernel(along_axis_add),
    "bincount": Kernel(bincount),
    "gather": Kernel(gather),
    "index_add": Kernel(index_add, when=_whole_rows),
    "index_arrays": Kernel(getitem),
    "index_arrays_add": Kernel(getitem_add),
    "index_arrays_update": Kernel(index_set),
    "segment_max": _combined("segment_max", np.maximum, _lowest),
    "segment_min": _combined("segment_min", np.minimum, _highest),
    "segment_prod": _combined("segment_prod", np.multiply, lambda dtype: 1),
    "segment_sum": Kernel(segment_sum),
    "set_rows": Kernel(set_rows),
    "take_along_axis": Kernel(take_along_axis),
    "top_k": Kernel(top_k, when=_few_of_many),
}

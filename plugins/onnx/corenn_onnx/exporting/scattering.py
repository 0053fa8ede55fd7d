"""Emitters of ops that write at places: scattering, segments, replaced parts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from onnx import numpy_helper

from corenn import dtypes
from corenn_onnx.errors import OnnxExportError
from corenn_onnx.exporting.emitter import CallUse, Emitter, Use
from corenn_onnx.exporting.extents import Extent
from corenn_onnx.exporting.table import emits


@emits("scatter_add", "scatter_set")
def scatter(e: Emitter, call: CallUse) -> Any:
    """ScatterND along the first axis, which the others are moved behind."""
    x, indices, updates = (call.operand(i) for i in range(3))
    axis, inner = call.attrs["axis"] % x.rank, indices.rank
    place = e.add("Unsqueeze", [e.cast(e.name(indices), dtypes.int64), e.ints(-1)])
    wanted = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    base, values = e.name(x), e.name(updates)
    if tuple(updates.shape) != tuple(wanted):
        values = e.add("Expand", [values, e.shape(wanted)])
    front = [axis, *[a for a in range(x.rank) if a != axis]]
    if axis:
        base = e.add("Transpose", [base], perm=front)
        taken = range(axis, axis + inner)
        values = e.add("Transpose", [values], perm=[*taken, *[a for a in range(len(wanted)) if a not in taken]])
    mode = "add" if call.name == "scatter_add" else None
    found = e.add("ScatterND", [base, place, values], reduction=mode)
    return e.add("Transpose", [found], perm=[front.index(a) for a in range(x.rank)]) if axis else found


@emits("flat_index")
def flat_index(e: Emitter, call: CallUse) -> Any:
    """Positions along several axes as positions among all elements, negative ones counted from the end."""
    total = ""
    zero = e.constant(np.array(0, np.int64))
    for use, extent in zip(call.inputs, call.fixed("extents"), strict=True):
        assert use is not None  # they are all there
        place = e.cast(e.name(use), dtypes.int64)
        size = e.constant(np.array(extent, np.int64))
        wrapped = e.add("Where", [e.add("Less", [place, zero]), e.add("Add", [place, size]), place])
        total = wrapped if not total else e.add("Add", [e.add("Mul", [total, size]), wrapped])
    return total


def _positions(call: CallUse, shape: Any) -> np.ndarray[Any, Any]:
    """Coordinates [..., axes] of the part of a shape that a basic index pattern names."""
    if any(isinstance(n, Extent) for n in shape):
        raise OnnxExportError(call.where, "a part of something with an open batch is replaced",
                              hint="export for a fixed batch: export(model, path, batch=1)")  # fmt: skip
    key: list[Any] = []
    for entry in call.fixed("pattern"):
        kind = entry[0]
        if kind == "gap":
            continue
        key.append({"new": None, "rest": Ellipsis, "all": slice(None)}.get(kind) if kind in ("new", "rest", "all")
                   else entry[1] if kind == "int" else slice(*entry[1:]))  # fmt: skip
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1) if shape else np.zeros((0,), int)
    return np.ascontiguousarray(grid[tuple(key)].astype(np.int64))


@emits("place", "update")
def place(e: Emitter, call: CallUse) -> Any:
    """ScatterND at coordinates that are known, into zeros or the operand."""
    shape = call.result.shape
    where = _positions(call, shape)
    if call.name == "place":
        base = e.constant(np.zeros(tuple(shape), call.result.dtype.numpy))
        value = call.operand(0)
    else:
        base, value = e.name(call.operand(0)), call.operand(1)
    name = e.name(value)
    if tuple(value.shape) != where.shape[:-1]:
        name = e.add("Expand", [name, e.ints(*where.shape[:-1])])
    return e.add("ScatterND", [base, e.constant(where, "places"), name])


@emits("scatter_nd")
def scatter_nd(e: Emitter, call: CallUse) -> Any:
    """Zeros with updates added."""
    indices, updates = call.operand(0), call.operand(1)
    zero = np.zeros(1, call.result.dtype.numpy)
    zeros = e.add("ConstantOfShape", [e.shape(call.result.shape)], value=numpy_helper.from_array(zero))
    depth = indices.shape[-1]
    wanted = (*indices.shape[:-1], *call.result.shape[depth:])
    values = e.name(updates)
    if tuple(updates.shape) != tuple(wanted):
        values = e.add("Expand", [values, e.shape(wanted)])
    return e.add("ScatterND", [zeros, e.cast(e.name(indices), dtypes.int64), values], reduction="add")


# ---------------------------------------------------------------- segments

#: The reduction of each, and what a segment of nothing has.
_SEGMENTS: dict[str, tuple[str, float]] = {
    "segment_sum": ("add", 0), "segment_prod": ("mul", 1), "segment_max": ("max", -math.inf),
    "segment_min": ("min", math.inf),
}  # fmt: skip


def _aside(e: Emitter, ids: Use, count: int) -> str:
    """Ids as a column, those that name no row turned into ``count``, which names one more that is dropped later."""
    whole = e.cast(e.name(ids), dtypes.int64)
    bounds = [e.constant(np.array(v, np.int64)) for v in (0, count)]
    valid = e.add("And", [e.add("GreaterOrEqual", [whole, bounds[0]]), e.add("Less", [whole, bounds[1]])])
    return str(e.add("Unsqueeze", [e.add("Where", [valid, whole, bounds[1]]), e.ints(-1)]))


def _without_last(e: Emitter, name: str, count: int) -> str:
    return str(e.add("Slice", [name, e.ints(0), e.ints(count), e.ints(0)]))


@emits(*_SEGMENTS)
def segments(e: Emitter, call: CallUse) -> Any:
    """ScatterND with a reduction, into as many rows as there are segments and one for ids that name none."""
    reduction, neutral = _SEGMENTS[call.name]
    x, ids, count = call.operand(0), call.operand(1), call.fixed("num_segments")
    dtype = call.result.dtype
    if math.isinf(neutral) and dtype.is_integer:
        limits = np.iinfo(dtype.numpy)
        neutral = limits.min if neutral < 0 else limits.max
    start = numpy_helper.from_array(np.full(1, neutral, dtype.numpy))
    base = e.add("ConstantOfShape", [e.shape([count + 1, *call.result.shape[1:]])], value=start)
    found = e.add("ScatterND", [base, _aside(e, ids, count), e.name(x)], reduction=reduction)
    return _without_last(e, found, count)


@emits("set_rows")
def set_rows(e: Emitter, call: CallUse) -> Any:
    """ScatterND into the rows and one more for positions that are none."""
    x, positions, updates = (call.operand(i) for i in range(3))
    count = x.shape[0]
    if isinstance(count, Extent):
        raise OnnxExportError(call.where, "rows of an open batch are replaced",
                              hint="export for a fixed batch: export(model, path, batch=1)")  # fmt: skip
    pads = e.ints(*[0] * x.rank, 1, *[0] * (x.rank - 1))
    base = e.add("Pad", [e.name(x), pads])
    return _without_last(e, e.add("ScatterND", [base, _aside(e, positions, count), e.name(updates)]), count)

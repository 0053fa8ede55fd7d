"""Indexing: what ``x[...]`` means, and taking elements by arrays of positions.

Positions count from the end when negative.  A position outside its axis is a ShapeError where the backend can tell
without waiting for its device (NumPy can; Python ints are always checked); elsewhere what is read is undefined.
"""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.dtypes import INTEGER
from corenn.errors import DTypeError, ShapeError
from corenn.ops.creation import tensor
from corenn.ops.dispatch import current
from corenn.ops.gathering import flat_index, gather
from corenn.ops.layout import advanced_shape, from_front, key_of, layout_of, positions_of, rows_of
from corenn.ops.sampling import error, integer, literal, real, sample
from corenn.ops.shaping import operand, unstack
from corenn.ops.slicing import ALL, BadIndex, Pattern, basic_index, resolve
from corenn.ops.table import Call, TensorLike, op
from corenn.spec import Spec
from corenn.tensor import Tensor

_ARRAY, _REST = ("array",), ("rest",)

# ---------------------------------------------------------------- x[...]


def index(x: TensorLike, key: Any) -> Tensor:
    """``x[key]`` with the whole of NumPy's indexing: what the brackets of a tensor mean.

    Ints, slices (any step), ``...`` and ``None`` give a part of ``x``, without a copy where the backend can.  Integer
    arrays (tensors, NumPy arrays, lists) broadcast against one another and take elements; arrays of bools take the
    elements where they hold.  Where arrays stand side by side their axes come in their place, otherwise first.
    Gradients flow to ``x``; elements taken twice add up.  ShapeError for a position outside its axis, too many
    indices, arrays that do not broadcast or a mask of another shape; DTypeError for indices that are no integers.
    """
    if isinstance(key, Tensor) and isinstance(x, Tensor) and key.dtype.is_integer:
        return getitem(x, key, pattern=(_ARRAY,))
    items = key if key.__class__ is tuple else (key,)
    if isinstance(x, Tensor) and x.data is not None and _unrecorded(x):
        found = _direct(x, items)
        if found is not None:
            return found
    late = _late_bound(items)
    if late is not None:
        return late.__corenn_index__(x, key)  # type: ignore[no-any-return]
    given = operand(x)
    pattern, arrays = parse_index(given, items)
    if arrays:
        return getitem(given, *arrays, pattern=pattern)
    return basic_index(given, pattern=pattern)


def _late_bound(items: tuple[Any, ...]) -> Any:
    """A bound of a slice that only a graph knows, as in ``x[:n]`` for an ``x`` that has its value; else ``None``."""
    for item in items:
        if isinstance(item, slice):
            for bound in (item.start, item.stop, item.step):
                if hasattr(bound, "__corenn_index__"):
                    return bound
    return None


def _unrecorded(x: Tensor) -> bool:
    """Whether nothing would keep a note of reading ``x``: no interpreter, or only tapes that never met it."""
    interpreter = current()
    return interpreter is None or (x.node is None and x.__class__ is Tensor and hasattr(interpreter, "tapes"))


@functools.lru_cache(4096)
def _row(spec: Spec) -> tuple[int, Spec] | None:
    """Extent and spec of a row; ``None`` where the fast path is not to be taken."""
    if spec.device is None or not spec.shape or None in spec.shape:
        return None
    if spec.device.backend.records or spec.device.backend.kernels_for("index"):
        return None
    return spec.static[0], spec.shaped(spec.shape[1:])


@functools.lru_cache(4096)
def _section(row: Spec, count: int) -> Spec:
    return row.shaped((count, *row.shape))


def _direct(x: Tensor, items: tuple[Any, ...]) -> Tensor | None:
    """Basic indices straight to the array, when nothing records.

    Every moving position would need a plan of its own; and brackets mean the same in every array-API library.
    """
    found = _row(x.spec)
    if found is None:
        return None
    extent, row = found
    if len(items) == 1:
        key = items[0]
        if key.__class__ is int:
            return Tensor(x.data[key, ...], row) if -extent <= key < extent else None
        if key.__class__ is slice and key.step is None:
            try:
                start, stop, _ = key.indices(extent)
            except TypeError:
                return None
            stop = stop if stop > start else start
            return Tensor(x.data[start:stop, ...], _section(row, stop - start))
    pattern = _basic_pattern(items)
    if pattern is None:
        return None
    try:
        brackets, shape = resolve(pattern, x.spec.shape)
    except BadIndex:  # said properly by the op
        return None
    return Tensor(x.data[brackets], x.spec.shaped(shape))


def _basic_pattern(items: tuple[Any, ...]) -> Pattern | None:
    entries: list[tuple[Any, ...]] = []
    for item in items:
        kind = item.__class__
        if kind is int:
            entries.append(("int", item))
        elif kind is slice:
            for bound in (item.start, item.stop, item.step):
                if bound is not None and bound.__class__ is not int:
                    return None
            entries.append(("slice", item.start, item.stop, item.step))
        elif item is None:
            entries.append(("new",))
        elif item is Ellipsis:
            entries.append(("rest",))
        else:
            return None
    return tuple(entries)


# ---------------------------------------------------------------- reading an index


def parse_index(x: Tensor, items: tuple[Any, ...]) -> tuple[Pattern, list[Any]]:
    """An index as a pattern (see ``slicing``) and the arrays in it, as operands on the device of ``x``."""
    read = [_entry(item) for item in items]
    spent = [1 if e[0] in ("int", "slice", "array") else a.ndim if e[0] == "mask" else 0 for e, a in read]
    if ("rest",) in [e for e, _ in read]:
        place = [e for e, _ in read].index(("rest",))
        spent[place] = max(0, x.spec.ndim - sum(spent))
    entries: list[tuple[Any, ...]] = []
    arrays: list[Any] = []
    axis = 0
    for (entry, array), count in zip(read, spent, strict=True):
        if entry[0] == "mask" and isinstance(array, np.ndarray):  # known now, so the shape of the result is as well
            _check_mask(x.spec, array.shape, axis)
            positions = np.nonzero(array)
            entries += [("array",)] * len(positions)
            arrays += positions
        else:
            entries.append(("mask", count) if entry[0] == "mask" else entry)
            arrays += [] if array is None else [array]
        axis += count
    device = x.spec.device
    if device is not None:
        arrays = [tensor(a, device=device) if isinstance(a, np.ndarray) else a for a in arrays]
    return tuple(entries), arrays


def _check_mask(spec: Spec, shape: tuple[int, ...], axis: int) -> None:
    covered = spec.shape[axis : axis + len(shape)]
    if len(covered) != len(shape) or any(n not in (m, None) for n, m in zip(covered, shape, strict=True)):
        what = f"a mask of shape {list(shape)} does not fit the axes from {axis} on"
        raise ShapeError("index", what, {"x": spec}, hint="a mask has the extents of the axes it selects from")


def _entry(item: Any) -> tuple[tuple[Any, ...], Any]:
    """One part of an index as an entry of a pattern, and its array if it is one."""
    if item is None:
        return ("new",), None
    if item is Ellipsis:
        return ("rest",), None
    if isinstance(item, slice):
        return ("slice", *[_bound(b) for b in (item.start, item.stop, item.step)]), None
    if isinstance(item, (bool, np.bool_)):
        return ("fresh",), np.zeros(int(item), np.int32)
    if isinstance(item, (int, np.integer)):
        return ("int", int(item)), None
    if isinstance(item, Tensor) or hasattr(item, "__corenn_op__"):
        spec = item.spec
        if spec.dtype is dtypes.bool_:
            return ("mask", spec.ndim), item
        if spec.dtype.is_integer:
            return ("array",), item
        raise _no_index(spec.dtype)
    if isinstance(item, (list, tuple, range, np.ndarray)):
        return _array_entry(item)
    try:
        return ("int", operator.index(item)), None
    except TypeError:
        raise _no_index(type(item).__name__) from None


def _array_entry(item: Any) -> tuple[tuple[Any, ...], Any]:
    if isinstance(item, (list, tuple)) and any(isinstance(i, Tensor) or hasattr(i, "__corenn_op__") for i in item):
        return _entry(tensor(item))
    try:
        array = np.asarray(item)
    except ValueError:
        raise ShapeError("index", "an index array is ragged", hint="make rows of one length") from None
    if array.size == 0 and not isinstance(item, np.ndarray):
        array = array.astype(np.int32)
    if array.dtype.kind == "b":
        return (("mask", array.ndim), array) if array.ndim else _entry(bool(array))
    if array.dtype.kind in "iu":
        return (("array",), array) if array.ndim else (("int", int(array)), None)
    raise _no_index(array.dtype)


def _bound(bound: Any) -> int | None:
    try:
        return None if bound is None else operator.index(bound)
    except TypeError:
        raise _no_index(f"a {type(bound).__name__} in a slice") from None


def _no_index(what: object) -> DTypeError:
    hint = "ints, slices, None, '...', and arrays of integers or bools; corenn.cast(i, dtype='int32')"
    return DTypeError("index", f"{what} is no index", hint=hint)


# ---------------------------------------------------------------- indexing with arrays


def _getitem(call: Call, x: Spec, *indices: Spec) -> Spec:
    return Spec(advanced_shape(call, x.shape, indices, "x"), x.dtype)


@op(infer=_getitem, name="index_arrays", dtypes={"indices": INTEGER | {dtypes.bool_}}, namespace="_")
def getitem(x: TensorLike, /, *indices: TensorLike, pattern: Pattern) -> Tensor:
    """The elements of ``x`` that an index with arrays names (see ``slicing`` for patterns), as in NumPy.

    ``indices``: the arrays, in the order of the pattern's "array", "mask" and "fresh" entries.
    """


@getitem.decompose
def _(x: Tensor, *indices: Tensor, pattern: Pattern) -> Tensor:
    layout = layout_of(pattern, x.shape)
    positions = flat_index(*positions_of(indices, pattern), extents=layout.extents)
    return from_front(gather(rows_of(x, layout), positions), positions.ndim, layout)


@getitem.vjp
def _(
    g: Tensor, x_spec: Spec, indices: tuple[Tensor, ...], pattern: Pattern, needs: tuple[bool, ...]
) -> tuple[Tensor | None, ...]:
    from corenn.ops.scatter import getitem_add

    gx = getitem_add(g, *indices, shape=x_spec.static, pattern=pattern) if needs[0] else None
    return (gx, *[None] * len(indices))


_mask = literal([[True, False, True], [False, False, True]], "bool")
_low = integer(-2, 2, shape=(4,))
INDEX_SAMPLES: tuple[tuple[tuple[int, ...], tuple[Any, ...], Pattern], ...] = (
    ((3, 2), (integer(-3, 3, shape=(4,)),), (_ARRAY,)),
    ((2, 3), (integer(0, 3, shape=(2, 2)),), (ALL, _ARRAY)),
    ((2, 3), (_low, integer(-3, 3, shape=(2, 1))), (_ARRAY, _ARRAY)),
    ((2, 3, 2), (_low, integer(0, 2, shape=(1,))), (_ARRAY, ("slice", None, None, -2), _ARRAY)),
    ((3, 2), (_low,), (("int", -1), ("new",), _ARRAY)),
    ((2, 2), (_low, _low), (_ARRAY, _REST, _ARRAY)),
    ((2, 3), (_mask,), (("mask", 2),)),
    ((2, 3, 2), (_mask,), (("mask", 2), ("int", 1))),
    ((2, 2, 3), (integer(0, 2, shape=()), literal([True, False, True], "bool")), (_ARRAY, ALL, ("mask", 1))),
    ((2, 3), (literal([0], "int32"),), (ALL, ("fresh",))),
    ((2, 3), (literal(np.zeros((2, 0)), "int32"),), (_ARRAY,)),
    ((2,), (integer(0, 2, shape=()),), (_ARRAY,)),
)
getitem.samples(*(sample(real(shape=shape), *arrays, pattern=pattern) for shape, arrays, pattern in INDEX_SAMPLES))
getitem.error_samples(
    error(ShapeError, "do not broadcast", real(), _low, integer(0, 2, shape=(3,)), pattern=(_ARRAY, _ARRAY)),
    error(ShapeError, "mask has another shape", real(), _mask, pattern=(("mask", 2),)),
    error(ShapeError, "too many indices", real(shape=(3,)), _low, pattern=(("int", 0), _ARRAY)),
    error(ShapeError, "out of range for axis 1", real(), _low, pattern=(_ARRAY, ("int", 4))),
    error(ShapeError, "from an empty axis", real(shape=(0, 2)), _low, pattern=(_ARRAY,)),
    error(DTypeError, "takes integer or bool", real(), real(), pattern=(_ARRAY,)),
)
getitem.reference(lambda x, *indices, pattern: x[key_of(pattern, indices)])


# ---------------------------------------------------------------- coordinates, masks


def _gather_nd(call: Call, x: Spec, indices: Spec) -> Spec:
    depth = indices.shape[-1] if indices.ndim else None
    if depth is None or not 1 <= depth <= x.ndim:
        what = f"the last axis of indices must hold 1 to {x.ndim} positions, one for each axis indexed"
        raise call.shape_error(what, indices="")
    return Spec((*indices.shape[:-1], *x.shape[depth:]), x.dtype)


@op(infer=_gather_nd, dtypes={"indices": INTEGER})
def gather_nd(x: TensorLike, indices: TensorLike, /) -> Tensor:
    """The slices of ``x`` at coordinates: ``indices`` [..., k] holds positions along the first k axes of ``x``.

    Shape: ``indices.shape[:-1] + x.shape[k:]``.  ShapeError unless 1 <= k <= the number of axes of ``x``.
    """


@gather_nd.decompose
def _(x: Tensor, indices: Tensor) -> Tensor:
    columns = unstack(indices, -1)
    return getitem(x, *columns, pattern=(_ARRAY,) * len(columns))


gather_nd.samples(
    sample(real(), integer(-3, 3, shape=(5, 2))),
    sample(real(shape=(2, 3, 2)), integer(0, 2, shape=(2, 2, 1))),
    sample(real(), integer(0, 3, shape=(2,))),
)
gather_nd.error_samples(error(ShapeError, "1 to 2 positions", real(), integer(0, 3, shape=(4, 3))))
gather_nd.reference(lambda x, indices: x[tuple(np.moveaxis(indices, -1, 0))])


def boolean_mask(x: TensorLike, mask: TensorLike, axis: int = 0) -> Tensor:
    """The elements of ``x`` where ``mask`` holds: ``x[mask]``, its axes matched from ``axis`` on and made one."""
    given = operand(x)
    place = axis + given.spec.ndim if axis < 0 else axis
    return index(given, (*[slice(None)] * place, mask))

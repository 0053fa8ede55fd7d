"""Sparse tensors put together, cut and reshaped: ``tf.sparse.concat``, ``reshape``, ``slice`` and their like.

Where elements go is found on the host; their values are gathered, so that gradients reach them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import corenn
from corenn import dtypes
from corenn_tensorflow.framework import as_dtype, convert_to_tensor
from corenn_tensorflow.functions.hosting import on_host_many
from corenn_tensorflow.functions.moving import takes_text
from corenn_tensorflow.sparse import SparseTensor
from corenn_tensorflow.writing import writable

_concatenated, _gathered = takes_text(corenn.concatenate), takes_text(corenn.gather)


def _parts(sp_input: Any) -> list[Any]:
    return [sp_input.indices, sp_input.dense_shape]


def _moved(type_name: str, function: Callable[..., Any], given: Sequence[Any], values: Any) -> SparseTensor:
    """The sparse tensor of new indices, the numbers of the values that belong to them, and a new shape."""
    results = [((None, None), "int64"), ((None,), "int64"), ((None,), "int64")]
    indices, order, shape = on_host_many(type_name, None, function, given, results)
    return SparseTensor(indices, _gathered(values, order, axis=0), shape)


def _sorted(indices: Any, shape: Any) -> list[Any]:
    order = np.lexsort(indices.T[::-1]) if len(indices) else np.empty(0, np.int64)
    return [indices[order].reshape(len(order), len(shape)), order, np.asarray(shape, np.int64)]


@writable("sparse.concat")
def _concat_of(*arrays: Any, axis: int) -> Any:
    shapes = list(arrays[1::2])
    axis %= len(shapes[0])
    found, start = [], 0
    for indices, shape in zip(arrays[::2], shapes, strict=True):
        others = np.delete(shape, axis) != np.delete(shapes[0], axis)
        if others.any():
            raise ValueError(f"sparse tensors of shapes {shapes[0]} and {shape} cannot be put together along {axis}")
        moved = indices.copy()
        moved[:, axis] += start
        found.append(moved)
        start += int(shape[axis])
    whole = shapes[0].copy()
    whole[axis] = start
    return _sorted(np.concatenate(found), whole)


def concat(axis: int, sp_inputs: Sequence[Any], name: str | None = None, **options: Any) -> SparseTensor:
    """Sparse tensors one after another along an axis."""
    listed = list(sp_inputs)
    values = listed[0].values if len(listed) == 1 else _concatenated(*[s.values for s in listed], axis=0)
    given = [part for s in listed for part in _parts(s)]
    return _moved("SparseConcat", functools.partial(_concat_of, axis=int(axis)), given, values)


@writable("sparse.reshape")
def _reshape_of(indices: Any, shape: Any, wanted: Any) -> Any:
    size = int(np.prod(shape))
    new = [int(n) for n in wanted]
    if -1 in new:
        rest = -int(np.prod(new))
        new[new.index(-1)] = size // max(rest, 1)
    if int(np.prod(new)) != size:
        raise ValueError(f"a sparse tensor of shape {shape.tolist()} cannot be reshaped to {list(wanted)}")
    flat = np.ravel_multi_index(tuple(indices.T), tuple(shape)) if len(indices) else np.empty(0, np.int64)
    places = np.stack(np.unravel_index(flat, tuple(new)), 1) if new else np.empty((len(flat), 0))
    return [places.astype(np.int64), np.arange(len(flat)), np.array(new, np.int64)]


def reshape(sp_input: Any, shape: Any, name: str | None = None) -> SparseTensor:
    """The same elements in another shape, of which one extent may be -1."""
    return _moved("SparseReshape", _reshape_of, [*_parts(sp_input), convert_to_tensor(shape, dtypes.int64)],
                  sp_input.values)  # fmt: skip


@writable("sparse.expand_dims")
def _expand_of(indices: Any, shape: Any, *, axis: int) -> Any:
    place = axis % (len(shape) + 1)
    return [np.insert(indices, place, 0, axis=1), np.arange(len(indices)), np.insert(shape, place, 1)]


def expand_dims(sp_input: Any, axis: int = -1, name: str | None = None) -> SparseTensor:
    """A further axis of extent 1."""
    return _moved("SparseExpandDims", functools.partial(_expand_of, axis=int(axis)), _parts(sp_input), sp_input.values)


@writable("sparse.slice")
def _slice_of(indices: Any, shape: Any, start: Any, size: Any) -> Any:
    stop = np.minimum(start + size, shape)
    inside = np.nonzero(((indices >= start) & (indices < stop)).all(1))[0]
    return [indices[inside] - start, inside, np.maximum(stop - start, 0)]


def slice(sp_input: Any, start: Any, size: Any, name: str | None = None) -> SparseTensor:  # TensorFlow's name
    """The part of ``size`` that begins at ``start``."""
    bounds = [convert_to_tensor(v, dtypes.int64) for v in (start, size)]
    return _moved("SparseSlice", _slice_of, [*_parts(sp_input), *bounds], sp_input.values)


@writable("sparse.fill_empty_rows")
def _filled_of(indices: Any, shape: Any) -> Any:
    rows = np.arange(int(shape[0]))
    empty = ~np.isin(rows, indices[:, 0])
    added = np.zeros((int(empty.sum()), len(shape)), np.int64)
    added[:, 0] = rows[empty]
    return [*_sorted(np.concatenate([indices, added]), shape), empty]


def fill_empty_rows(sp_input: Any, default_value: Any, name: str | None = None) -> tuple[SparseTensor, Any]:
    """With ``default_value`` first in each row that had nothing; and which rows those were."""
    results = [((None, None), "int64"), ((None,), "int64"), ((None,), "int64"), ((None,), "bool")]
    indices, order, shape, empty = on_host_many("SparseFillEmptyRows", name, _filled_of, _parts(sp_input), results)
    text = sp_input.values.dtype is dtypes.string
    default = convert_to_tensor(default_value, None if text else sp_input.values.dtype)
    wide = _with_default(sp_input.values, default, order)
    return SparseTensor(indices, wide, shape), empty


def _with_default(values: Any, default: Any, order: Any) -> Any:
    from corenn_tensorflow.functions.arrays import expand_dims as wider
    from corenn_tensorflow.functions.arrays import shape as shape_of

    # All added elements have the number of the one value put behind the others.
    whole = _concatenated(values, wider(default, 0), axis=0)
    last = shape_of(values, out_type="int64")[0]
    return _gathered(whole, corenn.minimum(order, last), axis=0)


def eye(num_rows: int, num_columns: int | None = None, dtype: Any = "float32", name: str | None = None) -> SparseTensor:
    """Ones on the diagonal."""
    columns = int(num_rows if num_columns is None else num_columns)
    count = min(int(num_rows), columns)
    places = np.repeat(np.arange(count, dtype=np.int64)[:, None], 2, axis=1)
    return SparseTensor(places, np.ones(count, as_dtype(dtype).numpy), np.array([num_rows, columns], np.int64))


@writable("sparse.indicator")
def _indicated(indices: Any, values: Any, shape: Any, *, count: int) -> Any:
    found = np.zeros((*shape[:-1], count), bool)
    inside = (values >= 0) & (values < count)
    found[(*indices[inside, :-1].T, values[inside])] = True
    return [found]


def to_indicator(sp_input: Any, vocab_size: int, name: str | None = None) -> Any:
    """Which numbers below ``vocab_size`` are among the values of each row: bool [..., vocab_size]."""
    function = functools.partial(_indicated, count=int(vocab_size))
    known = sp_input.shape.extents
    shape = None if known is None else (*known[:-1], int(vocab_size))
    given = [sp_input.indices, sp_input.values, sp_input.dense_shape]
    return on_host_many("SparseToIndicator", name, function, given, [(shape, "bool")])[0]


def map_values(op: Callable[..., Any], *args: Any, **kwargs: Any) -> SparseTensor:
    """``op`` of the values of sparse tensors of the same coordinates."""
    sparse = [a for a in (*args, *kwargs.values()) if isinstance(a, SparseTensor)]
    if not sparse:
        raise ValueError("No SparseTensor in argument list of map_values")
    plain = [a.values if isinstance(a, SparseTensor) else a for a in args]
    named = {k: v.values if isinstance(v, SparseTensor) else v for k, v in kwargs.items()}
    return sparse[0].with_values(op(*plain, **named))


__all__ = ["concat", "expand_dims", "eye", "fill_empty_rows", "map_values", "reshape", "slice", "to_indicator"]

"""Sums, means and extrema of the rows that share a number."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import corenn
from corenn_tensorflow import mode
from corenn_tensorflow.functions.calling import composite, operand, python_value
from corenn_tensorflow.writing import writable


def _row_sizes(sums: Any, counts: Any) -> Any:
    return corenn.reshape(corenn.cast(counts, dtype=sums.dtype), shape=(-1, *([1] * (sums.ndim - 1))))


def _counts(ids: Any, num_segments: Any) -> Any:
    return corenn.segment_sum(corenn.ones_like(ids, "int32"), ids, num_segments=num_segments)


def _zero_where_empty(function: Callable[..., Any]) -> Callable[..., Any]:
    """Empty segments give 0, as those of sorted ids do."""

    def run(x: Any, ids: Any, num_segments: Any) -> Any:
        found = function(x, ids, num_segments=num_segments)
        rows = corenn.greater(_row_sizes(corenn.cast(found, dtype="float32"), _counts(ids, num_segments)), 0)
        return corenn.where(rows, found, corenn.zeros_like(found))

    return run


@writable("unsorted_segments")
def _valid(x: Any, ids: Any, *, type_name: str, count: int) -> Any:
    """Rows with a negative number are left out: they go to a segment past the end, which is cut off."""
    kept = corenn.where(corenn.less(ids, 0), corenn.full_like(ids, count), ids)
    flat = corenn.reshape(kept, shape=(-1,))
    rows = corenn.reshape(x, shape=(flat.spec.static[0], *x.spec.static[ids.ndim :]))
    return _UNSORTED[type_name](rows, flat, num_segments=count + 1)[:count]


def _sorted(type_name: str, function: Callable[..., Any], doc: str) -> Callable[..., Any]:
    def call(data: Any, segment_ids: Any, name: str | None = None) -> Any:
        x, ids = operand(data), operand(segment_ids)
        with mode.scope(name, type_name, x, ids):
            return _dynamic(type_name, function, x, ids, corenn.max(ids) + 1)

    call.__doc__ = doc + " that share a number; the numbers must not decrease."
    return call


_UNSORTED: dict[str, Callable[..., Any]] = {}


def _unsorted(type_name: str, function: Callable[..., Any], doc: str) -> Callable[..., Any]:
    _UNSORTED[type_name] = function

    def call(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Any:
        x, ids = operand(data), operand(segment_ids)
        count = python_value(num_segments)
        if isinstance(count, int):
            run = functools.partial(_valid, type_name=type_name, count=count)
            return composite(type_name, name, run, x, ids)
        with mode.scope(name, type_name, x, ids, num_segments):
            return _dynamic(type_name, function, x, ids, count)

    call.__doc__ = doc + " that share a number, in any order; rows with a negative number are left out."
    return call


def _dynamic(type_name: str, function: Callable[..., Any], x: Any, ids: Any, count: Any) -> Any:
    """With a number of segments that only the run knows: ops take it as an attribute."""
    if mode.graph_for(x, ids, count) is None:
        return function(x, ids, num_segments=int(count))
    return function(x, ids, num_segments=count)


def _sqrt_n(x: Any, ids: Any, num_segments: Any) -> Any:
    sums = corenn.segment_sum(x, ids, num_segments=num_segments)
    sizes = corenn.maximum(_row_sizes(sums, _counts(ids, num_segments)), 1)
    return sums / corenn.sqrt(sizes)


segment_sum = _sorted("SegmentSum", corenn.segment_sum, "The sum of the rows")
segment_mean = _sorted("SegmentMean", corenn.segment_mean, "The mean of the rows")
segment_prod = _sorted("SegmentProd", corenn.segment_prod, "The product of the rows")
segment_max = _sorted("SegmentMax", _zero_where_empty(corenn.segment_max), "The greatest of the rows")
segment_min = _sorted("SegmentMin", _zero_where_empty(corenn.segment_min), "The least of the rows")
unsorted_segment_sum = _unsorted("UnsortedSegmentSum", corenn.segment_sum, "The sum of the rows")
unsorted_segment_mean = _unsorted("UnsortedSegmentMean", corenn.segment_mean, "The mean of the rows")
unsorted_segment_prod = _unsorted("UnsortedSegmentProd", corenn.segment_prod, "The product of the rows")
unsorted_segment_max = _unsorted("UnsortedSegmentMax", corenn.segment_max, "The greatest of the rows")
unsorted_segment_min = _unsorted("UnsortedSegmentMin", corenn.segment_min, "The least of the rows")
unsorted_segment_sqrt_n = _unsorted("UnsortedSegmentSqrtN", _sqrt_n, "The sum over the root of the number of the rows")


def _sparse(type_name: str, function: Callable[..., Any], doc: str) -> Callable[..., Any]:
    def call(data: Any, indices: Any, segment_ids: Any, name: str | None = None, num_segments: Any = None) -> Any:
        ids = operand(segment_ids)
        with mode.scope(name, type_name, data, indices, ids):
            rows = corenn.gather(operand(data), operand(indices), axis=0)
            count = corenn.max(ids) + 1 if num_segments is None else python_value(num_segments)
            return _dynamic(type_name, function, rows, ids, count)

    call.__doc__ = doc + " of ``data`` that ``indices`` name and that share a number."
    return call


sparse_segment_sum = _sparse("SparseSegmentSum", corenn.segment_sum, "The sum of the rows")
sparse_segment_mean = _sparse("SparseSegmentMean", corenn.segment_mean, "The mean of the rows")
sparse_segment_sqrt_n = _sparse("SparseSegmentSqrtN", _sqrt_n, "The sum over the root of the number of the rows")


def dynamic_partition(data: Any, partitions: Any, num_partitions: int, name: str | None = None) -> list[Any]:
    """The rows of ``data`` in lists, by the number ``partitions`` gives each."""
    x, ids = operand(data), operand(partitions)
    with mode.scope(name, "DynamicPartition", x, ids):
        return [corenn.boolean_mask(x, corenn.equal(ids, i)) for i in range(num_partitions)]


@writable("dynamic_stitch")
def _dynamic_stitch_of(t: Any, p: Any) -> Any:
    return corenn.reshape(t, shape=(p.size, *t.spec.static[p.ndim :]))


def dynamic_stitch(indices: Any, data: Any, name: str | None = None) -> Any:
    """Rows put together: row ``j`` of ``data[i]`` goes to place ``indices[i][j]``; later ones win."""
    places = [operand(i) for i in indices]
    parts = [operand(d) for d in data]
    with mode.scope(name, "DynamicStitch", places, parts):
        flat = [corenn.reshape(p, shape=(-1,)) for p in places]
        rows = [composite("Reshape", None, _dynamic_stitch_of, d, p) for d, p in zip(parts, places, strict=True)]
        index = corenn.concatenate(*flat, axis=0) if len(flat) > 1 else flat[0]
        values = corenn.concatenate(*rows, axis=0) if len(rows) > 1 else rows[0]
        count = corenn.max(index) + 1
        order = corenn.cumsum(corenn.ones_like(index), axis=0)
        last = _dynamic("UnsortedSegmentMax", corenn.segment_max, order, index, count)
        return corenn.gather(values, corenn.maximum(last - 1, 0), axis=0)


__all__ = [
    "dynamic_partition", "dynamic_stitch", "segment_max", "segment_mean", "segment_min", "segment_prod", "segment_sum",
    "sparse_segment_mean", "sparse_segment_sqrt_n", "sparse_segment_sum", "unsorted_segment_max",
    "unsorted_segment_mean", "unsorted_segment_min", "unsorted_segment_prod", "unsorted_segment_sqrt_n",
    "unsorted_segment_sum",
]  # fmt: skip

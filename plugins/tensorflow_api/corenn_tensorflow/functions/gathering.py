"""Elements by their places: gather, scatter, unique, top_k, sets of numbers, histograms."""

from __future__ import annotations

import functools
from collections import namedtuple
from typing import Any

import numpy as np

import corenn
from corenn import dtypes
from corenn.graph.kinds import HostCallKind
from corenn_tensorflow import mode
from corenn_tensorflow.framework import as_dtype, convert_to_tensor, matching, static_shape
from corenn_tensorflow.functions.calling import composite, operand, python_value, rank_of, shape_argument
from corenn_tensorflow.writing import writable

_Unique = namedtuple("Unique", ["y", "idx"])
_UniqueCounts = namedtuple("UniqueWithCounts", ["y", "idx", "count"])
_Difference = namedtuple("ListDiff", ["out", "idx"])
_TopK = namedtuple("TopKV2", ["values", "indices"])


@writable("gather_text")
def _take(a: Any, i: Any, *, along: Any) -> Any:
    return np.take(a, i, axis=along)


def _gather_first(
    params: Any, indices: Any, validate_indices: Any = None, name: str | None = None, axis: Any = None,
    batch_dims: int = 0,
) -> Any:  # fmt: skip
    """The slices of ``params`` along ``axis`` that ``indices`` name."""
    x, places = operand(params), operand(indices)
    along = python_value(batch_dims if axis is None else axis)
    if x.dtype is dtypes.string:
        from corenn_tensorflow.functions.text import on_host

        return on_host("GatherV2", name, functools.partial(_take, along=along), [x, places], "string")
    if batch_dims:
        return composite("GatherV2", name, functools.partial(_gather_batched, axis=along, batch=batch_dims), x, places)
    return mode.one("GatherV2", name, corenn.gather, x, places, axis=along)


@writable("gather_batched")
def _gather_batched(x: Any, places: Any, axis: int, batch: int) -> Any:
    batch, axis = batch % max(places.ndim, 1) if batch < 0 else batch, axis % x.ndim
    moved = corenn.moveaxis(x, axis, batch)
    outer, rest = moved.spec.static[:batch], moved.spec.static[batch + 1 :]
    count, inner = int(np.prod(outer)), places.spec.static[batch:]
    rows = corenn.reshape(moved, shape=(count * moved.spec.static[batch], *rest))
    index = corenn.reshape(places, shape=(count, -1))
    first = corenn.reshape(corenn.arange(count), shape=(count, 1)) * moved.spec.static[batch]
    found = corenn.gather(rows, index + corenn.cast(first, dtype=index.dtype), axis=0)
    shaped = corenn.reshape(found, shape=(*outer, *inner, *rest))
    if axis == batch:
        return shaped
    width = len(inner)  # the axes of the indices stand where the gathered axis stood
    order = list(range(shaped.ndim))
    block = order[batch : batch + width]
    others = order[:batch] + order[batch + width :]
    return corenn.transpose(shaped, axes=tuple(others[:axis] + block + others[axis:]))


def _gather_second(
    params: Any, indices: Any, validate_indices: Any = None, axis: Any = None, batch_dims: int = 0,
    name: str | None = None,
) -> Any:  # fmt: skip
    """The slices of ``params`` along ``axis`` that ``indices`` name."""
    return _gather_first(params, indices, validate_indices, name, axis, batch_dims)


gather = mode.by_generation(_gather_first, _gather_second)


@writable("gather_nd")
def _gather_nd_of(t: Any, i: Any, *, batch_dims: int) -> Any:
    outer = t.spec.static[:batch_dims]
    grid = corenn.meshgrid(*[corenn.arange(n) for n in outer], indexing="ij")
    wide = [corenn.cast(corenn.broadcast_to(
        corenn.reshape(g, shape=(*outer, *([1] * (i.ndim - batch_dims)))), shape=(*i.spec.static[:-1], 1),
    ), dtype=i.dtype) for g in grid]  # fmt: skip
    return corenn.gather_nd(t, corenn.concatenate(*wide, i, axis=-1))


def gather_nd(params: Any, indices: Any, name: str | None = None, batch_dims: int = 0) -> Any:
    """Elements or slices by their whole coordinates."""
    x, places = operand(params), operand(indices)
    if batch_dims:
        return composite("GatherNd", name, functools.partial(_gather_nd_of, batch_dims=batch_dims), x, places)
    return mode.one("GatherNd", name, corenn.gather_nd, x, places)


def batch_gather(params: Any, indices: Any, name: str | None = None) -> Any:
    """``gather`` for each entry of the leading axes."""
    axes = rank_of(indices)
    if axes is None:
        raise ValueError("batch_gather does not allow indices with unknown shape.")
    return _gather_first(params, indices, name=name, axis=axes - 1, batch_dims=axes - 1)


def scatter_nd(indices: Any, updates: Any, shape: Any, name: str | None = None) -> Any:
    """Zeros with ``updates`` added at ``indices``."""
    return mode.one("ScatterNd", name, corenn.scatter_nd, operand(indices), operand(updates),
                    shape=shape_argument(shape))  # fmt: skip


@writable("tensor_scatter")
def _scattered(now: Any, places: Any, given: Any, *, kind: str) -> Any:
    index = tuple(places[..., i] for i in range(places.spec.static[-1]))
    if kind == "Update":
        return corenn.index_update(now, given, index=index)
    return corenn.index_add(now, given if kind == "Add" else -given, index=index)


def _tensor_scatter(kind: str) -> Any:
    def call(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Any:
        x = operand(tensor)
        run = functools.partial(_scattered, kind=kind)
        return composite(f"TensorScatter{kind}", name, run, x, operand(indices), convert_to_tensor(updates, x.dtype))

    call.__doc__ = f"``tensor`` changed at ``indices``: {kind.lower()}."
    return call


tensor_scatter_update = tensor_scatter_nd_update = _tensor_scatter("Update")
tensor_scatter_add = tensor_scatter_nd_add = _tensor_scatter("Add")
tensor_scatter_sub = tensor_scatter_nd_sub = _tensor_scatter("Sub")


def _on_arrays(type_name: str, name: str | None, function: Any, inputs: list[Any], results: list[Any]) -> Any:
    """A NumPy function of the values: for results whose shapes depend on them and that have no gradients."""
    graph = mode.graph_for(inputs)
    given = [operand(i) for i in inputs]
    if graph is None:
        found = function(*[np.asarray(g.data if g.dtype is dtypes.string else g.numpy()) for g in given])
        from corenn_tensorflow.framework import eager_constant

        return [eager_constant(np.asarray(v, d.numpy), d) for v, (_, d) in zip(found, results, strict=True)]
    with graph.as_default():
        kind = HostCallKind(function, True, type_name)
        return list(graph.add(kind, [graph.convert(g) for g in given], results, name=name or type_name).outputs)


def _first_occurrences(array: Any) -> tuple[Any, Any, Any]:
    values, first, inverse, counts = np.unique(array, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(first, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return values[order], place[inverse.reshape(-1)], counts[order]


@writable("unique")
def _unique_of(a: Any) -> Any:
    return list(_first_occurrences(a)[:2])


def unique(x: Any, out_idx: Any = "int32", name: str | None = None) -> Any:
    """The different values of a vector, in the order they first occur, and for each element where its value is."""
    given, index = operand(x), as_dtype(out_idx)
    results = [((None,), given.dtype), (tuple(static_shape(given) or (None,)), index)]
    return _Unique(*_on_arrays("Unique", name, _unique_of, [given], results))


@writable("unique_with_counts")
def _unique_with_counts_of(a: Any) -> Any:
    return list(_first_occurrences(a))


def unique_with_counts(x: Any, out_idx: Any = "int32", name: str | None = None) -> Any:
    """``unique``, and how often each value occurs."""
    given, index = operand(x), as_dtype(out_idx)
    results = [((None,), given.dtype), (tuple(static_shape(given) or (None,)), index), ((None,), index)]
    return _UniqueCounts(*_on_arrays("UniqueWithCounts", name, _unique_with_counts_of, [given], results))


@writable("setdiff1d")
def _setdiff1d_of(first: Any, second: Any) -> list[Any]:
    kept = ~np.isin(first, second)
    return [first[kept], np.nonzero(kept)[0]]


def setdiff1d(x: Any, y: Any, index_dtype: Any = "int32", name: str | None = None) -> Any:
    """The elements of ``x`` that are not in ``y``, and their places in ``x``."""
    a, b = matching("ListDiff", x, y)
    results = [((None,), a.dtype), ((None,), as_dtype(index_dtype))]
    return _Difference(*_on_arrays("ListDiff", name, _setdiff1d_of, [a, b], results))


listdiff = setdiff1d


@writable("invert_permutation")
def _invert_permutation_of(p: Any) -> Any:
    return corenn.cast(corenn.argsort(p), dtype=p.dtype)


def invert_permutation(x: Any, name: str | None = None) -> Any:
    """Where each of 0, 1, ... stands in a permutation."""
    x = operand(x)
    return composite("InvertPermutation", name, _invert_permutation_of, x)


def top_k(input: Any, k: Any = 1, sorted: bool = True, name: str | None = None, index_type: Any = "int32") -> Any:
    """The k greatest along the last axis, and where they lie."""
    x, count = operand(input), python_value(k)
    with mode.scope(name, "TopKV2", x, k):
        values, places = corenn.top_k(x, k=count, sorted=sorted)
        return _TopK(values, corenn.cast(places, dtype=as_dtype(index_type)))


@writable("in_top_k")
def _in_top_k_of(table: Any, rows: Any, *, k: Any) -> Any:
    own = corenn.take_along_axis(table, corenn.expand_dims(corenn.cast(rows, dtype="int32"), axis=1), axis=1)
    better = corenn.sum(corenn.cast(corenn.greater(table, own), dtype="int32"), axis=1)
    finite = corenn.isfinite(own[:, 0])
    return corenn.logical_and(corenn.less(better, int(k)), finite)


def in_top_k(predictions: Any, targets: Any, k: Any, name: str | None = None) -> Any:
    """Whether the prediction of each target is among the k greatest of its row (equal ones count)."""
    scores, wanted = operand(predictions), operand(targets)
    if wanted.dtype.is_floating:  # generation 2 has the targets first
        scores, wanted = wanted, scores
    return composite("InTopKV2", name, functools.partial(_in_top_k_of, k=python_value(k)), scores, wanted)


def sort(values: Any, axis: int = -1, direction: str = "ASCENDING", name: str | None = None) -> Any:
    """The elements in order along an axis."""
    return mode.one("Sort", name, corenn.sort, operand(values), axis=axis, descending=_descending(direction))


def argsort(
    values: Any, axis: int = -1, direction: str = "ASCENDING", stable: bool = False, name: str | None = None
) -> Any:
    """The places of the elements in order along an axis."""
    down = _descending(direction)
    with mode.scope(name, "argsort", values):
        return corenn.cast(corenn.argsort(operand(values), axis=axis, descending=down), dtype="int32")


def _descending(direction: str) -> bool:
    if direction not in ("ASCENDING", "DESCENDING"):
        raise ValueError(f"direction should be one of ASCENDING or DESCENDING, got {direction}")
    return direction == "DESCENDING"


@writable("searchsorted")
def _searchsorted_of(a: Any, v: Any, *, side: str, out_type: Any) -> Any:
    if a.ndim == 1:
        return corenn.cast(corenn.searchsorted(a, v, side=side), dtype=as_dtype(out_type))
    smaller = corenn.less if side == "left" else corenn.less_equal
    before = smaller(corenn.expand_dims(a, axis=-2), corenn.expand_dims(v, axis=-1))
    return corenn.sum(corenn.cast(before, dtype=as_dtype(out_type)), axis=-1)


def searchsorted(
    sorted_sequence: Any, values: Any, side: str = "left", out_type: Any = "int32", name: str | None = None
) -> Any:
    """Where values belong in sorted vectors."""
    row, given = matching("SearchSorted", sorted_sequence, values)
    return composite(
        "SearchSorted", name, functools.partial(_searchsorted_of, side=side, out_type=as_dtype(out_type)), row, given
    )


@writable("bincount")
def _bincount_of(values: Any, *heavy: Any, maxlength: Any, minlength: Any, binary_output: bool) -> list[Any]:
    flat = np.asarray(values).reshape(-1)
    least, most = minlength, maxlength
    kept = flat if most is None else flat[flat < most]
    w = heavy[0].reshape(-1)[flat < most] if heavy and most is not None else heavy[0].reshape(-1) if heavy else None
    found = np.bincount(kept, w, minlength=least)
    return [(found > 0).astype(found.dtype) if binary_output else found]


def bincount(
    arr: Any, weights: Any = None, minlength: Any = None, maxlength: Any = None, dtype: Any = "int32",
    name: str | None = None, axis: Any = None, binary_output: bool = False,
) -> Any:  # fmt: skip
    """How often 0, 1, ... occur, or the sums of the weights of each."""
    given = operand(arr)
    wanted = as_dtype(dtype) if weights is None else operand(weights).dtype
    inputs = [given] if weights is None else [given, operand(weights)]
    return _on_arrays(
        "Bincount",
        name,
        functools.partial(
            _bincount_of,
            maxlength=python_value(maxlength),
            minlength=python_value(minlength) or 0,
            binary_output=binary_output,
        ),
        inputs,
        [((None,), wanted)],
    )[0]


@writable("histogram_fixed_width_bins")
def _histogram_fixed_width_bins_of(v: Any, ends: Any, *, nbins: int, dtype: Any) -> Any:
    scaled = (v - ends[0]) / (ends[1] - ends[0]) * nbins
    return corenn.cast(corenn.clip(corenn.floor(scaled), min=0, max=nbins - 1), dtype=as_dtype(dtype))


def histogram_fixed_width_bins(
    values: Any, value_range: Any, nbins: int = 100, dtype: Any = "int32", name: str | None = None
) -> Any:
    """The number of the bin each value falls into; those outside fall into the first and the last."""
    x = operand(values)
    limits = convert_to_tensor(value_range, None if hasattr(value_range, "spec") else x.dtype)
    return composite(
        "HistogramFixedWidthBins",
        name,
        functools.partial(_histogram_fixed_width_bins_of, nbins=int(nbins), dtype=as_dtype(dtype)),
        x,
        limits,
    )


@writable("histogram_fixed_width")
def _histogram_fixed_width_count(bins: Any, *, nbins: int, dtype: Any) -> Any:
    flat = corenn.reshape(bins, shape=(-1,))
    return corenn.segment_sum(corenn.ones_like(flat, as_dtype(dtype)), flat, num_segments=nbins)


def histogram_fixed_width(
    values: Any, value_range: Any, nbins: int = 100, dtype: Any = "int32", name: str | None = None
) -> Any:
    """How many values fall into each of ``nbins`` equal bins."""
    places = histogram_fixed_width_bins(values, value_range, nbins, "int32")
    return composite(
        "HistogramFixedWidth",
        name,
        functools.partial(_histogram_fixed_width_count, nbins=int(nbins), dtype=as_dtype(dtype)),
        places,
    )


def confusion_matrix(
    labels: Any, predictions: Any, num_classes: Any = None, dtype: Any = "int32", name: str | None = None,
    weights: Any = None,
) -> Any:  # fmt: skip
    """A matrix that counts, for each label (row), the predictions (column)."""
    rows, columns = operand(labels), operand(predictions)
    with mode.scope(name, "confusion_matrix", rows, columns, weights):
        rows, columns = (corenn.cast(corenn.reshape(t, shape=(-1,)), dtype="int64") for t in (rows, columns))
        if num_classes is None:
            count: Any = python_value(corenn.maximum(corenn.max(rows), corenn.max(columns)) + 1)
        else:
            count = python_value(num_classes)
        wanted = as_dtype(dtype)
        given = corenn.ones_like(rows, wanted) if weights is None else corenn.cast(operand(weights), dtype=wanted)
        return corenn.scatter_nd(corenn.stack(rows, columns, axis=1), given, shape=(count, count))


__all__ = [
    "argsort", "batch_gather", "bincount", "confusion_matrix", "gather", "gather_nd", "histogram_fixed_width",
    "histogram_fixed_width_bins", "in_top_k", "invert_permutation", "listdiff", "scatter_nd", "searchsorted",
    "setdiff1d", "sort", "tensor_scatter_add", "tensor_scatter_nd_add", "tensor_scatter_nd_sub",
    "tensor_scatter_nd_update", "tensor_scatter_sub", "tensor_scatter_update", "top_k", "unique",
    "unique_with_counts",
]  # fmt: skip

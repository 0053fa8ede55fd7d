"""Gathering and scattering."""

from __future__ import annotations

from typing import Any

import numpy as np

import corenn
from corenn import dtypes
from corenn.tensor import Tensor
from corenn_onnx.ops._common import of_onnx, positive
from corenn_onnx.table import onnx_op

Host = np.ndarray[Any, Any]


def _wrapped(indices: Tensor, extent: int) -> Tensor:
    """Negative positions counted from the end."""
    if indices.dtype.kind == "u":
        return indices
    return corenn.where(corenn.less(indices, 0), corenn.add(indices, extent), indices)


@onnx_op("Gather", moves=True)
def gather(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """Slices at positions along an axis."""
    axis = positive(axis, len(x.shape))
    return corenn.gather(x, _wrapped(indices, x.shape[axis]), axis=axis)


@onnx_op("GatherElements", moves=True)
def gather_elements(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """Elements at positions along an axis, the other positions being those of the index itself."""
    axis = positive(axis, len(x.shape))
    for other, extent in enumerate(indices.shape):
        if other != axis and x.shape[other] != extent:
            x = x[(*[slice(None)] * other, slice(0, extent))]
    return corenn.take_along_axis(x, _wrapped(indices, x.shape[axis]), axis=axis)


@onnx_op("GatherND", moves=True)
def gather_nd(x: Tensor, indices: Tensor, *, batch_dims: int = 0) -> Tensor:
    """Slices at coordinates."""
    return corenn.gather_nd(x, _coordinates(x, indices, batch_dims))


def _coordinates(x: Tensor, indices: Tensor, batch_dims: int = 0) -> Tensor:
    """Non-negative coordinates, with those of the batch axes before them."""
    depth = indices.shape[-1]
    limits = np.array(x.shape[batch_dims : batch_dims + depth], np.int64)
    indices = indices.cast(dtypes.int64)
    found = corenn.where(corenn.less(indices, 0), corenn.add(indices, limits), indices)
    if not batch_dims:
        return found
    outer = indices.shape[:-1]
    batch = np.stack(np.meshgrid(*[np.arange(n) for n in outer[:batch_dims]], indexing="ij"), -1)
    batch = batch.reshape(*outer[:batch_dims], *[1] * (len(outer) - batch_dims), batch_dims)
    return corenn.concatenate(np.broadcast_to(batch, (*outer, batch_dims)).copy(), found, axis=-1)


@onnx_op("Scatter", "ScatterElements")
def scatter_elements(
    x: Tensor, indices: Tensor, updates: Tensor, *, axis: int = 0, reduction: str = "none"
) -> Tensor:  # fmt: skip
    """``x`` with elements at positions along an axis replaced, or combined with the updates."""
    axis = positive(axis, len(x.shape))
    wrapped = _wrapped(indices.cast(dtypes.int64), x.shape[axis])
    grid = np.meshgrid(*[np.arange(n) for n in indices.shape], indexing="ij")
    places = [wrapped if i == axis else corenn.asarray(grid[i]) for i in range(len(x.shape))]
    return _scattered(x, corenn.stack(*places, axis=-1), updates, reduction)


@onnx_op("ScatterND")
def scatter_nd(x: Tensor, indices: Tensor, updates: Tensor, *, reduction: str = "none") -> Tensor:
    """``x`` with slices at coordinates replaced, or combined with the updates."""
    return _scattered(x, _coordinates(x, indices), updates, reduction)


def _scattered(x: Tensor, coordinates: Tensor, updates: Tensor, reduction: str) -> Tensor:
    """Scattering at non-negative coordinates [..., k], as rows of ``x`` with its first k axes made one."""
    depth = coordinates.shape[-1]
    outer, inner = x.shape[:depth], x.shape[depth:]
    strides = np.array([int(np.prod(outer[i + 1 :])) for i in range(depth)], np.int64)
    flat = corenn.reshape(corenn.sum(corenn.multiply(coordinates, strides), axis=-1), shape=(-1,))
    count = int(np.prod(outer))
    rows = corenn.reshape(x, shape=(count, *inner))
    values = corenn.reshape(updates, shape=(int(np.prod(coordinates.shape[:-1])), *inner))
    if reduction == "none":
        result = corenn.scatter_set(rows, flat, values, axis=0)
    elif reduction == "add":
        result = corenn.scatter_add(rows, flat, values, axis=0)
    else:
        segments = {"mul": corenn.segment_prod, "max": corenn.segment_max, "min": corenn.segment_min}[reduction]
        combine = {"mul": corenn.multiply, "max": corenn.maximum, "min": corenn.minimum}[reduction]
        combined = combine(rows, segments(values, flat, num_segments=count))
        touched = corenn.greater(corenn.segment_sum(corenn.ones_like(flat), flat, num_segments=count), 0)
        touched = corenn.reshape(touched, shape=(count, *[1] * len(inner)))
        result = corenn.where(touched, combined, rows)
    return corenn.reshape(result, shape=x.shape)


@onnx_op("TensorScatter", host=("write_indices",))
def tensor_scatter(
    cache: Tensor, update: Tensor, write_indices: Host | None = None, *, axis: int = -2, mode: str = "linear"
) -> Tensor:
    """A cache with steps written from a position of each example on; ``circular`` starts again at its end."""
    axis = positive(axis, len(cache.shape))
    batch, extent, steps = cache.shape[0], cache.shape[axis], update.shape[axis]
    first = np.zeros(batch, np.int64) if write_indices is None else write_indices.astype(np.int64)
    places = first[:, None] + np.arange(steps)
    if mode == "circular":
        places = places % extent
    shape = [1] * len(cache.shape)
    shape[0], shape[axis] = batch, steps
    indices = np.broadcast_to(places.reshape(shape), update.shape).copy()
    return scatter_elements(cache, corenn.asarray(indices), update, axis=axis)


@onnx_op("OneHot", host=("depth",))
def one_hot(indices: Tensor, depth: Host, values: Tensor, *, axis: int = -1) -> Tensor:
    """The second of ``values`` at the class of each element along a new axis, else the first."""
    count = int(depth.reshape(-1)[0])
    rank = len(indices.shape) + 1
    whole = indices.cast(dtypes.int64)
    wrapped = corenn.where(corenn.less(whole, 0), corenn.add(whole, count), whole)
    axis = positive(axis, rank)
    classes = np.arange(count).reshape([count if i == axis else 1 for i in range(rank)])
    here = corenn.equal(corenn.expand_dims(wrapped, axis=axis), classes)
    return corenn.where(here, values[1], values[0])


@onnx_op("Compress", host=("condition",), moves=True)
def compress(x: Tensor, condition: Host, *, axis: int | None = None) -> Tensor:
    """The slices along an axis for which a condition holds."""
    if axis is None:
        x, axis = corenn.reshape(x, shape=(-1,)), 0
    return corenn.gather(x, np.flatnonzero(condition), axis=positive(axis, len(x.shape)))


@onnx_op("EyeLike")
def eye_like(x: Tensor, *, node: Any, dtype: int | None = None, k: int = 0) -> Tensor:
    """A matrix of the shape of ``x`` with ones on a diagonal."""
    kind = x.dtype if dtype is None else of_onnx(dtype, node)
    return corenn.asarray(np.eye(x.shape[0], x.shape[1], k=k)).cast(kind)

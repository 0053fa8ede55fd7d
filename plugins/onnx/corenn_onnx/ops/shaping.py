"""Shapes: reshaping, transposing, joining, splitting, slicing, padding, repeating."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import corenn
from corenn.graph.tensors import GraphTensor
from corenn.tensor import Tensor
from corenn_onnx.ops._common import axes_of, positive
from corenn_onnx.table import onnx_op
from corenn_onnx.values import Constant, known

Host = np.ndarray[Any, Any]


@onnx_op("Shape", raw=("x",))
def shape(x: Any, *, start: int = 0, end: int | None = None) -> Any:
    """The shape, or a part of it: a constant where the extents are known."""
    if isinstance(x, GraphTensor) and (x.extents is None or None in x.extents):
        return corenn.shape(x).cast(corenn.int64)[start:end]
    extents = x.host.shape if isinstance(x, Constant) else x.shape
    return np.array(extents[start:end], np.int64)


@onnx_op("Size", raw=("x",))
def size(x: Any) -> Any:
    """The number of elements."""
    if isinstance(x, GraphTensor) and (x.extents is None or None in x.extents):
        return corenn.prod(corenn.shape(x).cast(corenn.int64))
    return np.array(math.prod(x.host.shape if isinstance(x, Constant) else x.shape), np.int64)


def _reshaped(x: Tensor, wanted: list[Any], allow_zero: bool) -> Tensor:
    if not allow_zero:
        wanted = [(corenn.shape(x)[i] if x.shape[i] is None else x.shape[i]) if _is(n, 0) else n
                  for i, n in enumerate(wanted)]  # fmt: skip
    return corenn.reshape(x, shape=tuple(wanted))


def _is(n: Any, value: int) -> bool:
    return isinstance(n, int) and n == value


@onnx_op("Reshape", since=5, raw=("shape",), moves=True)
def reshape(x: Tensor, shape: Any, *, node: Any, allowzero: int = 0) -> Tensor:
    """Another shape; 0 keeps an extent, -1 is computed."""
    if isinstance(shape, GraphTensor) and known(shape) is None and shape.extents and shape.extents[0] is not None:
        wanted: list[Any] = [shape[i] for i in range(shape.extents[0])]
    else:
        wanted = [int(n) for n in node.host(shape, "shape")]
    return _reshaped(x, wanted, bool(allowzero))


@onnx_op("Reshape", moves=True)
def reshape_attribute(x: Tensor, *, shape: tuple[int, ...], consumed_inputs: Any = None) -> Tensor:
    """Before opset 5 the shape is an attribute."""
    return _reshaped(x, list(shape), False)


@onnx_op("Flatten", moves=True)
def flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    """A matrix, of the axes before ``axis`` and those from it on."""
    axis = axis + len(x.shape) if axis < 0 else axis
    extents = x.shape
    if None in extents[axis:]:
        return corenn.reshape(x, shape=(math.prod(extents[:axis]), -1))
    rows: Any = -1 if None in extents[:axis] else math.prod(extents[:axis])
    return corenn.reshape(x, shape=(rows, math.prod(extents[axis:])))


@onnx_op("Transpose", moves=True)
def transpose(x: Tensor, *, perm: tuple[int, ...] | None = None) -> Tensor:
    """Axes in another order, reversed by default."""
    return corenn.transpose(x, axes=perm)


@onnx_op("Squeeze", since=13, host=("axes",), moves=True)
def squeeze(x: Tensor, axes: Host | None = None) -> Tensor:
    """Without axes of extent 1."""
    return corenn.squeeze(x, axis=axes_of(axes, len(x.shape)))


@onnx_op("Squeeze", moves=True)
def squeeze_attribute(x: Tensor, *, axes: Any = None) -> Tensor:
    """Before opset 13 the axes are an attribute."""
    return squeeze(x, axes)


@onnx_op("Unsqueeze", since=13, host=("axes",), moves=True)
def unsqueeze(x: Tensor, axes: Host) -> Tensor:
    """With new axes of extent 1."""
    rank = len(x.shape) + np.size(axes)
    return corenn.expand_dims(x, axis=axes_of(axes, rank) or ())


@onnx_op("Unsqueeze", moves=True)
def unsqueeze_attribute(x: Tensor, *, axes: Any) -> Tensor:
    """Before opset 13 the axes are an attribute."""
    return unsqueeze(x, axes)


@onnx_op("Concat", since=4, moves=True)
def concat(*tensors: Tensor, axis: int) -> Tensor:
    """Joined along an axis."""
    return corenn.concatenate(*tensors, axis=positive(axis, len(tensors[0].shape)))


@onnx_op("Concat", moves=True)
def concat_default(*tensors: Tensor, axis: int = 1) -> Tensor:
    """Before opset 4 along axis 1 unless another is given."""
    return concat(*tensors, axis=axis)


def _split(x: Tensor, sizes: Any, axis: int, count: int) -> tuple[Tensor, ...]:
    axis = positive(axis, len(x.shape))
    if sizes is None:
        extent = x.shape[axis]
        part = -(-extent // count)
        sizes = [max(0, min(part, extent - i * part)) for i in range(count)]
    return tuple(corenn.split(x, tuple(int(n) for n in np.ravel(sizes)), axis=axis))


@onnx_op("Split", since=13, host=("split",), moves=True)
def split(x: Tensor, split: Host | None = None, *, node: Any, axis: int = 0, num_outputs: int | None = None) -> Any:
    """Parts along an axis: of given sizes, or about equal."""
    return _split(x, split, axis, num_outputs or len(node.outputs))


@onnx_op("Split", host=("sizes",), moves=True)
def split_attribute(x: Tensor, sizes: Host | None = None, *, node: Any, axis: int = 0, split: Any = None) -> Any:
    """Before opset 13 the sizes are an attribute (before opset 2 an input as well)."""
    return _split(x, split if sizes is None else sizes, axis, len(node.outputs))


@onnx_op("Slice", since=10, host=("starts", "ends", "axes", "steps"), moves=True)
def slice_(x: Tensor, starts: Host, ends: Host, axes: Host | None = None, steps: Host | None = None) -> Tensor:
    """A section along each of some axes."""
    rank = len(x.shape)
    places = axes_of(range(len(starts)) if axes is None else axes, rank) or ()
    key: list[slice] = [slice(None)] * rank
    for i, axis in enumerate(places):
        step = 1 if steps is None else int(steps[i])
        key[axis] = _section(int(starts[i]), int(ends[i]), step, x.shape[axis])
    return x[tuple(key)]


def _section(start: int, end: int, step: int, extent: int | None) -> slice:
    """The Python slice of a section; ends before the first element mean all of it where the step is negative."""
    if extent is None:
        return slice(start, None if end >= 2**31 - 1 else end, step)
    low = start + extent if start < 0 else start
    high = end + extent if end < 0 else end
    if step > 0:
        low, high = min(max(low, 0), extent), min(max(high, 0), extent)
        return slice(low, max(high, low), step)
    low, high = min(max(low, 0), extent - 1), min(max(high, -1), extent - 1)
    if high >= low:
        return slice(0, 0, 1)
    return slice(low, None if high < 0 else high, step)


@onnx_op("Slice", moves=True)
def slice_attributes(x: Tensor, *, starts: Any, ends: Any, axes: Any = None) -> Tensor:
    """Before opset 10 the bounds are attributes."""
    return slice_(x, starts, ends, axes)


@onnx_op("Expand", host=("shape",), moves=True)
def expand(x: Tensor, shape: Host) -> Tensor:
    """Broadcast with a shape."""
    return corenn.broadcast_to(x, shape=np.broadcast_shapes(tuple(x.shape), tuple(int(n) for n in shape)))


@onnx_op("Tile", since=6, host=("repeats",), moves=True)
def tile(x: Tensor, repeats: Host) -> Tensor:
    """Laid several times along each axis."""
    return corenn.tile(x, repetitions=tuple(int(n) for n in repeats))


@onnx_op("Tile", host=("tiles", "axis"), moves=True)
def tile_axis(x: Tensor, tiles: Host, axis: Host) -> Tensor:
    """Before opset 6 along a single axis."""
    counts = [1] * len(x.shape)
    counts[int(axis.reshape(()))] = int(tiles.reshape(()))
    return corenn.tile(x, repetitions=tuple(counts))


def padded(x: Tensor, pads: Any, mode: str, value: Any, axes: Any = None) -> Tensor:
    """``x`` with ``pads`` (all before, then all after) elements along ``axes``; negative ones cut elements off."""
    rank = len(x.shape)
    places = range(rank) if axes is None else axes_of(axes, rank) or ()
    half = len(pads) // 2
    widths = [(0, 0)] * rank
    for i, axis in enumerate(places):
        widths[axis] = int(pads[i]), int(pads[half + i])
    if any(n < 0 for pair in widths for n in pair):
        key = tuple(slice(max(0, -a), n - max(0, -b)) for (a, b), n in zip(widths, x.shape, strict=True))
        x, widths = x[key], [(max(0, a), max(0, b)) for a, b in widths]
    if mode == "wrap":
        for axis, (a, b) in enumerate(widths):
            if a or b:
                x = corenn.gather(x, np.arange(-a, x.shape[axis] + b) % x.shape[axis], axis=axis)
        return x
    if mode == "constant":
        return corenn.pad(x, widths=tuple(widths), value=value)
    return corenn.pad(x, widths=tuple(widths), mode=mode)


@onnx_op("Pad", since=11, host=("pads", "value", "axes"))
def pad(
    x: Tensor, pads: Host, value: Host | None = None, axes: Host | None = None, *, mode: str = "constant"
) -> Tensor:
    """Padded: constant, edge, reflect or wrap."""
    fill = 0 if value is None or not value.size else value.reshape(-1)[0].item()
    return padded(x, pads, mode, fill, axes)


@onnx_op("Pad")
def pad_attributes(
    x: Tensor, *, pads: Any = None, paddings: Any = None, mode: str = "constant", value: float = 0.0
) -> Tensor:
    """Before opset 11 the widths are an attribute."""
    return padded(x, paddings if pads is None else pads, mode, value)


@onnx_op("DepthToSpace")
def depth_to_space(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """Blocks of channels laid out as blocks of pixels."""
    n, c, h, w = x.shape
    b = blocksize
    if mode == "DCR":
        parts = corenn.reshape(x, shape=(n, b, b, c // (b * b), h, w))
        order: tuple[int, ...] = (0, 3, 4, 1, 5, 2)
    else:
        parts, order = corenn.reshape(x, shape=(n, c // (b * b), b, b, h, w)), (0, 1, 4, 2, 5, 3)
    return corenn.reshape(corenn.transpose(parts, axes=order), shape=(n, c // (b * b), h * b, w * b))


@onnx_op("SpaceToDepth")
def space_to_depth(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """Blocks of pixels laid out as blocks of channels."""
    n, c, h, w = x.shape
    b = blocksize
    parts = corenn.reshape(x, shape=(n, c, h // b, b, w // b, b))
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    return corenn.reshape(corenn.transpose(parts, axes=order), shape=(n, c * b * b, h // b, w // b))


@onnx_op("CenterCropPad", host=("shape",))
def center_crop_pad(x: Tensor, shape: Host, *, axes: Any = None) -> Tensor:
    """Cut or padded evenly, so that the centre stays."""
    places = axes_of(range(len(x.shape)) if axes is None else axes, len(x.shape)) or ()
    for axis, wanted in zip(places, (int(n) for n in shape), strict=True):
        extent = x.shape[axis]
        if wanted < extent:
            first = (extent - wanted) // 2
            x = x[(*[slice(None)] * axis, slice(first, first + wanted))]
        elif wanted > extent:
            before = (wanted - extent) // 2
            widths = [(0, 0)] * len(x.shape)
            widths[axis] = before, wanted - extent - before
            x = corenn.pad(x, widths=tuple(widths))
    return x


@onnx_op("ReverseSequence", host=("lengths",), moves=True)
def reverse_sequence(x: Tensor, lengths: Host, *, batch_axis: int = 1, time_axis: int = 0) -> Tensor:
    """The first elements of each example, in number ``lengths``, in reverse order."""
    steps = np.arange(x.shape[time_axis])
    places = np.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)
    if time_axis < batch_axis:
        places = places.T
    outer = [1] * len(x.shape)
    outer[time_axis], outer[batch_axis] = x.shape[time_axis], x.shape[batch_axis]
    return corenn.take_along_axis(x, places.reshape(outer), axis=time_axis)


@onnx_op("Trilu", host=("k",))
def trilu(x: Tensor, k: Host | None = None, *, upper: int = 1) -> Tensor:
    """The upper or lower triangles of matrices."""
    offset = 0 if k is None else int(k.reshape(()))
    if 0 in x.shape:
        return x
    rows, columns = x.shape[-2:]
    offset = max(-rows - 1, min(columns + 1, offset))
    return corenn.triu(x, k=offset) if upper else corenn.tril(x, k=offset)

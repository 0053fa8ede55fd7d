"""Pooling one spatial axis after another, tap by tap on strided views, a few images at a time.

Which tap is a window's first largest is kept as bools and applied as bit masks: a masked copy takes NumPy ten times as
long as a bitwise "and", and a product with 0 would make NaN of an infinite gradient.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from corenn.backend import Kernel
from corenn.ops.windows import held, spatial, spatial_axes, windows_along
from corenn_numpy.kernels.convolution import clipped, single

Array = np.ndarray[Any, Any]
Ints = Sequence[int]
Pairs = Sequence[tuple[int, int]]
Axes = list[tuple[int, int, int, tuple[int, int]]]  # axis, window, stride, padding

# Bytes of operand at a time: it is read once for each tap.
TILE = 1 << 20


def _axes(layout: str, window: Ints, strides: Ints, padding: Pairs) -> Axes:
    return list(zip(spatial_axes(layout), window, strides, padding, strict=True))


def _result(shape: Sequence[int], axes: Axes) -> tuple[int, ...]:
    extents = list(shape)
    for axis, window, stride, padding in axes:
        extents[axis] = windows_along(extents[axis], window, stride, padding)
    return tuple(extents)


def _images(shape: Sequence[int], itemsize: int) -> Iterator[slice]:
    """A few images at a time, so that what one axis makes is in the cache for the next."""
    at_once = max(1, TILE // max(1, math.prod(shape[1:]) * itemsize))
    for first in range(0, shape[0], at_once):
        yield slice(first, first + at_once)


def _places(extent: int, results: int, axis: int, window: int, stride: int, before: int) -> Iterator[tuple[Any, Any]]:
    """For each tap: which results read an element with it, and those elements."""
    ahead = (slice(None),) * axis
    for j in range(window):
        reads, places = clipped(extent, results, stride, j - before)
        yield (*ahead, reads), (*ahead, places)


def _reduce(
    x: Array, axis: int, window: int, stride: int, padding: tuple[int, int], how: np.ufunc, empty: float
) -> Array:
    """All taps of each window along one axis combined."""
    results = windows_along(x.shape[axis], window, stride, padding)
    out = np.empty((*x.shape[:axis], results, *x.shape[axis + 1 :]), x.dtype)
    places = _places(x.shape[axis], results, axis, window, stride, padding[0])
    if any(padding):
        out.fill(empty)
    elif window == 1:
        out[...] = x[next(places)[1]]
    else:
        how(x[next(places)[1]], x[next(places)[1]], out=out)
    for reads, taken in places:
        how(out[reads], x[taken], out=out[reads])
    return out


def max_pool(x: Array, *, window: Ints, strides: Ints, padding: Pairs, layout: str) -> Array:
    """``max_pool``: see ``corenn.ops.pooling``."""
    axes = _axes(layout, window, strides, padding)
    y = np.empty(_result(x.shape, axes), x.dtype)
    for images in _images(x.shape, x.itemsize):
        part = x[images]
        for each in axes:
            part = _reduce(part, *each, np.maximum, -math.inf)
        y[images] = part
    return y


# ---------------------------------------------------------------- the largest


def _cleared(out: Array | None, shape: Sequence[int], dy: Array, each: tuple[int, int, int, tuple[int, int]]) -> Array:
    """Somewhere to put the gradient of one axis: zeros, unless the windows tile the axis and will write all of it."""
    axis, window, stride, padding = each
    out = np.empty(shape, dy.dtype) if out is None else out
    if any(padding) or stride != window or dy.shape[axis] * window != shape[axis]:
        out.fill(0)
    return out


def _bits(x: Array) -> Array:
    return x.view(f"i{x.itemsize}")


def _mask(chosen: Array, itemsize: int) -> Array:
    """All ones where ``chosen``, else zeros, as integers of ``itemsize`` bytes."""
    mask: Array = np.negative(chosen.view(np.int8), dtype=f"i{itemsize}")
    return mask


def _chosen(x: Array, largest: Array, each: tuple[int, int, int, tuple[int, int]]) -> Iterator[tuple[Any, Any, Array]]:
    """For each tap: which results read with it, what they read, and where that is their first largest element."""
    axis, window, stride, padding = each
    left = np.ones(largest.shape, np.bool_)
    places = _places(x.shape[axis], largest.shape[axis], axis, window, stride, padding[0])
    for j, (reads, taken) in enumerate(places):
        if j == window - 1 and not any(padding):
            yield reads, taken, left  # one must be
            continue
        below = np.less(x[taken], largest[reads])  # not "unequal": a window of NaN has its first element chosen
        open_ = left[reads]
        yield reads, taken, np.greater(open_, below)
        np.logical_and(open_, below, out=open_)


def _stages(x: Array, axes: Axes) -> list[Array]:
    """``x`` reduced along the last axis, the last two, and so on."""
    found = [x]
    for each in reversed(axes):
        found.append(_reduce(found[-1], *each, np.maximum, -math.inf))
    return found


def max_pool_grad(x: Array, dy: Array, *, window: Ints, strides: Ints, padding: Pairs, layout: str) -> Array:
    """``max_pool_grad``: see ``corenn.ops.pooling``."""
    axes = _axes(layout, window, strides, padding)
    dx = np.empty(x.shape, dy.dtype)
    for images in _images(x.shape, x.itemsize):
        stages = _stages(x[images], axes)
        part = dy[images]
        for i, each in enumerate(axes):
            read, largest = stages[-2 - i], stages[-1 - i]
            back = _cleared(dx[images] if i == len(axes) - 1 else None, read.shape, part, each)
            bits, apart = _bits(part), each[2] >= each[1]
            for reads, taken, chosen in _chosen(read, largest, each):
                mask = _mask(chosen, dy.itemsize)
                if apart:
                    np.bitwise_and(bits[reads], mask, out=_bits(back)[taken])
                else:
                    np.bitwise_and(bits[reads], mask, out=mask)
                    back[taken] += mask.view(dy.dtype)
            part = back
    return dx


def max_pool_gather(x: Array, h: Array, *, window: Ints, strides: Ints, padding: Pairs, layout: str) -> Array:
    """``max_pool_gather``: see ``corenn.ops.pooling``."""
    axes = _axes(layout, window, strides, padding)
    y = np.empty(_result(x.shape, axes), h.dtype)
    for images in _images(x.shape, x.itemsize):
        stages = _stages(x[images], axes)
        part = h[images]
        for i, each in enumerate(reversed(axes)):
            taken_bits = np.zeros(stages[i + 1].shape, f"i{h.itemsize}")
            for reads, taken, chosen in _chosen(stages[i], stages[i + 1], each):
                taken_bits[reads] |= _bits(part)[taken] & _mask(chosen, h.itemsize)
            part = taken_bits.view(h.dtype)
        y[images] = part
    return y


# ---------------------------------------------------------------- the mean


def _divisor(extents: Any, window: Ints, strides: Ints, padding: Any, layout: str, every: bool, dtype: Any) -> Any:
    """How many elements each window counts: one number, or an array that broadcasts."""
    if every or not any(map(any, padding)):
        return dtype.type(math.prod(window))
    return held(extents, window, strides, padding, layout).astype(dtype)


@single
def avg_pool(x: Array, *, window: Ints, strides: Ints, padding: Pairs, layout: str, count_padding: bool) -> Array:
    """``avg_pool``: see ``corenn.ops.pooling``."""
    axes = _axes(layout, window, strides, padding)
    y = np.empty(_result(x.shape, axes), x.dtype)
    divisor = _divisor(spatial(x.shape, layout), window, strides, padding, layout, count_padding, x.dtype)
    for images in _images(x.shape, x.itemsize):
        part = x[images]
        for each in axes:
            part = _reduce(part, *each, np.add, 0)
        np.divide(part, divisor, out=y[images])
    return y


@single
def avg_pool_grad(
    dy: Array, *, size: Ints, window: Ints, strides: Ints, padding: Pairs, layout: str, count_padding: bool
) -> Array:
    """``avg_pool_grad``: see ``corenn.ops.pooling``."""
    axes = _axes(layout, window, strides, padding)
    shape = list(dy.shape)
    for (axis, *_), n in zip(axes, size, strict=True):
        shape[axis] = n
    dx = np.empty(shape, dy.dtype)
    divisor = _divisor(size, window, strides, padding, layout, count_padding, dy.dtype)
    for images in _images(shape, dy.itemsize):
        part = dy[images] / divisor
        for i, each in reversed(list(enumerate(axes))):  # the last axis first: then those before it copy long runs
            axis, k, stride, pair = each
            extents = (*part.shape[:axis], shape[axis], *part.shape[axis + 1 :])
            back = _cleared(None if i else dx[images], extents, part, each)
            for reads, taken in _places(shape[axis], part.shape[axis], axis, k, stride, pair[0]):
                if stride >= k:
                    back[taken] = part[reads]
                else:
                    back[taken] += part[reads]
            part = back
    return dx


KERNELS: dict[str, Kernel | Sequence[Kernel]] = {
    "max_pool": Kernel(max_pool),
    "max_pool_grad": Kernel(max_pool_grad),
    "max_pool_gather": Kernel(max_pool_gather),
    "avg_pool": Kernel(avg_pool),
    "avg_pool_grad": Kernel(avg_pool_grad),
}

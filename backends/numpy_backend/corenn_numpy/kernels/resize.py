"""Bilinear resizing an image or so at a time, so that what one axis makes is in the cache for the next."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from corenn.backend import Kernel
from corenn.ops.resize import matrix, positions
from corenn.ops.windows import spatial_axes
from corenn.spec import Spec
from corenn_numpy.kernels.convolution import single

Array = np.ndarray[Any, Any]

# Bytes of the larger of operand and result at a time.
TILE = 1 << 20


def _bilinear(specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> bool:
    return bool(attrs["method"] == "bilinear" and not attrs["antialias"]) and _batched(specs, attrs)


def _batched(specs: Sequence[Spec | None], attrs: Mapping[str, Any]) -> bool:
    return "N" in attrs["layout"]


def _axes(shape: Sequence[int], size: Sequence[int], layout: str) -> list[tuple[int, int, int]]:
    """The axes that change: axis, extent, new extent."""
    each = zip(spatial_axes(layout), size, strict=True)
    return [(axis, shape[axis], n) for axis, n in each if shape[axis] != n]


def _tiles(x: Array, axes: Sequence[tuple[int, int, int]]) -> tuple[Array, Iterator[slice]]:
    """Room for the result, and a few images at a time."""
    shape = list(x.shape)
    for axis, _, n in axes:
        shape[axis] = n
    out = np.empty(shape, x.dtype)
    at_once = max(1, TILE // max(1, math.prod(map(max, zip(x.shape[1:], shape[1:], strict=True))) * x.itemsize))
    return out, (slice(i, i + at_once) for i in range(0, x.shape[0], at_once))


@single
def resize(x: Array, *, size: Sequence[int], method: str, align_corners: bool, antialias: bool, layout: str) -> Array:
    """``resize``: see ``corenn.ops.resize``."""
    axes = _axes(x.shape, size, layout)
    out, tiles = _tiles(x, axes)
    steps = []
    for axis, extent, n in axes:
        below, above, part = positions(extent, n, method, align_corners)
        steps.append((axis, below, above, part.astype(x.dtype).reshape([n if a == axis else 1 for a in range(x.ndim)])))
    for images in tiles:
        tile = x[images]
        for axis, below, above, part in steps:
            low, high = np.take(tile, below, axis), np.take(tile, above, axis)
            np.subtract(high, low, out=high)
            np.multiply(high, part, out=high)
            tile = np.add(low, high, out=high)
        out[images] = tile
    return out


@single
def resize_grad(
    dy: Array, *, size: Sequence[int], method: str, align_corners: bool, antialias: bool, layout: str
) -> Array:
    """``resize_grad``: see ``corenn.ops.resize``."""
    axes = _axes(dy.shape, size, layout)
    out, tiles = _tiles(dy, axes)
    weights = [matrix(n, extent, method, align_corners, antialias).T.astype(dy.dtype) for _, extent, n in axes]
    for images in tiles:
        tile = dy[images]
        for (axis, extent, n), turned in zip(axes, weights, strict=True):
            before, after = tile.shape[:axis], tile.shape[axis + 1 :]
            if math.prod(after) == 1:
                tile = np.matmul(tile.reshape(-1, extent), turned.T)
            else:
                tile = np.matmul(turned, tile.reshape(math.prod(before), extent, math.prod(after)))
            tile = tile.reshape(*before, n, *after)
        out[images] = tile
    return out


KERNELS: dict[str, Kernel | Sequence[Kernel]] = {
    "resize": Kernel(resize, when=_bilinear),
    "resize_grad": Kernel(resize_grad, when=_batched),
}

"""Convolution on BLAS: windows are gathered into matrices ("im2col") in tiles that stay in the cache.

One routine, ``correlate``, serves the convolution and its gradient with respect to the operand, which is a convolution
of stride 1 for each residue of the position modulo the stride (see ``corenn.ops.windows.phases``).  No loop here runs
over pixels: the loops run over tiles of a megabyte or two, over the taps of a depthwise kernel, and over residues.

A tile's matrix is laid out as its source allows: windows as rows where channels are last and many, windows as columns
where they are few (so that NumPy copies runs along the width), and columns per image where channels are first.  The
product is written straight into the result.  Source: Chellapilla, Puri & Simard, *High performance convolutional
neural networks for document processing* (2006), for the unrolling; the tiling is our own measurement.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from corenn.backend import Kernel
from corenn.ops.windows import arrange, channel_axis, phases, spatial, windows_along

Array = np.ndarray[Any, Any]
Ints = Sequence[int]

# Bytes of gathered windows at a time: below it OpenBLAS has too little to do in one call, above it the windows leave
# the second-level cache before they are multiplied.
TILE = 3 << 19
# Elementwise work (depthwise kernels) passes over its tile several times, so it has to be smaller.
SMALL_TILE = 1 << 18
# Up to so many channels, windows become columns: runs along the width are longer than runs along the channels.
FEW_CHANNELS = 4


# ---------------------------------------------------------------- tiles and windows


def tiles(extents: Ints, bytes_each: int) -> Iterator[tuple[tuple[slice, ...], int, int]]:
    """Blocks of results, in C order and of at most TILE bytes: a slice for each axis, the first row, how many rows."""
    axis, size = len(extents), bytes_each
    while axis > 0 and size * extents[axis - 1] <= TILE:
        axis -= 1
        size *= extents[axis]
    whole = tuple(slice(0, n) for n in extents[axis:])
    rows = math.prod(extents[axis:])
    if axis == 0:
        yield whole, 0, rows
        return
    n = extents[axis - 1]
    pieces = -(-n // max(1, TILE // max(1, size)))
    step = -(-n // pieces)
    row = 0
    for outer in itertools.product(*map(range, extents[: axis - 1])):
        for first in range(0, n, step):
            last = min(n, first + step)
            yield (*(slice(i, i + 1) for i in outer), slice(first, last), *whole), row, (last - first) * rows
            row += (last - first) * rows


def blocks(x: Array, start: Ints, lengths: Ints, axes: Ints, images: int) -> Iterator[tuple[int, Array]]:
    """``images`` at a time of ``x``, cut or padded with zeros to [start, start + length) along its spatial axes.

    Yields the number of the first image and the part.  The padded ones share one buffer, whose margins stay zero.
    """
    inside: list[slice] = [slice(None)] * x.ndim
    place: list[slice] = [slice(None)] * x.ndim
    shape = list(x.shape)
    for axis, a, n in zip(axes, start, lengths, strict=True):
        low, high = min(max(a, 0), x.shape[axis]), max(0, min(a + n, x.shape[axis]))
        inside[axis], shape[axis] = slice(low, max(low, high)), n
        place[axis] = slice(low - a, max(low, high) - a)
    x = x[tuple(inside)]
    padded = list(x.shape) != shape
    shape[0] = min(images, x.shape[0])
    buffer = np.zeros(shape, x.dtype) if padded else x
    for first in range(0, x.shape[0], images):
        part = x[first : first + images]
        if padded:
            target = buffer[: part.shape[0]]
            target[tuple(place)] = part
            part = target
        yield first, part


def windows(x: Array, axes: Ints, kernel: Ints, outs: Ints, strides: Ints, dilation: Ints, groups: int) -> Array:
    """A view [images, *outs, *kernel, groups, channels / groups] of all windows of ``x``."""
    channel = x.ndim - 1 if 1 in axes else 1
    s = x.strides
    inner = x.shape[channel] // groups
    return as_strided(
        x,
        (x.shape[0], *outs, *kernel, groups, inner),
        (
            s[0],
            *(s[a] * t for a, t in zip(axes, strides, strict=True)),
            *(s[a] * d for a, d in zip(axes, dilation, strict=True)),
            s[channel] * inner,
            s[channel],
        ),
    )


class Gather:
    """Windows of one operand as matrices, tile by tile, in one of three layouts.

    "rows": [groups, windows, taps]; "columns": [groups, taps, windows]; "images": [images, groups, taps, windows].
    Iterating yields (first image, slices of images and results, first row, rows, matrix); rows count all results of
    all images in C order.
    """

    def __init__(
        self, x: Array, kernel: Ints, outs: Ints, start: Ints, strides: Ints, dilation: Ints, groups: int,
        first: bool, layout: str,
    ) -> None:  # fmt: skip
        rank = len(kernel)
        self.x, self.kernel, self.outs, self.start = x, kernel, outs, start
        self.strides, self.dilation, self.groups, self.layout = strides, dilation, groups, layout
        self.axes = tuple(range(2, 2 + rank)) if first else tuple(range(1, 1 + rank))
        self.taps = math.prod(kernel) * (x.shape[1 if first else -1] // groups)
        result, tap = tuple(range(1, 1 + rank)), tuple(range(1 + rank, 1 + 2 * rank))
        group, inner = 1 + 2 * rank, 2 + 2 * rank
        self.order = {
            "rows": (group, 0, *result, *tap, inner),
            "columns": (group, *tap, inner, 0, *result),
            "images": (0, group, *tap, inner, *result),
        }[layout]

    def __iter__(self) -> Iterator[tuple[int, int, int, int, Array]]:
        x, outs = self.x, self.outs
        each = self.taps * self.groups * x.itemsize
        image = math.prod(outs)
        at_once = max(1, min(x.shape[0], TILE // max(1, each * image)))
        lengths = _lengths(self.kernel, outs, self.strides, self.dilation)
        buffer = np.empty(0, x.dtype)
        for first, part in blocks(x, self.start, lengths, self.axes, at_once):
            view = windows(part, self.axes, self.kernel, outs, self.strides, self.dilation, self.groups)
            for place, row, rows in tiles((part.shape[0], *outs), each):
                source = view[place].transpose(self.order)
                if buffer.size < source.size:
                    buffer = np.empty(source.size, x.dtype)
                matrix = buffer[: source.size].reshape(source.shape)
                matrix[...] = source
                images = place[0].stop - place[0].start
                yield (
                    first + place[0].start,
                    images,
                    row + first * image,
                    rows,
                    matrix.reshape(self._shape(images, rows)),
                )

    def _shape(self, images: int, rows: int) -> tuple[int, ...]:
        if self.layout == "rows":
            return self.groups, rows, self.taps
        if self.layout == "columns":
            return self.groups, self.taps, rows
        return images, self.groups, self.taps, rows // images


# ---------------------------------------------------------------- correlation


def correlate(
    x: Array, w: Array, start: Ints, outs: Ints, strides: Ints, dilation: Ints, groups: int, first: bool
) -> Array:
    """Products of windows of ``x`` with ``w`` [*kernel, channels / groups, out]; the first window is at ``start``.

    What lies outside ``x`` counts as zero.  ``first``: channels are on axis 1, of ``x`` and of the result.
    """
    kernel, inner, outer = w.shape[:-2], w.shape[-2], w.shape[-1]
    count = x.shape[0]
    y = np.empty((count, outer, *outs) if first else (count, *outs, outer), x.dtype)
    if y.size == 0 or x.size == 0 or w.size == 0:
        y[...] = 0
        return y
    if inner == 1 and groups > 1 and outer == groups:
        return correlate_depthwise(x, w[..., 0, :], y, start, outs, strides, dilation, first)
    rows = math.prod(outs)
    weights = w.reshape(-1, groups, outer // groups).transpose(1, 0, 2)  # [groups, taps, out / groups]
    results: Array
    if first:
        turned = weights.transpose(0, 2, 1)
        results = y.reshape(count, groups, outer // groups, rows)
        if _pointwise(x, kernel, outs, start, strides, first):
            np.matmul(turned, x.reshape(count, groups, inner, rows), out=results)
            return y
        for image, images, row, n, matrix in Gather(x, kernel, outs, start, strides, dilation, groups, first, "images"):
            column = row - image * rows
            part = results[image : image + images, :, :, column : column + n // images]
            np.matmul(turned, matrix, out=part)
        return y
    results = y.reshape(count * rows, groups, outer // groups).transpose(1, 0, 2)
    if _pointwise(x, kernel, outs, start, strides, first):
        matrix = x.reshape(count * rows, groups, inner).transpose(1, 0, 2)
        step = max(1, TILE // (groups * inner * x.itemsize))
        for row in range(0, count * rows, step):
            np.matmul(matrix[:, row : row + step], weights, out=results[:, row : row + step])
        return y
    layout = "columns" if inner <= FEW_CHANNELS else "rows"
    for _, _, row, n, matrix in Gather(x, kernel, outs, start, strides, dilation, groups, first, layout):
        left = matrix.transpose(0, 2, 1) if layout == "columns" else matrix
        np.matmul(left, weights, out=results[:, row : row + n])
    return y


def _pointwise(x: Array, kernel: Ints, outs: Ints, start: Ints, strides: Ints, first: bool) -> bool:
    """Whether every window is one element of ``x``, in order: then ``x`` is the matrix."""
    extents = x.shape[2:] if first else x.shape[1:-1]
    return set(kernel) == {1} and set(strides) == {1} and not any(start) and tuple(outs) == extents


def correlate_depthwise(
    x: Array, w: Array, y: Array, start: Ints, outs: Ints, strides: Ints, dilation: Ints, first: bool
) -> Array:
    """``correlate`` of each channel with its own kernel, ``w`` [*kernel, channels]: elementwise, tap by tap."""
    result, kernel = y, w.shape[:-1]
    if not first and strides[-1] == 1:
        x, y, start, outs, dilation = _merged(x, y, start, outs, dilation)
        w = np.tile(w, outs[-1] // w.shape[-1])
    axes = tuple(range(2, x.ndim)) if first else tuple(range(1, 1 + len(kernel)))
    weights = w.reshape(*w.shape, *[1] * len(axes)) if first else w
    images = max(1, SMALL_TILE // max(1, math.prod(y.shape[1:]) * y.itemsize))
    product = np.empty((min(images, y.shape[0]), *y.shape[1:]), y.dtype)
    for image, part in blocks(x, start, _lengths(kernel, outs, strides, dilation), axes, images):
        total = y[image : image + images]
        other = product[: total.shape[0]]
        for i, (tap, read) in enumerate(_reads(part, axes, kernel, outs, strides, dilation)):
            np.multiply(read, weights[tap], out=other if i else total)
            if i:
                np.add(total, other, out=total)
    return result


def _merged(
    x: Array, y: Array, start: Ints, outs: Ints, dilation: Ints
) -> tuple[Array, Array, tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """The width and the channels as one axis (where the stride is 1), so that elementwise loops are long."""
    c = x.shape[-1]
    wide = [a.reshape(*a.shape[:-2], -1) for a in (x, y)]
    start, outs, dilation = ((*values[:-1], values[-1] * c) for values in (start, outs, dilation))
    return wide[0], wide[1], start, outs, dilation


def _lengths(kernel: Ints, outs: Ints, strides: Ints, dilation: Ints) -> list[int]:
    """What all windows together span along each axis."""
    return [(n - 1) * s + (k - 1) * d + 1 for k, n, s, d in zip(kernel, outs, strides, dilation, strict=True)]


def _reads(
    part: Array, axes: Ints, kernel: Ints, outs: Ints, strides: Ints, dilation: Ints
) -> Iterator[tuple[tuple[int, ...], Array]]:
    """For each tap of the kernel, what it reads of ``part`` for all results."""
    for tap in itertools.product(*map(range, kernel)):
        place: list[slice] = [slice(None)] * part.ndim
        for axis, j, n, s, d in zip(axes, tap, outs, strides, dilation, strict=True):
            place[axis] = slice(j * d, j * d + (n - 1) * s + 1, s)
        yield tap, part[tuple(place)]


# ---------------------------------------------------------------- the weights' gradient


def correlate_weights(
    x: Array, dy: Array, kernel: Ints, start: Ints, strides: Ints, dilation: Ints, groups: int, first: bool
) -> Array:
    """Products of the windows of ``x`` with their results' gradients, added up: [*kernel, channels / groups, out]."""
    channels, outer = x.shape[1 if first else -1], dy.shape[1 if first else -1]
    outs = dy.shape[2:] if first else dy.shape[1:-1]
    inner, rows, count = channels // groups, math.prod(outs), dy.shape[0]
    if x.size == 0 or dy.size == 0:
        return np.zeros((*kernel, inner, outer), x.dtype)
    if inner == 1 and groups > 1 and outer == groups:
        return weights_depthwise(x, dy, kernel, start, strides, dilation, first)
    total = np.zeros((groups, math.prod(kernel) * inner, outer // groups), x.dtype)
    gradient: Array
    if first:
        gradient = dy.reshape(count, groups, outer // groups, rows)
    else:
        gradient = dy.reshape(count * rows, groups, outer // groups).transpose(1, 0, 2)
    if not first and _pointwise(x, kernel, outs, start, strides, first):
        np.matmul(x.reshape(count * rows, groups, inner).transpose(1, 2, 0), gradient, out=total)
    else:
        layout = "columns" if first or inner <= FEW_CHANNELS else "rows"
        for image, images, row, n, matrix in Gather(x, kernel, outs, start, strides, dilation, groups, first, layout):
            if first:
                column = row - image * rows
                part = gradient[image : image + images, :, :, column : column + n // images]
                part = part.transpose(1, 2, 0, 3).reshape(groups, outer // groups, n).transpose(0, 2, 1)
            else:
                part = gradient[:, row : row + n]
            total += np.matmul(matrix if layout == "columns" else matrix.transpose(0, 2, 1), part)
    return total.transpose(1, 0, 2).reshape(*kernel, inner, outer)


def weights_depthwise(
    x: Array, dy: Array, kernel: Ints, start: Ints, strides: Ints, dilation: Ints, first: bool
) -> Array:
    """``correlate_weights`` of each channel by itself."""
    outs: Ints = dy.shape[2:] if first else dy.shape[1:-1]
    channels = dy.shape[1 if first else -1]
    if not first and strides[-1] == 1:
        x, dy, start, outs, dilation = _merged(x, dy, start, outs, dilation)
    axes = tuple(range(2, x.ndim)) if first else tuple(range(1, 1 + len(kernel)))
    images = max(1, SMALL_TILE // max(1, math.prod(dy.shape[1:]) * dy.itemsize))
    product = np.empty((min(images, dy.shape[0]), *dy.shape[1:]), dy.dtype)
    total = np.zeros((*kernel, channels), x.dtype)
    for image, part in blocks(x, start, _lengths(kernel, outs, strides, dilation), axes, images):
        gradient = dy[image : image + images]
        other = product[: gradient.shape[0]]
        for tap, read in _reads(part, axes, kernel, outs, strides, dilation):
            np.multiply(read, gradient, out=other)
            total[tap] += other.sum((0, *axes)) if first else other.reshape(-1, channels).sum(0)
    return total[..., None, :]


# ---------------------------------------------------------------- the operand's gradient


def correlate_input(
    dy: Array, w: Array, size: Ints, before: Ints, strides: Ints, dilation: Ints, groups: int, first: bool
) -> Array:
    """The gradient of a convolution with respect to its operand, of spatial extents ``size``."""
    rank, kernel, inner, outer = len(size), w.shape[:-2], w.shape[-2], w.shape[-1] // groups
    if 4 * inner <= outer and (first or inner <= 2 * FEW_CHANNELS) and math.prod(kernel) > 1:
        return scatter_input(dy, w, size, before, strides, dilation, groups, first)
    swapped = w.reshape(*kernel, inner, groups, outer).swapaxes(-1, -3).reshape(*kernel, outer, groups * inner)
    along = [phases(k, s, d, p) for k, s, d, p in zip(kernel, strides, dilation, before, strict=True)]
    whole = all(s == 1 for s in strides)
    channels = groups * inner
    dx = np.empty((dy.shape[0], channels, *size) if first else (dy.shape[0], *size, channels), dy.dtype)
    for phase in itertools.product(*along):
        counts = [max(0, -(-(n - p.first) // s)) for n, p, s in zip(size, phase, strides, strict=True)]
        place = tuple(slice(p.first, None, s) for p, s in zip(phase, strides, strict=True))
        place = (slice(None), slice(None), *place) if first else (slice(None), *place)
        if not all(p.count for p in phase):
            dx[place] = 0
            continue
        weights = swapped[tuple(p.taps for p in phase)]
        start, apart = [p.start for p in phase], [p.dilation for p in phase]
        part = correlate(dy, weights, start, counts, (1,) * rank, apart, groups, first)
        if whole:
            return part
        dx[place] = part
    return dx


def scatter_input(
    dy: Array, w: Array, size: Ints, before: Ints, strides: Ints, dilation: Ints, groups: int, first: bool
) -> Array:
    """The same, tap by tap ("col2im"): cheaper where the operand has far fewer channels than dy."""
    kernel, inner, outer = w.shape[:-2], w.shape[-2], w.shape[-1] // groups
    outs = dy.shape[2:] if first else dy.shape[1:-1]
    count, rows, channels = dy.shape[0], math.prod(outs), groups * inner
    dx = np.zeros((count, channels, *size) if first else (count, *size, channels), dy.dtype)
    if dy.size == 0:
        return dx
    images = max(1, TILE // (rows * math.prod(kernel) * channels * dy.itemsize))
    weights = w.reshape(-1, groups, outer).transpose(1, 0, 2)  # [groups, taps, out / groups]
    ranges = [
        [clipped(n, o, s, j * d - b) for j in range(k)]
        for n, o, k, s, d, b in zip(size, outs, kernel, strides, dilation, before, strict=True)
    ]
    for image in range(0, count, images):
        part = dy[image : image + images]
        m = part.shape[0]
        target = dx[image : image + images].reshape(m, groups, inner, *size) if first else dx[image : image + images]
        if first:
            columns = np.matmul(weights, part.reshape(m, groups, outer, rows)).reshape(m, groups, *kernel, inner, *outs)
            columns = np.moveaxis(columns, 1, 1 + len(kernel))  # [images, *kernel, groups, inner, *outs]
        else:
            left = part.reshape(m * rows, groups, outer).transpose(1, 2, 0)
            columns = np.matmul(weights, left).reshape(groups, *kernel, inner, m, *outs)
        for tap in itertools.product(*map(range, kernel)):
            chosen = [r[j] for r, j in zip(ranges, tap, strict=True)]
            reads: tuple[Any, ...] = tuple(c[0] for c in chosen)
            writes: tuple[Any, ...] = tuple(c[1] for c in chosen)
            if first:
                target[(..., *writes)] += columns[(slice(None), *tap)][(..., *reads)]
                continue
            for g, i in itertools.product(range(groups), range(inner)):
                target[(slice(None), *writes, g * inner + i)] += columns[(g, *tap, i)][(slice(None), *reads)]
    return dx


def clipped(extent: int, results: int, stride: int, offset: int) -> tuple[slice, slice]:
    """Which results read an element inside the operand at ``result * stride + offset``, and those elements."""
    low = max(0, -(offset // stride)) if offset < 0 else 0
    high = max(low, min(results, -(-(extent - offset) // stride)))
    return slice(low, high), slice(low * stride + offset, max(0, (high - 1) * stride + offset + 1), stride)


# ---------------------------------------------------------------- the ops


def single(function: Callable[..., Array]) -> Callable[..., Array]:
    """Compute half precision in float32: NumPy is slow in it, and sums need the digits."""

    @functools.wraps(function)
    def run(*arrays: Array, **attrs: Any) -> Array:
        dtype = arrays[0].dtype
        if dtype.itemsize > 2:
            return function(*arrays, **attrs)
        return function(*[a.astype(np.float32) for a in arrays], **attrs).astype(dtype)

    return run


def _multiplier(channels: int, groups: int, outer: int) -> int:
    """How many kernels each channel of a depthwise convolution has, if that is what this is and it has several."""
    return outer // groups if channels == groups > 1 and outer > groups else 0


@single
def conv(
    x: Array, w: Array, *, strides: Ints, padding: Sequence[tuple[int, int]], dilation: Ints, groups: int, layout: str
) -> Array:
    """``conv``: see ``corenn.ops.convolution``."""
    first = layout[-1] != "C"
    spans = [(k - 1) * d + 1 for k, d in zip(w.shape, dilation, strict=False)]
    extents = zip(spatial(x.shape, layout), spans, strides, padding, strict=True)
    outs = [windows_along(n or 0, span, s, p) for n, span, s, p in extents]
    start = [-p[0] for p in padding]
    channel = channel_axis(layout)
    several = _multiplier(x.shape[channel], groups, w.shape[-1])
    if not several:
        return correlate(x, w, start, outs, strides, dilation, groups, first)
    y = np.empty([n or 0 for n in arrange(x.shape[0], tuple(outs), w.shape[-1], layout)], x.dtype)
    for i in range(several):
        place = (*[slice(None)] * channel, slice(i, None, several))
        y[place] = correlate(x, w[..., i::several], start, outs, strides, dilation, groups, first)
    return y


@single
def conv_input_grad(
    dy: Array,
    w: Array,
    *,
    size: Ints,
    strides: Ints,
    padding: Sequence[tuple[int, int]],
    dilation: Ints,
    groups: int,
    layout: str,
) -> Array:
    """``conv_input_grad``: see ``corenn.ops.convolution``."""
    first = layout[-1] != "C"
    before = [p[0] for p in padding]
    several = _multiplier(w.shape[-2] * groups, groups, w.shape[-1])
    if not several:
        return correlate_input(dy, w, size, before, strides, dilation, groups, first)
    place = (*[slice(None)] * channel_axis(layout),)
    dx = correlate_input(
        dy[(*place, slice(0, None, several))], w[..., ::several], size, before, strides, dilation, groups, first
    )
    for i in range(1, several):
        part = dy[(*place, slice(i, None, several))]
        dx += correlate_input(part, w[..., i::several], size, before, strides, dilation, groups, first)
    return dx


@single
def conv_weight_grad(
    x: Array,
    dy: Array,
    *,
    size: Ints,
    strides: Ints,
    padding: Sequence[tuple[int, int]],
    dilation: Ints,
    groups: int,
    layout: str,
) -> Array:
    """``conv_weight_grad``: see ``corenn.ops.convolution``."""
    first, channel = layout[-1] != "C", channel_axis(layout)
    start = [-p[0] for p in padding]
    several = _multiplier(x.shape[channel], groups, dy.shape[channel])
    if not several:
        return correlate_weights(x, dy, size, start, strides, dilation, groups, first)
    dw = np.empty((*size, 1, dy.shape[channel]), x.dtype)
    for i in range(several):
        part = dy[(*[slice(None)] * channel, slice(i, None, several))]
        dw[..., i::several] = correlate_weights(x, part, size, start, strides, dilation, groups, first)
    return dw


KERNELS: dict[str, Kernel | Sequence[Kernel]] = {
    "conv": Kernel(conv),
    "conv_input_grad": Kernel(conv_input_grad),
    "conv_weight_grad": Kernel(conv_weight_grad),
}

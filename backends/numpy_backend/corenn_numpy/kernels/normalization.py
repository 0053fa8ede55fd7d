"""Normalisation, block by block, and embedding.

Each block is read into the cache once and everything that needs it is done there; sums over the whole batch are kept
in float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from corenn.backend import Kernel
from corenn.errors import ShapeError
from corenn.spec import Spec
from corenn_numpy.kernels._rows import (
    BLOCK,
    Array,
    as_rows,
    blocks,
    column_dot,
    column_sum,
    row_dot,
    row_sum,
)

#: Elements that rows of few channels are joined to.
_WIDE = 512

# ---------------------------------------------------------------- rows by themselves


def _trailing(x: Spec | None, scales: Sequence[Spec | None], attrs: Mapping[str, Any]) -> bool:
    """Whether the last axes are normalised, and gamma and beta are vectors over just those."""
    if x is None:
        return False
    axes = attrs["axis"]
    own = x.shape[x.ndim - len(axes) :]
    return bool(
        axes == tuple(range(x.ndim - len(axes), x.ndim)) and axes and all(s is None or s.shape == own for s in scales)
    )


def _width(x: Array, axes: tuple[int, ...]) -> int:
    return math.prod(x.shape[x.ndim - len(axes) :])


def _center(x: Array, epsilon: float, center: bool, out: Array) -> Array:
    """``out = x - mean`` by rows; returns 1 / deviation as a column."""
    width = x.shape[1]
    if center:
        np.subtract(x, (row_sum(x) / width)[:, None], out=out)
    else:
        out[...] = x
    inverse: Array = (1 / np.sqrt(row_dot(out, out) / width + epsilon))[:, None]
    return inverse


def standardize(
    x: Array,
    gamma: Array | None,
    beta: Array | None,
    *,
    axis: tuple[int, ...],
    epsilon: float,
    center: bool,
) -> Array:
    """See the op."""
    rows = as_rows(x, _width(x, axis))
    scale, shift = (None if v is None else v.reshape(-1) for v in (gamma, beta))
    out = np.empty_like(rows)
    for part in blocks(*rows.shape):
        y = out[part]
        y *= _center(rows[part], epsilon, center, y)
        if scale is not None:
            y *= scale
        if shift is not None:
            y += shift
    return out.reshape(x.shape)


def standardize_affine_grad(
    g: Array, x: Array, gamma: Array, *, axis: tuple[int, ...], epsilon: float, center: bool
) -> tuple[Array, Array, Array]:
    """See the op."""
    width = _width(x, axis)
    rows, slopes, scale = as_rows(x, width), as_rows(g, width), gamma.reshape(-1)
    out, by_gamma, by_beta = np.empty_like(rows), np.zeros(width), np.zeros(width)
    spare = _scratch(rows)
    for part in blocks(*rows.shape):
        d, slope = out[part], slopes[part]
        centered = spare[: d.shape[0]]
        inverse = _center(rows[part], epsilon, center, centered)
        np.multiply(slope, inverse, out=d)
        by_gamma += column_dot(d, centered)
        by_beta += column_sum(slope)
        d *= scale
        _project_out(d, centered, inverse, center)
    by_scale, by_shift = (v.astype(x.dtype).reshape(gamma.shape) for v in (by_gamma, by_beta))
    return out.reshape(x.shape), by_scale, by_shift


def _scratch(rows: Array) -> Array:
    """A buffer for one block."""
    return np.empty_like(rows[next(blocks(*rows.shape), slice(0, 0))])


def _project_out(d: Array, centered: Array, inverse: Array, center: bool) -> None:
    """Take from the rows of ``d``, in place, their parts along ``centered`` and along the constant.

    ``d`` has been divided by the deviation; ``centered`` is spent.
    """
    width = d.shape[1]
    along = row_dot(d, centered)[:, None] * inverse * inverse / width
    mean = (row_sum(d) / width)[:, None] if center else None
    centered *= along
    d -= centered
    if mean is not None:
        d -= mean


def standardize_grad(g: Array, x: Array, *, axis: tuple[int, ...], epsilon: float, center: bool) -> Array:
    """See the op."""
    width = _width(x, axis)
    rows, slopes = as_rows(x, width), as_rows(g, width)
    out, spare = np.empty_like(rows), _scratch(rows)
    for part in blocks(*rows.shape):
        d = out[part]
        centered = spare[: d.shape[0]]
        inverse = _center(rows[part], epsilon, center, centered)
        np.multiply(slopes[part], inverse, out=d)
        _project_out(d, centered, inverse, center)
    return out.reshape(x.shape)


# ---------------------------------------------------------------- channels over the batch


class _Channels:
    """An array with its channels on one axis, as a matrix [rows, channels] or a stack [rows, channels, positions].

    ``spread`` makes a vector over the channels broadcast to a block; ``sum`` and ``dot`` reduce blocks to vectors.
    NumPy spends more time on beginning a short row than on the row, so several rows of few channels are taken as one.
    """

    def __init__(self, x: Array, axis: int) -> None:
        after = math.prod(x.shape[axis + 1 :])
        self.channels = x.shape[axis]
        rows = math.prod(x.shape[:axis])
        self.count, self.matrix = rows * after, after == 1
        self.folded = (
            math.gcd(rows, 1 << max(0, (_WIDE // max(1, self.channels)).bit_length() - 1)) if self.matrix else 1
        )
        tail = (self.folded * self.channels,) if self.matrix else (self.channels, after)
        self.shape = (rows // self.folded, *tail)

    def view(self, x: Array) -> Array:
        """``x`` contiguous and in this form."""
        return np.ascontiguousarray(x).reshape(self.shape)

    def blocks(self) -> Iterator[slice]:
        """Slices of the rows that stay in the cache."""
        return blocks(self.shape[0], math.prod(self.shape[1:]), 2 * BLOCK)

    def scratch(self, x: Array) -> Array:
        """A buffer for one block of ``x``, which is in this form."""
        return np.empty_like(x[next(self.blocks(), slice(0, 0))])

    def spread(self, vector: Array) -> Array:
        """A vector over the channels, to broadcast to a block."""
        return np.tile(vector, self.folded) if self.matrix else vector[:, None]

    def sum(self, block: Array) -> Array:
        """Sums of a block over everything but the channels."""
        if self.matrix:
            return column_sum(block).reshape(self.folded, self.channels).sum(axis=0, dtype=np.float64)
        return np.add.reduce(np.add.reduce(block, axis=2), axis=0)

    def dot(self, x: Array, y: Array) -> Array:
        """Sums of the product of two blocks over everything but the channels."""
        if self.matrix:
            return column_dot(x, y).reshape(self.folded, self.channels).sum(axis=0, dtype=np.float64)
        return np.add.reduce(np.vecdot(x, y), axis=0)


def _apply(
    form: _Channels, x: Array, mean: Array, variance: Array, gamma: Array | None, beta: Array | None, epsilon: float
) -> Array:
    """``(x - mean) / deviation * gamma + beta``, in the form of ``x``."""
    scale = 1 / np.sqrt(variance + epsilon)
    scale = form.spread(scale if gamma is None else scale * gamma)
    middle, shift = form.spread(mean), None if beta is None else form.spread(beta)
    out = np.empty_like(x)
    for part in form.blocks():
        y = out[part]
        np.subtract(x[part], middle, out=y)
        y *= scale
        if shift is not None:
            y += shift
    return out


def batch_norm_training(
    x: Array, gamma: Array | None = None, beta: Array | None = None, *, axis: int, epsilon: float
) -> tuple[Array, Array, Array]:
    """See the op."""
    form = _Channels(x, axis)
    flat = form.view(x)
    total = np.zeros(form.channels)
    for part in form.blocks():
        total += form.sum(flat[part])
    mean = (total / form.count).astype(x.dtype)
    total, middle, spare = np.zeros(form.channels), form.spread(mean), form.scratch(flat)
    for part in form.blocks():
        centered = spare[: flat[part].shape[0]]
        np.subtract(flat[part], middle, out=centered)
        total += form.dot(centered, centered)
    variance = (total / form.count).astype(x.dtype)
    return _apply(form, flat, mean, variance, gamma, beta, epsilon).reshape(x.shape), mean, variance


def batch_norm_inference(
    x: Array, gamma: Array | None, beta: Array | None, mean: Array, variance: Array, *, axis: int, epsilon: float
) -> Array:
    """See the op."""
    form = _Channels(x, axis)
    return _apply(form, form.view(x), mean, variance, gamma, beta, epsilon).reshape(x.shape)


def batch_norm_grad(
    g: Array, g_mean: Array, g_variance: Array, x: Array, mean: Array, variance: Array, gamma: Array | None = None, *,
    axis: int, epsilon: float,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """See the op."""
    form = _Channels(x, axis)
    flat, slopes, middle = form.view(x), form.view(g), form.spread(mean)
    by_beta, along, spare = np.zeros(form.channels), np.zeros(form.channels), form.scratch(flat)
    for part in form.blocks():
        centered = spare[: flat[part].shape[0]]
        np.subtract(flat[part], middle, out=centered)
        by_beta += form.sum(slopes[part])
        along += form.dot(slopes[part], centered)
    inverse = 1 / np.sqrt(variance.astype(np.float64) + epsilon)
    by_gamma = along * inverse
    scale = inverse if gamma is None else inverse * gamma
    slope = (2 * g_variance - scale * inverse * by_gamma) / form.count
    offset = (g_mean - scale * by_beta) / form.count
    of_g, of_x, rest = (form.spread(v.astype(x.dtype)) for v in (scale, slope, offset))
    out = np.empty_like(flat)
    for part in form.blocks():
        d = out[part]
        centered = spare[: d.shape[0]]
        np.subtract(flat[part], middle, out=centered)
        centered *= of_x
        np.multiply(slopes[part], of_g, out=d)
        d += centered
        d += rest
    return out.reshape(x.shape), by_gamma.astype(x.dtype), by_beta.astype(x.dtype)


# ---------------------------------------------------------------- groups of channels of each example


def _grouped(x: Spec | None, scales: Sequence[Spec | None], attrs: Mapping[str, Any]) -> bool:
    """Whether all axes but the batch and one of groups are normalised; gamma and beta have the axes from there on."""
    if x is None or 0 in x.shape:
        return False
    kept = [a for a in range(x.ndim) if a not in attrs["axis"]]
    return len(kept) == 2 and kept[0] == 0 and all(s is None or s.shape == x.shape[kept[1] :] for s in scales)


class _Groups:
    """Examples as matrices [positions, channels], the channels in groups of neighbours that share their statistics."""

    def __init__(self, x: Array, axes: tuple[int, ...]) -> None:
        place = next(a for a in range(1, x.ndim) if a not in axes)
        self.groups, self.each = x.shape[place], math.prod(x.shape[place + 1 :])
        self.form = _Channels(np.empty((math.prod(x.shape[1:place]), self.groups * self.each), x.dtype), 1)
        self.count = self.form.count * self.each
        self.dtype = x.dtype

    def view(self, x: Array) -> Array:
        """``x`` contiguous, one matrix for each example."""
        return np.ascontiguousarray(x).reshape(x.shape[0], *self.form.shape)

    def shared(self, sums: Array) -> Array:
        """Sums over the channels to means over the groups, one for each channel."""
        return np.repeat(sums.reshape(self.groups, self.each).sum(axis=1) / self.count, self.each)

    def spread(self, vector: Array) -> Array:
        """A vector over the channels, to broadcast to an example."""
        return self.form.spread(vector.astype(self.dtype).reshape(-1))

    def center(self, x: Array, epsilon: float, center: bool, out: Array) -> Array:
        """``out = x - mean`` for one example; returns 1 / deviation, for each channel."""
        if center:
            np.subtract(x, self.spread(self.shared(self.form.sum(x))), out=out)
        else:
            out[...] = x
        return 1 / np.sqrt(self.shared(self.form.dot(out, out)) + epsilon)


def standardize_groups(
    x: Array, gamma: Array | None, beta: Array | None, *, axis: tuple[int, ...], epsilon: float, center: bool
) -> Array:
    """See the op ``standardize``."""
    groups = _Groups(x, axis)
    flat, shift = groups.view(x), None if beta is None else groups.spread(beta)
    out = np.empty_like(flat)
    for example, y in zip(flat, out, strict=True):
        scale = groups.center(example, epsilon, center, y)
        y *= groups.spread(scale if gamma is None else scale * gamma.reshape(-1))
        if shift is not None:
            y += shift
    return out.reshape(x.shape)


def standardize_affine_grad_groups(
    g: Array, x: Array, gamma: Array, *, axis: tuple[int, ...], epsilon: float, center: bool
) -> tuple[Array, Array, Array]:
    """See the op ``standardize_affine_grad``."""
    groups = _Groups(x, axis)
    form, flat, slopes, scale = groups.form, groups.view(x), groups.view(g), gamma.reshape(-1).astype(np.float64)
    out, centered = np.empty_like(flat), np.empty(form.shape, x.dtype)
    by_gamma, by_beta = np.zeros(form.channels), np.zeros(form.channels)
    for example, slope, d in zip(flat, slopes, out, strict=True):
        inverse = groups.center(example, epsilon, center, centered)
        along, total = form.dot(slope, centered) * inverse, form.sum(slope)
        by_gamma += along
        by_beta += total
        # Of the slope by what is normalised, its parts along that and along the constant are taken away.
        centered *= groups.spread(groups.shared(along * scale) * inverse * inverse)
        np.multiply(slope, groups.spread(scale * inverse), out=d)
        d -= centered
        if center:
            d -= groups.spread(groups.shared(total * scale) * inverse)
    return out.reshape(x.shape), *(v.astype(x.dtype).reshape(gamma.shape) for v in (by_gamma, by_beta))


# ---------------------------------------------------------------- embedding


def embedding(table: Array, ids: np.ndarray[Any, Any]) -> Array:
    """See the op; an id that is no row is a ShapeError."""
    rows = table.shape[0]
    if ids.size:
        low, high = int(ids.min()), int(ids.max())
        if low < 0 or high >= rows:
            what = f"there is an id {low if low < 0 else high}, and the table has {rows} rows"
            raise ShapeError("embedding", what, {"ids": f"must be 0 to {rows - 1}"})
    return np.take(table, ids.astype(np.intp, copy=False), axis=0)


KERNELS: dict[str, Kernel | Sequence[Kernel]] = {
    "standardize": (
        Kernel(standardize, when=lambda specs, attrs: _trailing(specs[0], specs[1:], attrs)),
        Kernel(standardize_groups, when=lambda specs, attrs: _grouped(specs[0], specs[1:], attrs)),
    ),
    "standardize_grad": Kernel(standardize_grad, when=lambda specs, attrs: _trailing(specs[1], (), attrs)),
    "standardize_affine_grad": (
        Kernel(standardize_affine_grad, when=lambda specs, attrs: _trailing(specs[1], specs[2:], attrs)),
        Kernel(standardize_affine_grad_groups, when=lambda specs, attrs: _grouped(specs[1], specs[2:], attrs)),
    ),
    "batch_norm_training": Kernel(batch_norm_training),
    "batch_norm_inference": Kernel(batch_norm_inference),
    "batch_norm_grad": Kernel(batch_norm_grad),
    "embedding": Kernel(embedding),
}

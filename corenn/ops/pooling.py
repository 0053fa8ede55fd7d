"""Pooling: the largest or the mean element of each window.

Both are done one spatial axis after another, which costs the sum of the window's extents and not their product, for
the results and for the gradients.  The gradient of a maximum goes to the first largest element in window order (C
order); taken axis by axis that is: the first largest row, and in it the first largest element.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from corenn.dtypes import FLOATING, bfloat16, float16, float32
from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.ops import _pooling as parts
from corenn.ops.creation import tensor
from corenn.ops.elementwise import add, cast, select
from corenn.ops.reduction import max as max_over
from corenn.ops.reduction import mean
from corenn.ops.resize import product_along
from corenn.ops.sampling import distinct, error, integer, literal, real, sample
from corenn.ops.shaping import operand
from corenn.ops.slicing import basic_index
from corenn.ops.table import TensorLike, op
from corenn.ops.windows import (
    LAYOUTS,
    Ints,
    Padding,
    Pairs,
    sizes_for,
    spatial,
    spatial_axes,
)
from corenn.spec import Spec
from corenn.tensor import Tensor

# ---------------------------------------------------------------- the ops


@op(infer=parts.infer_pool, dtypes=FLOATING, namespace="nn")
def max_pool(
    x: TensorLike,
    /,
    *,
    window: Ints,
    strides: Ints | None = None,
    padding: Padding = "VALID",
    layout: str | None = None,
) -> Tensor:
    """The largest element of each window, for each channel by itself; 1, 2 or 3 spatial axes.

    ``x``: ``[batch, *spatial, channels]``, or as ``layout`` says (see ``conv``); floating.  ``window``, ``strides``
    (default: the window): an int, or one for each spatial axis.  ``padding``: "VALID", "SAME", an int, ints, or
    (before, after) pairs smaller than the window; padding is never the largest.  Result: the spatial extents
    ``(n + before + after - window) // stride + 1``.  NaN anywhere in a window gives NaN.

    The gradient goes to the first largest element of each window, in C order (as in PyTorch; so too in TensorFlow).
    Raises ShapeError when the window is larger than the padded operand, AttributeValueError for an unknown layout or
    padding, or padding as large as the window.
    """


@op(infer=parts.infer_max_pool_grad, promote=True, dtypes=FLOATING, namespace="_")
def max_pool_grad(
    x: TensorLike,
    dy: TensorLike,
    /,
    *,
    window: Ints,
    strides: Ints | None = None,
    padding: Padding = "VALID",
    layout: str | None = None,
) -> Tensor:
    """The gradient of ``max_pool`` with respect to ``x``: each element of ``dy`` added where its window is largest."""


@op(infer=parts.infer_max_pool_gather, promote=True, dtypes=FLOATING, namespace="_")
def max_pool_gather(
    x: TensorLike,
    h: TensorLike,
    /,
    *,
    window: Ints,
    strides: Ints | None = None,
    padding: Padding = "VALID",
    layout: str | None = None,
) -> Tensor:
    """For each window, the element of ``h`` at the place where ``x`` is largest: the gradient of ``max_pool_grad``."""


@op(infer=parts.infer_pool, dtypes=FLOATING, namespace="nn")
def avg_pool(
    x: TensorLike,
    /,
    *,
    window: Ints,
    strides: Ints | None = None,
    padding: Padding = "VALID",
    layout: str | None = None,
    count_padding: bool = False,
) -> Tensor:
    """The mean of each window, for each channel by itself; 1, 2 or 3 spatial axes.

    Operand and attributes as ``max_pool``.  The mean is over the elements of ``x`` in the window, as in TensorFlow;
    with ``count_padding`` the zeros of the padding count too, as is PyTorch's default.  Half precision is added up in
    float32.  Raises what ``max_pool`` raises.
    """


@op(infer=parts.infer_avg_pool_grad, dtypes=FLOATING, namespace="_")
def avg_pool_grad(
    dy: TensorLike,
    /,
    *,
    size: Ints,
    window: Ints,
    strides: Ints | None = None,
    padding: Padding = "VALID",
    layout: str | None = None,
    count_padding: bool = False,
) -> Tensor:
    """The gradient of ``avg_pool`` with respect to its operand, of spatial extents ``size``."""


# ---------------------------------------------------------------- decompositions, one axis at a time


@max_pool.decompose
def _(x: Tensor, *, window: Any, strides: Any, padding: Pairs, layout: str) -> Tensor:
    return parts.stages(x, parts.axes_of(layout, window, strides, padding))[-1]


@max_pool_grad.decompose
def _(x: Tensor, dy: Tensor, *, window: Any, strides: Any, padding: Pairs, layout: str) -> Tensor:
    axes = parts.axes_of(layout, window, strides, padding)
    stages = parts.stages(x, axes)
    zero = tensor(0, dy.dtype, device=dy.spec.device)
    for i, axis in enumerate(axes):
        read, largest = stages[-2 - i], stages[-1 - i]
        chosen = axis.chosen(axis.padded(read, -math.inf), largest)
        dy = axis.spread([select(c, dy, zero) for c in chosen], read.shape[axis.axis])
    return dy


@max_pool_gather.decompose
def _(x: Tensor, h: Tensor, *, window: Any, strides: Any, padding: Pairs, layout: str) -> Tensor:
    axes = parts.axes_of(layout, window, strides, padding)
    stages = parts.stages(x, axes)
    zero = tensor(0, h.dtype, device=h.spec.device)
    for i, axis in enumerate(reversed(axes)):
        chosen = axis.chosen(axis.padded(stages[i], -math.inf), stages[i + 1])
        h = axis.padded(h, 0)
        result = None
        for c, place in zip(chosen, axis.places(h.shape[axis.axis]), strict=True):
            taken = select(c, basic_index(h, pattern=place), zero)
            result = taken if result is None else add(result, taken)
        assert result is not None  # a window has at least one tap
        h = result
    return h


@avg_pool.decompose
def _(x: Tensor, *, window: Any, strides: Any, padding: Pairs, layout: str, count_padding: bool) -> Tensor:
    dtype, extents = x.dtype, spatial(x.shape, layout)
    x = cast(x, dtype=float32) if dtype in (float16, bfloat16) else x
    for axis in parts.axes_of(layout, window, strides, padding):
        x = axis.reduce(x, add, 0.0)
    return cast(parts.divided(x, extents, window, strides, padding, layout, count_padding), dtype=dtype)


@avg_pool_grad.decompose
def _(dy: Tensor, *, size: Any, window: Any, strides: Any, padding: Pairs, layout: str, count_padding: bool) -> Tensor:
    dtype = dy.dtype
    dy = cast(dy, dtype=float32) if dtype in (float16, bfloat16) else dy
    dx = parts.divided(dy, size, window, strides, padding, layout, count_padding)
    for axis, extent in zip(parts.axes_of(layout, window, strides, padding), size, strict=True):
        dx = axis.spread([dx] * axis.window, extent)
    return cast(dx, dtype=dtype)


# ---------------------------------------------------------------- gradients

max_pool.vjp(
    lambda g, x, window, strides, padding, layout: max_pool_grad(
        x, g, window=window, strides=strides, padding=padding, layout=layout
    )
)
# Where a window is largest does not change with x, but for ties, so only dy and h have gradients.
max_pool_grad.vjp(
    dy=lambda g, x, window, strides, padding, layout: max_pool_gather(
        x, g, window=window, strides=strides, padding=padding, layout=layout
    )
)
max_pool_gather.vjp(
    h=lambda g, x, window, strides, padding, layout: max_pool_grad(
        x, g, window=window, strides=strides, padding=padding, layout=layout
    )
)


@avg_pool.vjp
def _(g: Tensor, x_spec: Spec, window: Any, strides: Any, padding: Any, layout: str, count_padding: bool) -> Tensor:
    size: Any = spatial(x_spec.shape, layout)
    return avg_pool_grad(
        g, size=size, window=window, strides=strides, padding=padding, layout=layout, count_padding=count_padding
    )


avg_pool_grad.vjp(
    lambda g, window, strides, padding, layout, count_padding: avg_pool(
        g, window=window, strides=strides, padding=padding, layout=layout, count_padding=count_padding
    )
)


# ---------------------------------------------------------------- samples and references

_x1, _x2, _x3 = distinct(shape=(2, 7, 2)), distinct(shape=(1, 5, 6, 2)), distinct(shape=(1, 4, 3, 3, 1))
_first = distinct(shape=(1, 2, 5, 4))
_ties = literal([[[1.0], [2.0], [2.0], [2.0], [0.0]]])
_every = (
    sample(_x1, window=2),
    sample(_x1, window=3, strides=2, padding="SAME"),
    sample(_x2, window=2, strides=2),
    sample(_x2, window=(3, 2), strides=(1, 3), padding=((1, 2), (0, 1))),
    sample(_x2, window=3, strides=(2, 1), padding="SAME"),
    sample(_x2, window=2, strides=3, name="gaps"),
    sample(_first, window=(2, 3), strides=2, padding=1, layout="NCHW"),
    sample(_x3, window=2, strides=(2, 1, 1)),
    sample(real(shape=(0, 4, 4, 2)), window=2, name="empty"),
)
_errors = (
    error(ShapeError, "size would be negative", real(shape=(1, 4, 6, 1)), window=5),
    error(ShapeError, "1 to 3 spatial axes", real(shape=(4, 6)), window=2),
    error(ShapeError, "nothing to pool", real(shape=(1, 0, 6, 1)), window=2, padding=1),
    error(AttributeValueError, "smaller than the window", real(shape=(1, 4, 6, 1)), window=2, padding=2),
    error(AttributeValueError, "window must be", real(shape=(1, 4, 6, 1)), window=(2, 2, 2)),
    error(AttributeValueError, "strides must be", real(shape=(1, 4, 6, 1)), window=2, strides=0),
    error(AttributeValueError, "or 'NHWC'", real(shape=(1, 4, 6, 1)), window=2, layout="HNWC"),
    error(DTypeError, "takes floating", integer(shape=(1, 4, 6, 1)), window=2),
)


@max_pool.reference
def _(x: Any, **attrs: Any) -> Any:
    attrs, y = parts.canonical(max_pool.op, (x,), attrs)
    read, out = parts.last(x, attrs), parts.last(y, attrs)
    for result, window in parts.each_window(read, out.shape[1:-1], attrs):
        out[result] = np.max(read[window], axis=tuple(range(1, x.ndim - 1)))
    return y


@max_pool_grad.reference
def _(x: Any, dy: Any, **attrs: Any) -> Any:
    attrs, dx = parts.canonical(max_pool_grad.op, (x, dy), attrs)
    read, given, out = parts.last(x, attrs), parts.last(dy, attrs), parts.last(dx, attrs)
    for result, place in parts.each_largest(read, given.shape[1:-1], attrs):
        out[place] += given[result]
    return dx


@max_pool_gather.reference
def _(x: Any, h: Any, **attrs: Any) -> Any:
    attrs, y = parts.canonical(max_pool_gather.op, (x, h), attrs)
    read, given, out = parts.last(x, attrs), parts.last(h, attrs), parts.last(y, attrs)
    for result, place in parts.each_largest(read, out.shape[1:-1], attrs):
        out[result] = given[place]
    return y


@avg_pool.reference
def _(x: Any, **attrs: Any) -> Any:
    attrs, y = parts.canonical(avg_pool.op, (x,), attrs)
    read, out = parts.last(x, attrs), parts.last(y, attrs)
    for result, window in parts.each_window(read, out.shape[1:-1], attrs):
        out[result] = np.sum(read[window], axis=tuple(range(1, x.ndim - 1))) * parts.weight(window, attrs)
    return y


@avg_pool_grad.reference
def _(dy: Any, **attrs: Any) -> Any:
    attrs, dx = parts.canonical(avg_pool_grad.op, (dy,), attrs)
    given, out = parts.last(dy, attrs), parts.last(dx, attrs)
    for result, window in parts.each_window(out, given.shape[1:-1], attrs):
        out[window] += given[result].reshape(dy.shape[0], *[1] * (dy.ndim - 2), -1) * parts.weight(window, attrs)
    return dx


max_pool.samples(*_every, sample(_ties, window=3, grad=False, name="ties"))
max_pool.error_samples(*_errors)
max_pool_grad.samples(
    sample(_x1, real(shape=(2, 6, 2)), window=2, strides=1),
    sample(_x1, real(shape=(2, 4, 2)), window=3, strides=2, padding="SAME"),
    sample(_x2, real(shape=(1, 2, 3, 2)), window=2),
    sample(_x2, real(shape=(1, 6, 2, 2)), window=(3, 2), strides=(1, 3), padding=((1, 2), (0, 0))),
    sample(_x2, real(shape=(1, 2, 2, 2)), window=2, strides=3, name="gaps"),
    sample(_first, real(shape=(1, 2, 3, 2)), window=(2, 3), strides=2, padding=1, layout="NCHW"),
    sample(_x3, real(shape=(1, 2, 2, 2, 1)), window=2, strides=(2, 1, 1)),
    sample(_ties, literal([[[1.0], [10.0], [100.0]]]), window=3, strides=1, grad=False, name="ties"),
)
max_pool_grad.error_samples(error(ShapeError, "shape of the result, [2, 3, 2]", _x1, real(shape=(2, 4, 2)), window=2))
max_pool_gather.samples(
    sample(_x1, real(shape=(2, 7, 2)), window=3, strides=2, padding="SAME"),
    sample(_x2, real(shape=(1, 5, 6, 2)), window=2),
    sample(_x2, real(shape=(1, 5, 6, 2)), window=(3, 2), strides=(1, 3), padding=((1, 2), (0, 1))),
    sample(_first, real(shape=(1, 2, 5, 4)), window=(2, 3), strides=2, padding=1, layout="NCHW"),
    sample(_ties, literal([[[1.0], [2.0], [4.0], [8.0], [16.0]]]), window=3, strides=1, grad=False, name="ties"),
)
max_pool_gather.error_samples(error(ShapeError, "one shape", _x1, real(shape=(2, 4, 2)), window=2))
avg_pool.samples(
    *_every,
    sample(_x2, window=(3, 2), strides=2, padding=1, count_padding=True),
    sample(_x1, window=3, padding="SAME", count_padding=True),
)
avg_pool.error_samples(*_errors)
avg_pool.terms(lambda x, *, window, **_: math.prod(window))
avg_pool_grad.samples(
    sample(real(shape=(2, 4, 2)), size=7, window=3, strides=2, padding="SAME"),
    sample(real(shape=(1, 2, 3, 2)), size=(5, 6), window=2),
    sample(real(shape=(1, 2, 2, 2)), size=(5, 6), window=2, strides=3, name="gaps"),
    sample(real(shape=(1, 2, 3, 2)), size=(5, 4), window=(2, 3), strides=2, padding=1, layout="NCHW"),
    sample(real(shape=(1, 2, 3, 2)), size=(3, 6), window=(3, 2), strides=2, padding=(1, 0), count_padding=True),
    sample(real(shape=(1, 2, 2, 2, 1)), size=(4, 3, 3), window=2, strides=(2, 1, 1)),
)
avg_pool_grad.error_samples(
    error(ShapeError, "has (3, 3) results", real(shape=(1, 2, 3, 2)), size=6, window=2),
    error(AttributeValueError, "size must be", real(shape=(1, 2, 3, 2)), size=(6, 6, 6), window=2),
)
avg_pool_grad.terms(lambda dy, *, window, **_: math.prod(window))


# ---------------------------------------------------------------- whole axes


def _whole(x: TensorLike, where: str, layout: str | None) -> tuple[Tensor, tuple[int, ...]]:
    given = operand(x)
    found = (
        layout.upper() if isinstance(layout, str) else LAYOUTS.get(given.ndim - 2, ("",))[0] if layout is None else ""
    )
    if len(found) != given.ndim or found not in LAYOUTS[given.ndim - 2]:
        known = " or ".join(repr(name) for name in LAYOUTS.get(given.ndim - 2, ()))
        hint = f"layout={known}" if known else "an image batch is [batch, height, width, channels]"
        raise ShapeError(
            where,
            "the operand does not have the axes of the layout",
            {"x": given.spec, "layout": repr(layout)},
            hint=hint,
        )
    return given, spatial_axes(found)


def global_max_pool(x: TensorLike, /, *, keepdims: bool = False, layout: str | None = None) -> Tensor:
    """The largest element of each channel: [batch, channels], or with spatial axes of extent 1 (``keepdims``).

    ``x``: ``[batch, *spatial, channels]`` or as ``layout`` says; real.  ShapeError when it does not fit the layout.
    """
    given, axes = _whole(x, "global_max_pool", layout)
    return max_over(given, axis=axes, keepdims=keepdims)


def global_avg_pool(x: TensorLike, /, *, keepdims: bool = False, layout: str | None = None) -> Tensor:
    """The mean of each channel: [batch, channels], or with spatial axes of extent 1 (``keepdims``).

    ``x``: ``[batch, *spatial, channels]`` or as ``layout`` says; floating.  ShapeError when it does not fit the layout.
    """
    given, axes = _whole(x, "global_avg_pool", layout)
    return mean(given, axis=axes, keepdims=keepdims)


def adaptive_avg_pool(x: TensorLike, /, *, size: Ints, layout: str | None = None) -> Tensor:
    """The means of ``size`` cells that divide the spatial axes as evenly as whole elements allow.

    ``x``: ``[batch, *spatial, channels]`` or as ``layout`` says; floating.  ``size``: an int, or one for each spatial
    axis.  Cell ``i`` of ``m`` along an axis of ``n`` is ``[floor(i * n / m), ceil((i + 1) * n / m))``, as in PyTorch;
    where ``m`` divides ``n`` this is ``avg_pool``.  AttributeValueError for another size or layout, ShapeError when
    ``x`` does not fit the layout or is empty.
    """
    given = operand(x)
    axes, counts = sizes_for("adaptive_avg_pool", avg_pool_grad.op, given.spec, layout, size, "size")
    extents = [given.shape[a] for a in axes]
    if 0 in extents:
        raise ShapeError("adaptive_avg_pool", "there is nothing to pool: a spatial axis is empty", {"x": given.spec})
    if not any(n % m for n, m in zip(extents, counts, strict=True)):
        window = tuple(n // m for n, m in zip(extents, counts, strict=True))
        return avg_pool(given, window=window, layout=layout)
    result = cast(given, dtype=float32) if given.dtype in (float16, bfloat16) else given
    for axis, n, m in zip(axes, extents, counts, strict=True):
        first, last = np.arange(m) * n // m, -(-np.arange(1, m + 1) * n // m)
        inside = (np.arange(n) >= first[:, None]) & (np.arange(n) < last[:, None])
        result = product_along(result, axis, inside / (last - first)[:, None])
    return cast(result, dtype=given.dtype)

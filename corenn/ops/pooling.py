"""Pooling: the largest or the mean element of each window.

Both are done one spatial axis after another, which costs the sum of the window's extents and not their product, for
the results and for the gradients.  The gradient of a maximum goes to the first largest element in window order (C
order); taken axis by axis that is: the first largest row, and in it the first largest element.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from corenn.dtypes import FLOATING, as_dtype, bfloat16, float16, float32
from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.ops.arranging import pad
from corenn.ops.creation import tensor
from corenn.ops.elementwise import add, cast, divide, less, logical_and, logical_not, maximum, select
from corenn.ops.reduction import max as reduce_max
from corenn.ops.reduction import mean
from corenn.ops.sampling import distinct, error, integer, literal, real, sample
from corenn.ops.shaping import operand
from corenn.ops.slicing import basic_index, basic_place
from corenn.ops.table import Call, Op, TensorLike, op
from corenn.ops.windows import (
    Ints,
    Padding,
    Pairs,
    arrange,
    channel_axis,
    set_ints,
    set_layout,
    slide,
    spatial,
    spatial_axes,
    windows_along,
)
from corenn.spec import Shape, Spec
from corenn.tensor import Tensor


def _set_window(call: Call, extents: Shape, name: str) -> Shape:
    """Make window, strides and padding canonical; the extents of the result."""
    rank = len(extents)
    window = set_ints(call, "window", rank)
    if call.attrs["strides"] is None:
        call.attrs["strides"] = window
    strides = set_ints(call, "strides", rank)
    results = slide(call, name, extents, window, strides)
    pairs = call.attrs["padding"]
    if not isinstance(pairs, str) and any(max(p) >= k for p, k in zip(pairs, window, strict=True)):
        raise call.attribute_error(
            "the padding must be smaller than the window, or some windows would hold nothing", window="", padding=""
        )
    if any(n == 0 and m for n, m in zip(extents, results, strict=True)):
        raise call.shape_error("there is nothing to pool: a spatial axis is empty", **{name: ""})
    return results


def _pool(call: Call, x: Spec) -> Spec:
    layout = set_layout(call, x.ndim, "x")
    extents = _set_window(call, spatial(x.shape, layout), "x")
    return Spec(arrange(x.shape[0], extents, x.shape[channel_axis(layout)], layout), x.dtype)


def _max_pool_grad(call: Call, x: Spec, dy: Spec) -> Spec:
    result = _pool(call, x)
    if not _compatible(result.shape, dy.shape):
        raise call.shape_error(f"dy needs the shape of the result, {list(result.shape)}", x="", dy="")
    return x.at(None)


def _max_pool_gather(call: Call, x: Spec, h: Spec) -> Spec:
    if not _compatible(x.shape, h.shape):
        raise call.shape_error("x and h need one shape", x="", h="")
    return _pool(call, x)


def _avg_pool_grad(call: Call, dy: Spec) -> Spec:
    layout = set_layout(call, dy.ndim, "dy")
    size = set_ints(call, "size", dy.ndim - 2, 0)
    extents = _set_window(call, size, "size")
    if not _compatible(extents, spatial(dy.shape, layout)):
        what = f"pooling {size} has {extents} results, and dy has {spatial(dy.shape, layout)}"
        raise call.shape_error(what, dy="", size="")
    return Spec(arrange(dy.shape[0], size, dy.shape[channel_axis(layout)], layout), dy.dtype)


def _compatible(a: Shape, b: Shape) -> bool:
    return len(a) == len(b) and all(n == m or n is None or m is None for n, m in zip(a, b, strict=True))


# ---------------------------------------------------------------- the ops


@op(infer=_pool, dtypes=FLOATING, namespace="nn")
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


@op(infer=_max_pool_grad, promote=True, dtypes=FLOATING, namespace="_")
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


@op(infer=_max_pool_gather, promote=True, dtypes=FLOATING, namespace="_")
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


@op(infer=_pool, dtypes=FLOATING, namespace="nn")
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


@op(infer=_avg_pool_grad, dtypes=FLOATING, namespace="_")
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


class _Axis:
    """Pooling along one axis: what each tap of the window reads, and the way back."""

    def __init__(self, axis: int, window: int, stride: int, padding: tuple[int, int]) -> None:
        self.axis, self.window, self.stride, self.padding = axis, window, stride, padding

    def padded(self, x: Tensor, value: float) -> Tensor:
        """``x`` with the padding filled with ``value``."""
        if not any(self.padding):
            return x
        return pad(x, widths=tuple(self.padding if a == self.axis else (0, 0) for a in range(x.ndim)), value=value)

    def places(self, extent: int) -> list[tuple[tuple[Any, ...], ...]]:
        """For each tap, an index of what it reads along a padded axis of ``extent``."""
        count = windows_along(extent, self.window, self.stride, (0, 0))
        before = (("all",),) * self.axis
        return [(*before, ("slice", j, j + max(0, (count - 1) * self.stride + 1), self.stride)) for j in range(self.window)]

    def reduce(self, x: Tensor, combine: Callable[[Tensor, Tensor], Tensor], empty: float) -> Tensor:
        """All taps of each window combined."""
        x = self.padded(x, empty)
        taps = [basic_index(x, pattern=p) for p in self.places(x.shape[self.axis])]
        result = taps[0]
        for tap in taps[1:]:
            result = combine(result, tap)
        return result

    def chosen(self, x: Tensor, largest: Tensor) -> list[Tensor]:
        """For each tap, the windows in which it is the first of the ``largest``; ``x`` is padded."""
        taps = [basic_index(x, pattern=p) for p in self.places(x.shape[self.axis])]
        left, found = None, []
        for tap in taps:
            below = less(tap, largest)  # not "unequal": a window of NaN has its first element chosen
            found.append(logical_not(below) if left is None else logical_and(left, logical_not(below)))
            left = below if left is None else logical_and(left, below)
        return found

    def spread(self, parts: Sequence[Tensor], extent: int) -> Tensor:
        """What each tap gives back, added up where it read; ``extent`` without padding."""
        padded = extent + sum(self.padding)
        shape = tuple(padded if a == self.axis else n for a, n in enumerate(parts[0].shape))
        total = None
        for part, place in zip(parts, self.places(padded), strict=True):
            placed = basic_place(part, shape=shape, pattern=place)
            total = placed if total is None else add(total, placed)
        assert total is not None  # a window has at least one tap
        inside = (*[("all",)] * self.axis, ("slice", self.padding[0], self.padding[0] + extent, 1))
        return basic_index(total, pattern=inside) if any(self.padding) else total


def _axes(layout: str, window: Sequence[int], strides: Sequence[int], padding: Pairs) -> list[_Axis]:
    return [_Axis(*each) for each in zip(spatial_axes(layout), window, strides, padding, strict=True)]


def _largest(x: Tensor, axes: Sequence[_Axis]) -> list[Tensor]:
    """``x`` reduced along the last axis, the last two, and so on; the last of the list is the result of max_pool."""
    stages = [x]
    for axis in reversed(axes):
        stages.append(axis.reduce(stages[-1], maximum, -math.inf))
    return stages


@max_pool.decompose
def _(x: Tensor, *, window: Any, strides: Any, padding: Pairs, layout: str) -> Tensor:
    return _largest(x, _axes(layout, window, strides, padding))[-1]


@max_pool_grad.decompose
def _(x: Tensor, dy: Tensor, *, window: Any, strides: Any, padding: Pairs, layout: str) -> Tensor:
    axes = _axes(layout, window, strides, padding)
    stages = _largest(x, axes)
    zero = tensor(0, dy.dtype, device=dy.spec.device)
    for i, axis in enumerate(axes):
        read, largest = stages[-2 - i], stages[-1 - i]
        chosen = axis.chosen(axis.padded(read, -math.inf), largest)
        dy = axis.spread([select(c, dy, zero) for c in chosen], read.shape[axis.axis])
    return dy


@max_pool_gather.decompose
def _(x: Tensor, h: Tensor, *, window: Any, strides: Any, padding: Pairs, layout: str) -> Tensor:
    axes = _axes(layout, window, strides, padding)
    stages = _largest(x, axes)
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


def counts(extents: Sequence[int], window: Any, strides: Any, padding: Pairs, layout: str) -> np.ndarray[Any, Any]:
    """How many elements of an operand of spatial ``extents`` each window holds, to be broadcast along the other axes."""
    held = np.ones(())
    for n, k, s, p in zip(extents, window, strides, padding, strict=True):
        first = np.arange(windows_along(n, k, s, p)) * s - p[0]
        held = np.multiply.outer(held, np.minimum(first + k, n) - np.maximum(first, 0))
    return held.reshape([1 if n is None else n for n in arrange(1, held.shape, 1, layout)])


def _divided(x: Tensor, extents: Any, window: Any, strides: Any, padding: Pairs, layout: str, all_count: bool) -> Tensor:
    """Sums (or gradients) divided by the number of elements of their windows."""
    if all_count or not any(map(any, padding)):
        return divide(x, float(math.prod(window)))
    return divide(x, tensor(counts(extents, window, strides, padding, layout), x.dtype, device=x.spec.device))


@avg_pool.decompose
def _(x: Tensor, *, window: Any, strides: Any, padding: Pairs, layout: str, count_padding: bool) -> Tensor:
    dtype, extents = x.dtype, spatial(x.shape, layout)
    x = cast(x, dtype=float32) if dtype in (float16, bfloat16) else x
    for axis in _axes(layout, window, strides, padding):
        x = axis.reduce(x, add, 0.0)
    return cast(_divided(x, extents, window, strides, padding, layout, count_padding), dtype=dtype)


@avg_pool_grad.decompose
def _(
    dy: Tensor, *, size: Any, window: Any, strides: Any, padding: Pairs, layout: str, count_padding: bool
) -> Tensor:
    dtype = dy.dtype
    dy = cast(dy, dtype=float32) if dtype in (float16, bfloat16) else dy
    dx = _divided(dy, size, window, strides, padding, layout, count_padding)
    for axis, extent in zip(_axes(layout, window, strides, padding), size, strict=True):
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
avg_pool.vjp(
    lambda g, x_spec, window, strides, padding, layout, count_padding: avg_pool_grad(
        g, size=spatial(x_spec.shape, layout), window=window, strides=strides, padding=padding, layout=layout,
        count_padding=count_padding,
    )
)  # fmt: skip
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
    sample(distinct(shape=(0, 4, 4, 2)), window=2, name="empty"),
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


def _reference(op: Op, x: Any, attrs: dict[str, Any], put: Callable[[Any, Any, Any], None], like: Any = None) -> Any:
    """Call ``put(result, window of the operand, how many of its elements are padding)`` for all windows.

    ``like`` is an operand for the call when x is not one.
    """
    from corenn.ops.dispatch import infer

    attrs = dict(attrs)
    operands = (x,) if like is None else like
    spec = infer(op, tuple(Spec(a.shape, as_dtype(a.dtype)) for a in operands), attrs)[0]
    return attrs, spec


@max_pool.reference
def _(x: Any, **attrs: Any) -> Any:
    y, pairs = _reference_windows(max_pool.op, x, attrs)
    for result, window in pairs:
        y[result] = np.max(window, axis=tuple(range(1, window.ndim - 1)))
    return y

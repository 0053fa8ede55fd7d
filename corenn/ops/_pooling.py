"""What the pooling ops are made of: inference, the parts of their decompositions, and the naive references."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from corenn.dtypes import as_dtype
from corenn.ops.arranging import pad
from corenn.ops.creation import tensor
from corenn.ops.elementwise import add, divide, maximum
from corenn.ops.logic import less, logical_and, logical_not
from corenn.ops.slicing import basic_index, basic_place
from corenn.ops.table import Call, Op
from corenn.ops.windows import (
    Pairs,
    arrange,
    channel_axis,
    held,
    set_ints,
    set_layout,
    slide,
    spatial,
    spatial_axes,
    windows_along,
)
from corenn.spec import Shape, Spec
from corenn.tensor import Tensor

# ---------------------------------------------------------------- inference


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


def infer_pool(call: Call, x: Spec) -> Spec:
    """The result of ``max_pool`` and ``avg_pool``."""
    layout = set_layout(call, x.ndim, "x")
    extents = _set_window(call, spatial(x.shape, layout), "x")
    return Spec(arrange(x.shape[0], extents, x.shape[channel_axis(layout)], layout), x.dtype)


def infer_max_pool_grad(call: Call, x: Spec, dy: Spec) -> Spec:
    """The result of ``max_pool_grad``."""
    result = infer_pool(call, x)
    if not _compatible(result.shape, dy.shape):
        raise call.shape_error(f"dy needs the shape of the result, {list(result.shape)}", x="", dy="")
    return x.at(None)


def infer_max_pool_gather(call: Call, x: Spec, h: Spec) -> Spec:
    """The result of ``max_pool_gather``."""
    if not _compatible(x.shape, h.shape):
        raise call.shape_error("x and h need one shape", x="", h="")
    return infer_pool(call, x)


def infer_avg_pool_grad(call: Call, dy: Spec) -> Spec:
    """The result of ``avg_pool_grad``."""
    layout = set_layout(call, dy.ndim, "dy")
    size = set_ints(call, "size", dy.ndim - 2, 0)
    extents = _set_window(call, size, "size")
    if not _compatible(extents, spatial(dy.shape, layout)):
        what = f"pooling {size} has {extents} results, and dy has {spatial(dy.shape, layout)}"
        raise call.shape_error(what, dy="", size="")
    return Spec(arrange(dy.shape[0], size, dy.shape[channel_axis(layout)], layout), dy.dtype)


def _compatible(a: Shape, b: Shape) -> bool:
    return len(a) == len(b) and all(n == m or n is None or m is None for n, m in zip(a, b, strict=True))


# ---------------------------------------------------------------- parts of the decompositions


class Axis:
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
        return [
            (*before, ("slice", j, j + max(0, (count - 1) * self.stride + 1), self.stride)) for j in range(self.window)
        ]

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


def axes_of(layout: str, window: Sequence[int], strides: Sequence[int], padding: Pairs) -> list[Axis]:
    """The window, stride and padding of each spatial axis."""
    return [Axis(*each) for each in zip(spatial_axes(layout), window, strides, padding, strict=True)]


def stages(x: Tensor, axes: Sequence[Axis]) -> list[Tensor]:
    """``x`` reduced along the last axis, the last two, and so on; the last of the list is the result of max_pool."""
    found = [x]
    for axis in reversed(axes):
        found.append(axis.reduce(found[-1], maximum, -math.inf))
    return found


def divided(x: Tensor, extents: Any, window: Any, strides: Any, padding: Pairs, layout: str, all_count: bool) -> Tensor:
    """Sums (or gradients) divided by the number of elements of their windows."""
    if all_count or not any(map(any, padding)):
        return divide(x, float(math.prod(window)))
    return divide(x, tensor(held(extents, window, strides, padding, layout), x.dtype, device=x.spec.device))


# ---------------------------------------------------------------- references


def canonical(op: Op, operands: Sequence[Any], attrs: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """The attributes as inference leaves them, and zeros of the result's shape."""
    from corenn.ops.dispatch import infer

    done = dict(attrs)
    spec = infer(op, tuple(Spec(a.shape, as_dtype(a.dtype)) for a in operands), done)[0]
    return done, np.zeros(spec.static)


def last(x: Any, attrs: dict[str, Any]) -> Any:
    """``x`` with its channels on the last axis; for references."""
    return np.moveaxis(x, channel_axis(attrs["layout"]), -1)


def each_window(x: Any, results: Sequence[int], attrs: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Every window: the index of its result, and that of the elements of ``x`` (channels last) that it holds."""
    for position in itertools.product(*map(range, results)):
        held = [
            slice(max(0, o * s - p[0]), min(n, o * s - p[0] + k))
            for o, k, s, p, n in zip(
                position, attrs["window"], attrs["strides"], attrs["padding"], x.shape[1:-1], strict=True
            )
        ]
        yield (slice(None), *position), (slice(None), *held)


def each_largest(x: Any, results: Sequence[int], attrs: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """For every window of every channel: the index of its result, and of its first largest element."""
    for result, window in each_window(x, results, attrs):
        part = x[window]
        for n, c in itertools.product(range(part.shape[0]), range(part.shape[-1])):
            inside = np.unravel_index(np.argmax(part[n, ..., c]), part.shape[1:-1])
            place = (n, *(w.start + i for w, i in zip(window[1:], inside, strict=True)), c)
            yield (n, *result[1:], c), place


def weight(window: Any, attrs: dict[str, Any]) -> float:
    """What each element of a window counts in its mean."""
    inside: int = math.prod(w.stop - w.start for w in window[1:])
    every: int = math.prod(attrs["window"])
    return 1 / (every if attrs["count_padding"] else inside)

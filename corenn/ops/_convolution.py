"""What the convolution ops are made of: inference, the parts of their decompositions, and the naive references."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from corenn.dtypes import as_dtype, bfloat16, float16, float32
from corenn.errors import ShapeError
from corenn.ops.arranging import pad
from corenn.ops.elementwise import add, cast, multiply
from corenn.ops.shaping import reshape, stack, transpose
from corenn.ops.slicing import basic_index
from corenn.ops.table import Call, Op
from corenn.ops.windows import (
    Pairs,
    arrange,
    channel_axis,
    set_ints,
    set_layout,
    set_padding,
    slide,
    spatial,
    spatial_axes,
    windows_along,
)
from corenn.spec import Shape, Spec
from corenn.tensor import Tensor

HALF = frozenset({float16, bfloat16})


# ---------------------------------------------------------------- inference


def _set_attributes(call: Call, rank: int, kernel: Shape) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Make strides, dilation and groups canonical; the strides, the spans of the kernel and the groups."""
    strides = set_ints(call, "strides", rank)
    dilation = set_ints(call, "dilation", rank)
    groups = call.attrs["groups"]
    if not isinstance(groups, int) or isinstance(groups, bool) or groups < 1:
        raise call.attribute_error("groups must be an int of at least 1", groups="")
    return strides, tuple(((k or 0) - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)), groups


def _kernel_extents(call: Call, w: Spec, layout: str) -> Shape:
    rank = len(layout) - 2
    if w.ndim != rank + 2:
        raise call.shape_error(
            f"w needs {rank + 2} axes for layout {layout!r}, and has {w.ndim}",
            "w is [*kernel, input channels / groups, output channels]",
            w="",
        )
    if 0 in w.shape[:-2]:
        raise call.shape_error("the kernel is empty", w="a spatial extent is 0")
    return w.shape[:-2]


def _check_groups(call: Call, channels: int | None, name: str, groups: int) -> None:
    if channels is not None and channels % groups:
        raise call.shape_error(
            f"{channels} channels do not divide into {groups} groups", **{name: f"{channels} channels", "groups": ""}
        )


def _channel_mismatch(call: Call, x: Spec, w: Spec, channels: int, layout: str) -> ShapeError:
    groups, inner = call.attrs["groups"], w.shape[-2] or 0
    wanted = inner * groups
    other = 1 if layout[-1] == "C" else x.ndim - 1
    hint = "w is [*kernel, input channels / groups, output channels]"
    if x.shape[other] == wanted:
        letters = layout.replace("C", "")
        fitting = "NC" + letters[1:] if other == 1 else letters + "C"
        hint = f"if the channels of x come {'first' if other == 1 else 'last'}: layout={fitting!r}"
    elif groups == 1 and inner and channels % inner == 0 and (w.shape[-1] or 0) % (channels // inner) == 0:
        hint += f"; groups={channels // inner} would fit"
    elif w.shape[1] == channels // groups and w.shape[-1] == w.shape[-2]:
        hint += "; PyTorch's [output, input, *kernel] must be transposed"
    return call.shape_error(
        f"x has {channels} channels, and w takes {inner}" + (f" in each of {groups} groups" if groups > 1 else ""),
        hint,
        x=f"{channels} channels on axis {channel_axis(layout)}",
        w=f"{inner} input channels" + (f" * {groups} groups = {wanted}" if groups > 1 else ""),
    )


def infer_conv(call: Call, x: Spec, w: Spec) -> Spec:
    """The result of ``conv``."""
    layout = set_layout(call, x.ndim, "x")
    kernel = _kernel_extents(call, w, layout)
    strides, spans, groups = _set_attributes(call, x.ndim - 2, kernel)
    channels, inner, outer = x.shape[channel_axis(layout)], w.shape[-2], w.shape[-1]
    if channels is not None and inner is not None and channels != inner * groups:
        raise _channel_mismatch(call, x, w, channels, layout)
    _check_groups(call, outer, "w", groups)
    extents = slide(call, "x", spatial(x.shape, layout), spans, strides)
    return Spec(arrange(x.shape[0], extents, outer, layout), x.dtype)


def _check_result(call: Call, dy: Spec, layout: str, extents: Shape, what: str) -> None:
    """The gradient ``dy`` must have the spatial extents of the convolution's result."""
    for axis, given, wanted in zip(spatial_axes(layout), spatial(dy.shape, layout), extents, strict=True):
        if given is not None and wanted is not None and given != wanted:
            raise call.shape_error(
                f"dy has {given} elements along {layout[axis]}, where the convolution {what} has {wanted} results",
                "dy has the shape of the convolution's result, and the attributes are the convolution's",
                dy=f"axis {axis} is {given}",
                size="",
            )


def infer_input_grad(call: Call, dy: Spec, w: Spec) -> Spec:
    """The result of ``conv_input_grad``."""
    layout = set_layout(call, dy.ndim, "dy")
    kernel = _kernel_extents(call, w, layout)
    strides, spans, groups = _set_attributes(call, dy.ndim - 2, kernel)
    size = set_ints(call, "size", dy.ndim - 2, 0)
    channels, inner, outer = dy.shape[channel_axis(layout)], w.shape[-2], w.shape[-1]
    if channels is not None and outer is not None and channels != outer:
        raise call.shape_error(
            f"dy has {channels} channels, and w gives {outer}",
            "w is the convolution's: [*kernel, input channels / groups, output channels]",
            dy=f"{channels} channels on axis {channel_axis(layout)}",
            w=f"{outer} output channels",
        )
    _check_groups(call, outer, "w", groups)
    _check_result(call, dy, layout, slide(call, "size", size, spans, strides), f"of {size}")
    return Spec(arrange(dy.shape[0], size, None if inner is None else inner * groups, layout), dy.dtype)


def infer_weight_grad(call: Call, x: Spec, dy: Spec) -> Spec:
    """The result of ``conv_weight_grad``."""
    layout = set_layout(call, x.ndim, "x")
    if dy.ndim != x.ndim or (x.shape[0] != dy.shape[0] and None not in (x.shape[0], dy.shape[0])):
        raise call.shape_error("x and dy need the same number of axes and the same batch", x="", dy="")
    kernel = set_ints(call, "size", x.ndim - 2)
    strides, spans, groups = _set_attributes(call, x.ndim - 2, kernel)
    channels, outer = x.shape[channel_axis(layout)], dy.shape[channel_axis(layout)]
    _check_groups(call, channels, "x", groups)
    _check_groups(call, outer, "dy", groups)
    _check_result(call, dy, layout, slide(call, "x", spatial(x.shape, layout), spans, strides), "of x")
    return Spec((*kernel, None if channels is None else channels // groups, outer), x.dtype)


def infer_transpose(call: Call, x: Spec, w: Spec) -> Spec:
    """The result of ``conv_transpose``; puts its extents into the attribute ``size``."""
    layout = set_layout(call, x.ndim, "x")
    kernel = _kernel_extents(call, w, layout)
    rank = x.ndim - 2
    strides, spans, groups = _set_attributes(call, rank, kernel)
    channels, inner, outer = x.shape[channel_axis(layout)], w.shape[-2], w.shape[-1]
    if channels is not None and outer is not None and channels != outer:
        raise call.shape_error(
            f"x has {channels} channels, and w takes {outer}",
            "w is that of the convolution turned round: [*kernel, output channels / groups, input channels]",
            x=f"{channels} channels on axis {channel_axis(layout)}",
            w=f"{outer} on the last axis",
        )
    _check_groups(call, outer, "w", groups)
    extents = spatial(x.shape, layout)
    size: Shape = _transposed_extents(call, extents, strides, spans)
    if None not in size:
        call.attrs["size"], call.attrs["output_padding"] = size, None
        found = slide(call, "size", size, spans, strides)
        if any(a is not None and a != b for a, b in zip(extents, found, strict=True)):
            raise call.shape_error(
                f"no convolution of {size} has these results: it would have {found}",
                "along each axis size can differ by less than the stride; so can output_padding",
                x=f"{extents} results",
                size="",
            )
    return Spec(arrange(x.shape[0], size, None if inner is None else inner * groups, layout), x.dtype)


def _transposed_extents(call: Call, extents: Shape, strides: Sequence[int], spans: Sequence[int]) -> Shape:
    """The spatial extents of a transposed convolution's result, as asked for, or as TensorFlow and Keras choose."""
    rank, given = len(spans), call.attrs["padding"]
    if call.attrs["size"] is not None:
        if call.attrs["output_padding"] is not None:
            raise call.attribute_error(
                "size and output_padding say the same thing: give one", size="", output_padding=""
            )
        return set_ints(call, "size", rank, 0)
    extra = None if call.attrs["output_padding"] is None else set_ints(call, "output_padding", rank, 0)
    word = given.upper() if isinstance(given, str) else None
    pairs = set_padding(call, (None,) * rank if word == "SAME" else extents, spans, strides)
    result: list[int | None] = []
    for i, (n, stride, span) in enumerate(zip(extents, strides, spans, strict=True)):
        if n is None:
            result.append(None)
        elif extra is None and word is not None:
            result.append(n * stride + (max(span - stride, 0) if word == "VALID" else 0))
        else:
            cut = 2 * (span // 2) if pairs is None else sum(pairs[i])
            result.append(max(0, (n - 1) * stride + span - cut + (extra[i] if extra is not None else 0)))
    return tuple(result)


# ---------------------------------------------------------------- parts of the decompositions


def cut(x: Tensor, *places: slice) -> Tensor:
    """The part of ``x`` that a slice for each of its first axes names."""
    return basic_index(x, pattern=tuple(("slice", p.start, p.stop, p.step) for p in places))


def row(x: Tensor, i: int) -> Tensor:
    """Element ``i`` of the first axis."""
    return basic_index(x, pattern=(("int", i),))


def widened(x: Tensor) -> Tensor:
    """Half precision as float32: sums of products need the digits."""
    return cast(x, dtype=float32) if x.dtype in HALF else x


def channels_last(x: Tensor, layout: str) -> Tensor:
    """``x`` with its channels on the last axis."""
    return x if layout[-1] == "C" else transpose(x, axes=(0, *range(2, x.ndim), 1))


def from_channels_last(y: Tensor, layout: str) -> Tensor:
    """The reverse of ``channels_last``."""
    return y if layout[-1] == "C" else transpose(y, axes=(0, y.ndim - 1, *range(1, y.ndim - 1)))


def taps(
    x: Tensor, kernel: Sequence[int], strides: Sequence[int], padding: Pairs, dilation: Sequence[int]
) -> list[Tensor]:
    """For each tap of the kernel, in C order, what it reads for all windows; ``x`` has channels last."""
    if any(map(any, padding)):
        x = pad(x, widths=((0, 0), *padding, (0, 0)))
    reads = []
    for n, k, s, d in zip(x.shape[1:-1], kernel, strides, dilation, strict=True):
        count = windows_along(n, (k - 1) * d + 1, s, (0, 0))
        reads.append([slice(j * d, j * d + max(0, (count - 1) * s + 1), s) for j in range(k)])
    return [cut(x, slice(None), *places) for places in itertools.product(*reads)]


def rows(x: Tensor, groups: int) -> Tensor:
    """All positions as the rows of a matrix of channels: [rows, channels], or [groups, rows, channels / groups]."""
    channels, count = x.shape[-1], math.prod(x.shape[:-1])
    if groups == 1:
        return reshape(x, shape=(count, channels))
    return transpose(reshape(x, shape=(count, groups, channels // groups)), axes=(1, 0, 2))


def depthwise(read: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Each channel by itself: sum over taps of elementwise products; ``weights``: [taps, channels, multiplier]."""
    shape = read[0].shape
    result = None
    for i, tap in enumerate(read):
        product = multiply(reshape(tap, shape=(*shape, 1)), row(weights, i))
        result = product if result is None else add(result, product)
    assert result is not None  # a kernel has at least one tap
    return reshape(result, shape=(*shape[:-1], shape[-1] * weights.shape[-1]))


def interleave(pieces: Sequence[Tensor], strides: Sequence[int], layout: str) -> Tensor:
    """Put together the pieces for every residue modulo the strides, in C order of the residues."""
    if len(pieces) == 1:
        return pieces[0]
    rank, shape, axes = len(strides), pieces[0].shape, spatial_axes(layout)
    order: list[int] = []
    merged: list[int] = []
    for axis, n in enumerate(shape):
        order.append(rank + axis)
        merged.append(n)
        if axis in axes:
            order.append(axes.index(axis))
            merged[-1] *= strides[axes.index(axis)]
    spread = reshape(stack(*pieces), shape=(*strides, *shape))
    return reshape(transpose(spread, axes=tuple(order)), shape=tuple(merged))


# ---------------------------------------------------------------- references


def canonical(op: Op, operands: Sequence[np.ndarray[Any, Any]], attrs: dict[str, Any]) -> tuple[dict[str, Any], Spec]:
    """The attributes of a call in canonical form, and the spec of its result; for references."""
    from corenn.ops.dispatch import infer

    done = dict(attrs)
    result = infer(op, tuple(Spec(a.shape, as_dtype(a.dtype)) for a in operands), done)
    return done, result[0]


def _last(x: np.ndarray[Any, Any], layout: str) -> np.ndarray[Any, Any]:
    return np.moveaxis(x, channel_axis(layout), -1)


def _windows(extents: Sequence[int], kernel: Sequence[int], attrs: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Every window: the index of its result, and of what it reads of the padded operand (channels last)."""
    for position in itertools.product(*map(range, extents)):
        reads = [
            slice(o * s, o * s + (k - 1) * d + 1, d)
            for o, k, s, d in zip(position, kernel, attrs["strides"], attrs["dilation"], strict=True)
        ]
        yield (slice(None), *position), (slice(None), *reads)


def reference_conv(op: Op, x: Any, w: Any, attrs: dict[str, Any]) -> Any:
    """One window at a time, one group at a time."""
    attrs, spec = canonical(op, (x, w), attrs)
    layout, groups, kernel = attrs["layout"], attrs["groups"], w.shape[:-2]
    padded = np.pad(_last(x, layout), ((0, 0), *attrs["padding"], (0, 0)))
    y = np.zeros(spec.static, np.result_type(x, w))
    out = _last(y, layout)
    inner, outer = w.shape[-2], w.shape[-1] // groups
    for result, window in _windows(out.shape[1:-1], kernel, attrs):
        for i in range(groups):
            read = padded[(*window, slice(i * inner, (i + 1) * inner))]
            part = slice(i * outer, (i + 1) * outer)
            out[(*result, part)] = np.tensordot(read, w[..., part], axes=len(kernel) + 1)
    return y


def reference_input_grad(op: Op, dy: Any, w: Any, attrs: dict[str, Any]) -> Any:
    """Each result's gradient, times the weights, added where the window read."""
    attrs, spec = canonical(op, (dy, w), attrs)
    layout, groups, kernel = attrs["layout"], attrs["groups"], w.shape[:-2]
    inner, outer = w.shape[-2], w.shape[-1] // groups
    extents = [n + sum(p) for n, p in zip(attrs["size"], attrs["padding"], strict=True)]
    padded = np.zeros((dy.shape[0], *extents, inner * groups), np.result_type(dy, w))
    gradient = _last(dy, layout)
    for result, window in _windows(gradient.shape[1:-1], kernel, attrs):
        for i in range(groups):
            part = slice(i * outer, (i + 1) * outer)
            products = np.tensordot(gradient[(*result, part)], w[..., part], axes=(1, -1))
            padded[(*window, slice(i * inner, (i + 1) * inner))] += products
    inside = [slice(p[0], p[0] + n) for n, p in zip(attrs["size"], attrs["padding"], strict=True)]
    return np.moveaxis(padded[(slice(None), *inside)], -1, channel_axis(layout)).reshape(spec.static)


def reference_weight_grad(op: Op, x: Any, dy: Any, attrs: dict[str, Any]) -> Any:
    """What each window read, times its result's gradient."""
    attrs, spec = canonical(op, (x, dy), attrs)
    layout, groups, kernel = attrs["layout"], attrs["groups"], attrs["size"]
    padded = np.pad(_last(x, layout), ((0, 0), *attrs["padding"], (0, 0)))
    gradient = _last(dy, layout)
    dw = np.zeros(spec.static, np.result_type(x, dy))
    inner, outer = dw.shape[-2], dw.shape[-1] // groups
    for result, window in _windows(gradient.shape[1:-1], kernel, attrs):
        for i in range(groups):
            part = slice(i * outer, (i + 1) * outer)
            read = padded[(*window, slice(i * inner, (i + 1) * inner))]
            dw[..., part] += np.tensordot(read, gradient[(*result, part)], axes=(0, 0))
    return dw

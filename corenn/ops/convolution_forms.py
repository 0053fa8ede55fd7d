"""Convolutions people ask for by name: of a given rank, depthwise, separable.  Plain functions in terms of ``conv``."""

from __future__ import annotations

from corenn.errors import AttributeValueError, ShapeError
from corenn.ops.convolution import conv
from corenn.ops.shaping import operand, reshape
from corenn.ops.table import TensorLike
from corenn.ops.windows import LAYOUTS, Ints, Padding
from corenn.tensor import Tensor


def _check_layout(where: str, rank: int, layout: str) -> None:
    if not isinstance(layout, str) or layout.upper() not in LAYOUTS[rank]:
        known = " or ".join(repr(name) for name in LAYOUTS[rank])
        raise AttributeValueError(where, f"layout must be {known}", {"layout": repr(layout)}, hint="nn.conv takes all")


def conv1d(
    x: TensorLike,
    w: TensorLike,
    /,
    *,
    strides: Ints = 1,
    padding: Padding = "VALID",
    dilation: Ints = 1,
    groups: int = 1,
    layout: str = "NWC",
) -> Tensor:
    """``conv`` over one spatial axis: ``x`` [batch, width, channels] ("NWC"; or "NCW"), ``w`` [width, in, out]."""
    _check_layout("conv1d", 1, layout)
    return conv(x, w, strides=strides, padding=padding, dilation=dilation, groups=groups, layout=layout)


def conv2d(
    x: TensorLike,
    w: TensorLike,
    /,
    *,
    strides: Ints = 1,
    padding: Padding = "VALID",
    dilation: Ints = 1,
    groups: int = 1,
    layout: str = "NHWC",
) -> Tensor:
    """``conv`` over two: ``x`` [batch, height, width, channels] ("NHWC"; or "NCHW"), ``w`` [height, width, in, out]."""
    _check_layout("conv2d", 2, layout)
    return conv(x, w, strides=strides, padding=padding, dilation=dilation, groups=groups, layout=layout)


def conv3d(
    x: TensorLike,
    w: TensorLike,
    /,
    *,
    strides: Ints = 1,
    padding: Padding = "VALID",
    dilation: Ints = 1,
    groups: int = 1,
    layout: str = "NDHWC",
) -> Tensor:
    """``conv`` over three: ``x`` [batch, depth, height, width, channels] ("NDHWC"; or "NCDHW"), ``w`` likewise."""
    _check_layout("conv3d", 3, layout)
    return conv(x, w, strides=strides, padding=padding, dilation=dilation, groups=groups, layout=layout)


def depthwise_conv(
    x: TensorLike,
    w: TensorLike,
    /,
    *,
    strides: Ints = 1,
    padding: Padding = "VALID",
    dilation: Ints = 1,
    layout: str | None = None,
) -> Tensor:
    """Each channel convolved by itself, with ``multiplier`` kernels: 1, 2 or 3 spatial axes, attributes as ``conv``.

    ``x``: ``[batch, *spatial, channels]`` or as ``layout`` says.  ``w``: ``[*kernel, channels, multiplier]``.  Result:
    ``channels * multiplier`` channels, those of one input channel side by side, as in TensorFlow.
    """
    x, w = operand(x), operand(w)
    shape = w.spec.shape
    if w.ndim < 3 or (x.ndim == w.ndim and shape[-2] not in _possible_channels(x, layout)):
        hint = "w is [*kernel, channels, multiplier]"
        raise ShapeError("depthwise_conv", "w does not fit the channels of x", {"x": x.spec, "w": w.spec}, hint=hint)
    channels, multiplier = w.spec.static[-2:]
    flat = reshape(w, shape=(*w.spec.static[:-2], 1, channels * multiplier))
    return conv(x, flat, strides=strides, padding=padding, dilation=dilation, groups=channels, layout=layout)


def _possible_channels(x: Tensor, layout: str | None) -> tuple[int | None, ...]:
    last = layout is None or not isinstance(layout, str) or layout.upper().endswith("C")
    return None, x.spec.shape[-1 if last else 1]


def separable_conv(
    x: TensorLike,
    depthwise: TensorLike,
    pointwise: TensorLike,
    /,
    *,
    strides: Ints = 1,
    padding: Padding = "VALID",
    dilation: Ints = 1,
    layout: str | None = None,
) -> Tensor:
    """``depthwise_conv`` followed by a convolution that mixes the channels: 1, 2 or 3 spatial axes.

    ``depthwise``: ``[*kernel, channels, multiplier]``.  ``pointwise``: ``[1, ..., channels * multiplier, out]``.
    Source: Chollet, *Xception*, arXiv:1610.02357.
    """
    spread = depthwise_conv(x, depthwise, strides=strides, padding=padding, dilation=dilation, layout=layout)
    return conv(spread, pointwise, layout=layout)


def separable_conv2d(
    x: TensorLike,
    depthwise: TensorLike,
    pointwise: TensorLike,
    /,
    *,
    strides: Ints = 1,
    padding: Padding = "VALID",
    dilation: Ints = 1,
    layout: str = "NHWC",
) -> Tensor:
    """``separable_conv`` over two spatial axes: ``depthwise`` [height, width, channels, multiplier]."""
    _check_layout("separable_conv2d", 2, layout)
    return separable_conv(x, depthwise, pointwise, strides=strides, padding=padding, dilation=dilation, layout=layout)

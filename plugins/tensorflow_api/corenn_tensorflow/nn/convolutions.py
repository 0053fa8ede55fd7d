"""Convolutions with TensorFlow's arguments: strides for every axis, ``data_format``, names of either generation."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from corenn.errors import AttributeValueError, UsageError
from corenn.graph.tensors import GraphTensor
from corenn.ops.arranging import flip, pad
from corenn.ops.convolution import conv, conv_input_grad, conv_weight_grad
from corenn.ops.convolution_forms import depthwise_conv
from corenn.ops.elementwise import add, negative
from corenn.ops.reduction import max as max_over
from corenn.ops.shaping import reshape, stack, transpose
from corenn.ops.windows import same_padding
from corenn.tensor import Tensor
from corenn_tensorflow.mode import by_generation, one, scope
from corenn_tensorflow.operands import composite, ints, known, rank, tensor
from corenn_tensorflow.shapes import dimension_value
from corenn_tensorflow.writing import writable

_LAYOUTS = {1: ("NWC", "NCW"), 2: ("NHWC", "NCHW"), 3: ("NDHWC", "NCDHW")}


def layout_for(where: str, rank_: int, data_format: str | None) -> str:
    """``data_format`` checked; ``None`` is channels last."""
    last, first = _LAYOUTS[rank_]
    if data_format is None:
        return last
    wanted = data_format.upper()
    if rank_ == 1 and wanted in ("NHWC", "NCHW"):  # as tf.nn.conv1d had it once
        return last if wanted == "NHWC" else first
    if wanted not in (last, first):
        raise AttributeValueError(where, f"data_format must be {last!r} or {first!r}", {"data_format": data_format})
    return wanted


def per_axis(where: str, name: str, value: Any, rank_: int, layout: str) -> tuple[int, ...]:
    """One number for each spatial axis, of an int, one for each of those, or one for every axis of the tensor."""
    if value is None:
        return (1,) * rank_
    found = ints(value)
    if len(found) == 1:
        return found * rank_
    if len(found) == rank_:
        return found
    if len(found) != rank_ + 2:
        raise AttributeValueError(
            where, f"{name} must be an int, {rank_} ints or {rank_ + 2} ints", {name: value},
            hint=f"for {layout}: {[1] + [2] * rank_ + [1] if layout[-1] == 'C' else [1, 1] + [2] * rank_}",
        )  # fmt: skip
    spatial = found[1:-1] if layout.endswith("C") else found[2:]
    others = (found[0], found[-1] if layout.endswith("C") else found[1])
    if others != (1, 1):
        raise AttributeValueError(
            where, f"Current implementation does not yet support {name} in the batch and depth dimensions.",
            {name: value, "data_format": layout},
        )  # fmt: skip
    return spatial


def padding_for(where: str, padding: Any, rank_: int, layout: str) -> Any:
    """``"SAME"``, ``"VALID"``, or (before, after) for each spatial axis, of pairs for every axis of the tensor."""
    if isinstance(padding, str):
        if padding.upper() not in ("SAME", "VALID"):
            raise AttributeValueError(where, "padding must be 'SAME' or 'VALID'", {"padding": padding})
        return padding.upper()
    if padding is None:
        raise UsageError(where, "padding is missing", hint="padding='SAME' or padding='VALID'")
    pairs = [tuple(int(n) for n in known(p)) for p in known(padding)]
    if len(pairs) == rank_ + 2:
        pairs = pairs[1:-1] if layout.endswith("C") else pairs[2:]
    return tuple(pairs)


def _first(where: str, **given: Any) -> Any:
    """The one of several names for an argument that was given."""
    found = [v for v in given.values() if v is not None]
    if len(found) != 1:
        raise UsageError(where, f"give {' or '.join(given)}" + (", not both" if found else ""))
    return found[0]


def convolve(
    where: str, type_name: str, rank_: int, x: Any, w: Any, strides: Any, padding: Any, data_format: str | None,
    dilations: Any, name: str | None,
) -> Tensor:  # fmt: skip
    """A convolution over ``rank_`` spatial axes, as one op."""
    layout = layout_for(where, rank_, data_format)
    return one(
        type_name, name, conv, x, w, strides=per_axis(where, "strides", strides, rank_, layout),
        padding=padding_for(where, padding, rank_, layout),
        dilation=per_axis(where, "dilations", dilations, rank_, layout), layout=layout,
    )  # fmt: skip


# ---------------------------------------------------------------- by rank


def _conv1d_v1(
    value: Any = None, filters: Any = None, stride: Any = None, padding: Any = None, use_cudnn_on_gpu: Any = None,
    data_format: str | None = None, name: str | None = None, input: Any = None, dilations: Any = None,
) -> Tensor:  # fmt: skip
    """A convolution of ``value`` [batch, width, channels] with ``filters`` [width, in, out]."""
    x = _first("conv1d", value=value, input=input)
    return convolve("conv1d", "Conv1D", 1, x, filters, stride, padding, data_format, dilations, name)


def _conv1d_v2(
    input: Any, filters: Any, stride: Any, padding: Any, data_format: str = "NWC", dilations: Any = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """A convolution of ``input`` [batch, width, channels] with ``filters`` [width, in, out]."""
    return convolve("conv1d", "Conv1D", 1, input, filters, stride, padding, data_format, dilations, name)


def _conv2d_v1(
    input: Any, filter: Any = None, strides: Any = None, padding: Any = None, use_cudnn_on_gpu: bool = True,
    data_format: str = "NHWC", dilations: Any = None, name: str | None = None, filters: Any = None,
) -> Tensor:  # fmt: skip
    """A convolution of ``input`` [batch, height, width, channels] with ``filter`` [height, width, in, out]."""
    w = _first("conv2d", filter=filter, filters=filters)
    return convolve("conv2d", "Conv2D", 2, input, w, strides, padding, data_format, dilations, name)


def _conv2d_v2(
    input: Any, filters: Any, strides: Any, padding: Any, data_format: str = "NHWC", dilations: Any = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """A convolution of ``input`` [batch, height, width, channels] with ``filters`` [height, width, in, out]."""
    return convolve("conv2d", "Conv2D", 2, input, filters, strides, padding, data_format, dilations, name)


def _conv3d_v1(
    input: Any, filter: Any = None, strides: Any = None, padding: Any = None, data_format: str = "NDHWC",
    dilations: Any = None, name: str | None = None, filters: Any = None,
) -> Tensor:  # fmt: skip
    """A convolution of ``input`` [batch, depth, height, width, channels] with ``filter`` [d, h, w, in, out]."""
    w = _first("conv3d", filter=filter, filters=filters)
    return convolve("conv3d", "Conv3D", 3, input, w, strides, padding, data_format, dilations, name)


def _conv3d_v2(
    input: Any, filters: Any, strides: Any, padding: Any, data_format: str = "NDHWC", dilations: Any = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """A convolution of ``input`` [batch, depth, height, width, channels] with ``filters`` [d, h, w, in, out]."""
    return convolve("conv3d", "Conv3D", 3, input, filters, strides, padding, data_format, dilations, name)


conv1d, conv2d = by_generation(_conv1d_v1, _conv1d_v2), by_generation(_conv2d_v1, _conv2d_v2)
conv3d = by_generation(_conv3d_v1, _conv3d_v2)


def _convolution(
    input: Any, filters: Any, padding: Any, strides: Any, dilations: Any, data_format: Any, name: str | None
) -> Tensor:
    w = tensor(filters, None, input)
    count = (rank(w) or 4) - 2
    with scope(name, "convolution", input, filters):
        return convolve("convolution", f"Conv{count}D", count, input, w, strides, padding, data_format, dilations, None)


def _convolution_v1(
    input: Any, filter: Any = None, padding: Any = "VALID", strides: Any = None, dilation_rate: Any = None,
    name: str | None = None, data_format: str | None = None, filters: Any = None, dilations: Any = None,
) -> Tensor:  # fmt: skip
    """A convolution over as many spatial axes as the filter has."""
    w = _first("convolution", filter=filter, filters=filters)
    rate = dilation_rate if dilation_rate is not None else dilations
    return _convolution(input, w, padding, strides, rate, data_format, name)


def _convolution_v2(
    input: Any, filters: Any, strides: Any = None, padding: Any = "VALID", data_format: str | None = None,
    dilations: Any = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """A convolution over as many spatial axes as the filters have."""
    return _convolution(input, filters, padding, strides, dilations, data_format, name)


convolution = by_generation(_convolution_v1, _convolution_v2)


def atrous_conv2d(value: Any, filters: Any, rate: int, padding: Any, name: str | None = None) -> Tensor:
    """A convolution whose filter has ``rate - 1`` holes between its elements."""
    return convolve("atrous_conv2d", "Conv2D", 2, value, filters, 1, padding, None, int(rate), name or "atrous_conv2d")


# ---------------------------------------------------------------- transposed


def transposed(
    where: str, rank_: int, x: Any, w: Any, output_shape: Any, strides: Any, padding: Any, data_format: str | None,
    dilations: Any, name: str | None,
) -> Tensor:  # fmt: skip
    """The gradient of a convolution by its operand, as an op of its own; ``w`` [*kernel, out, in]."""
    layout = layout_for(where, rank_, data_format)
    steps = per_axis(where, "strides", strides, rank_, layout)
    places = slice(1, -1) if layout.endswith("C") else slice(2, None)
    given = getattr(output_shape, "as_list", lambda: output_shape)()
    if isinstance(given, Tensor):
        size: Any = given[places]
    else:
        listed = tuple(given) if isinstance(given, (list, tuple, np.ndarray)) else (given,)
        size = listed if len(listed) == rank_ else listed[places]
    operand = tensor(x, None, w)
    found = one(
        f"Conv{rank_}DBackpropInput" + ("V2" if rank_ == 3 else ""), name or where, conv_input_grad, operand, w,
        size=size, strides=steps, padding=padding_for(where, padding, rank_, layout),
        dilation=per_axis(where, "dilations", dilations, rank_, layout), layout=layout,
    )  # fmt: skip
    if isinstance(found, GraphTensor) and not isinstance(given, Tensor) and len(listed) == rank_ + 2:
        # The batch may be known here only.
        stated = [None if isinstance(n, Tensor) else dimension_value(n) for n in listed]
        found.set_shape([n if n is not None and n >= 0 else None for n in stated])
    return found


def _transpose_v1(rank_: int) -> Any:
    where = f"conv{rank_}d_transpose"

    def call(
        value: Any = None, filter: Any = None, output_shape: Any = None, strides: Any = None, padding: Any = "SAME",
        data_format: str | None = None, name: str | None = None, input: Any = None, filters: Any = None,
        dilations: Any = None,
    ) -> Tensor:  # fmt: skip
        """The transpose ("deconvolution") of a convolution; ``filter`` [*kernel, out, in]."""
        x, w = _first(where, value=value, input=input), _first(where, filter=filter, filters=filters)
        return transposed(where, rank_, x, w, output_shape, strides, padding, data_format, dilations, name)

    return call


def _transpose_v2(rank_: int) -> Any:
    where = f"conv{rank_}d_transpose"

    def call(
        input: Any, filters: Any, output_shape: Any, strides: Any, padding: Any = "SAME",
        data_format: str | None = None, dilations: Any = None, name: str | None = None,
    ) -> Tensor:  # fmt: skip
        """The transpose ("deconvolution") of a convolution; ``filters`` [*kernel, out, in]."""
        return transposed(where, rank_, input, filters, output_shape, strides, padding, data_format, dilations, name)

    call.__name__ = where
    return call


conv1d_transpose = by_generation(_transpose_v2(1), _transpose_v2(1))
conv2d_transpose = by_generation(_transpose_v1(2), _transpose_v2(2))
conv3d_transpose = by_generation(_transpose_v1(3), _transpose_v2(3))


def conv_transpose(
    input: Any, filters: Any, output_shape: Any, strides: Any, padding: Any = "SAME", data_format: str | None = None,
    dilations: Any = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """The transpose of a convolution over as many spatial axes as the filters have."""
    count = (rank(tensor(filters, None, input)) or 4) - 2
    return transposed(
        "conv_transpose", count, input, filters, output_shape, strides, padding, data_format, dilations, name
    )


def atrous_conv2d_transpose(
    value: Any, filters: Any, output_shape: Any, rate: int, padding: Any, name: str | None = None
) -> Tensor:
    """The transpose of ``atrous_conv2d``."""
    return transposed("atrous_conv2d_transpose", 2, value, filters, output_shape, 1, padding, None, int(rate), name)


def conv2d_backprop_input(
    input_sizes: Any, filter: Any = None, out_backprop: Any = None, strides: Any = None, padding: Any = None,
    use_cudnn_on_gpu: bool = True, data_format: str = "NHWC", dilations: Any = None, name: str | None = None,
    filters: Any = None,
) -> Tensor:  # fmt: skip
    """The gradient of ``conv2d`` by its input, of shape ``input_sizes``."""
    w = _first("conv2d_backprop_input", filter=filter, filters=filters)
    return transposed(
        "conv2d_backprop_input", 2, out_backprop, w, input_sizes, strides, padding, data_format, dilations,
        name or "Conv2DBackpropInput",
    )  # fmt: skip


def conv2d_backprop_filter(
    input: Any, filter_sizes: Any, out_backprop: Any, strides: Any, padding: Any, use_cudnn_on_gpu: bool = True,
    data_format: str = "NHWC", dilations: Any = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """The gradient of ``conv2d`` by its filter, of shape ``filter_sizes``."""
    where = "conv2d_backprop_filter"
    layout = layout_for(where, 2, data_format)
    return one(
        "Conv2DBackpropFilter", name, conv_weight_grad, input, out_backprop, size=ints(filter_sizes)[:2],
        strides=per_axis(where, "strides", strides, 2, layout), padding=padding_for(where, padding, 2, layout),
        dilation=per_axis(where, "dilations", dilations, 2, layout), layout=layout,
    )  # fmt: skip


# ---------------------------------------------------------------- channel by channel


def depthwise(
    x: Any, w: Any, strides: Any, padding: Any, data_format: str | None, dilations: Any, name: str | None
) -> Tensor:
    """``depthwise_conv2d``."""
    layout = layout_for("depthwise_conv2d", 2, data_format)
    attrs = {
        "strides": per_axis("depthwise_conv2d", "strides", strides, 2, layout),
        "padding": padding_for("depthwise_conv2d", padding, 2, layout),
        "dilation": per_axis("depthwise_conv2d", "dilations", dilations, 2, layout), "layout": layout,
    }  # fmt: skip
    with scope(name, "depthwise", x, w):
        return depthwise_conv(tensor(x, None, w), tensor(w, None, x), **attrs)


def _depthwise_v1(
    input: Any, filter: Any, strides: Any, padding: Any, rate: Any = None, name: str | None = None,
    data_format: str | None = None, dilations: Any = None,
) -> Tensor:  # fmt: skip
    """Each channel convolved by itself; ``filter`` [height, width, channels, multiplier]."""
    return depthwise(input, filter, strides, padding, data_format, rate if rate is not None else dilations, name)


def _depthwise_v2(
    input: Any, filter: Any, strides: Any, padding: Any, data_format: str | None = None, dilations: Any = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Each channel convolved by itself; ``filter`` [height, width, channels, multiplier]."""
    return depthwise(input, filter, strides, padding, data_format, dilations, name)


depthwise_conv2d = by_generation(_depthwise_v1, _depthwise_v2)


def depthwise_conv2d_native(
    input: Any, filter: Any, strides: Any, padding: Any, data_format: str = "NHWC", dilations: Any = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """The same as ``depthwise_conv2d``."""
    return depthwise(input, filter, strides, padding, data_format, dilations, name)


def separable(
    x: Any, depthwise_filter: Any, pointwise_filter: Any, strides: Any, padding: Any, data_format: str | None,
    dilations: Any, name: str | None,
) -> Tensor:  # fmt: skip
    """``separable_conv2d``."""
    with scope(name, "separable_conv2d", x, depthwise_filter, pointwise_filter):
        spread = depthwise(x, depthwise_filter, strides, padding, data_format, dilations, None)
        return convolve("separable_conv2d", "Conv2D", 2, spread, pointwise_filter, 1, "VALID", data_format, None, None)


def _separable_v1(
    input: Any, depthwise_filter: Any, pointwise_filter: Any, strides: Any, padding: Any, rate: Any = None,
    name: str | None = None, data_format: str | None = None, dilations: Any = None,
) -> Tensor:  # fmt: skip
    """``depthwise_conv2d``, then a convolution [1, 1, channels * multiplier, out] that mixes the channels."""
    rate = rate if rate is not None else dilations
    return separable(input, depthwise_filter, pointwise_filter, strides, padding, data_format, rate, name)


def _separable_v2(
    input: Any, depthwise_filter: Any, pointwise_filter: Any, strides: Any, padding: Any,
    data_format: str | None = None, dilations: Any = None, name: str | None = None,
) -> Tensor:  # fmt: skip
    """``depthwise_conv2d``, then a convolution [1, 1, channels * multiplier, out] that mixes the channels."""
    return separable(input, depthwise_filter, pointwise_filter, strides, padding, data_format, dilations, name)


separable_conv2d = by_generation(_separable_v1, _separable_v2)


# ---------------------------------------------------------------- morphology


@writable("nn.dilate")
def _dilated(x: Tensor, w: Tensor, *, holes: Any, rule: Any, steps: Any) -> Tensor:
    kernel, size = w.spec.static[:2], x.spec.static[1:3]
    spans = [(k - 1) * r + 1 for k, r in zip(kernel, holes, strict=True)]
    pairs = [same_padding(n, s, t) if rule == "SAME" else (0, 0) for n, s, t in zip(size, spans, steps, strict=True)]
    around = pad(x, widths=((0, 0), *pairs, (0, 0)), value=-math.inf)
    count = [
        (n + sum(p) - s) // t + 1 for n, p, s, t in zip(size, pairs, spans, steps, strict=True)
    ]  # fmt: skip
    shifted = []
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            rows = slice(i * holes[0], i * holes[0] + (count[0] - 1) * steps[0] + 1, steps[0])
            columns = slice(j * holes[1], j * holes[1] + (count[1] - 1) * steps[1] + 1, steps[1])
            shifted.append(add(around[:, rows, columns], w[i, j]))
    return max_over(stack(*shifted), axis=0)


def dilate(x: Any, w: Any, strides: Any, rates: Any, padding: Any, name: str | None) -> Tensor:
    """Grey-scale dilation: in each window the largest ``x + w``, by channels; ``w`` [height, width, channels]."""
    steps, holes = (per_axis("dilation2d", n, v, 2, "NHWC") for n, v in (("strides", strides), ("rates", rates)))
    rule = padding_for("dilation2d", padding, 2, "NHWC")
    return composite(
        "Dilation2D",
        name,
        functools.partial(_dilated, holes=holes, rule=rule, steps=steps),
        tensor(x, None, w),
        tensor(w, None, x),
    )


def _dilation2d_v1(
    input: Any, filter: Any = None, strides: Any = None, rates: Any = None, padding: Any = None,
    name: str | None = None, filters: Any = None, dilations: Any = None,
) -> Tensor:  # fmt: skip
    """Grey-scale dilation of ``input`` [batch, height, width, channels] by ``filter`` [height, width, channels]."""
    w, rate = _first("dilation2d", filter=filter, filters=filters), rates if rates is not None else dilations
    return dilate(input, w, strides, rate, padding, name)


def _dilation2d_v2(
    input: Any, filters: Any, strides: Any, padding: Any, data_format: str, dilations: Any, name: str | None = None
) -> Tensor:
    """Grey-scale dilation of ``input`` [batch, height, width, channels] by ``filters`` [height, width, channels]."""
    return dilate(input, filters, strides, dilations, padding, name)


def _erode(x: Any, w: Any, strides: Any, rates: Any, padding: Any, name: str | None) -> Tensor:
    with scope(name, "erosion2d", x, w):
        kernel = flip(tensor(w, None, x), axis=(0, 1))
        return negative(dilate(negative(tensor(x, None, w)), kernel, strides, rates, padding, None))


def _erosion2d_v1(value: Any, kernel: Any, strides: Any, rates: Any, padding: Any, name: str | None = None) -> Tensor:
    """Grey-scale erosion: in each window the smallest ``value - kernel``."""
    return _erode(value, kernel, strides, rates, padding, name)


def _erosion2d_v2(
    value: Any, filters: Any, strides: Any, padding: Any, data_format: str, dilations: Any, name: str | None = None
) -> Tensor:
    """Grey-scale erosion: in each window the smallest ``value - filters``."""
    return _erode(value, filters, strides, dilations, padding, name)


dilation2d = by_generation(_dilation2d_v1, _dilation2d_v2)
erosion2d = by_generation(_erosion2d_v1, _erosion2d_v2)


# ---------------------------------------------------------------- blocks of space and depth


@writable("nn.blocks")
def _blocks_of(x: Tensor, *, first: Any, to_depth: bool, block: int) -> Tensor:
    x = transpose(x, axes=(0, 2, 3, 1)) if first else x
    batch, height, width, depth = x.spec.static
    if to_depth:
        parts = reshape(x, shape=(batch, height // block, block, width // block, block, depth))
        found = reshape(
            transpose(parts, axes=(0, 1, 3, 2, 4, 5)),
            shape=(batch, height // block, width // block, block**2 * depth),
        )
    else:
        parts = reshape(x, shape=(batch, height, width, block, block, depth // block**2))
        found = reshape(
            transpose(parts, axes=(0, 1, 3, 2, 4, 5)),
            shape=(batch, height * block, width * block, depth // block**2),
        )
    return transpose(found, axes=(0, 3, 1, 2)) if first else found


def _blocks(where: str, x: Any, block: int, data_format: str, name: str | None, to_depth: bool) -> Tensor:
    first = layout_for(where, 2, data_format) == "NCHW"
    return composite(
        "SpaceToDepth" if to_depth else "DepthToSpace",
        name,
        functools.partial(_blocks_of, first=first, to_depth=to_depth, block=block),
        tensor(x),
    )


def space_to_depth(input: Any, block_size: int, name: Any = None, data_format: str = "NHWC") -> Tensor:
    """Blocks of ``block_size`` x ``block_size`` pixels as channels of one pixel."""
    return _blocks("space_to_depth", input, int(block_size), data_format, name, True)


def depth_to_space(input: Any, block_size: int, name: Any = None, data_format: str = "NHWC") -> Tensor:
    """Channels as blocks of ``block_size`` x ``block_size`` pixels: undoes ``space_to_depth``."""
    return _blocks("depth_to_space", input, int(block_size), data_format, name, False)


__all__ = [
    "atrous_conv2d", "atrous_conv2d_transpose", "conv1d", "conv1d_transpose", "conv2d", "conv2d_backprop_filter",
    "conv2d_backprop_input", "conv2d_transpose", "conv3d", "conv3d_transpose", "conv_transpose", "convolution",
    "depth_to_space", "depthwise_conv2d", "depthwise_conv2d_native", "dilation2d", "erosion2d", "separable_conv2d",
    "space_to_depth",
]  # fmt: skip

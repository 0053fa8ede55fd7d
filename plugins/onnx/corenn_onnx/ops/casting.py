"""Conversions of element types, and quantisation.

Element types that corenn lacks are converted on the host (see ``corenn_onnx.values``); what is dequantised goes on as
tensors, and gradients pass from there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import onnx

import corenn
from corenn import dtypes
from corenn.tensor import Tensor
from corenn_onnx.errors import UnsupportedOnnxError
from corenn_onnx.ops._common import positive
from corenn_onnx.ops.linear import centred
from corenn_onnx.table import onnx_op
from corenn_onnx.values import OF_ONNX, Constant, numpy_dtype, onnx_number

Host = np.ndarray[Any, Any]
TYPES = onnx.TensorProto


def _is_float(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "f" or dtype.name.startswith(("bfloat", "float"))


def _bits(dtype: np.dtype[Any]) -> int:
    """The width of an integer dtype, which for those of ``ml_dtypes`` may be less than a byte."""
    return int(dtype.name.removeprefix("u").removeprefix("int"))


def _integers(array: Host, dtype: np.dtype[Any]) -> Host:
    """Truncated towards zero, then as many low bits as the dtype has."""
    whole = np.trunc(array.astype(np.float64)).astype(np.int64) if _is_float(array.dtype) else array.astype(np.int64)
    bits = _bits(dtype)
    low = whole & ((1 << bits) - 1)
    if not dtype.name.startswith("u"):
        low = np.where(low >> (bits - 1), low - (1 << bits), low)
    return low.astype(np.int8 if not dtype.name.startswith("u") else np.uint8).astype(dtype)


#: By how much the exponent grows for a fraction of 1 to 2.
_ROUNDED: dict[str, Callable[[Host], Host]] = {
    "up": lambda fraction: fraction > 1,
    "down": lambda fraction: fraction < 1,
    "nearest": lambda fraction: fraction >= 1.5,
}


def _scales(array: Host, saturate: bool, mode: str) -> Host:
    """Powers of two from 2**-127 to 2**127 (float8e8m0): NaN for others, or the nearest end if they are to saturate."""
    if mode not in _ROUNDED:
        raise UnsupportedOnnxError("Cast", f"there is no round_mode {mode!r}", hint=f"known: {', '.join(_ROUNDED)}")
    wide = array.astype(np.float64)
    mantissa, exponent = np.frexp(np.abs(np.where(np.isfinite(wide), wide, 1)))
    code = exponent.astype(np.int64) + 126 + _ROUNDED[mode](2 * mantissa)
    code = np.where(np.isinf(wide), 255, np.where(wide == 0, -1, code))
    code = np.clip(code, 0, 254) if saturate else np.where((code < 0) | (code > 254), 255, code)
    return np.where(np.isnan(wide), 255, code).astype(np.uint8).view(ml_dtypes.float8_e8m0fnu)


def _narrow(array: Host, dtype: np.dtype[Any], saturate: bool, mode: str) -> Host:
    """Narrow floating elements, rounded to even; too large ones become the largest if they are to saturate."""
    if dtype.name == "float8_e8m0fnu":
        return _scales(array, saturate, mode)
    wide = array.astype(np.float32) if array.dtype != np.float64 else array
    if dtype.name == "float4_e2m1fn" or saturate:
        largest = float(ml_dtypes.finfo(dtype).max)
        wide = np.where(np.isnan(wide), wide, np.clip(wide, -largest, largest))
    with np.errstate(all="ignore"):
        return wide.astype(dtype)


def _text(array: Host) -> Host:
    """Numbers as text, floats with as many digits as tell them apart."""
    found = np.empty(array.shape, object)
    for place in np.ndindex(array.shape):
        item: Any = array[place]
        if _is_float(array.dtype):
            if array.dtype.name not in ("float16", "float32", "float64"):
                item = np.float32(item)
            found[place] = "NaN" if np.isnan(item) else ("INF" if item > 0 else "-INF") if np.isinf(item) else str(item)
        else:
            found[place] = str(int(item))
    return found


def _parsed(array: Host, dtype: np.dtype[Any]) -> Host:
    """Numbers read from text."""
    if _is_float(dtype):
        return np.array([float(t) for t in array.ravel()], np.float64).reshape(array.shape)
    return np.array([int(float(t)) for t in array.ravel()], np.int64).reshape(array.shape)


def converted(array: Host, number: int, saturate: bool = True, mode: str = "up") -> Host:
    """An array on the host with elements of an ONNX type."""
    target = numpy_dtype(number)
    if number == TYPES.STRING:
        return array if array.dtype == object else _text(array)
    if array.dtype == object:
        array = _parsed(array, target)
    if number == TYPES.BOOL:
        return array.astype(np.float32).astype(bool) if _is_float(array.dtype) else array.astype(bool)
    if number in OF_ONNX:
        if array.dtype.name.startswith(("float8", "float4")):
            array = array.astype(np.float32)
        elif array.dtype.name in ("int4", "uint4", "int2", "uint2"):
            array = array.astype(np.int8)
        with np.errstate(all="ignore"):
            return array.astype(target)
    if target.name.startswith("float"):
        return _narrow(array, target, saturate, mode)
    return _integers(array, target)


def _cast(x: Any, number: int, saturate: int, mode: str, node: Any) -> Any:
    foreign = isinstance(x, Constant) and x.foreign
    if number in OF_ONNX and not foreign:
        tensor = x.tensor() if isinstance(x, Constant) else x
        return tensor.cast(OF_ONNX[number])
    return converted(node.host(x, "input"), number, bool(saturate), mode)


@onnx_op("Cast", since=6, raw=("x",))
def cast(x: Any, *, node: Any, to: int, saturate: int = 1, round_mode: str = "up") -> Any:
    """Elements of another type."""
    return _cast(x, to, saturate, round_mode, node)


@onnx_op("Cast", raw=("x",))
def cast_name(x: Any, *, node: Any, to: str) -> Any:
    """Before opset 6 the type is given by its name."""
    return _cast(x, TYPES.DataType.Value(to), 1, "up", node)


@onnx_op("CastLike", raw=("x", "like"))
def cast_like(x: Any, like: Any, *, node: Any, saturate: int = 1, round_mode: str = "up") -> Any:
    """Elements of the type of another tensor."""
    return _cast(x, _number_of(like), saturate, round_mode, node)


def _number_of(x: Any) -> int:
    return onnx_number(x.host.dtype if isinstance(x, Constant) else x.dtype.numpy)


@onnx_op("BitCast", host=("x",))
def bit_cast(x: Host, *, to: int) -> Any:
    """The same bits, read as elements of another type of the same width."""
    return np.ascontiguousarray(x).view(numpy_dtype(to)).reshape(x.shape)


# ---------------------------------------------------------------- quantisation

_RANGES = {
    "int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767), "uint16": (0, 65535), "int4": (-8, 7),
    "uint4": (0, 15), "int2": (-2, 1), "uint2": (0, 3),
}  # fmt: skip


def _spread(v: Host, shape: tuple[int, ...], axis: int, block: int) -> Host:
    """Scales or zero points laid along a shape: one for all, one for each slice, or one for each block of an axis."""
    if v.ndim == 0 or (v.size == 1 and not block):
        return v.reshape(())
    axis = positive(axis, len(shape))
    if v.ndim == 1 and not block:
        return v.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    block = block or -(-shape[axis] // v.shape[axis])
    return np.take(np.repeat(v, block, axis=axis), range(shape[axis]), axis=axis)


@onnx_op("QuantizeLinear", host=("scale", "zero"))
def quantize_linear(
    x: Tensor, scale: Host, zero: Host | None = None, *, node: Any, axis: int = 1, block_size: int = 0,
    output_dtype: int = 0, precision: int = 0, saturate: int = 1,
) -> Any:  # fmt: skip
    """``round(x / scale) + zero``, limited to what the type of ``zero`` (or ``output_dtype``) holds."""
    number = output_dtype or (TYPES.UINT8 if zero is None else onnx_number(zero.dtype))
    name = numpy_dtype(number).name
    shape = tuple(x.shape)
    kind = OF_ONNX[precision] if precision else (x.dtype if scale.dtype.name == "float8_e8m0fnu" else None)
    step = _spread(scale.astype(np.float32) if kind is not None or scale.dtype == np.float16 else scale, shape, axis,
                   block_size)  # fmt: skip
    wide = x.cast(dtypes.float32)
    divided = corenn.divide(wide, np.asarray(step, np.float32))
    offset = 0.0 if zero is None else _spread(zero.astype(np.float32), shape, axis, block_size).astype(np.float32)
    if name not in _RANGES:
        return converted(node.host(corenn.add(divided, offset), "x"), number, bool(saturate))
    low, high = _RANGES[name]
    found = corenn.clip(corenn.add(corenn.round(divided), offset), min=low, max=high)
    return found.cast(OF_ONNX[number]) if number in OF_ONNX else converted(node.host(found, "x"), number)


@onnx_op("DequantizeLinear", raw=("x",), host=("scale", "zero"))
def dequantize_linear(
    x: Any, scale: Host, zero: Host | None = None, *, axis: int = 1, block_size: int = 0, output_dtype: int = 0
) -> Tensor:
    """``(x - zero) * scale``."""
    number = output_dtype or onnx_number(scale.dtype)
    target = OF_ONNX.get(number, dtypes.float32)
    if isinstance(x, Constant) and x.foreign:
        whole = corenn.asarray(x.host.astype(np.float32))
    else:
        whole = x.tensor() if isinstance(x, Constant) else x
        whole = whole.cast(dtypes.float64 if whole.dtype is dtypes.int32 else dtypes.float32)
    shape = tuple(whole.shape)
    if zero is not None:
        whole = corenn.subtract(whole, _spread(zero.astype(np.float32), shape, axis, block_size).astype(np.float32)
                                .astype(whole.dtype.numpy))  # fmt: skip
    step = _spread(scale.astype(np.float32), shape, axis, block_size)
    return corenn.multiply(whole, np.asarray(step, whole.dtype.numpy)).cast(target)


@onnx_op("DynamicQuantizeLinear")
def dynamic_quantize_linear(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Quantised to uint8 over the range of the elements and 0; also the scale and the zero point."""
    low, high = corenn.minimum(corenn.min(x), 0), corenn.maximum(corenn.max(x), 0)
    scale = corenn.divide(corenn.subtract(high, low), 255)
    scale = corenn.where(corenn.equal(scale, 0), corenn.ones_like(scale), scale)
    zero = corenn.round(corenn.clip(corenn.divide(-low, scale), min=0, max=255))
    y = corenn.clip(corenn.round(corenn.divide(x, scale)) + zero, min=0, max=255)
    return y.cast(dtypes.uint8), scale, zero.cast(dtypes.uint8)


def _requantised(found: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    """Numbers in units of ``scale`` around a zero point, in the zero point's type."""
    low, high = _RANGES[zero.dtype.name]
    steps = corenn.round(corenn.divide(found, scale)) + zero.cast(found.dtype)
    return corenn.clip(steps, min=low, max=high).cast(zero.dtype)


@onnx_op("QLinearMatMul")
def qlinear_matmul(
    a: Tensor, a_scale: Tensor, a_zero: Tensor, b: Tensor, b_scale: Tensor, b_zero: Tensor, y_scale: Tensor,
    y_zero: Tensor,
) -> Tensor:  # fmt: skip
    """The product of quantised matrices, quantised."""
    product = corenn.matmul(centred(a, a_zero, -2), centred(b, b_zero, -1)).cast(dtypes.float32)
    wide = [s.cast(dtypes.float32) for s in (a_scale, b_scale, y_scale)]
    if len(wide[0].shape) == 1 and wide[0].shape[0] != 1:
        wide[0] = corenn.expand_dims(wide[0], axis=-1)
    return _requantised(product * wide[0] * wide[1], wide[2], y_zero)


def _channels(v: Tensor, rank: int) -> Tensor:
    return corenn.reshape(v, shape=(-1, *[1] * rank)) if len(v.shape) else v


@onnx_op("ConvInteger")
def conv_integer(
    x: Tensor, w: Tensor, x_zero: Tensor | None = None, w_zero: Tensor | None = None, *, node: Any,
    auto_pad: str = "NOTSET", dilations: Any = None, group: int = 1, kernel_shape: Any = None, pads: Any = None,
    strides: Any = None,
) -> Tensor:  # fmt: skip
    """Convolution of integers around their zero points, in int32 (computed in float64, which holds it exactly)."""
    from corenn_onnx.ops.windows import convolution

    rank = len(x.shape) - 2
    images, weights = x.cast(dtypes.float64), w.cast(dtypes.float64)
    if x_zero is not None:
        images = images - x_zero.cast(dtypes.float64)
    if w_zero is not None:
        weights = weights - _channels(w_zero.cast(dtypes.float64), rank + 1)
    return convolution(
        images, weights, node=node, auto_pad=auto_pad, dilations=dilations, group=group, pads=pads, strides=strides
    ).cast(dtypes.int32)


@onnx_op("QLinearConv")
def qlinear_conv(
    x: Tensor, x_scale: Tensor, x_zero: Tensor, w: Tensor, w_scale: Tensor, w_zero: Tensor, y_scale: Tensor,
    y_zero: Tensor, b: Tensor | None = None, *, node: Any, auto_pad: str = "NOTSET", dilations: Any = None,
    group: int = 1, kernel_shape: Any = None, pads: Any = None, strides: Any = None,
) -> Tensor:  # fmt: skip
    """Convolution of quantised operands, quantised; the bias is in units of the product of both scales."""
    rank = len(x.shape) - 2
    found = conv_integer(
        x, w, x_zero, w_zero, node=node, auto_pad=auto_pad, dilations=dilations, group=group, pads=pads,
        strides=strides,
    ).cast(dtypes.float64)  # fmt: skip
    if b is not None:
        found = found + _channels(b.cast(dtypes.float64), rank)
    scale = x_scale.cast(dtypes.float64) * _channels(w_scale.cast(dtypes.float64), rank)
    return _requantised(found * scale, y_scale.cast(dtypes.float64), y_zero)

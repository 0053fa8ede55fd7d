"""Arithmetic, comparison, logic and mathematical functions, elementwise."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

import corenn
from corenn import dtypes
from corenn.tensor import Tensor
from corenn_onnx.ops._common import positive
from corenn_onnx.table import onnx_op

_UNARY: dict[str, Any] = {
    "Abs": corenn.abs, "Neg": corenn.negative, "Floor": corenn.floor, "Ceil": corenn.ceil, "Round": corenn.round,
    "Exp": corenn.exp, "Log": corenn.log, "Sqrt": corenn.sqrt, "Reciprocal": corenn.reciprocal, "Sin": corenn.sin,
    "Cos": corenn.cos, "Tan": corenn.tan, "Asin": corenn.asin, "Acos": corenn.acos, "Atan": corenn.atan,
    "Sinh": corenn.sinh, "Cosh": corenn.cosh, "Tanh": corenn.tanh, "Asinh": corenn.asinh, "Acosh": corenn.acosh,
    "Atanh": corenn.atanh, "Erf": corenn.erf, "Sign": corenn.sign, "Not": corenn.logical_not,
    "IsNaN": corenn.isnan, "BitwiseNot": corenn.bitwise_invert,
}  # fmt: skip


def _unary(name: str, compute: Callable[..., Tensor]) -> None:
    @onnx_op(name)
    def run(x: Tensor, *, consumed_inputs: Any = None) -> Tensor:
        return compute(x)


for _name, _compute in _UNARY.items():
    _unary(_name, _compute)


def _aligned(x: Tensor, y: Tensor, axis: int | None) -> Tensor:
    """``y`` with axes of extent 1 behind, as opsets before 7 lay it along the axes of ``x`` from ``axis`` on."""
    if axis is None or not len(y.shape):
        return y
    behind = len(x.shape) - positive(axis, len(x.shape)) - len(y.shape)
    return corenn.reshape(y, shape=(*y.shape, *[1] * behind)) if behind > 0 else y


def _divide(x: Tensor, y: Tensor) -> Tensor:
    """The quotient; of integers, towards zero."""
    if not x.dtype.is_integer:
        return corenn.divide(x, y)
    if x.dtype.kind == "u":
        return corenn.floor_divide(x, y)
    down = corenn.floor_divide(x, y)
    rest = corenn.subtract(x, corenn.multiply(down, y))
    step = corenn.logical_and(corenn.not_equal(rest, 0), corenn.less(down, 0))
    return corenn.add(down, step.cast(x.dtype))


def _power(x: Tensor, y: Tensor) -> Tensor:
    """``x ** y`` in the dtype of ``x``, which may be an integer where ``y`` is not."""
    if x.dtype is y.dtype:
        return corenn.power(x, y)
    if x.dtype.is_integer and y.dtype.is_integer:
        return corenn.power(x, y.cast(x.dtype))
    if x.dtype.is_floating:
        return corenn.power(x, y.cast(x.dtype))
    return corenn.power(x.cast(dtypes.float64), y.cast(dtypes.float64)).cast(x.dtype)


_BINARY: dict[str, Any] = {
    "Add": corenn.add, "Sub": corenn.subtract, "Mul": corenn.multiply, "Div": _divide, "Pow": _power,
    "And": corenn.logical_and, "Or": corenn.logical_or, "Xor": corenn.logical_xor, "Equal": corenn.equal,
    "Greater": corenn.greater, "Less": corenn.less, "GreaterOrEqual": corenn.greater_equal,
    "LessOrEqual": corenn.less_equal, "BitwiseAnd": corenn.bitwise_and, "BitwiseOr": corenn.bitwise_or,
    "BitwiseXor": corenn.bitwise_xor,
}  # fmt: skip


def _binary(name: str, compute: Callable[..., Tensor]) -> None:
    @onnx_op(name, since=7)
    def run(x: Tensor, y: Tensor) -> Tensor:
        return compute(x, y)

    @onnx_op(name)
    def run_aligned(
        x: Tensor, y: Tensor, *, axis: int | None = None, broadcast: int = 0, consumed_inputs: Any = None
    ) -> Tensor:
        return compute(x, _aligned(x, y, axis if broadcast else None))


for _name, _compute in _BINARY.items():
    if _name != "Equal":
        _binary(_name, _compute)


@onnx_op("Equal", raw=("x", "y"))
def equal(x: Any, y: Any, *, node: Any, axis: int | None = None, broadcast: int = 0) -> Any:
    """Equality; of strings as well."""
    if any(getattr(v, "foreign", False) for v in (x, y)):
        return np.asarray(node.host(x, "A") == node.host(y, "B"), bool)
    a, b = (corenn.asarray(v.tensor() if hasattr(v, "tensor") else v) for v in (x, y))
    return corenn.equal(a, _aligned(a, b, axis if broadcast else None))


@onnx_op("Mod")
def mod(x: Tensor, y: Tensor, *, fmod: int = 0) -> Tensor:
    """The remainder with the sign of the divisor, or with ``fmod`` of the dividend."""
    if not fmod:
        return corenn.remainder(x, y)
    if x.dtype.is_integer:
        return corenn.subtract(x, corenn.multiply(_divide(x, y), y))
    return corenn.subtract(x, corenn.multiply(corenn.trunc(corenn.divide(x, y)), y))


@onnx_op("BitShift")
def bit_shift(x: Tensor, y: Tensor, *, direction: str) -> Tensor:
    """Shifted bits."""
    return (corenn.bitwise_left_shift if direction == "LEFT" else corenn.bitwise_right_shift)(x, y)


def _variadic(name: str, compute: Callable[..., Tensor]) -> None:
    @onnx_op(name)
    def run(*tensors: Tensor, consumed_inputs: Any = None) -> Tensor:
        return compute(tensors)


_VARIADIC: dict[str, Any] = {
    "Max": lambda xs: functools.reduce(corenn.maximum, xs),
    "Min": lambda xs: functools.reduce(corenn.minimum, xs),
    "Sum": lambda xs: functools.reduce(corenn.add, xs),
    "Mean": lambda xs: corenn.divide(functools.reduce(corenn.add, xs), len(xs)),
}
for _name, _compute in _VARIADIC.items():
    _variadic(_name, _compute)


@onnx_op("IsInf")
def is_inf(x: Tensor, *, detect_negative: int = 1, detect_positive: int = 1) -> Tensor:
    """Where the elements are infinite, of the signs asked for."""
    found = corenn.isinf(x)
    if not detect_negative:
        found = corenn.logical_and(found, corenn.greater(x, 0))
    if not detect_positive:
        found = corenn.logical_and(found, corenn.less(x, 0))
    return found


def limited(x: Tensor, low: Any, high: Any) -> Tensor:
    """``x`` at least ``low``, then at most ``high``; either may be absent."""
    if low is not None:
        x = corenn.maximum(x, low)
    return x if high is None else corenn.minimum(x, high)


@onnx_op("Clip", since=11)
def clip(x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """Limited to bounds given as tensors."""
    return limited(x, low, high)


@onnx_op("Clip")
def clip_attributes(
    x: Tensor, *, min: float | None = None, max: float | None = None, consumed_inputs: Any = None
) -> Tensor:
    """Limited to bounds given as attributes."""
    return corenn.clip(x, min=min, max=max)


@onnx_op("Where", raw=("x", "y"))
def where(condition: Tensor, x: Any, y: Any, *, node: Any) -> Any:
    """Elements of one tensor or the other."""
    if any(getattr(v, "foreign", False) for v in (x, y)):
        return np.where(node.host(condition, "condition"), node.host(x, "X"), node.host(y, "Y"))
    a, b = (v.tensor() if hasattr(v, "tensor") else v for v in (x, y))
    return corenn.where(condition, a, b)


@onnx_op("Identity", "Optional", raw=("x",))
def identity(x: Any = None, *, type: Any = None) -> Any:
    """The same value, of whatever kind."""
    return x

"""Elementwise mathematics: one operation for each call."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import corenn
from corenn import dtypes
from corenn.graph.text import is_text
from corenn.tensor import Tensor
from corenn_tensorflow import framework, mode
from corenn_tensorflow.framework import as_dtype, convert_to_tensor, matching
from corenn_tensorflow.functions.calling import composite, operand, unary
from corenn_tensorflow.sparse import SparseTensor
from corenn_tensorflow.writing import writable

_UNARY: dict[str, tuple[str, Callable[..., Any], str]] = {
    "acos": ("Acos", corenn.acos, "Inverse cosine."),
    "acosh": ("Acosh", corenn.acosh, "Inverse hyperbolic cosine."),
    "asin": ("Asin", corenn.asin, "Inverse sine."),
    "asinh": ("Asinh", corenn.asinh, "Inverse hyperbolic sine."),
    "atan": ("Atan", corenn.atan, "Inverse tangent."),
    "atanh": ("Atanh", corenn.atanh, "Inverse hyperbolic tangent."),
    "ceil": ("Ceil", corenn.ceil, "The least integer that is not below."),
    "cos": ("Cos", corenn.cos, "Cosine."),
    "cosh": ("Cosh", corenn.cosh, "Hyperbolic cosine."),
    "digamma": ("Digamma", corenn.digamma, "Derivative of the logarithm of the gamma function."),
    "erf": ("Erf", corenn.erf, "Error function."),
    "erfc": ("Erfc", corenn.erfc, "One minus the error function."),
    "erfinv": ("Erfinv", corenn.erfinv, "Inverse of the error function."),
    "exp": ("Exp", corenn.exp, "e to the power x."),
    "expm1": ("Expm1", corenn.expm1, "e to the power x, minus 1."),
    "floor": ("Floor", corenn.floor, "The greatest integer that is not above."),
    "is_finite": ("IsFinite", corenn.isfinite, "Which elements are finite."),
    "is_inf": ("IsInf", corenn.isinf, "Which elements are infinite."),
    "is_nan": ("IsNan", corenn.isnan, "Which elements are NaN."),
    "lgamma": ("Lgamma", corenn.lgamma, "Logarithm of the absolute value of the gamma function."),
    "log": ("Log", corenn.log, "Natural logarithm."),
    "log1p": ("Log1p", corenn.log1p, "Natural logarithm of 1 + x."),
    "logical_not": ("LogicalNot", corenn.logical_not, "Elementwise not."),
    "negative": ("Neg", corenn.negative, "-x."),
    "reciprocal": ("Reciprocal", corenn.reciprocal, "1/x."),
    "rint": ("Rint", corenn.round, "The nearest integer, halves to the even one."),
    "rsqrt": ("Rsqrt", corenn.rsqrt, "1/sqrt(x)."),
    "sigmoid": ("Sigmoid", corenn.nn.sigmoid, "1/(1 + exp(-x))."),
    "sin": ("Sin", corenn.sin, "Sine."),
    "sinh": ("Sinh", corenn.sinh, "Hyperbolic sine."),
    "softplus": ("Softplus", corenn.nn.softplus, "log(1 + exp(x))."),
    "sqrt": ("Sqrt", corenn.sqrt, "Square root."),
    "square": ("Square", corenn.square, "x*x."),
    "tan": ("Tan", corenn.tan, "Tangent."),
    "tanh": ("Tanh", corenn.tanh, "Hyperbolic tangent."),
}
_UNARY_MADE: dict[str, Callable[..., Any]] = {}
for _name, (_type, _function, _doc) in _UNARY.items():
    _UNARY_MADE[_name] = unary(_type, _function, _doc)
    _UNARY_MADE[_name].__name__ = _name
globals().update(_UNARY_MADE)


def _on_values(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, also of sparse tensors: applied to their values."""

    def call(x: Any, name: str | None = None) -> Any:
        if isinstance(x, SparseTensor):
            return SparseTensor(x.indices, function(x.values, name=name), x.dense_shape)
        return function(x, name=name)

    call.__doc__, call.__name__ = function.__doc__, function.__name__
    return call


for _name in ("negative", "square", "sqrt", "tanh", "erf", "sigmoid"):
    globals()[_name] = _on_values(_UNARY_MADE[_name])


def abs(x: Any, name: str | None = None) -> Any:
    """|x|; of complex numbers, their modulus."""
    if isinstance(x, SparseTensor):
        return SparseTensor(x.indices, abs(x.values), x.dense_shape)
    x = operand(x)
    return mode.one("ComplexAbs" if x.dtype.kind == "c" else "Abs", name, corenn.abs, x)


def sign(x: Any, name: str | None = None) -> Any:
    """-1, 0 or 1."""
    return mode.one("Sign", name, corenn.sign, operand(x))


def round(x: Any, name: str | None = None) -> Any:
    """The nearest integer, halves to the even one; integers stay."""
    x = operand(x)
    return x if x.dtype.is_integer else mode.one("Round", name, corenn.round, x)


def cast(x: Any, dtype: Any, name: str | None = None) -> Any:
    """The values converted to ``dtype``; fractions are cut off towards zero."""
    wanted = as_dtype(dtype)
    if isinstance(x, SparseTensor):
        return SparseTensor(x.indices, cast(x.values, wanted), x.dense_shape)
    x = operand(x)
    if x.dtype is wanted:
        return convert_to_tensor(x)
    if x.dtype.kind == "c" and wanted.kind != "c":
        x = corenn.real(x)
    return mode.one("Cast", name, corenn.cast, x, dtype=wanted)


def saturate_cast(value: Any, dtype: Any, name: str | None = None) -> Any:
    """The values converted to ``dtype``, clipped to what it holds."""
    wanted, x = as_dtype(dtype), operand(value)
    with mode.scope(name, "saturate_cast", x):
        low, high = wanted.min, wanted.max
        return cast(clip_by_value(x, x.dtype.numpy.type(low), x.dtype.numpy.type(high)), wanted)


def _to(dtype: str, default: str) -> Callable[..., Any]:
    def call(x: Any, name: str | None = None) -> Any:
        return cast(x, dtype, name=name or default)

    call.__doc__ = f"The values as {dtype}."
    return call


to_float, to_double = _to("float32", "ToFloat"), _to("float64", "ToDouble")
to_int32, to_int64 = _to("int32", "ToInt32"), _to("int64", "ToInt64")
to_bfloat16 = _to("bfloat16", "ToBFloat16")
to_complex64, to_complex128 = _to("complex64", "ToComplex64"), _to("complex128", "ToComplex128")


def _binary(
    type_name: str, function: Callable[..., Any], doc: str, dtype: Any = None, default: str | None = None
) -> Callable[..., Any]:
    def call(x: Any, y: Any, name: str | None = None) -> Any:
        if x.__class__ is Tensor and y.__class__ is Tensor and x.dtype is y.dtype and mode.executing_eagerly():
            return function(x, y)  # the common call, without looking for graphs
        name = name or default
        if type_name == "Add" and (is_text(x) or is_text(y)):
            from corenn_tensorflow.functions.text import string_join

            return string_join([x, y], name=name)
        graph = mode.graph_for((x, y))
        if graph is None:
            return function(*matching(type_name, *_of(dtype, x, y)))
        with graph.as_default():
            scope = graph.unique_name(name or type_name, mark=False)
            pair = matching(type_name, *_of(dtype, x, y), names=(f"{scope}/x/", f"{scope}/y/"))
            return mode.one(type_name, name, function, *pair)

    call.__doc__ = doc
    return call


def _of(dtype: Any, *values: Any) -> tuple[Any, ...]:
    """The values; numbers among them of ``dtype``, if there is one."""
    if dtype is None:
        return values
    return tuple(v if isinstance(v, Tensor) else convert_to_tensor(v, dtype) for v in values)


add = _binary("Add", corenn.add, "x + y.")
subtract = _binary("Sub", corenn.subtract, "x - y.")
multiply = _binary("Mul", corenn.multiply, "x * y.")
maximum = _binary("Maximum", corenn.maximum, "The greater of two.")
minimum = _binary("Minimum", corenn.minimum, "The lesser of two.")
mod = floormod = _binary("FloorMod", corenn.remainder, "The remainder of ``floordiv``; it has the sign of y.")
floordiv = _binary("FloorDiv", corenn.floor_divide, "x / y, rounded down.", default="floordiv")
floor_div = floordiv
squared_difference = _binary("SquaredDifference", corenn.squared_difference, "(x - y)**2.")
atan2 = _binary("Atan2", corenn.atan2, "The angle of the point (x, y); the first argument is y.")
greater = _binary("Greater", corenn.greater, "x > y.")
greater_equal = _binary("GreaterEqual", corenn.greater_equal, "x >= y.")
less = _binary("Less", corenn.less, "x < y.")
less_equal = _binary("LessEqual", corenn.less_equal, "x <= y.")
logical_and = _binary("LogicalAnd", corenn.logical_and, "x and y.", "bool")
logical_or = _binary("LogicalOr", corenn.logical_or, "x or y.", "bool")
logical_xor = _binary("LogicalXor", corenn.logical_xor, "One of x and y, not both.", "bool")
truediv = _binary("RealDiv", framework._true_divide, "x / y; integers are divided as floating-point numbers.",
                  default="truediv")  # fmt: skip
xlogy = _binary("Xlogy", corenn.xlogy, "x * log(y), 0 where x is 0.")
bitwise_and = _binary("BitwiseAnd", corenn.bitwise_and, "Bits of both.")
bitwise_or = _binary("BitwiseOr", corenn.bitwise_or, "Bits of either.")
bitwise_xor = _binary("BitwiseXor", corenn.bitwise_xor, "Bits of one.")
left_shift = _binary("LeftShift", corenn.bitwise_left_shift, "Bits moved up.")
right_shift = _binary("RightShift", corenn.bitwise_right_shift, "Bits moved down.")
invert = unary("Invert", corenn.bitwise_invert, "All bits changed.")


@writable("text_comparison")
def _text_comparison_compare(a: Any, b: Any, *, same: bool) -> Any:
    found = _encoded(a) == _encoded(b)
    return found if same else ~found


def _text_comparison(x: Any, y: Any, same: bool, name: str | None) -> Any:
    """Comparison of strings, on the host."""
    from corenn_tensorflow.functions.text import on_host

    return on_host(
        "Equal" if same else "NotEqual", name, functools.partial(_text_comparison_compare, same=same), [x, y], "bool"
    )


def _encoded(array: Any) -> Any:
    import numpy as np

    return np.vectorize(lambda v: v.encode() if isinstance(v, str) else v, otypes=[object])(np.asarray(array, object))


def _equality(type_name: str, function: Callable[..., Any], same: bool) -> Callable[..., Any]:
    numbers = _binary(type_name, function, "")

    def call(x: Any, y: Any, name: str | None = None) -> Any:
        textual = [v for v in (x, y) if getattr(v, "dtype", None) is dtypes.string or isinstance(v, (str, bytes))]
        if textual:
            return _text_comparison(operand(x), operand(y), same, name)
        return numbers(x, y, name=name)

    call.__doc__ = "x == y, for each element." if same else "x != y, for each element."
    return call


equal = _equality("Equal", corenn.equal, True)
not_equal = _equality("NotEqual", corenn.not_equal, False)


def pow(x: Any, y: Any, name: str | None = None) -> Any:
    """x to the power y."""
    return _pow(x, y, name=name)


_pow = _binary("Pow", corenn.power, "x to the power y.")


def scalar_mul(scalar: Any, x: Any, name: str | None = None) -> Any:
    """A scalar times a tensor."""
    from corenn_tensorflow.sparse import IndexedSlices

    if isinstance(x, IndexedSlices):
        return IndexedSlices(multiply(scalar, x.values), x.indices, x.dense_shape)
    x = operand(x)
    factor = convert_to_tensor(scalar, x.dtype)
    if len(framework.static_shape(factor) or ()) != 0:
        raise ValueError("Only scalar multiply works, got shape " + str(framework.static_shape(factor)))
    return multiply(factor, x, name=name)


def div(x: Any, y: Any, name: str | None = None) -> Any:
    """Python 2's division: rounded down for integers."""
    x, y = matching("div", x, y)
    return (
        floordiv(x, y, name=name or "div")
        if x.dtype.is_integer
        else mode.one("RealDiv", name or "div", corenn.divide, x, y)
    )


def divide(x: Any, y: Any, name: str | None = None) -> Any:
    """x / y as Python's operator."""
    return truediv(x, y, name=name or "truediv")


realdiv = truediv


def truncatediv(x: Any, y: Any, name: str | None = None) -> Any:
    """x / y, rounded towards zero."""
    x, y = matching("TruncateDiv", x, y)
    return composite("TruncateDiv", name, _truncated, x, y)


@writable("truncatediv")
def _truncated(x: Any, y: Any) -> Any:
    down = corenn.floor_divide(x, y)
    exact = corenn.equal(down * y, x)
    return corenn.where(corenn.logical_and(corenn.less(down, 0), corenn.logical_not(exact)), down + 1, down)


@writable("truncatemod")
def _truncatemod_of(a: Any, b: Any) -> Any:
    return a - corenn.trunc(a / b) * b


@writable("truncatemod_real")
def _truncatemod_of_2(a: Any, b: Any) -> Any:
    return a - _truncated(a, b) * b


def truncatemod(x: Any, y: Any, name: str | None = None) -> Any:
    """The remainder of ``truncatediv``; it has the sign of x."""
    x, y = matching("TruncateMod", x, y)
    if x.dtype.is_integer:
        return composite("TruncateMod", name, _truncatemod_of_2, x, y)
    return composite("TruncateMod", name, _truncatemod_of, x, y)


@writable("div_no_nan")
def _quotient(x: Any, y: Any) -> Any:
    zero = corenn.equal(y, 0)
    return corenn.where(zero, corenn.zeros_like(y), corenn.divide(x, corenn.where(zero, corenn.ones_like(y), y)))


def div_no_nan(x: Any, y: Any, name: str | None = None) -> Any:
    """x / y, and 0 where y is 0."""
    return composite("DivNoNan", name or "div_no_nan", _quotient, *matching("DivNoNan", x, y))


divide_no_nan = div_no_nan


@writable("multiply_no_nan")
def _multiply_no_nan_product(a: Any, b: Any) -> Any:
    zero = corenn.equal(b, 0)
    return corenn.where(zero, corenn.zeros_like(b), corenn.where(zero, corenn.ones_like(b), a) * b)


def multiply_no_nan(x: Any, y: Any, name: str | None = None) -> Any:
    """x * y, and 0 where y is 0, even if x is not finite."""
    return composite("MulNoNan", name, _multiply_no_nan_product, *matching("MulNoNan", x, y))


def reciprocal_no_nan(x: Any, name: str | None = None) -> Any:
    """1/x, and 0 where x is 0."""
    return div_no_nan(1.0, x, name=name or "reciprocal_no_nan")


@writable("log_sigmoid")
def _log_sigmoid_of(a: Any) -> Any:
    return -corenn.nn.softplus(-a)


def log_sigmoid(x: Any, name: str | None = None) -> Any:
    """log(sigmoid(x)), without overflow."""
    x = operand(x)
    return composite("LogSigmoid", name, _log_sigmoid_of, x)


def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: str | None = None) -> Any:
    """``t`` with values below the minimum and above the maximum replaced by these."""
    x = operand(t)
    with mode.scope(name, "clip_by_value", x, clip_value_min, clip_value_max):
        low = convert_to_tensor(clip_value_min, None if isinstance(clip_value_min, Tensor) else x.dtype)
        high = convert_to_tensor(clip_value_max, None if isinstance(clip_value_max, Tensor) else x.dtype)
        return maximum(minimum(x, high), low)


def real(input: Any, name: str | None = None) -> Any:  # TensorFlow's name
    """The real part."""
    x = operand(input)
    return mode.one("Real", name, corenn.real, x) if x.dtype.kind == "c" else x


def imag(input: Any, name: str | None = None) -> Any:
    """The imaginary part."""
    x = operand(input)
    return mode.one("Imag", name, corenn.imag, x) if x.dtype.kind == "c" else corenn.zeros_like(x)


def conj(x: Any, name: str | None = None) -> Any:
    """The conjugate."""
    x = operand(x)
    return mode.one("Conj", name, corenn.conj, x) if x.dtype.kind == "c" else x


def angle(input: Any, name: str | None = None) -> Any:
    """The argument of complex numbers."""
    return mode.one("Angle", name, corenn.angle, operand(input))


@writable("complex")
def _complex_join(x: Any, y: Any, *, wanted: Any) -> Any:
    return corenn.cast(x, dtype=wanted) + corenn.cast(y, dtype=wanted) * corenn.tensor(1j, dtype=wanted)


def complex(real: Any, imag: Any, name: str | None = None) -> Any:
    """Complex numbers of their parts."""
    a, b = matching("Complex", real, imag)
    wanted = dtypes.complex128 if a.dtype is dtypes.float64 else dtypes.complex64
    return composite("Complex", name, functools.partial(_complex_join, wanted=wanted), a, b)


@writable("add_n")
def _add_n_total(*parts: Any) -> Any:
    found = parts[0]
    for part in parts[1:]:
        found = corenn.add(found, part)
    return found


def add_n(inputs: Any, name: str | None = None) -> Any:
    """The sum of tensors of one shape."""
    from corenn_tensorflow.sparse import IndexedSlices

    listed = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    if not listed:
        raise ValueError(
            "inputs must be an iterable of at least one Tensor/IndexedSlices with the same dtype and shape"
        )
    tensors = [convert_to_tensor(i) if isinstance(i, IndexedSlices) else operand(i) for i in listed]
    if len(tensors) == 1:
        return mode.one("Identity", name, corenn.identity, tensors[0])
    return composite("AddN", name, _add_n_total, *tensors)


def accumulate_n(inputs: Any, shape: Any = None, tensor_dtype: Any = None, name: str | None = None) -> Any:
    """The sum of tensors of one shape."""
    return add_n(inputs, name=name or "AccumulateNV2")


def polyval(coeffs: Any, x: Any, name: str | None = None) -> Any:
    """A polynomial at ``x``; the first coefficient belongs to the highest power."""
    if not isinstance(coeffs, list):
        raise ValueError(f"Argument coeffs must be list type. Received type {type(coeffs)}.")
    x = operand(x)
    with mode.scope(name, "polyval", x, coeffs):
        if not coeffs:
            return corenn.zeros_like(x)
        found = corenn.zeros_like(x) + coeffs[0]
        for c in coeffs[1:]:
            found = found * x + c
        return found


def _special(type_name: str, function: Callable[..., Any], doc: str) -> Callable[..., Any]:
    def call(x: Any, name: str | None = None) -> Any:
        return composite(type_name, name, function, operand(x))

    call.__doc__ = doc
    return call


@writable("softsign")
def _softsign(x: Any) -> Any:
    return x / (corenn.abs(x) + 1)


@writable("lbeta")
def _lbeta(x: Any) -> Any:
    return corenn.sum(corenn.lgamma(x), axis=-1) - corenn.lgamma(corenn.sum(x, axis=-1))


@writable("ndtri")
def _ndtri(x: Any) -> Any:
    return corenn.erfinv(x * 2 - 1) * (2.0**0.5)


softsign = _special("Softsign", _softsign, "x / (|x| + 1).")
lbeta = _special("Lbeta", _lbeta, "Logarithm of the multivariate beta function along the last axis.")
ndtri = _special("Ndtri", _ndtri, "Quantile of the normal distribution.")


def polygamma(a: Any, x: Any, name: str | None = None) -> Any:
    """The derivative of order ``a`` of ``digamma``; ``a`` is one known number."""
    from corenn_tensorflow.functions.calling import python_value

    order = python_value(operand(a))
    if not isinstance(order, (int, float)):
        raise ValueError("polygamma: corenn takes one order, a plain number")
    return mode.one("Polygamma", name, corenn.polygamma, operand(x), n=int(order))


__all__ = sorted({
    *_UNARY, "abs", "accumulate_n", "add", "add_n", "angle", "atan2", "bitwise_and", "bitwise_or", "bitwise_xor",
    "cast", "clip_by_value", "complex", "conj", "div", "div_no_nan", "divide", "divide_no_nan", "equal", "floor_div",
    "floordiv", "floormod", "greater", "greater_equal", "imag", "invert", "lbeta", "left_shift", "less", "less_equal",
    "log_sigmoid", "logical_and", "logical_or", "logical_xor", "maximum", "minimum", "mod", "multiply",
    "multiply_no_nan", "ndtri", "not_equal", "polygamma", "polyval", "pow", "real", "realdiv", "reciprocal_no_nan",
    "right_shift", "round", "saturate_cast", "scalar_mul", "sign", "softsign", "squared_difference", "subtract",
    "to_bfloat16", "to_complex128", "to_complex64", "to_double", "to_float", "to_int32", "to_int64", "truediv",
    "truncatediv", "truncatemod", "xlogy",
})  # fmt: skip

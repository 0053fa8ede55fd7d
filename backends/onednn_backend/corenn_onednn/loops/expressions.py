"""The scalar expression of every op that loops can hold: one table, and which calls it covers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.compiler.passes.axes import REDUCTIONS, RESHAPES
from corenn.compiler.program import Call, Symbol
from corenn.dtypes import DType
from corenn_onednn.loops.ir import (
    NARROW,
    Const,
    Expr,
    add,
    apply,
    at_least,
    at_most,
    compare,
    convert,
    div,
    mul,
    neg,
    register_dtype,
    sub,
    where,
)

Builder = Callable[..., Expr]
#: Op name to a function of the operands (in registers) and, by name, the attributes.
EXPRESSIONS: dict[str, Builder] = {}

_SATURATED, _VANISHED = 40.0, -1000.0  # as in ``corenn.ops.activations``
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805
_ROOT_2_OVER_PI = math.sqrt(2 / math.pi)


def _is(name: str) -> Callable[[Builder], Builder]:
    def declare(function: Builder) -> Builder:
        EXPRESSIONS[name] = function
        return function

    return declare


def like(value: float, x: Expr) -> Const:
    """A number of the dtype of ``x``."""
    return Const(x.dtype, value)


# ---------------------------------------------------------------- arithmetic

EXPRESSIONS |= {
    "add": add,
    "subtract": sub,
    "multiply": mul,
    "negative": neg,
    "square": lambda x: mul(x, x),
    "squared_difference": lambda x, y: mul(sub(x, y), sub(x, y)),
    "abs": lambda x: apply("abs", x),
    "reciprocal": lambda x: div(like(1.0, x), x),
    "rsqrt": lambda x: apply("rsqrt", x),
    "sqrt": lambda x: apply("sqrt", x),
    "maximum": lambda x, y: apply("max", x, y),
    "minimum": lambda x, y: apply("min", x, y),
    "identity": lambda x: x,
    "stop_gradient": lambda x: x,
    "broadcast_to": lambda x, shape: x,
    "where": where,
    "gate": lambda x, condition: where(condition, x, like(0, x)),
    "logical_and": lambda x, y: apply("and", x, y),
    "logical_or": lambda x, y: apply("or", x, y),
    "logical_xor": lambda x, y: apply("xor", x, y),
    "logical_not": lambda x: apply("not", x),
    "bitwise_and": lambda x, y: apply("and", x, y),
    "bitwise_or": lambda x, y: apply("or", x, y),
    "bitwise_xor": lambda x, y: apply("xor", x, y),
    "bitwise_invert": lambda x: apply("not", x),
}
EXPRESSIONS |= {
    name: (lambda x, y, op=op: compare(op, x, y))
    for name, op in (
        ("equal", "eq"), ("not_equal", "ne"), ("less", "lt"), ("less_equal", "le"), ("greater", "gt"),
        ("greater_equal", "ge"),
    )
}  # fmt: skip
EXPRESSIONS |= {
    name: (lambda x, name=name: apply(name, x))
    for name in ("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "tanh", "erf", "erfc", "sigmoid")
}


def _rounding(name: str) -> Builder:
    return lambda x: apply(name, x) if x.dtype.is_floating else x


EXPRESSIONS |= {name: _rounding(name) for name in ("floor", "ceil", "trunc", "round")}


@_is("divide")
def _divide(x: Expr, y: Expr) -> Expr:
    if x.dtype.is_integer:
        x, y = convert(x, dtypes.float32), convert(y, dtypes.float32)
    return div(x, y)


@_is("sign")
def _sign(x: Expr) -> Expr:
    positive = where(compare("gt", x, like(0, x)), like(1, x), x)
    return where(compare("lt", x, like(0, x)), like(-1, x), positive) if x.dtype.kind != "u" else positive


@_is("isnan")
def _isnan(x: Expr) -> Expr:
    return apply("isnan", x, dtype=dtypes.bool_)


@_is("isinf")
def _isinf(x: Expr) -> Expr:
    return compare("eq", apply("abs", x), like(math.inf, x))


@_is("isfinite")
def _isfinite(x: Expr) -> Expr:
    return compare("lt", apply("abs", x), like(math.inf, x))


@_is("clip")
def _clip(x: Expr, *, min: float | None, max: float | None) -> Expr:
    if x.dtype.is_integer:
        min, max = None if min is None else math.ceil(min), None if max is None else math.floor(max)
    x = x if min is None else at_least(x, like(min, x))
    return x if max is None else at_most(x, like(max, x))


def cast(x: Expr, dtype: DType) -> Expr:
    """``corenn.cast``: dtypes that registers do not hold are rounded to all the same."""
    found = convert(x, register_dtype(dtype))
    return apply(f"round_{dtype.name}", found) if dtype in NARROW else found


EXPRESSIONS["cast"] = lambda x, *, dtype: cast(x, dtype)

#: Exponents that are products and roots.
_POWERS: dict[float, Builder] = {
    0.5: lambda x: apply("sqrt", x), -0.5: lambda x: apply("rsqrt", x),
    1.0: lambda x: x, -1.0: lambda x: div(like(1.0, x), x), -2.0: lambda x: div(like(1.0, x), mul(x, x)),
    2.0: lambda x: mul(x, x), 3.0: lambda x: mul(mul(x, x), x), 4.0: lambda x: mul(mul(x, x), mul(x, x)),
}  # fmt: skip


@_is("power")
def _power(x: Expr, y: Expr) -> Expr:
    assert isinstance(y, Const)  # ``expressible`` has looked
    return _POWERS[float(y.value)](x)


# ---------------------------------------------------------------- activations, as in ``corenn.ops.activations``


def _fraction(power: Expr) -> Expr:
    return div(power, add(power, like(1.0, power)))


def _below(x: Expr, bound: float) -> Expr:
    return at_most(x, like(bound, x))


def _above(x: Expr, bound: float) -> Expr:
    return at_least(x, like(bound, x))


def _exp(x: Expr) -> Expr:
    return apply("exp", x)


def _times(x: Expr, factor: float) -> Expr:
    return mul(x, like(factor, x))


def _softplus_of_minus_size(x: Expr) -> Expr:
    return apply("log1p", _exp(neg(apply("abs", x))))


EXPRESSIONS |= {
    "relu": lambda x: _above(x, 0),
    "relu6": lambda x: _below(_above(x, 0.0), 6.0),
    "hard_tanh": lambda x: _below(_above(x, -1.0), 1.0),
    "hard_sigmoid": lambda x: div(_below(_above(add(x, like(3.0, x)), 0.0), 6.0), like(6.0, x)),
    "leaky_relu": lambda x, *, alpha: where(compare("gt", x, like(0.0, x)), x, _times(x, alpha)),
    "prelu": lambda x, a: where(compare("gt", x, like(0.0, x)), x, mul(a, x)),
    "threshold": lambda x, *, theta, value: where(compare("le", x, like(theta, x)), like(value, x), x),
    "log_sigmoid": lambda x: sub(_below(x, 0.0), _softplus_of_minus_size(x)),
    "softplus": lambda x: add(_above(x, 0.0), _softplus_of_minus_size(x)),
    "silu": lambda x: mul(_above(x, _VANISHED), _fraction(_exp(_below(x, _SATURATED)))),
    "elu": lambda x, *, alpha: add(_above(x, 0.0), _times(apply("expm1", _below(x, 0.0)), alpha)),
    "selu": lambda x: add(
        _times(_above(x, 0.0), _SELU_SCALE), _times(apply("expm1", _below(x, 0.0)), _SELU_SCALE * _SELU_ALPHA)
    ),
}


@_is("hard_swish")
def _hard_swish(x: Expr) -> Expr:
    inner = _above(x, -3.0)
    return mul(inner, div(_below(add(inner, like(3.0, x)), 6.0), like(6.0, x)))


@_is("softsign")
def _softsign(x: Expr) -> Expr:
    x = _below(_above(x, -1e30), 1e30)
    return div(x, add(apply("abs", x), like(1.0, x)))


@_is("mish")
def _mish(x: Expr) -> Expr:
    power = _exp(_below(x, 20.0))
    n = mul(power, add(power, like(2.0, x)))
    return mul(_above(x, _VANISHED), div(n, add(n, like(2.0, x))))


@_is("celu")
def _celu(x: Expr, *, alpha: float) -> Expr:
    return add(_above(x, 0.0), _times(apply("expm1", div(_below(x, 0.0), like(alpha, x))), alpha))


@_is("gelu")
def _gelu(x: Expr, *, approximate: bool) -> Expr:
    if approximate:
        inner = _below(_above(x, -100.0), 100.0)
        cubic = add(_times(mul(inner, inner), 2 * _ROOT_2_OVER_PI * 0.044715), like(2 * _ROOT_2_OVER_PI, x))
        return mul(_above(x, -100.0), _fraction(_exp(_below(mul(inner, cubic), _SATURATED))))
    size = apply("abs", x)
    return sub(_above(x, 0.0), mul(_below(size, 100.0), apply("upper_tail", size)))


# ---------------------------------------------------------------- what can be expressed

#: Ops of which only float32 (and 16-bit floats, which are computed in it) have code; float64 calls the C library.
_DTYPES = frozenset(
    {
        dtypes.bool_, dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64, dtypes.uint8, dtypes.uint16, dtypes.uint32,
        dtypes.uint64, dtypes.float32, dtypes.float64, dtypes.bfloat16, dtypes.float16,
    }
)  # fmt: skip
#: Results larger than this are not made of nothing.
_EXTENT = 2**48


def number_in(symbol: Symbol | None) -> Any | None:
    """The one number of a constant; ``None`` for anything else."""
    if symbol is None or not symbol.constant or symbol.spec.size != 1:
        return None
    return np.asarray(symbol.array).reshape(()).item()


def expressible(call: Call) -> bool:
    """Whether this call can stand inside a group that becomes loops: its op, dtypes, extents and attributes."""
    if not isinstance(call, Call) or len(call.outputs) != 1:
        return False
    name = call.name
    values = [s for s in (*call.inputs, *call.outputs) if s is not None]
    if any(None in s.spec.shape or not 0 < s.spec.size < _EXTENT or s.spec.dtype not in _DTYPES for s in values):
        return False
    if any(s.spec.dtype is dtypes.float16 for s in values) and not _has_half():
        return False
    out = call.outputs[0].spec.dtype
    if name in RESHAPES:
        return True
    if name == "random_uniform":
        return out is dtypes.float32
    if name == "full":
        return True
    if name == "arange":
        attrs = call.plan.attrs
        return out.is_integer or all(float(attrs[k]).is_integer() for k in ("start", "step"))
    if name in REDUCTIONS:
        return _reducible(name, call)
    if name == "power":
        return out in (dtypes.float32, dtypes.float64) and number_in(call.inputs[1]) in _POWERS
    return name in EXPRESSIONS and None not in call.inputs


def _reducible(name: str, call: Call) -> bool:
    assert call.inputs[0] is not None  # a reduction has an operand
    source = call.inputs[0].spec.dtype
    if source in NARROW:
        return name in ("max", "min", "sum", "mean")
    return name in ("any", "all", "count_nonzero") or source is not dtypes.bool_


def _has_half() -> bool:
    from corenn_onednn.loops.compiling import machine

    return machine().has_half

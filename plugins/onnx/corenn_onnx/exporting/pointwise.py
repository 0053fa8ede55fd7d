"""Emitters of elementwise ops."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from corenn import dtypes
from corenn_onnx.exporting.emitter import CallUse, Emitter, Use
from corenn_onnx.exporting.table import emits
from corenn_onnx.values import TO_ONNX

_UNARY: dict[str, tuple[str, dict[str, Any]]] = {
    "abs": ("Abs", {}), "acos": ("Acos", {}), "acosh": ("Acosh", {}), "asin": ("Asin", {}), "asinh": ("Asinh", {}),
    "atan": ("Atan", {}), "atanh": ("Atanh", {}), "ceil": ("Ceil", {}), "cos": ("Cos", {}), "cosh": ("Cosh", {}),
    "erf": ("Erf", {}), "exp": ("Exp", {}), "floor": ("Floor", {}), "identity": ("Identity", {}),
    "isnan": ("IsNaN", {}), "isinf": ("IsInf", {}), "log": ("Log", {}), "logical_not": ("Not", {}),
    "negative": ("Neg", {}), "reciprocal": ("Reciprocal", {}), "relu": ("Relu", {}), "round": ("Round", {}),
    "sigmoid": ("Sigmoid", {}), "sign": ("Sign", {}), "sin": ("Sin", {}), "sinh": ("Sinh", {}), "sqrt": ("Sqrt", {}),
    "softplus": ("Softplus", {}), "softsign": ("Softsign", {}), "stop_gradient": ("Identity", {}), "tan": ("Tan", {}),
    "tanh": ("Tanh", {}), "selu": ("Selu", {}), "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "hard_swish": ("HardSwish", {}),
}  # fmt: skip

#: Names of attributes that ONNX has under the same name.
_WITH_ALPHA = {"elu": "Elu", "celu": "Celu", "leaky_relu": "LeakyRelu"}


def along(e: Emitter, call: CallUse, x: Use, write: Callable[[str], str]) -> str | None:
    """An elementwise op of one operand, in whichever layout the operand is there."""
    if e.only_first(x):
        e.define_first(call.result, write(e.firsts[x.symbol]))
        return None
    return write(e.name(x))


def _simple(name: str, op_type: str, attributes: dict[str, Any]) -> None:
    @emits(name)
    def write(e: Emitter, call: CallUse) -> Any:
        return along(e, call, call.operand(0), lambda x: e.add(op_type, [x], **attributes))


for _name, (_op, _attributes) in _UNARY.items():
    _simple(_name, _op, _attributes)


def _with_alpha(name: str, op_type: str) -> None:
    @emits(name)
    def write(e: Emitter, call: CallUse) -> Any:
        return along(e, call, call.operand(0), lambda x: e.add(op_type, [x], alpha=float(call.attrs["alpha"])))


for _name, _op in _WITH_ALPHA.items():
    _with_alpha(_name, _op)


def _composed(name: str, write: Callable[[Emitter, str, Use], str]) -> None:
    @emits(name)
    def run(e: Emitter, call: CallUse) -> Any:
        use = call.operand(0)
        return along(e, call, use, lambda x: write(e, x, use))


def _clipped(low: float | None, high: float | None) -> Callable[[Emitter, str, Use], str]:
    def write(e: Emitter, x: str, use: Use) -> str:
        bounds = ["" if v is None else e.scalar(v, use.dtype) for v in (low, high)]
        return str(e.add("Clip", [x, *bounds]))

    return write


def _finite(e: Emitter, x: str, use: Use) -> str:
    either = e.add("Or", [e.add("IsInf", [x]), e.add("IsNaN", [x])])
    return str(e.add("Not", [either]))


def _truncated(e: Emitter, x: str, use: Use) -> str:
    if not use.dtype.is_floating:
        return str(e.add("Identity", [x]))
    return str(e.add("Mul", [e.add("Sign", [x]), e.add("Floor", [e.add("Abs", [x])])]))


def _erfc(e: Emitter, x: str, use: Use) -> str:
    return str(e.add("Sub", [e.scalar(1, use.dtype), e.add("Erf", [x])]))


for _name, _write in {
    "square": lambda e, x, use: e.add("Mul", [x, x]),
    "rsqrt": lambda e, x, use: e.add("Reciprocal", [e.add("Sqrt", [x])]),
    "exp2": lambda e, x, use: e.add("Pow", [e.scalar(2, use.dtype), x]),
    "expm1": lambda e, x, use: e.add("Sub", [e.add("Exp", [x]), e.scalar(1, use.dtype)]),
    "log1p": lambda e, x, use: e.add("Log", [e.add("Add", [x, e.scalar(1, use.dtype)])]),
    "log2": lambda e, x, use: e.add("Div", [e.add("Log", [x]), e.scalar(math.log(2), use.dtype)]),
    "log10": lambda e, x, use: e.add("Div", [e.add("Log", [x]), e.scalar(math.log(10), use.dtype)]),
    "silu": lambda e, x, use: e.add("Mul", [x, e.add("Sigmoid", [x])]),
    "mish": lambda e, x, use: e.add("Mul", [x, e.add("Tanh", [e.add("Softplus", [x])])]),
    "log_sigmoid": lambda e, x, use: e.add("Neg", [e.add("Softplus", [e.add("Neg", [x])])]),
    "relu6": _clipped(0, 6),
    "hard_tanh": _clipped(-1, 1),
    "isfinite": _finite,
    "trunc": _truncated,
    "erfc": _erfc,
}.items():
    _composed(_name, _write)


@emits("gelu")
def gelu(e: Emitter, call: CallUse) -> Any:
    """``Gelu`` from opset 20 on, else in terms of Erf or Tanh."""
    use = call.operand(0)
    tanh = bool(call.attrs["approximate"])

    def write(x: str) -> str:
        if e.opset >= 20:
            return str(e.add("Gelu", [x], approximate="tanh" if tanh else "none"))
        half, one = e.scalar(0.5, use.dtype), e.scalar(1, use.dtype)
        if tanh:
            cube = e.add("Mul", [e.add("Mul", [x, x]), x])
            inner = e.add("Add", [x, e.add("Mul", [cube, e.scalar(0.044715, use.dtype)])])
            part = e.add("Tanh", [e.add("Mul", [inner, e.scalar(math.sqrt(2 / math.pi), use.dtype)])])
        else:
            part = e.add("Erf", [e.add("Div", [x, e.scalar(math.sqrt(2), use.dtype)])])
        return str(e.add("Mul", [e.add("Mul", [x, half]), e.add("Add", [part, one])]))

    return along(e, call, use, write)


@emits("threshold")
def threshold(e: Emitter, call: CallUse) -> Any:
    """A choice between the operand and a value."""
    use = call.operand(0)

    def write(x: str) -> str:
        above = e.add("Greater", [x, e.scalar(call.attrs["theta"], use.dtype)])
        return str(e.add("Where", [above, x, e.scalar(call.attrs["value"], use.dtype)]))

    return along(e, call, use, write)


@emits("clip")
def clip(e: Emitter, call: CallUse) -> Any:
    """Bounds as scalars."""
    use = call.operand(0)
    return along(e, call, use, lambda x: _clipped(call.attrs["min"], call.attrs["max"])(e, x, use))


@emits("cast")
def cast(e: Emitter, call: CallUse) -> Any:
    """Another dtype."""
    return along(e, call, call.operand(0), lambda x: e.add("Cast", [x], to=TO_ONNX[call.result.dtype]))


# ---------------------------------------------------------------- two operands


def pair(e: Emitter, call: CallUse, write: Callable[[str, str], str]) -> str | None:
    """An elementwise op of two operands: with channels first if one is laid out so and the other can be."""
    x, y = call.operand(0), call.operand(1)
    if e.only_first(x) or e.only_first(y):
        names = [_first_or_vector(e, use, call.result.rank) for use in (x, y)]
        if None not in names:
            e.define_first(call.result, write(str(names[0]), str(names[1])))
            return None
    return write(e.name(x), e.name(y))


def _first_or_vector(e: Emitter, use: Use, rank: int) -> str | None:
    """The name of an operand with channels first; of numbers by channel as they then broadcast."""
    if use.rank == rank and use.symbol in e.firsts:
        return e.firsts[use.symbol]
    if use.rank == 0:
        return e.name(use)
    if use.rank == 1:
        if use.shape == (1,):
            return e.name(use)
        wide = (use.shape[0], *[1] * (rank - 2))
        return e.prepared(use, lambda v: v.reshape(wide), "channels")
    return None


_BINARY = {
    "add": "Add", "subtract": "Sub", "multiply": "Mul", "maximum": "Max", "minimum": "Min",
    "equal": "Equal", "greater": "Greater", "greater_equal": "GreaterOrEqual", "less": "Less",
    "less_equal": "LessOrEqual", "logical_and": "And", "logical_or": "Or", "logical_xor": "Xor",
}  # fmt: skip


def _binary(name: str, op_type: str) -> None:
    @emits(name)
    def write(e: Emitter, call: CallUse) -> Any:
        if name == "add" and _into_convolution(e, call):
            return None
        return pair(e, call, lambda x, y: e.add(op_type, [x, y]))


def _into_convolution(e: Emitter, call: CallUse) -> bool:
    """Whether the sum was made the bias of the convolution that gives its first operand."""
    x, y = call.operand(0), call.operand(1)
    node = e.convolutions.get(x.symbol)
    if node is None or y.rank != 1 or e.uses.get(x.symbol) != 1 or y.shape != x.shape[-1:]:
        return False
    if e.known(y) is None:
        return False
    node.input.append(e.name(y))
    e.define_first(call.result, e.firsts[x.symbol])
    return True


for _name, _op in _BINARY.items():
    _binary(_name, _op)


@emits("not_equal")
def not_equal(e: Emitter, call: CallUse) -> Any:
    """The opposite of Equal."""
    return pair(e, call, lambda x, y: e.add("Not", [e.add("Equal", [x, y])]))


@emits("divide")
def divide(e: Emitter, call: CallUse) -> Any:
    """Division; of integers, in the floating dtype of the result."""
    to = call.result.dtype if call.operand(0).dtype is not call.result.dtype else None

    def write(x: str, y: str) -> str:
        names = [x, y] if to is None else [e.cast(x, to), e.cast(y, to)]
        return str(e.add("Div", names))

    return pair(e, call, write)


@emits("floor_divide")
def floor_divide(e: Emitter, call: CallUse) -> Any:
    """Rounded down, where ONNX rounds integers towards zero."""
    dtype = call.result.dtype

    def write(x: str, y: str) -> str:
        if dtype.is_floating:
            return str(e.add("Floor", [e.add("Div", [x, y])]))
        if dtype.kind == "u":
            return str(e.add("Div", [x, y]))
        rest = e.add("Mod", [x, y])  # which has the sign of the divisor, so that the rest divides exactly
        return str(e.add("Div", [e.add("Sub", [x, rest]), y]))

    return pair(e, call, write)


@emits("remainder")
def remainder(e: Emitter, call: CallUse) -> Any:
    """With the sign of the divisor."""

    def write(x: str, y: str) -> str:
        if not call.result.dtype.is_floating:
            return str(e.add("Mod", [x, y]))
        down = e.add("Floor", [e.add("Div", [x, y])])
        return str(e.add("Sub", [x, e.add("Mul", [down, y])]))

    return pair(e, call, write)


@emits("power")
def power(e: Emitter, call: CallUse) -> Any:
    """``x ** y``."""
    return pair(e, call, lambda x, y: e.add("Pow", [x, y]))


@emits("prelu")
def prelu(e: Emitter, call: CallUse) -> Any:
    """The slope broadcasts to the operand, or the operand to the slope."""
    x, slope = call.operand(0), call.operand(1)
    if call.result.shape != x.shape:
        names = e.name(x), e.name(slope)
        above = e.add("Greater", [names[0], e.scalar(0, x.dtype)])
        return e.add("Where", [above, names[0], e.add("Mul", list(names))])
    return pair(e, call, lambda x, y: e.add("PRelu", [x, y]))


@emits("logaddexp")
def log_add_exp(e: Emitter, call: CallUse) -> Any:
    """Without overflow: the larger one, and a correction."""

    def write(x: str, y: str) -> str:
        top = e.add("Max", [x, y])
        below = e.add("Neg", [e.add("Abs", [e.add("Sub", [x, y])])])
        one = e.scalar(1, call.result.dtype)
        return str(e.add("Add", [top, e.add("Log", [e.add("Add", [e.add("Exp", [below]), one])])]))

    return pair(e, call, write)


@emits("xlogy")
def x_log_y(e: Emitter, call: CallUse) -> Any:
    """0 where ``x`` is."""

    def write(x: str, y: str) -> str:
        zero = e.scalar(0, call.result.dtype)
        product = e.add("Mul", [x, e.add("Log", [y])])
        none = e.add("And", [e.add("Equal", [x, zero]), e.add("Not", [e.add("IsNaN", [y])])])
        return str(e.add("Where", [none, zero, product]))

    return pair(e, call, write)


@emits("where")
def where(e: Emitter, call: CallUse) -> Any:
    """A choice."""
    return e.add("Where", [e.name(call.operand(i)) for i in range(3)])


@emits("gate")
def gate(e: Emitter, call: CallUse) -> Any:
    """The operand, or 0."""
    x, condition = call.operand(0), call.operand(1)
    return e.add("Where", [e.name(condition), e.name(x), e.scalar(0, x.dtype)])


_BITS = {"bitwise_and": ("BitwiseAnd", "And"), "bitwise_or": ("BitwiseOr", "Or"), "bitwise_xor": ("BitwiseXor", "Xor")}


def _bitwise(name: str) -> None:
    @emits(name)
    def write(e: Emitter, call: CallUse) -> Any:
        of_bools = call.result.dtype is dtypes.bool_
        return pair(e, call, lambda x, y: e.add(_BITS[name][1 if of_bools else 0], [x, y]))


for _name in _BITS:
    _bitwise(_name)


@emits("bitwise_invert")
def bitwise_invert(e: Emitter, call: CallUse) -> Any:
    """Bitwise not."""
    kind = "Not" if call.result.dtype is dtypes.bool_ else "BitwiseNot"
    return along(e, call, call.operand(0), lambda x: e.add(kind, [x]))


@emits("hypot")
def hypot(e: Emitter, call: CallUse) -> Any:
    """Scaled by the larger one, so that squares do not overflow."""

    def write(x: str, y: str) -> str:
        sizes = [e.add("Abs", [v]) for v in (x, y)]
        top, low = e.add("Max", sizes), e.add("Min", sizes)
        none = e.add("Equal", [top, e.scalar(0, call.result.dtype)])
        ratio = e.add("Div", [low, e.add("Where", [none, e.scalar(1, call.result.dtype), top])])
        inner = e.add("Add", [e.add("Mul", [ratio, ratio]), e.scalar(1, call.result.dtype)])
        return str(e.add("Mul", [top, e.add("Sqrt", [inner])]))

    return pair(e, call, write)


@emits("sinc")
def sinc(e: Emitter, call: CallUse) -> Any:
    """``sin(pi x) / (pi x)``, and 1 at 0."""
    dtype = call.result.dtype

    def write(x: str) -> str:
        angle = e.add("Mul", [x, e.scalar(np.pi, dtype)])
        none = e.add("Equal", [x, e.scalar(0, dtype)])
        safe = e.add("Where", [none, e.scalar(1, dtype), angle])
        return str(e.add("Where", [none, e.scalar(1, dtype), e.add("Div", [e.add("Sin", [safe]), safe])]))

    return along(e, call, call.operand(0), write)


@emits("cbrt")
def cbrt(e: Emitter, call: CallUse) -> Any:
    """The root of the modulus, with the sign."""
    third = e.scalar(1 / 3, call.result.dtype)
    return along(e, call, call.operand(0), lambda x: e.add(
        "Mul", [e.add("Sign", [x]), e.add("Pow", [e.add("Abs", [x]), third])]))  # fmt: skip


@emits("atan2")
def atan2(e: Emitter, call: CallUse) -> Any:
    """The arc tangent of the ratio, moved by half a turn where ``x`` is negative."""
    dtype = call.result.dtype

    def write(y: str, x: str) -> str:
        zero, half, quarter = (e.scalar(v, dtype) for v in (0, math.pi, math.pi / 2))
        none = e.add("Equal", [x, zero])
        ratio = e.add("Div", [y, e.add("Where", [none, e.scalar(1, dtype), x])])
        below = e.add("Less", [y, zero])
        turned = e.add("Where", [below, e.add("Neg", [half]), half])
        found = e.add("Atan", [ratio])
        found = e.add("Where", [e.add("Less", [x, zero]), e.add("Add", [found, turned]), found])
        return str(e.add("Where", [none, e.add("Mul", [e.add("Sign", [y]), quarter]), found]))

    return pair(e, call, write)


_SHIFTS = {"bitwise_left_shift": "LEFT", "bitwise_right_shift": "RIGHT"}


@emits(*_SHIFTS, when=lambda call, opset: call.inputs[0].spec.dtype.kind == "u")
def shift(e: Emitter, call: CallUse) -> Any:
    """BitShift, which takes unsigned integers."""
    return pair(e, call, lambda x, y: e.add("BitShift", [x, y], direction=_SHIFTS[call.name]))

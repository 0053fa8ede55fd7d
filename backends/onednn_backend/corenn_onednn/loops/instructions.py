"""Scalar operations as LLVM instructions: one function that writes the instruction for an operation, dtype and width.

Floating arithmetic may be contracted (``a * b + c`` rounded once) and is otherwise as written: NaN, infinities and
signed zeros behave as in IEEE 754.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from corenn import dtypes
from corenn.dtypes import DType
from corenn.errors import BackendError

if TYPE_CHECKING:
    from corenn_onednn.loops.lowering import Writer

_SCALAR = {"float16": "half", "bfloat16": "i16", "float32": "float", "float64": "double", "bool": "i1"}
_FLOAT_COMPARE = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"}
_INTRINSIC = {
    "sqrt": "sqrt", "floor": "floor", "ceil": "ceil", "trunc": "trunc", "round": "roundeven", "copysign": "copysign",
    "fma": "fma",
}  # fmt: skip
#: Functions the C library has for float64.
LIBRARY = frozenset({"exp", "exp2", "expm1", "log", "log10", "log1p", "log2", "tanh", "erf", "erfc"})


def _unknown(op: str, kind: DType) -> BackendError:
    """What is said of an operation that ``expressible`` should not have let through."""
    return BackendError("loops", f"there is no instruction for {op!r} of {kind.name}", hint="this is a bug: report it")


def scalar_type(dtype: DType) -> str:
    """The LLVM type of an element in a register."""
    return _SCALAR.get(dtype.name) or f"i{8 * dtype.itemsize}"


def memory_type(dtype: DType) -> str:
    """The LLVM type of an element in memory."""
    return "i8" if dtype is dtypes.bool_ else scalar_type(dtype)


def register_type(dtype: DType, width: int) -> str:
    """The LLVM type of ``width`` elements; one is no vector."""
    return scalar_type(dtype) if width == 1 else f"<{width} x {scalar_type(dtype)}>"


def constant(value: Any, dtype: DType, width: int) -> str:
    """A number as an operand."""
    if dtype.is_floating:
        number = float(np.float32(value)) if dtype is dtypes.float32 else float(value)
        text = f"0x{struct.unpack('<Q', struct.pack('<d', number))[0]:016X}"
    elif dtype is dtypes.bool_:
        text = "true" if value else "false"
    else:
        text = str(int(value))
    return text if width == 1 else f"splat ({scalar_type(dtype)} {text})"


def suffix(dtype: DType, width: int) -> str:
    """How intrinsics name a type."""
    name = {"float": "f32", "double": "f64", "half": "f16"}.get(scalar_type(dtype), scalar_type(dtype))
    return name if width == 1 else f"v{width}{name}"


def operation(w: Writer, op: str, dtype: DType, args: list[tuple[str, DType]], width: int) -> str:
    """Write the instructions of ``op`` on operands of one width; returns the name of the result, of ``dtype``."""
    kind = args[0][1]
    values = [v for v, _ in args]
    type_ = register_type(kind, width)
    if op in ("lt", "le", "gt", "ge", "eq", "ne"):
        return _compare(w, op, kind, values, type_)
    if op == "where":
        chosen = register_type(dtype, width)
        return w.put(f"select {type_} {values[0]}, {chosen} {values[1]}, {chosen} {values[2]}")
    if op == "convert":
        return _convert(w, values[0], kind, dtype, width)
    if op == "bits":
        return w.put(f"bitcast {type_} {values[0]} to {register_type(dtype, width)}")
    if op == "isnan":
        return w.put(f"fcmp uno {type_} {values[0]}, {values[0]}")
    if op == "round_bfloat16":
        return _from_bfloat16(w, to_bfloat16(w, values[0], width), width)
    if op == "round_float16":
        half = register_type(dtypes.float16, width)
        return w.put(f"fpext {half} {w.put(f'fptrunc {type_} {values[0]} to {half}')} to {type_}")
    if kind.is_floating:
        return _floating(w, op, kind, values, width)
    return _integer(w, op, kind, values, width)


def _compare(w: Writer, op: str, kind: DType, values: list[str], type_: str) -> str:
    if kind.is_floating:
        return w.put(f"fcmp {_FLOAT_COMPARE[op]} {type_} {values[0]}, {values[1]}")
    name = op if op in ("eq", "ne") else ("s" if kind.kind == "i" else "u") + op
    return w.put(f"icmp {name} {type_} {values[0]}, {values[1]}")


def _floating(w: Writer, op: str, kind: DType, values: list[str], width: int) -> str:
    type_ = register_type(kind, width)
    if op in ("add", "sub", "mul"):
        return w.put(f"f{op} contract {type_} {values[0]}, {values[1]}")
    if op == "div":
        return w.put(f"fdiv {type_} {values[0]}, {values[1]}")
    if op == "neg":
        return w.put(f"fneg {type_} {values[0]}")
    if op == "abs":
        return w.intrinsic("fabs", kind, width, values)
    if op in ("max", "min"):  # NaN where either is
        return w.intrinsic(f"{op}imum", kind, width, values, flags="nsz ")
    if op in _INTRINSIC:
        return w.intrinsic(_INTRINSIC[op], kind, width, values)
    if op == "scaled":
        args = [(type_, values[0]), (type_, values[1]), (type_, values[0]), ("i16", "-1"), ("i32", "4")]
        return w.call("llvm.x86.avx512.mask.scalef.ps.512", type_, args)
    if op == "rsqrt":
        return _rsqrt(w, values[0])
    if op in LIBRARY and kind is dtypes.float64:
        return w.library(op, values[0], width)
    raise BackendError(
        "loops", f"there is no instruction for {op!r} of {kind.name}", hint="report it: fusion let it through"
    )


def _rsqrt(w: Writer, x: str) -> str:
    """``1 / sqrt(x)`` of sixteen lanes: 14 bits by an instruction of AVX-512, twice as many by one of Newton's steps.

    The step makes NaN of what the instruction has right for 0 and infinity: there it is left out.  A root and a
    quotient take nineteen cycles, this half of it.
    """
    kind, type_ = dtypes.float32, register_type(dtypes.float32, 16)
    given = [(type_, x), (type_, constant(0, kind, 16)), ("i16", "-1")]
    near = w.call("llvm.x86.avx512.rsqrt14.ps.512", type_, given)
    product = w.put(f"fmul {type_} {x}, {near}")
    rest = w.intrinsic("fma", kind, 16, [w.put(f"fneg {type_} {product}"), near, constant(1, kind, 16)])
    better = w.intrinsic("fma", kind, 16, [w.put(f"fmul {type_} {near}, {rest}"), constant(0.5, kind, 16), near])
    wrong = w.put(f"fcmp uno {type_} {better}, {better}")
    return w.put(f"select <16 x i1> {wrong}, {type_} {near}, {type_} {better}")


def _integer(w: Writer, op: str, kind: DType, values: list[str], width: int) -> str:
    type_ = register_type(kind, width)
    sign = "s" if kind.kind == "i" else "u"
    if op in ("add", "sub", "mul", "and", "or", "xor", "shl"):
        return w.put(f"{op} {type_} {values[0]}, {values[1]}")
    if op == "shr":
        return w.put(f"{'ashr' if sign == 's' else 'lshr'} {type_} {values[0]}, {values[1]}")
    if op == "not":
        return w.put(f"xor {type_} {values[0]}, {constant(1 if kind is dtypes.bool_ else -1, kind, width)}")
    if op == "neg":
        return w.put(f"sub {type_} {constant(0, kind, width)}, {values[0]}")
    if op in ("max", "min"):
        return w.intrinsic(f"{sign}{op}", kind, width, values)
    if op == "abs":
        if sign == "u":
            return values[0]
        return w.call(f"llvm.abs.{suffix(kind, width)}", type_, [(type_, values[0]), ("i1", "false")])
    raise BackendError(
        "loops", f"there is no instruction for {op!r} of {kind.name}", hint="report it: fusion let it through"
    )


def _convert(w: Writer, value: str, source: DType, target: DType, width: int) -> str:
    if source is target:
        return value
    a, b = register_type(source, width), register_type(target, width)
    if target is dtypes.bool_:
        compare = "fcmp une" if source.is_floating else "icmp ne"
        return w.put(f"{compare} {a} {value}, {constant(0, source, width)}")
    if source.is_floating and target.is_floating:
        return w.put(f"{'fpext' if target.itemsize > source.itemsize else 'fptrunc'} {a} {value} to {b}")
    if target.is_floating:
        return w.put(f"{'sitofp' if source.kind == 'i' else 'uitofp'} {a} {value} to {b}")
    if source.is_floating:  # beyond the range of the integer the result is any number, but one
        name = "fptosi" if target.kind == "i" else "fptoui"
        return w.put(f"freeze {b} {w.put(f'{name} {a} {value} to {b}')}")
    if target.itemsize < source.itemsize:
        return w.put(f"trunc {a} {value} to {b}")
    if target.itemsize == source.itemsize and source is not dtypes.bool_:
        return value
    return w.put(f"{'sext' if source.kind == 'i' else 'zext'} {a} {value} to {b}")


# ---------------------------------------------------------------- memory


def from_memory(w: Writer, value: str, dtype: DType, width: int) -> str:
    """What was loaded as an element of ``dtype``, in the dtype of registers."""
    if dtype is dtypes.bool_:
        type_ = "i8" if width == 1 else f"<{width} x i8>"
        return w.put(f"icmp ne {type_} {value}, {'0' if width == 1 else 'zeroinitializer'}")
    if dtype is dtypes.float16:
        return w.put(f"fpext {register_type(dtype, width)} {value} to {register_type(dtypes.float32, width)}")
    if dtype is dtypes.bfloat16:
        return _from_bfloat16(w, value, width)
    return value


def to_memory(w: Writer, value: str, dtype: DType, width: int) -> str:
    """A register's value as an element of ``dtype`` is stored, rounded to nearest even where that is narrower."""
    if dtype is dtypes.bool_:
        return w.put(f"zext {register_type(dtype, width)} {value} to {'i8' if width == 1 else f'<{width} x i8>'}")
    if dtype is dtypes.float16:
        return w.put(f"fptrunc {register_type(dtypes.float32, width)} {value} to {register_type(dtype, width)}")
    if dtype is dtypes.bfloat16:
        return to_bfloat16(w, value, width)
    return value


def _from_bfloat16(w: Writer, value: str, width: int) -> str:
    wide = register_type(dtypes.int32, width)
    grown = w.put(f"zext {register_type(dtypes.int16, width)} {value} to {wide}")
    raised = w.put(f"shl {wide} {grown}, {constant(16, dtypes.int32, width)}")
    return w.put(f"bitcast {wide} {raised} to {register_type(dtypes.float32, width)}")


def to_bfloat16(w: Writer, value: str, width: int) -> str:
    """The upper half of the bits of a float32, rounded to nearest even; NaN stays NaN."""
    wide, single = register_type(dtypes.int32, width), register_type(dtypes.float32, width)

    def number(n: int) -> str:
        return constant(n, dtypes.int32, width)

    raw = w.put(f"bitcast {single} {value} to {wide}")
    odd = w.put(f"and {wide} {w.put(f'lshr {wide} {raw}, {number(16)}')}, {number(1)}")
    raised = w.put(f"add {wide} {raw}, {w.put(f'add {wide} {odd}, {number(0x7FFF)}')}")
    quiet = w.put(f"or {wide} {raw}, {number(0x400000)}")
    nan = w.put(f"fcmp uno {single} {value}, {value}")
    chosen = w.put(f"select {register_type(dtypes.bool_, width)} {nan}, {wide} {quiet}, {wide} {raised}")
    upper = w.put(f"lshr {wide} {chosen}, {number(16)}")
    return w.put(f"trunc {wide} {upper} to {register_type(dtypes.int16, width)}")

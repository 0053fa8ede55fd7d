"""Accumulators: how values are taken together, what they start with, and how many of them a loop over lanes keeps.

Several vectors are accumulated side by side, so that one addition does not wait for the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from corenn import dtypes
from corenn.dtypes import DType
from corenn_onednn.loops import draws, functions
from corenn_onednn.loops.instructions import constant, register_type, suffix
from corenn_onednn.loops.ir import Accumulate, Apply, Const, Expr, Loop, RandomBits, Statement, walk

if TYPE_CHECKING:
    from corenn_onednn.loops.lowering import Writer

#: Kinds of accumulators by the operation that takes a value in.
COMBINE = {"sum": "add", "prod": "mul", "max": "max", "min": "min", "any": "or", "all": "and"}
#: The reductions of a vector that are not called like the operation: of floating, signed and unsigned elements.
_HORIZONTAL = {"max": ("fmaximum", "smax", "umax"), "min": ("fminimum", "smin", "umin")}

#: Loops that accumulate take this many vectors at a time, if one takes few instructions.
_UNROLLED = 4
_FEW = 40


def turns_of(body: Sequence[Statement], width: int) -> int:
    """How many vectors a loop over lanes takes at a time."""
    if width == 16 and any(_draws(s) for s in body):
        return draws.WIDE // width
    if not any(isinstance(s, Accumulate) for s in body):
        return 1
    size = sum(_size(s) for s in body)
    return _UNROLLED if size <= _FEW else 2


def _draws(statement: Statement) -> bool:
    value = getattr(statement, "value", None)
    return isinstance(value, Expr) and any(isinstance(e, RandomBits) for e in walk(value))


def _size(statement: Statement) -> int:
    value = getattr(statement, "value", None)
    if not isinstance(value, Expr):
        return 0
    return sum(functions.COSTS.get(e.op, 1) if isinstance(e, Apply) else 1 for e in walk(value))


def users_of(body: Sequence[Statement], name: str, width: int, lanes: int = 0) -> tuple[int, bool]:
    """How many vectors, and whether a scalar, an accumulator needs."""
    vectors, scalar = 0, False
    for s in body:
        if isinstance(s, Accumulate) and s.name == name:
            vectors, scalar = max(vectors, lanes), scalar or not lanes
        elif isinstance(s, Loop):
            inner = users_of(s.body, name, width, turns_of(s.body, width) if s.lanes else 0)
            vectors, scalar = max(vectors, inner[0]), scalar or inner[1]
    return vectors, scalar


def start_of(kind: str, dtype: DType) -> float:
    """What an accumulator starts with."""
    if kind in ("sum", "any"):
        return -0.0 if dtype.is_floating else 0
    if kind == "prod":
        return 1
    if kind == "all":
        return 1
    if dtype.is_floating:
        return float("-inf") if kind == "max" else float("inf")
    if dtype is dtypes.bool_:
        return kind == "min"
    size = 8 * dtype.itemsize
    low, high = (-(2 ** (size - 1)), 2 ** (size - 1) - 1) if dtype.kind == "i" else (0, 2**size - 1)
    return low if kind == "max" else high


def identity(kind: str, dtype: DType) -> Const:
    """What an accumulator of this kind starts with, as an expression."""
    return Const(dtype, start_of(kind, dtype))


def horizontal(w: Writer, kind: str, dtype: DType, value: str) -> str:
    """One number from the lanes of a vector; sums and products in an order that suits the processor."""
    op = COMBINE[kind]
    element, type_, tail = register_type(dtype, 1), register_type(dtype, w.width), suffix(dtype, w.width)
    if dtype.is_floating and op in ("add", "mul"):
        start = constant(-0.0 if op == "add" else 1.0, dtype, 1)
        return w.call(f"llvm.vector.reduce.f{op}.{tail}", element, [(element, start), (type_, value)], "reassoc ")
    if kind in _HORIZONTAL:
        floating, signed, unsigned = _HORIZONTAL[kind]
        op = floating if dtype.is_floating else signed if dtype.kind == "i" else unsigned
    return w.call(f"llvm.vector.reduce.{op}.{tail}", element, [(type_, value)])

"""Emitters of reductions, running sums and products of matrices."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from corenn import dtypes
from corenn_onnx.errors import OnnxExportError
from corenn_onnx.exporting.emitter import TO_LAST, CallUse, Emitter, Use
from corenn_onnx.exporting.extents import Extent
from corenn_onnx.exporting.table import emits


def reduce(e: Emitter, op_type: str, name: str, axes: list[int] | None, keep: bool) -> str:
    """A reduction node: its axes are an input from opset 18 on (ReduceSum: 13), before an attribute."""
    if axes is not None and not axes:
        return str(e.add("Identity", [name]))
    if e.opset >= 18 or op_type == "ReduceSum":
        return str(e.add(op_type, [name] if axes is None else [name, e.ints(*axes)], keepdims=int(keep)))
    return str(e.add(op_type, [name], axes=axes, keepdims=int(keep)))


def _axes(call: CallUse, rank: int) -> list[int] | None:
    axis = call.attrs.get("axis")
    if axis is None:
        return None
    return sorted(int(a) % rank for a in (axis if isinstance(axis, tuple) else (axis,)))


def _reduced(e: Emitter, call: CallUse, write: Callable[[str, list[int] | None, bool], str]) -> str | None:
    """Over spatial axes of what is laid out with channels first, there; else as it stands."""
    x = call.operand(0)
    axes, keep = _axes(call, x.rank), bool(call.attrs["keepdims"])
    if e.only_first(x) and axes is not None and 0 not in axes and x.rank - 1 not in axes and x.rank > 2:
        name = write(e.firsts[x.symbol], [a + 1 for a in axes], keep)
        if keep:
            e.define_first(call.result, name)
            return None
        if len(axes) == x.rank - 2:
            return name
        e.define_first(call.result, name)
        return None
    return write(e.name(x), axes, keep)


def _plain(name: str, op_type: str) -> None:
    @emits(name)
    def run(e: Emitter, call: CallUse) -> Any:
        def write(x: str, axes: list[int] | None, keep: bool) -> str:
            if call.operand(0).dtype is not call.result.dtype:  # narrow integers widen
                x = e.cast(x, call.result.dtype)
            return reduce(e, op_type, x, axes, keep)

        return _reduced(e, call, write)


for _name, _op in {
    "sum": "ReduceSum", "mean": "ReduceMean", "max": "ReduceMax", "min": "ReduceMin", "prod": "ReduceProd",
    "logsumexp": "ReduceLogSumExp",
}.items():  # fmt: skip
    _plain(_name, _op)


@emits("any", "all")
def logical(e: Emitter, call: CallUse) -> Any:
    """By counting: what holds, or what does not."""

    def write(x: str, axes: list[int] | None, keep: bool) -> str:
        holds = e.cast(x, dtypes.bool_)
        counted = e.cast(holds if call.name == "any" else e.add("Not", [holds]), dtypes.int32)
        found = e.cast(reduce(e, "ReduceSum", counted, axes, keep), dtypes.bool_)
        return found if call.name == "any" else str(e.add("Not", [found]))

    return _reduced(e, call, write)


@emits("count_nonzero")
def count_nonzero(e: Emitter, call: CallUse) -> Any:
    """A sum of ones."""

    def write(x: str, axes: list[int] | None, keep: bool) -> str:
        return reduce(e, "ReduceSum", e.cast(e.cast(x, dtypes.bool_), dtypes.int64), axes, keep)

    return _reduced(e, call, write)


@emits("variance", "std")
def variance(e: Emitter, call: CallUse) -> Any:
    """The mean squared distance from the mean, times ``n / (n - correction)``."""
    x, correction = call.operand(0), call.attrs["correction"]

    def write(name: str, axes: list[int] | None, keep: bool) -> str:
        away = e.add("Sub", [name, reduce(e, "ReduceMean", name, axes, True)])
        found = reduce(e, "ReduceMean", e.add("Mul", [away, away]), axes, keep)
        if correction:
            extents = [x.shape[a] for a in (_axes(call, x.rank) or range(x.rank))]
            if any(isinstance(n, Extent) for n in extents):
                raise OnnxExportError(call.where, "a variance over the batch with a correction")
            count = math.prod(extents)
            factor = count / (count - correction) if count != correction else math.inf
            found = e.add("Mul", [found, e.scalar(factor, x.dtype)])
        return str(e.add("Sqrt", [found])) if call.name == "std" else found

    return _reduced(e, call, write)


@emits("norm")
def norm(e: Emitter, call: CallUse) -> Any:
    """ReduceL1 and ReduceL2, extremes, or written out."""
    x, order = call.operand(0), call.attrs["ord"]

    def write(name: str, axes: list[int] | None, keep: bool) -> str:
        if order in (1, 2):
            return reduce(e, f"ReduceL{int(order)}", name, axes, keep)
        size = e.add("Abs", [name])
        if order in (math.inf, -math.inf):
            return reduce(e, "ReduceMax" if order > 0 else "ReduceMin", size, axes, keep)
        if order == 0:
            return e.cast(reduce(e, "ReduceSum", e.cast(e.cast(name, dtypes.bool_), dtypes.int32), axes, keep), x.dtype)
        total = reduce(e, "ReduceSum", e.add("Pow", [size, e.scalar(order, x.dtype)]), axes, keep)
        return str(e.add("Pow", [total, e.scalar(1 / order, x.dtype)]))

    return _reduced(e, call, write)


@emits("argmax", "argmin")
def position(e: Emitter, call: CallUse) -> Any:
    """Of the first one."""
    x, axis = call.operand(0), call.attrs["axis"]
    name, keep = e.name(x), bool(call.attrs["keepdims"])
    op_type = "ArgMax" if call.name == "argmax" else "ArgMin"
    if axis is None:
        flat = e.add("Reshape", [name, e.ints(-1)])
        found = e.add(op_type, [flat], axis=0, keepdims=0)
        return e.add("Reshape", [found, e.shape(call.result.shape)]) if keep else found
    return e.add(op_type, [name], axis=axis % x.rank, keepdims=int(keep))


@emits("cumsum")
def cumsum(e: Emitter, call: CallUse) -> Any:
    """CumSum."""
    x = call.operand(0)
    name = e.name(x) if x.dtype is call.result.dtype else e.cast(e.name(x), call.result.dtype)
    axis = e.constant(np.array(call.attrs["axis"] % x.rank, np.int64))
    flags = {k: int(bool(call.attrs[k])) for k in ("exclusive", "reverse")}
    return e.add("CumSum", [name, axis], **flags)


def _swapped(e: Emitter, use: Use) -> str:
    """The last two axes of an operand the other way round; of a weight, beforehand."""
    found = e.prepared(use, lambda v: np.swapaxes(v, -1, -2), "transposed")
    order = [*range(use.rank - 2), use.rank - 1, use.rank - 2]
    return found if found is not None else str(e.add("Transpose", [e.name(use)], perm=order))


@emits("matmul")
def matmul(e: Emitter, call: CallUse) -> Any:
    """MatMul, after transposing."""
    flags = [call.attrs.get("transpose_a", False), call.attrs.get("transpose_b", False)]
    names = [_swapped(e, u) if t and u.rank > 1 else e.name(u)
             for u, t in zip((call.operand(0), call.operand(1)), flags, strict=True)]  # fmt: skip
    return e.add("MatMul", names)


def _by_einsum(call: Any, opset: int) -> bool:
    """Whether the letters are ASCII and name one extent each: ONNX's shape inference knows no broadcasting."""
    terms = call.plan.attrs["equation"].partition("->")[0].split(",")
    extents: dict[str, int] = {}
    for letters, operand in zip(terms, call.inputs, strict=True):
        if not (letters.isascii() and (letters.isalpha() or not letters)):
            return False
        if any(extents.setdefault(a, n) != n for a, n in zip(letters, operand.shape, strict=True)):
            return False
    return True


@emits("einsum", when=_by_einsum)
def einsum(e: Emitter, call: CallUse) -> Any:
    """Einsum."""
    names = [e.name(u) for u in call.inputs if u is not None]
    return e.add("Einsum", names, equation=call.attrs["equation"])


@emits("det")
def det(e: Emitter, call: CallUse) -> Any:
    """Det."""
    return e.add("Det", [e.name(call.operand(0))])


@emits("softmax", "log_softmax")
def softmax(e: Emitter, call: CallUse) -> Any:
    """Along an axis, in whichever layout the operand is."""
    x = call.operand(0)
    axis = call.attrs["axis"] % x.rank
    op_type = "Softmax" if call.name == "softmax" else "LogSoftmax"
    if e.only_first(x):
        e.define_first(call.result, e.add(op_type, [e.firsts[x.symbol]], axis=TO_LAST[x.rank][axis]))
        return None
    return e.add(op_type, [e.name(x)], axis=axis)

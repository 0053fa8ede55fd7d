"""Families: the inference rules that most ops share.  Inference sees specs only, so it runs before any backend."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from corenn import dtypes
from corenn.dtypes import DType
from corenn.ops.table import Call, Family
from corenn.spec import Shape, Spec

Axis = int | tuple[int, ...] | None


def normal_axis(call: Call, axis: int, ndim: int, name: str = "axis") -> int:
    """``axis`` counted from the front; ShapeError when the operand has no such axis."""
    if not isinstance(axis, int) or isinstance(axis, bool):
        raise call.attribute_error(f"{name} must be an int", **{name: ""})
    if not -ndim <= axis < ndim:
        raise call.shape_error(
            f"{name} {axis} is out of range for an operand of {ndim} axes",
            f"axes are {-ndim} to {ndim - 1}" if ndim else "the operand is 0-d",
            **{name: ""},
        )
    return axis % ndim


def normal_axes(call: Call, axis: Axis, ndim: int, name: str = "axis") -> tuple[int, ...]:
    """A sorted tuple of non-negative axes; ``None`` means all.  Repeated axes are an error."""
    if axis is None:
        return tuple(range(ndim))
    axes = tuple(normal_axis(call, a, ndim, name) for a in (axis if isinstance(axis, tuple) else (axis,)))
    if len(set(axes)) != len(axes):
        raise call.shape_error(f"{name} names an axis twice", **{name: ""})
    return tuple(sorted(axes))


def broadcast_shapes(call: Call, shapes: Iterable[Shape]) -> Shape:
    """The shape that all ``shapes`` broadcast to, as in the array API; ShapeError when they do not."""
    given = list(shapes)
    ndim = max((len(s) for s in given), default=0)
    result: list[int | None] = []
    for axis in range(-ndim, 0):
        extents = [s[axis] for s in given if len(s) >= -axis]
        known: list[int] = []
        for n in extents:
            if n is not None and n != 1 and n not in known:
                known.append(n)
        if len(known) > 1:
            notes = {
                name: f"axis {axis} is {spec.shape[axis]}"
                for name, spec in zip(call.op.operand_names(len(call.specs)), call.specs, strict=True)
                if spec is not None and len(spec.shape) >= -axis and spec.shape[axis] in known
            }
            raise call.shape_error(
                "the shapes do not broadcast", "extents must be equal or 1, axes aligned from the last", **notes
            )
        result.append(known.pop() if known else (None if None in extents else 1))
    return tuple(result)


def _unary(call: Call, x: Spec) -> Spec:
    return x.at(None)


def _unary_to(dtype: DType) -> Family:
    return Family(lambda call, x: Spec(x.shape, dtype))


def _broadcast(call: Call, *specs: Spec) -> Spec:
    return Spec(broadcast_shapes(call, [s.shape for s in specs]), specs[0].dtype)


def _comparison(call: Call, x: Spec, y: Spec) -> Spec:
    return Spec(broadcast_shapes(call, (x.shape, y.shape)), dtypes.bool_)


def reduced_shape(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Shape:
    """``shape`` with ``axes`` removed, or kept with extent 1."""
    if keepdims:
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def _reduction(call: Call, x: Spec) -> Spec:
    axes = normal_axes(call, call.attrs["axis"], x.ndim)
    call.attrs["axis"] = axes
    return Spec(reduced_shape(x.shape, axes, call.attrs["keepdims"]), x.dtype)


def _reduction_to(dtype: DType) -> Family:
    return Family(lambda call, x: Spec(_reduction(call, x).shape, dtype))


def accumulator(dtype: DType) -> DType:
    """The dtype integers are summed in: narrow integers and bools widen to 32 bits, so that small sums do not wrap."""
    if dtype is dtypes.bool_ or (dtype.kind == "i" and dtype.itemsize < 4):
        return dtypes.int32
    if dtype.kind == "u" and dtype.itemsize < 4:
        return dtypes.uint32
    return dtype


def _accumulation(call: Call, x: Spec) -> Spec:
    return _reduction(call, x).of(accumulator(x.dtype))


def _cumulative(call: Call, x: Spec) -> Spec:
    call.attrs["axis"] = normal_axis(call, call.attrs["axis"], x.ndim)
    return Spec(x.shape, accumulator(x.dtype))


unary = Family(_unary)  #: one tensor, the same shape and dtype
predicate = _unary_to(dtypes.bool_)  #: one tensor to bools of its shape
binary = Family(_broadcast, promote=True)  #: broadcast and promoted
comparison = Family(_comparison, promote=True)  #: broadcast and promoted, to bools
reduction = Family(_reduction)  #: attributes axis (None, int, ints) and keepdims; the dtype stays
accumulation = Family(_accumulation)  #: a reduction that widens narrow integers
reduction_to_bool = _reduction_to(dtypes.bool_)
cumulative = Family(_cumulative)  #: attribute axis; the shape stays, narrow integers widen


def static_shape(call: Call, shape: Any, name: str = "shape") -> tuple[int, ...]:
    """A shape attribute as a tuple of non-negative ints."""
    given = (shape,) if isinstance(shape, int) else shape
    if not isinstance(given, tuple) or any(not isinstance(n, int) or n < 0 for n in given):
        raise call.attribute_error(f"{name} must be a tuple of non-negative ints", **{name: ""})
    return given

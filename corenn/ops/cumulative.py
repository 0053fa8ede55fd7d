"""Cumulative sums and products along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn.dtypes import NUMERIC
from corenn.errors import AttributeValueError, ShapeError
from corenn.ops.arranging import flip
from corenn.ops.creation import ones
from corenn.ops.elementwise import cast
from corenn.ops.families import accumulator, cumulative
from corenn.ops.reduction import accumulated
from corenn.ops.sampling import error, integer, literal, real, sample
from corenn.ops.shaping import concatenate
from corenn.ops.table import Call, Family, TensorLike, op
from corenn.spec import Spec
from corenn.tensor import Tensor


def _cumulative(call: Call, x: Spec) -> Spec:
    for name in ("reverse", "exclusive"):
        if not isinstance(call.attrs[name], bool):
            raise call.attribute_error(f"{name} must be True or False", **{name: ""})
    return cumulative.infer(call, x)  # type: ignore[return-value]  # one result


_family = Family(_cumulative)


def _part(axis: int, start: int | None, stop: int | None) -> tuple[slice, ...]:
    return (*[slice(None)] * axis, slice(start, stop))


@op(family=_family, dtypes=NUMERIC)
def cumsum(x: TensorLike, /, *, axis: int = 0, reverse: bool = False, exclusive: bool = False) -> Tensor:
    """Sums of the elements up to each along ``axis``; narrow integers widen to 32 bits, other dtypes stay.

    ``reverse``: of those from each to the end; ``exclusive``: without the element itself, so that the first is 0.
    Raises ShapeError for an axis that does not exist, AttributeValueError for flags that are no bools.
    """


@cumsum.kernel
def _(xp: Any, x: Any, *, axis: int, reverse: bool, exclusive: bool) -> Any:
    half = hasattr(xp, "float16") and x.dtype == xp.float16  # rounded once, not at every element
    dtype = xp.float32 if half else accumulated(xp, x.dtype)
    x_from = xp.flip(x, axis=axis) if reverse else x
    total = xp.cumulative_sum(x_from, axis=axis, dtype=dtype, include_initial=exclusive)
    total = total[_part(axis, 0, x.shape[axis])] if exclusive else total
    total = xp.flip(total, axis=axis) if reverse else total
    return xp.astype(total, x.dtype) if half else total


@cumsum.vjp
def _(g: Tensor, axis: int, reverse: bool, exclusive: bool) -> Tensor:
    return cumsum(g, axis=axis, reverse=not reverse, exclusive=exclusive)


@op(family=_family, dtypes=NUMERIC)
def cumprod(x: TensorLike, /, *, axis: int = 0, reverse: bool = False, exclusive: bool = False) -> Tensor:
    """Products of the elements up to each along ``axis``; narrow integers widen to 32 bits, other dtypes stay.

    ``reverse``: of those from each to the end; ``exclusive``: without the element itself, so that the first is 1.
    Gradients of any order are right also where elements are 0.  Raises ShapeError for an axis that does not exist,
    AttributeValueError for flags that are no bools.
    """


@cumprod.decompose
def _(x: Tensor, *, axis: int, reverse: bool, exclusive: bool) -> Tensor:
    """Hillis & Steele, *Data Parallel Algorithms* (1986): log2(n) steps of multiplication, no division."""
    n = x.shape[axis]
    total = cast(x, dtype=accumulator(x.dtype)) if x.dtype is not accumulator(x.dtype) else x
    total = flip(total, axis=axis) if reverse else total
    if exclusive and n:
        first = ones((*x.shape[:axis], 1, *x.shape[axis + 1 :]), total.dtype, total.spec.device)
        total = concatenate(first, total[_part(axis, 0, n - 1)], axis=axis)
    step = 1
    while step < n:
        later = total[_part(axis, step, None)] * total[_part(axis, 0, n - step)]
        total = concatenate(total[_part(axis, 0, step)], later, axis=axis)
        step *= 2
    return flip(total, axis=axis) if reverse else total


def _naive(x: Any, accumulate: Any, first: int, axis: int, reverse: bool, exclusive: bool) -> Any:
    moved = np.moveaxis(x, axis, 0)
    out = np.zeros(moved.shape, moved.dtype)
    running = np.full(moved.shape[1:], first, moved.dtype)
    for i in reversed(range(len(moved))) if reverse else range(len(moved)):
        after = accumulate(running, moved[i])
        out[i] = running if exclusive else after
        running = after
    return np.moveaxis(out, 0, axis)


_cases = (
    sample(real()),
    sample(real(shape=(2, 3, 4)), axis=1, reverse=True),
    sample(real(shape=(2, 3, 4)), axis=-1, exclusive=True),
    sample(real(shape=(5,)), reverse=True, exclusive=True),
    sample(real(shape=(2, 0)), axis=1, exclusive=True, grad=False),
    sample(literal([[2.0, 0.0, 3.0, 0.5], [0.0, 0.5, 0.0, -1.0]]), axis=1),
    sample(integer(-2, 3), axis=1, grad=False),
)
for _function in (cumsum, cumprod):
    _function.samples(*_cases)
    _function.error_samples(
        error(ShapeError, "axis 2 is out of range", real(), axis=2),
        error(ShapeError, "0-d", real(shape=())),
        error(AttributeValueError, "axis must be an int", real(), axis=None),
        error(AttributeValueError, "must be True or False", real(), exclusive=1),
    )
cumsum.reference(lambda x, **attrs: _naive(x, np.add, 0, **attrs))
cumprod.reference(lambda x, **attrs: _naive(x, np.multiply, 1, **attrs))
cumsum.terms(lambda x, *, axis, reverse, exclusive: x.static[axis])
cumprod.terms(lambda x, *, axis, reverse, exclusive: x.static[axis])

"""Reductions over axes: sums, products, extremes, truth, counts, statistics (``norms.py`` has norms).

``axis`` is an int, several ints, or ``None`` for all axes; ``keepdims`` keeps the reduced axes with extent 1.
"""

from __future__ import annotations

import math
from typing import Any
from typing import cast as cast_type

import numpy as np

from corenn import dtypes
from corenn.dtypes import FLOATING, INEXACT, NUMERIC, REAL
from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.ops._special import single
from corenn.ops.binding import scalar_beside
from corenn.ops.creation import ones
from corenn.ops.elementwise import cast, divide, maximum, where
from corenn.ops.families import (
    Axis,
    accumulation,
    accumulator,
    normal_axis,
    reduced_shape,
    reduction,
    reduction_to_bool,
)
from corenn.ops.logic import equal, isfinite
from corenn.ops.sampling import boolean, distinct, error, integer, literal, real, sample
from corenn.ops.shaping import broadcast_to, concatenate, reshape, transpose
from corenn.ops.table import Call, TensorLike, op
from corenn.spec import Spec
from corenn.tensor import Tensor

_function: Any
_meaning: Any
some_axes = (
    sample(real()),
    sample(real(shape=(2, 3, 4)), axis=1),
    sample(real(shape=(2, 3, 4)), axis=(0, -1), keepdims=True),
    sample(real(shape=(2, 0, 3)), axis=0, name="empty"),
)
distinct_axes = (
    sample(distinct()),
    sample(distinct(shape=(2, 3, 4)), axis=1),
    sample(distinct(shape=(2, 3, 4)), axis=(0, -1), keepdims=True),
    sample(real(shape=(2, 0, 3)), axis=0, grad=False),
    sample(real(shape=()), name="0-d"),
)
no_axis = error(ShapeError, "axis 2 is out of range", real(), axis=2)
no_elements = error(ShapeError, "no elements", real(shape=(2, 0, 3)), axis=1)


def expand_reduced(g: Tensor, shape: tuple[int, ...], axes: tuple[int, ...]) -> Tensor:
    """A reduction's gradient (or result) back at the operand's ``shape``, repeated along the reduced axes."""
    return broadcast_to(beside(g, shape, axes), shape=shape)


def known_shape(shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool) -> tuple[int, ...]:
    """``reduced_shape`` of known extents."""
    return cast_type("tuple[int, ...]", reduced_shape(shape, axes, keepdims))


def beside(g: Tensor, shape: tuple[int, ...], axes: tuple[int, ...]) -> Tensor:
    """A reduction's gradient (or result) in a shape that broadcasts to the operand's ``shape``."""
    if axes and axes[-1] != len(axes) - 1 and len(g.spec.shape) != len(shape):  # leading axes need no reshape
        return reshape(g, shape=known_shape(shape, axes, True))
    return g


def without_zeros(x: Tensor) -> Tensor:
    """``x`` with 1 in place of 0, to divide by."""
    return where(equal(x, scalar_beside(0, x)), 1, x)


def require_elements(call: Call, x: Spec, axes: tuple[int, ...], at_least: float = 1) -> None:
    """ShapeError unless ``axes`` of ``x`` hold ``at_least`` elements."""
    extents = [x.shape[a] for a in axes]
    if None in extents:
        return
    count = math.prod(n for n in extents if n is not None)
    if count < at_least:
        what = "there are no elements to reduce" if not count else f"takes at least {at_least:g} elements to reduce"
        raise call.shape_error(what, x=f"has {count} along axis {', '.join(map(str, axes)) or 'none'}")


def nonempty(call: Call, x: Spec) -> Spec:
    """Inference of a reduction that has no value over no elements."""
    found = cast_type(Spec, reduction.infer(call, x))
    require_elements(call, x, call.attrs["axis"])
    return found


# ---------------------------------------------------------------- sums and products


@op(family=accumulation, dtypes=NUMERIC)
def sum(x: TensorLike, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Sum over ``axis`` (int, ints or ``None`` for all).  Narrow integers widen to 32 bits; other dtypes stay."""


def accumulated(xp: Any, dtype: Any) -> Any:
    """The dtype a backend sums elements of ``dtype`` in (see ``families.accumulator``)."""
    if dtype == xp.int8 or dtype == xp.int16:
        return xp.int32
    return xp.uint32 if dtype == xp.uint8 or dtype == xp.uint16 else dtype


@sum.kernel
def _(xp: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    return xp.sum(x, axis=axis, keepdims=keepdims, dtype=accumulated(xp, x.dtype))


@sum.vjp
def _(g: Tensor, x_spec: Spec, axis: tuple[int, ...]) -> Tensor:
    return expand_reduced(g, x_spec.static, axis)


sum.samples(*some_axes, sample(integer(), axis=0, grad=False))
sum.error_samples(no_axis, error(ShapeError, "names an axis twice", real(), axis=(0, 0)))
sum.reference(lambda x, *, axis, keepdims: np.sum(x, axis=axis, keepdims=keepdims))


@op(family=accumulation, dtypes=NUMERIC)
def prod(x: TensorLike, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Product over ``axis``; 1 over no elements.  Narrow integers widen to 32 bits; other dtypes stay.

    Gradients are products of the other elements, right also where elements are 0.
    """


@prod.kernel
def _(xp: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    return xp.prod(x, axis=axis, keepdims=keepdims, dtype=accumulated(xp, x.dtype))


@prod.decompose
def _(x: Tensor, *, axis: tuple[int, ...], keepdims: bool) -> Tensor:
    """Halves multiplied together until one is left: no division, so that gradients of any order pass zeros."""
    shape = known_shape(x.shape, axis, keepdims)
    kept = tuple(a for a in range(x.ndim) if a not in axis)
    n = math.prod(x.shape[a] for a in axis)
    rows = cast(x, dtype=accumulator(x.dtype)) if x.dtype is not accumulator(x.dtype) else x
    if axis and axis[-1] != len(axis) - 1:
        rows = transpose(rows, axes=(*axis, *kept))
    rows = reshape(rows, shape=(n, *[x.shape[a] for a in kept]))
    if not n:
        return ones(shape, rows.dtype, rows.spec.device)
    while n > 1:
        pairs = rows[: n // 2] * rows[n // 2 : n // 2 * 2]
        rows = concatenate(pairs, rows[n - 1 :]) if n % 2 else pairs
        n = (n + 1) // 2
    return reshape(rows, shape=shape)


prod.samples(
    *some_axes,
    sample(literal([[2.0, 0.0, 3.0], [0.0, 0.5, 0.0], [1.5, -2.0, 0.7]]), axis=1),
    sample(real(shape=(0, 2)), axis=0, grad=False),
    sample(integer(1, 3), axis=0, grad=False),
    sample(real(0.5, 2, shape=(5,)), name="odd"),
    sample(real(shape=()), name="0-d"),
)
prod.error_samples(no_axis)
prod.reference(lambda x, *, axis, keepdims: np.prod(x, axis=axis, keepdims=keepdims))


@op(family=reduction, dtypes=INEXACT)
def mean(x: TensorLike, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean over ``axis`` (int, ints or ``None`` for all) of floating values; NaN over no elements."""


@mean.kernel
@single
def _(xp: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    count = math.prod(x.shape[a] for a in axis)
    total = xp.sum(x, axis=axis, keepdims=keepdims, dtype=x.dtype)  # xp.mean is real only
    return total / float(count) if count else total + math.nan


@mean.vjp
def _(g: Tensor, x_spec: Spec, axis: tuple[int, ...]) -> Tensor:
    count = math.prod(x_spec.static[a] for a in axis)
    return expand_reduced(divide(g, float(count or 1)), x_spec.static, axis)


mean.samples(*some_axes[:3], sample(real(shape=(2, 0)), axis=1, grad=False))
mean.error_samples(no_axis, error(DTypeError, "takes floating", integer()))


@mean.reference
def _(x: Any, *, axis: Any, keepdims: bool) -> Any:
    total = np.sum(x, axis=axis, keepdims=keepdims)
    return total * (total.size / x.size) if x.size else total + np.nan


# ---------------------------------------------------------------- extremes


@op(infer=nonempty, dtypes=REAL)
def max(x: TensorLike, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element over ``axis``; NaN where there is one.  Equal maxima share the gradient equally.

    Raises ShapeError when there are no elements.
    """


@op(infer=nonempty, dtypes=REAL)
def min(x: TensorLike, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element over ``axis``; NaN where there is one.  Equal minima share the gradient equally.

    Raises ShapeError when there are no elements.
    """


def share(g: Tensor, chosen: Tensor, shape: tuple[int, ...], axis: tuple[int, ...], keepdims: bool) -> Tensor:
    """``g`` divided equally among the elements ``chosen``."""
    mask = cast(chosen, dtype=g.dtype)
    total = sum(mask, axis=axis, keepdims=keepdims)
    count = maximum(total, scalar_beside(1, total))  # none is chosen where there is a NaN
    return mask * beside(g / count, shape, axis)


def _extreme_vjp(g: Tensor, x: Tensor, out: Tensor, axis: tuple[int, ...], keepdims: bool) -> Tensor:
    return share(g, equal(x, beside(out, x.shape, axis)), x.shape, axis, keepdims)


for _function, _meaning in ((max, np.max), (min, np.min)):
    _name = _function.__name__
    _function.kernel(_name)
    _function.vjp(_extreme_vjp)
    _function.samples(
        *distinct_axes,
        sample(integer(), axis=0, grad=False),
        sample(literal([[1.0, np.nan], [2.0, 1.0]], "float32"), axis=1, grad=False),
    )
    _function.error_samples(no_axis, no_elements)
    _function.reference(_meaning)


def _position(call: Call, x: Spec) -> Spec:
    axis = call.attrs["axis"]
    if axis is None:
        axes = tuple(range(x.ndim))
    else:
        call.attrs["axis"] = normal_axis(call, axis, x.ndim)
        axes = (call.attrs["axis"],)
    require_elements(call, x, axes)
    return Spec(reduced_shape(x.shape, axes, call.attrs["keepdims"]), dtypes.int64)


@op(infer=_position, dtypes=REAL)
def argmax(x: TensorLike, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Position (int64) of the first largest element along ``axis`` (int; ``None``: in C order), or of the first NaN.

    Raises ShapeError when there are no elements.
    """


@op(infer=_position, dtypes=REAL)
def argmin(x: TensorLike, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Position (int64) of the first smallest element along ``axis`` (int; ``None``: in C order), or of the first NaN.

    Raises ShapeError when there are no elements.
    """


@argmax.kernel
def _(xp: Any, x: Any, *, axis: int | None, keepdims: bool) -> Any:
    return xp.astype(xp.argmax(x, axis=axis, keepdims=keepdims), xp.int64, copy=False)


@argmin.kernel
def _(xp: Any, x: Any, *, axis: int | None, keepdims: bool) -> Any:
    return xp.astype(xp.argmin(x, axis=axis, keepdims=keepdims), xp.int64, copy=False)


for _function, _meaning in ((argmax, np.argmax), (argmin, np.argmin)):
    _function.samples(
        sample(distinct(), grad=False),
        sample(distinct(shape=(2, 3, 4)), axis=-2, grad=False),
        sample(literal([[2, 7, 7, 2]], "int32"), axis=1, keepdims=True, grad=False),
        sample(literal([1.0, np.nan, 3.0], "float32"), grad=False),
        sample(real(shape=(0, 3)), axis=1, grad=False),
    )
    _function.error_samples(no_axis, no_elements, error(AttributeValueError, "must be an int", real(), axis=(0, 1)))
    _function.reference(_meaning)


# ---------------------------------------------------------------- truth


@op(family=reduction_to_bool)
def any(x: TensorLike, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether an element over ``axis`` is True (not zero); False over no elements."""


@op(family=reduction_to_bool)
def all(x: TensorLike, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether all elements over ``axis`` are True (not zero); True over no elements."""


def _count(call: Call, x: Spec) -> Spec:
    return cast_type(Spec, reduction.infer(call, x)).of(dtypes.int64)


@op(infer=_count)
def count_nonzero(x: TensorLike, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """How many elements over ``axis`` are not zero (are True), as int64."""


@count_nonzero.kernel
def _(xp: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    found = x if xp.isdtype(x.dtype, "bool") else x != 0
    return xp.sum(xp.astype(found, xp.int64), axis=axis, keepdims=keepdims)


for _function, _meaning in ((any, np.any), (all, np.all), (count_nonzero, np.count_nonzero)):
    if _function is not count_nonzero:
        _function.kernel(_function.__name__)
    _function.samples(
        sample(boolean(), axis=1, grad=False),
        sample(boolean(shape=(2, 0)), axis=1, grad=False),
        sample(boolean(shape=(2, 3, 4)), axis=(0, -1), keepdims=True, grad=False),
        sample(boolean(), grad=False),
        sample(integer(0, 2, shape=(2, 3)), axis=0, grad=False),
        sample(literal([[0.0, 1.5, -0.0]], "float32"), axis=0, grad=False),
    )
    _function.error_samples(no_axis)
    _function.reference(_meaning)


# ---------------------------------------------------------------- statistics


@op(family=reduction, dtypes=FLOATING)
def logsumexp(x: TensorLike, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """``log(sum(exp(x)))`` over ``axis`` without overflow; -inf over no elements."""


@logsumexp.kernel
@single
def _(xp: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    if not math.prod(x.shape[a] for a in axis):
        return xp.sum(x, axis=axis, keepdims=keepdims) - math.inf
    largest = xp.max(x, axis=axis, keepdims=True)
    limit = float(xp.finfo(x.dtype).max)
    total = xp.sum(xp.exp(x - xp.clip(largest, -limit, limit)), axis=axis, keepdims=keepdims)
    largest = xp.reshape(largest, total.shape)
    return xp.log(total + xp.astype(total == 0, x.dtype)) + largest  # the total is 0 where all are -inf


@logsumexp.vjp
def _(g: Tensor, x: Tensor, out: Tensor, axis: tuple[int, ...]) -> Tensor:
    from corenn.ops.transcendental import exp

    shift = where(isfinite(out), out, 0)
    return exp(x - beside(shift, x.shape, axis)) * beside(g, x.shape, axis)


logsumexp.samples(
    *some_axes,
    sample(real(80, 120), axis=0),
    sample(real(shape=(2, 0)), axis=1, grad=False),
    sample(literal([[-np.inf, 1.0], [-np.inf, -np.inf], [np.inf, 0.0]]), axis=1, grad=False),
)
logsumexp.error_samples(no_axis, error(DTypeError, "takes floating", integer()))
logsumexp.reference(lambda x, *, axis, keepdims: np.logaddexp.reduce(x, axis=axis, keepdims=keepdims))


def _variance(call: Call, x: Spec) -> Spec:
    correction = call.attrs["correction"]
    if not isinstance(correction, int | float) or isinstance(correction, bool) or not 0 <= correction < math.inf:
        raise call.attribute_error("correction must be a number not below 0", correction="")
    found = cast_type(Spec, reduction.infer(call, x))
    require_elements(call, x, call.attrs["axis"], math.floor(correction) + 1)
    return found


@op(infer=_variance, dtypes=FLOATING)
def variance(x: TensorLike, /, *, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> Tensor:
    """Mean squared distance from the mean over ``axis``, divided by ``n - correction`` instead of ``n`` elements.

    ``correction=1`` is the unbiased estimate.  Two passes, so that a large mean costs no digits.  Raises ShapeError
    when ``n`` does not exceed the correction, AttributeValueError for a negative one.
    """


@op(infer=_variance, dtypes=FLOATING)
def std(x: TensorLike, /, *, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> Tensor:
    """Standard deviation over ``axis``: the square root of ``variance``; its gradient is 0 where it is 0."""


def _slope(g: Tensor, x: Tensor, axis: tuple[int, ...], correction: float) -> Tensor:
    """``g (x - mean) / (n - correction)``."""
    count = math.prod(x.shape[a] for a in axis) - correction
    return (x - mean(x, axis=axis, keepdims=True)) * beside(g / count, x.shape, axis)


variance.kernel(single(lambda xp, x, **attrs: xp.var(x, **attrs)))
variance.vjp(lambda g, x, axis, correction: _slope(g * 2, x, axis, correction))
variance.reference(lambda x, *, axis, correction, keepdims: np.var(x, axis=axis, ddof=correction, keepdims=keepdims))
std.kernel(single(lambda xp, x, **attrs: xp.std(x, **attrs)))
std.vjp(lambda g, x, out, axis, correction: _slope(g / without_zeros(out), x, axis, correction))
std.reference(lambda x, *, axis, correction, keepdims: np.std(x, axis=axis, ddof=correction, keepdims=keepdims))
for _function in (variance, std):
    _function.samples(
        *some_axes, sample(real(), axis=1, correction=1), sample(real(100, 101, shape=(9,)), correction=0.5)
    )
    _function.error_samples(
        no_axis,
        no_elements,
        error(ShapeError, "at least 2 elements", real(shape=(3, 1)), axis=1, correction=1),
        error(AttributeValueError, "not below 0", real(), correction=-1),
        error(DTypeError, "takes floating", integer()),
    )


@op(infer=nonempty, dtypes=FLOATING)
def median(x: TensorLike, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The middle element over ``axis``, or the mean of the middle two; NaN where there is one.

    Raises ShapeError when there are no elements.
    """


@median.decompose
def _(x: Tensor, *, axis: tuple[int, ...], keepdims: bool) -> Tensor:
    from corenn.ops.sorting import sort

    kept = tuple(a for a in range(x.ndim) if a not in axis)
    n = math.prod(x.shape[a] for a in axis)
    rows = transpose(x, axes=(*axis, *kept)) if axis and axis[-1] != len(axis) - 1 else x
    rows = sort(reshape(rows, shape=(n, *[x.shape[a] for a in kept])), axis=0)
    middle = rows[n // 2] if n % 2 else (rows[n // 2 - 1] + rows[n // 2]) * 0.5
    last = rows[n - 1]  # NaN sorts last
    return reshape(where(equal(last, last), middle, last), shape=known_shape(x.shape, axis, keepdims))


median.samples(
    *distinct_axes,
    sample(distinct(shape=(5,))),
    sample(literal([[1.0, np.nan, 2.0], [3.0, 1.0, 2.0]]), axis=1, grad=False),
)
median.error_samples(no_axis, no_elements)
median.reference(np.median)

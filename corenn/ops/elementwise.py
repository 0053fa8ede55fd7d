"""Arithmetic, rounding and selection, elementwise with broadcasting, and conversion of dtype and device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.device import Device
from corenn.device import device as find_device
from corenn.dtypes import COMPLEX, INEXACT, NUMERIC, REAL, DType
from corenn.errors import DTypeError, ShapeError
from corenn.ops.families import binary, broadcast_shapes, unary
from corenn.ops.logic import equal, greater, greater_equal, less_equal, logical_and
from corenn.ops.sampling import NO_BROADCAST, NO_PROMOTION, boolean, empty_like, error, integer, literal, real, sample
from corenn.ops.table import Call, TensorLike, op
from corenn.spec import Spec
from corenn.tensor import Tensor

_pair = (real(shape=(3, 4)), real(shape=(3, 4)))
_row = (real(shape=(3, 4)), real(shape=(4,)))
_column = (real(shape=(3, 1)), real(shape=(2, 1, 4)))
_broadcasting = (sample(*_pair), sample(*_row), sample(*_column), sample(empty_like(_pair[0]), real(shape=())))
_positive = (
    sample(real(0.5, 3), real(0.5, 3)),
    sample(real(0.5, 3), real(0.5, 3, shape=(4,))),
    sample(real(0.5, 3, shape=(3, 1)), real(0.5, 3, shape=(2, 1, 4))),
)


# ---------------------------------------------------------------- conversion


def _cast(call: Call, x: Spec) -> Spec:
    return Spec(x.shape, call.attrs["dtype"])


@op(infer=_cast)
def cast(x: TensorLike, /, *, dtype: DType | str) -> Tensor:
    """``x`` with elements converted to ``dtype``: floats to integers truncate towards zero, complex to real drop the
    imaginary part, anything to bool is "not zero".  Gradients pass between floating dtypes and stop elsewhere."""


@cast.kernel
def _(xp: Any, x: Any, *, dtype: Any) -> Any:
    if xp.isdtype(x.dtype, "complex floating") and not xp.isdtype(dtype, "complex floating"):
        x = xp.real(x) if not xp.isdtype(dtype, "bool") else x != 0
    return xp.astype(x, dtype, copy=False)


@cast.vjp
def _(g: Tensor, x_spec: Spec) -> Tensor | None:
    return cast(g, dtype=x_spec.dtype) if x_spec.dtype.is_inexact and g.dtype.is_inexact else None


cast.samples(
    sample(real(-3, 3), dtype=dtypes.float64),
    sample(real(-3, 3), dtype=dtypes.complex128),
    sample(real(0, 3), dtype=dtypes.int32, grad=False),
    sample(literal([0, 1, 2], "int32"), dtype=dtypes.float32, grad=False),
    sample(literal([[0, 1, 2]]), dtype=dtypes.bool_, grad=False),
    sample(boolean(), dtype=dtypes.float32, grad=False),
)


@cast.reference
def _(x: np.ndarray[Any, Any], *, dtype: DType) -> np.ndarray[Any, Any]:
    drops = x.dtype.kind == "c" and dtype.kind not in "cb"
    return (x.real if drops else x).astype(dtype.numpy)


def _to_device(call: Call, x: Spec) -> Spec:
    return x.at(call.attrs["target"])


@op(infer=_to_device, namespace="_")
def transfer(x: Tensor, /, *, target: Device | None = None) -> Tensor:
    """``x`` copied through the host to ``target`` (default: where it is); its gradient is copied back."""


@transfer.kernel
def _(xp: Any, x: Any, *, target: Device | None, place: Device) -> Any:
    there = target or place
    return there.backend.from_host(place.backend.to_host(x), there.index)


@transfer.vjp
def _(g: Tensor, x_spec: Spec) -> Tensor:
    assert x_spec.device is not None  # an array lives somewhere
    return transfer(g, target=x_spec.device)


transfer.samples(real())
transfer.reference(lambda x, *, target: x)


def to_device(x: Tensor, device: str | Device) -> Tensor:
    """``x`` on ``device`` (itself if it is there already); gradients flow back.  BackendError if there is none."""
    target = find_device(device)
    return x if x.spec.device is target else transfer(x, target=target)


@op(family=unary)
def identity(x: TensorLike, /) -> Tensor:
    """The same values; a node of its own in gradients."""


identity.kernel(lambda xp, x: x)
identity.vjp(lambda g: g)
identity.samples(real(), real(shape=()))
identity.reference(lambda x: x)


@op(family=unary)
def stop_gradient(x: TensorLike, /) -> Tensor:
    """The same values, through which no gradient passes."""


stop_gradient.kernel(lambda xp, x: x)
stop_gradient.samples(sample(real(), grad=False))
stop_gradient.reference(lambda x: x)


# ---------------------------------------------------------------- arithmetic


def conjugated(x: Tensor) -> Tensor:
    """``conj(x)`` of complex tensors, real ones themselves: for gradients, which conjugate their factors."""
    return conj(x) if x.dtype in COMPLEX else x


@op(family=unary, dtypes=NUMERIC)
def negative(x: TensorLike, /) -> Tensor:
    """``-x``; unsigned integers wrap."""


negative.kernel("negative")
negative.vjp(lambda g: negative(g))
negative.samples(real(), real(shape=(0, 3)), real(shape=()))
negative.reference(np.negative)


@op(family=binary, dtypes=NUMERIC)
def add(x: TensorLike, y: TensorLike, /) -> Tensor:
    """``x + y``, broadcast and promoted."""


add.kernel("add")
add.vjp(x=lambda g: g, y=lambda g: g)
add.samples(*_broadcasting)
add.error_samples(NO_BROADCAST, NO_PROMOTION, error(DTypeError, "not bool", boolean(), boolean()))
add.reference(np.add)


@op(family=binary, dtypes=NUMERIC)
def subtract(x: TensorLike, y: TensorLike, /) -> Tensor:
    """``x - y``, broadcast and promoted."""


subtract.kernel("subtract")
subtract.vjp(x=lambda g: g, y=lambda g: negative(g))
subtract.samples(*_broadcasting)
subtract.error_samples(NO_BROADCAST, NO_PROMOTION)
subtract.reference(np.subtract)


@op(family=binary, dtypes=NUMERIC)
def multiply(x: TensorLike, y: TensorLike, /) -> Tensor:
    """``x * y``, broadcast and promoted."""


multiply.kernel("multiply")
multiply.vjp(x=lambda g, y: multiply(g, conjugated(y)), y=lambda g, x: multiply(g, conjugated(x)))
multiply.samples(*_broadcasting)
multiply.error_samples(NO_BROADCAST, NO_PROMOTION)
multiply.reference(np.multiply)


def _divide(call: Call, x: Spec, y: Spec) -> Spec:
    dtype = x.dtype if x.dtype.is_inexact else dtypes.default_float
    return Spec(broadcast_shapes(call, (x.shape, y.shape)), dtype)


@op(infer=_divide, promote=True, dtypes=NUMERIC)
def divide(x: TensorLike, y: TensorLike, /) -> Tensor:
    """``x / y``, broadcast and promoted; integers give float32."""


@divide.kernel
def _(xp: Any, x: Any, y: Any) -> Any:
    if xp.isdtype(x.dtype, "integral"):
        x, y = xp.astype(x, xp.float32), xp.astype(y, xp.float32)
    return xp.divide(x, y)


divide.vjp(
    x=lambda g, y: divide(g, conjugated(y)),
    y=lambda g, y, out: negative(divide(multiply(g, conjugated(out)), conjugated(y))),
)
divide.samples(*_positive, sample(integer(1, 9), integer(1, 9), grad=False))
divide.error_samples(NO_BROADCAST, NO_PROMOTION)
divide.reference(np.true_divide)


@op(family=binary, dtypes=REAL)
def floor_divide(x: TensorLike, y: TensorLike, /) -> Tensor:
    """``floor(x / y)``, broadcast and promoted.  Division by integer zero is up to the backend."""


floor_divide.kernel("floor_divide")
floor_divide.samples(sample(real(-5, 5), real(0.5, 2), grad=False), sample(integer(-9, 9), integer(1, 4), grad=False))
floor_divide.error_samples(NO_BROADCAST, NO_PROMOTION)
floor_divide.reference(np.floor_divide)


@op(family=binary, dtypes=REAL)
def remainder(x: TensorLike, y: TensorLike, /) -> Tensor:
    """``x - floor(x / y) * y``: the remainder with the sign of ``y``, as Python's ``%``."""


remainder.kernel("remainder")
remainder.vjp(x=lambda g: g, y=lambda g, x, y: negative(multiply(g, floor_divide(x, y))))
remainder.samples(
    sample(literal([[0.3, 1.7, -0.4], [2.6, -3.2, 0.9]]), literal([1.0, 0.7, 0.6])),
    sample(integer(-9, 9), integer(1, 4), grad=False),
)
remainder.error_samples(NO_BROADCAST, NO_PROMOTION)
remainder.reference(np.remainder)


@op(family=binary, dtypes=NUMERIC)
def power(x: TensorLike, y: TensorLike, /) -> Tensor:
    """``x ** y``, broadcast and promoted; a negative floating base with a fractional exponent gives NaN."""


power.kernel("pow")


@power.vjp
def _(g: Tensor, x: Tensor, y: Tensor, out: Tensor, needs: tuple[bool, bool]) -> tuple[Tensor | None, Tensor | None]:
    from corenn.ops.transcendental import log

    gx = gy = None
    if needs[0]:  # at y == 0 the derivative is 0, also for x == 0
        less_one = power(x, where(equal(y, 0), 1, subtract(y, 1)))
        gx = where(equal(y, 0), 0.0, multiply(g, multiply(conjugated(y), conjugated(less_one))))
    if needs[1]:
        base = x if x.dtype in COMPLEX else where(greater(x, 0), x, 1)  # d/dy x**y is taken as 0 for x <= 0
        gy = multiply(g, multiply(conjugated(out), conjugated(log(base))))
    return gx, gy


power.samples(
    *_positive,
    sample(real(-2, 2, away=(0.0,)), literal(2.0), grad=False),  # beside 2.0 a negative base has no power
    sample(real(), literal(0.0), grad=False),
)
power.error_samples(NO_BROADCAST, NO_PROMOTION)
power.reference(np.power)


@op(family=binary, dtypes=REAL)
def maximum(x: TensorLike, y: TensorLike, /) -> Tensor:
    """The larger of ``x`` and ``y``; NaN where either is.  At ties the gradient goes half to each."""


maximum.kernel("maximum")
maximum.vjp(x=lambda g, x, y: _share(g, x, y), y=lambda g, x, y: _share(g, y, x))
maximum.samples(*_broadcasting[:3])
maximum.error_samples(NO_BROADCAST, NO_PROMOTION)
maximum.reference(np.maximum)


@op(family=binary, dtypes=REAL)
def minimum(x: TensorLike, y: TensorLike, /) -> Tensor:
    """The smaller of ``x`` and ``y``; NaN where either is.  At ties the gradient goes half to each."""


minimum.kernel("minimum")
minimum.vjp(x=lambda g, x, y: _share(g, y, x), y=lambda g, x, y: _share(g, x, y))
minimum.samples(*_broadcasting[:3])
minimum.error_samples(NO_BROADCAST, NO_PROMOTION)
minimum.reference(np.minimum)


def _share(g: Tensor, larger: Tensor, smaller: Tensor) -> Tensor:
    """``g`` where the first is larger, half of it at ties."""
    half = multiply(cast(equal(larger, smaller), dtype=g.dtype), 0.5)
    return multiply(g, add(cast(greater(larger, smaller), dtype=g.dtype), half))


@op(family=binary, dtypes=NUMERIC)
def squared_difference(x: TensorLike, y: TensorLike, /) -> Tensor:
    """``(x - y) ** 2``, broadcast and promoted."""


@squared_difference.decompose
def _(x: Tensor, y: Tensor) -> Tensor:
    return square(subtract(x, y))


squared_difference.vjp(
    x=lambda g, x, y: multiply(multiply(g, 2), conjugated(subtract(x, y))),
    y=lambda g, x, y: multiply(multiply(g, 2), conjugated(subtract(y, x))),
)
squared_difference.samples(*_broadcasting)
squared_difference.error_samples(NO_BROADCAST, NO_PROMOTION)
squared_difference.reference(lambda x, y: (x - y) ** 2)


@op(family=unary, dtypes=NUMERIC)
def square(x: TensorLike, /) -> Tensor:
    """``x * x``, elementwise."""


square.kernel("square")
square.vjp(lambda g, x: multiply(multiply(g, 2), conjugated(x)))
square.samples(real())
square.reference(np.square)


def _abs(call: Call, x: Spec) -> Spec:
    real_of = {dtypes.complex64: dtypes.float32, dtypes.complex128: dtypes.float64}
    return Spec(x.shape, real_of.get(x.dtype, x.dtype))


@op(infer=_abs, dtypes=NUMERIC)
def abs(x: TensorLike, /) -> Tensor:
    """Absolute value; of complex numbers the modulus, in the real dtype.  The gradient at 0 is 0."""


abs.kernel("abs")


@abs.vjp
def _(g: Tensor, x: Tensor, out: Tensor) -> Tensor:
    if x.dtype in COMPLEX:
        safe = where(equal(out, 0), 1, out)
        return multiply(cast(divide(g, safe), dtype=x.dtype), x)
    return multiply(g, sign(x))


abs.samples(real(away=(0.0,)))
abs.reference(np.abs)


@op(family=unary, dtypes=REAL)
def sign(x: TensorLike, /) -> Tensor:
    """-1, 0 or 1; NaN for NaN."""


sign.kernel("sign")
sign.vjp(lambda g: multiply(g, 0))
sign.samples(real(away=(0.0,)), sample(literal([-2.0, 0.0, 3.0]), grad=False))
sign.reference(np.sign)


@op(family=unary, dtypes=INEXACT)
def reciprocal(x: TensorLike, /) -> Tensor:
    """``1 / x``, elementwise."""


reciprocal.kernel(lambda xp, x: 1.0 / x)
reciprocal.vjp(lambda g, out: negative(multiply(g, square(conjugated(out)))))
reciprocal.samples(real(0.5, 3))
reciprocal.reference(lambda x: 1 / x)


@op(family=unary, dtypes=COMPLEX)
def conj(x: TensorLike, /) -> Tensor:
    """Complex conjugate, elementwise; real elements stay."""


conj.kernel("conj")
conj.vjp(lambda g: conj(g))
conj.samples(sample(literal([1 + 2j, -0.5j])))
conj.reference(np.conj)


# ---------------------------------------------------------------- rounding (gradient zero almost everywhere)


@op(family=unary, dtypes=REAL)
def floor(x: TensorLike, /) -> Tensor:
    """The largest integer not above ``x``; the dtype stays, the gradient is 0."""


@op(family=unary, dtypes=REAL)
def ceil(x: TensorLike, /) -> Tensor:
    """The smallest integer not below ``x``; the dtype stays, the gradient is 0."""


@op(family=unary, dtypes=REAL)
def trunc(x: TensorLike, /) -> Tensor:
    """``x`` rounded towards zero; the dtype stays, the gradient is 0."""


@op(family=unary, dtypes=REAL)
def round(x: TensorLike, /) -> Tensor:
    """``x`` rounded to the nearest integer, halves to even; the dtype stays, the gradient is 0."""


_meaning: Callable[..., Any]
for _rounding, _meaning in ((floor, np.floor), (ceil, np.ceil), (trunc, np.trunc), (round, np.round)):
    _rounding.kernel(_rounding.__name__)
    _rounding.vjp(lambda g: multiply(g, 0))
    _rounding.samples(
        sample(literal([-1.6, -0.4, 0.3, 1.2, 2.7])), sample(literal([-1.5, -0.5, 0.5, 1.5, 2.0]), grad=False)
    )
    _rounding.reference(_meaning)


# ---------------------------------------------------------------- selection


def _where(call: Call, condition: Spec, x: Spec, y: Spec) -> Spec:
    if condition.dtype is not dtypes.bool_:
        hint = "compare: x > 0, or corenn.cast(c, dtype='bool')"
        raise call.dtype_error("the condition must be bool", hint, condition="")
    return Spec(broadcast_shapes(call, (condition.shape, x.shape, y.shape)), x.dtype)


def where(condition: TensorLike, x: TensorLike, y: TensorLike, /) -> Tensor:
    """``x`` where ``condition`` (bool) holds, else ``y``; all three broadcast, ``x`` and ``y`` promote."""
    from corenn.ops.binding import scalar_beside

    beside = x if isinstance(x, Tensor) else y
    x, y = (scalar_beside(v, beside) if isinstance(beside, Tensor) else v for v in (x, y))
    if isinstance(x, Tensor) and isinstance(y, Tensor) and x.dtype is not y.dtype:
        common = dtypes.promote(x.dtype, y.dtype)
        x, y = (v if common is None or v.dtype is common else cast(v, dtype=common) for v in (x, y))
    return select(condition, x, y)


@op(infer=_where, name="where", namespace="_")
def select(condition: TensorLike, x: TensorLike, y: TensorLike, /) -> Tensor:
    """``x`` where ``condition`` (bool) holds, else ``y``, of one dtype; all three broadcast."""


select.kernel("where")
select.vjp(
    x=lambda g, condition: select(condition, g, multiply(g, 0)),
    y=lambda g, condition: select(condition, multiply(g, 0), g),
)
select.samples(
    sample(boolean(), real(), real()),
    sample(boolean(shape=(4,)), real(shape=(3, 1)), real(shape=(2, 1, 1))),
)
select.error_samples(
    error(DTypeError, "must be bool", integer(), real(), real()),
    error(ShapeError, "do not broadcast", boolean((3,)), real(), real()),
)
select.reference(np.where)


@op(family=unary, dtypes=REAL)
def clip(x: TensorLike, /, *, min: float | None = None, max: float | None = None) -> Tensor:
    """``x`` limited to [min, max]; a bound of ``None`` does not limit.  The gradient is 0 where it limits."""


@clip.kernel
def _(xp: Any, x: Any, *, min: float | None, max: float | None) -> Any:
    if xp.isdtype(x.dtype, "integral"):
        min = None if min is None else int(np.ceil(min))
        max = None if max is None else int(np.floor(max))
    result = xp.clip(x, min, max)
    return result if result.dtype == x.dtype else xp.astype(result, x.dtype)


@clip.vjp
def _(g: Tensor, x: Tensor, min: float | None, max: float | None) -> Tensor:
    inside = ones = None
    if min is not None:
        inside = greater_equal(x, min)
    if max is not None:
        ones = less_equal(x, max)
        inside = ones if inside is None else logical_and(inside, ones)
    return g if inside is None else multiply(g, cast(inside, dtype=g.dtype))


clip.samples(
    sample(real(-2, 2, away=(-1.0, 1.0)), min=-1.0, max=1.0),
    sample(real(-2, 2, away=(0.0,)), min=0.0),
    sample(real(-2, 2, away=(0.5,)), max=0.5),
)


@clip.reference
def _(x: np.ndarray[Any, Any], *, min: float | None, max: float | None) -> np.ndarray[Any, Any]:
    inside = np.maximum(x, -np.inf if min is None else min)
    limited = np.minimum(inside, np.inf if max is None else max)
    return np.asarray(np.floor(limited) if x.dtype.kind in "iu" else limited)

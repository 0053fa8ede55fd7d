"""Vector norms over axes, and scaling to length 1."""

from __future__ import annotations

import math
from typing import Any
from typing import cast as cast_type

import numpy as np

from corenn import dtypes
from corenn.dtypes import COMPLEX, FLOATING, INEXACT
from corenn.errors import AttributeValueError, ShapeError
from corenn.ops._special import single
from corenn.ops.elementwise import abs, cast, maximum, multiply, power, sign, square
from corenn.ops.families import Axis, normal_axes, reduction
from corenn.ops.logic import equal
from corenn.ops.reduction import beside, no_axis, require_elements, share, sum, without_zeros
from corenn.ops.sampling import distinct, error, literal, real, sample
from corenn.ops.table import Call, TensorLike, op
from corenn.ops.transcendental import rsqrt
from corenn.spec import Spec
from corenn.tensor import Tensor

_REAL_OF = {dtypes.complex64: dtypes.float32, dtypes.complex128: dtypes.float64}


def _norm(call: Call, x: Spec) -> Spec:
    given = call.attrs["ord"]
    ord = 2 if given in ("fro", "euclidean") else given
    if not isinstance(ord, int | float) or isinstance(ord, bool) or ord == 0 or math.isnan(ord):
        hint = "corenn.count_nonzero counts; singular values are corenn.linalg.svdvals"
        raise call.attribute_error("ord must be a number other than 0, inf, -inf or 'fro'", hint, ord="")
    call.attrs["ord"] = float(ord)
    found = cast_type(Spec, reduction.infer(call, x))
    if math.isinf(ord):
        require_elements(call, x, call.attrs["axis"])
    return found.of(_REAL_OF.get(x.dtype, x.dtype))


@op(infer=_norm, dtypes=INEXACT, namespace="linalg")
def norm(x: TensorLike, /, *, ord: float | str = 2, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """``sum(|x| ** ord) ** (1 / ord)`` over all elements along ``axis``: the vector norm of the array API.

    ``ord``: 2 (or "fro", "euclidean"), 1, any number but 0, ``inf`` (the largest magnitude), ``-inf`` (the smallest).
    Complex operands give a real result.  The gradient at 0 is 0.  Raises AttributeValueError for another ``ord``,
    ShapeError for an infinite one over no elements.
    """


@norm.kernel
@single
def _(xp: Any, x: Any, *, ord: float, axis: tuple[int, ...], keepdims: bool) -> Any:
    if ord == 2 and not xp.isdtype(x.dtype, "complex floating"):
        return xp.sqrt(xp.sum(x * x, axis=axis, keepdims=keepdims))
    a = xp.abs(x)
    if math.isinf(ord):
        return (xp.max if ord > 0 else xp.min)(a, axis=axis, keepdims=keepdims)
    if ord == 1:
        return xp.sum(a, axis=axis, keepdims=keepdims)
    if ord == 2:
        return xp.sqrt(xp.sum(a * a, axis=axis, keepdims=keepdims))
    return xp.sum(a**ord, axis=axis, keepdims=keepdims) ** (1 / ord)


@norm.vjp
def _(g: Tensor, x: Tensor, out: Tensor, ord: float, axis: tuple[int, ...], keepdims: bool) -> Tensor:
    shape = x.shape
    safe = without_zeros(out)
    if ord == 2:
        weight = beside(g / safe, shape, axis)
        return multiply(x, cast(weight, dtype=x.dtype))
    size = abs(x)
    if math.isinf(ord):
        weight = share(g, equal(size, beside(out, shape, axis)), shape, axis, keepdims)
    elif ord == 1:
        weight = beside(g, shape, axis)
    else:
        base = size if ord > 1 else without_zeros(size)
        weight = power(base, ord - 1) * beside(g * power(safe, 1 - ord), shape, axis)
    if x.dtype in COMPLEX:
        return x * cast(weight / without_zeros(size), dtype=x.dtype)
    return sign(x) * weight


@norm.reference
def _(x: Any, *, ord: Any, axis: Any, keepdims: bool) -> Any:
    size = np.abs(x)
    if ord in (math.inf, -math.inf):
        return (np.max if ord > 0 else np.min)(size, axis=axis, keepdims=keepdims)
    p = 2.0 if isinstance(ord, str) else ord
    return np.sum(size**p, axis=axis, keepdims=keepdims) ** (1 / p)


norm.samples(
    sample(real()),
    sample(real(shape=(2, 3, 4), away=(0.0,)), axis=1, ord=1),
    sample(real(shape=(2, 3, 4)), axis=(0, -1), keepdims=True),
    sample(real(), ord="fro", axis=(0, 1)),
    sample(distinct(-1, 2), ord=math.inf, axis=0),
    sample(distinct(0.5, 2), ord=-math.inf, axis=1),
    sample(real(away=(0.0,)), ord=3, axis=1),
    sample(real(0.5, 2), ord=0.5, axis=0),
    sample(literal([3 + 4j, -1j]), grad=False),
    sample(real(shape=(2, 0)), axis=1, grad=False),
)
norm.error_samples(
    no_axis,
    error(AttributeValueError, "other than 0", real(), ord=0),
    error(AttributeValueError, "fro", real(), ord="nuc"),
    error(ShapeError, "no elements", real(shape=(2, 0)), ord=math.inf),
)


def _normalize(call: Call, x: Spec) -> Spec:
    call.attrs["axis"] = normal_axes(call, call.attrs["axis"], x.ndim)
    epsilon = call.attrs["epsilon"]
    if not isinstance(epsilon, int | float) or isinstance(epsilon, bool) or not 0 <= epsilon < math.inf:
        raise call.attribute_error("epsilon must be a number not below 0", epsilon="")
    return x.at(None)


@op(infer=_normalize, dtypes=FLOATING, namespace="nn")
def l2_normalize(x: TensorLike, /, *, axis: Axis = -1, epsilon: float = 1e-12) -> Tensor:
    """``x / sqrt(max(sum(x**2), epsilon))`` over ``axis``, so that rows get length 1 and zeros stay zeros.

    Raises AttributeValueError for a negative ``epsilon``.
    """


@l2_normalize.decompose
def _(x: Tensor, *, axis: tuple[int, ...], epsilon: float) -> Tensor:
    wide = cast(x, dtype=dtypes.float32) if x.dtype.itemsize < 4 else x  # half precision has no 1e-12
    scale = rsqrt(maximum(sum(square(wide), axis=axis, keepdims=True), epsilon))
    result = wide * scale
    return result if wide is x else cast(result, dtype=x.dtype)


@l2_normalize.reference
def _(x: Any, *, axis: Any, epsilon: float) -> Any:
    return x / np.sqrt(np.maximum(np.sum(x * x, axis=axis, keepdims=True), epsilon))


l2_normalize.samples(
    sample(real()),
    sample(real(shape=(2, 3, 4)), axis=(0, 2)),
    sample(literal([[0.0, 0.0], [3.0, 4.0]]), epsilon=0.01),
    sample(real(shape=(2, 0))),
    sample(real(), axis=None),
)
l2_normalize.error_samples(no_axis, error(AttributeValueError, "not below 0", real(), epsilon=-1.0))

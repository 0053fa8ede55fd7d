"""Reductions over axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from corenn.dtypes import INEXACT, NUMERIC
from corenn.errors import DTypeError, ShapeError
from corenn.ops.elementwise import divide
from corenn.ops.families import Axis, accumulation, reduced_shape, reduction
from corenn.ops.sampling import error, integer, real, sample
from corenn.ops.shaping import broadcast_to, reshape
from corenn.ops.table import TensorLike, op
from corenn.spec import Spec
from corenn.tensor import Tensor

_axes = (
    sample(real()),
    sample(real(shape=(2, 3, 4)), axis=1),
    sample(real(shape=(2, 3, 4)), axis=(0, -1), keepdims=True),
    sample(real(shape=(2, 0, 3)), axis=0, name="empty"),
)
_no_axis = error(ShapeError, "axis 2 is out of range", real(), axis=2)


def expand_reduced(g: Tensor, shape: tuple[int, ...], axes: tuple[int, ...]) -> Tensor:
    """A reduction's gradient (or result) back at the operand's ``shape``, repeated along the reduced axes."""
    if axes and axes[-1] != len(axes) - 1 and len(g.spec.shape) != len(shape):  # leading axes need no reshape
        g = reshape(g, shape=reduced_shape(shape, axes, True))
    return broadcast_to(g, shape=shape)


@op(family=accumulation, dtypes=NUMERIC | {*INEXACT})
def sum(x: TensorLike, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Sum over ``axis`` (int, ints or ``None`` for all).  Narrow integers widen to 32 bits; other dtypes stay."""


@sum.kernel
def _(xp: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    dtype = x.dtype
    if xp.isdtype(dtype, "integral") and xp.iinfo(dtype).bits < 32:
        dtype = xp.int32 if xp.isdtype(dtype, "signed integer") else xp.uint32
    return xp.sum(x, axis=axis, keepdims=keepdims, dtype=dtype)


@sum.vjp
def _(g: Tensor, x_spec: Spec, axis: tuple[int, ...]) -> Tensor:
    return expand_reduced(g, x_spec.static, axis)


sum.samples(*_axes, sample(integer(), axis=0, grad=False))
sum.error_samples(_no_axis, error(ShapeError, "names an axis twice", real(), axis=(0, 0)))
sum.reference(lambda x, *, axis, keepdims: np.sum(x, axis=axis, keepdims=keepdims))


@op(family=reduction, dtypes=INEXACT)
def mean(x: TensorLike, /, *, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean over ``axis`` (int, ints or ``None`` for all) of floating values; NaN over no elements."""


mean.kernel(lambda xp, x, *, axis, keepdims: xp.mean(x, axis=axis, keepdims=keepdims))


@mean.vjp
def _(g: Tensor, x_spec: Spec, axis: tuple[int, ...]) -> Tensor:
    count = math.prod(x_spec.static[a] for a in axis)
    return expand_reduced(divide(g, float(count or 1)), x_spec.static, axis)


mean.samples(*_axes[:3])
mean.error_samples(_no_axis, error(DTypeError, "takes floating", integer()))
mean.reference(lambda x, *, axis, keepdims: np.mean(x, axis=axis, keepdims=keepdims))

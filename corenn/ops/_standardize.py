"""What normalising ops are made of: the moments of a tensor, and values standardised over some of their axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from corenn.dtypes import FLOATING
from corenn.errors import DTypeError, ShapeError
from corenn.ops.elementwise import square, squared_difference, subtract
from corenn.ops.families import Axis, broadcast_shapes, normal_axes, reduced_shape
from corenn.ops.reduction import mean as mean_over
from corenn.ops.reduction import require_elements
from corenn.ops.reduction import sum as sum_over
from corenn.ops.sampling import error, integer, real, sample
from corenn.ops.shaping import reshape
from corenn.ops.table import Call, TensorLike, op
from corenn.ops.transcendental import rsqrt
from corenn.spec import Spec
from corenn.tensor import Tensor

__all__ = ["moments"]

Array = np.ndarray[Any, Any]


def element_count(spec: Spec | Tensor, axes: tuple[int, ...]) -> int:
    """How many elements a mean over ``axes`` is of."""
    shape = spec.shape
    return math.prod(shape[a] or 1 for a in axes)


def check_scale(
    call: Call, shape: tuple[int | None, ...], names: tuple[str, ...], specs: tuple[Spec | None, ...]
) -> None:
    """ShapeError unless each spec that is there has the shape."""
    for name, spec in zip(names, specs, strict=True):
        if spec is not None and spec.shape != shape:
            wanted = f"should have shape [{', '.join(map(str, shape))}]"
            raise call.shape_error(f"{name} does not fit x", x="", **{name: wanted})


# ---------------------------------------------------------------- statistics


def _moments(call: Call, x: Spec) -> tuple[Spec, Spec]:
    axes = call.attrs["axis"] = normal_axes(call, call.attrs["axis"], x.ndim)
    require_elements(call, x, axes)
    result = Spec(reduced_shape(x.shape, axes, call.attrs["keepdims"]), x.dtype)
    return result, result


@op(infer=_moments, dtypes=FLOATING, results=("mean", "variance"), namespace="nn")
def moments(x: TensorLike, /, *, axis: Axis = None, keepdims: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and biased variance over ``axis`` (int, ints or ``None`` for all), in two passes.

    ShapeError when there are no elements.
    """


@moments.decompose
def _(x: Tensor, *, axis: tuple[int, ...], keepdims: bool) -> tuple[Tensor, Tensor]:
    mean = mean_over(x, axis=axis, keepdims=True)
    variance = mean_over(squared_difference(x, mean), axis=axis, keepdims=keepdims)
    return _fitted(mean, variance.shape), variance


def _fitted(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    return x if x.shape == shape else reshape(x, shape=shape)


@moments.vjp
def _(g: tuple[Tensor, Tensor], x: Tensor, out: tuple[Tensor, Tensor], axis: tuple[int, ...]) -> Tensor:
    kept = tuple(1 if a in axis else n for a, n in enumerate(x.shape))
    for_mean, for_variance, mean = (_fitted(t, kept) for t in (*g, out[0]))
    count = float(element_count(x, axis))
    return (x - mean) * (for_variance * (2 / count)) + for_mean / count


_moment_samples = (
    sample(real()),
    sample(real(shape=(2, 3, 4)), axis=1),
    sample(real(shape=(2, 3, 4)), axis=(0, -1), keepdims=True),
)
moments.samples(*_moment_samples, sample(real(shape=(2, 0)), axis=0), sample(real(shape=()), grad=False))
moments.error_samples(
    error(ShapeError, "no elements", real(shape=(0, 3)), axis=0),
    error(ShapeError, "axis 2 is out of range", real(), axis=2),
    error(DTypeError, "takes floating", integer()),
)
moments.reference(lambda x, *, axis, keepdims: (x.mean(axis, keepdims=keepdims), x.var(axis, keepdims=keepdims)))


# ---------------------------------------------------------------- each example by itself


def _standardize(call: Call, x: Spec, gamma: Spec | None = None, beta: Spec | None = None) -> Spec:
    call.attrs["axis"] = normal_axes(call, call.attrs["axis"], x.ndim)
    for spec in (gamma, beta):
        if spec is not None and broadcast_shapes(call, (spec.shape, x.shape)) != x.shape:
            raise call.shape_error("gamma and beta must broadcast to x", x="")
    return x.at(None)


@op(infer=_standardize, dtypes=FLOATING, promote=True, namespace="_")
def standardize(
    x: TensorLike, gamma: TensorLike | None = None, beta: TensorLike | None = None, /, *,
    axis: tuple[int, ...], epsilon: float, center: bool = True,
) -> Tensor:  # fmt: skip
    """``(x - mean) / sqrt(variance + epsilon) * gamma + beta``, mean and variance over ``axis`` of ``x`` itself.

    ``gamma`` and ``beta`` broadcast to ``x``.  ``center=False``: the mean is taken to be 0.
    """


def _centered(x: Tensor, axis: tuple[int, ...], epsilon: float, center: bool) -> tuple[Tensor, Tensor]:
    """``x`` less its mean, and the reciprocal of its standard deviation."""
    if center:
        x = subtract(x, mean_over(x, axis=axis, keepdims=True))
    return x, rsqrt(mean_over(square(x), axis=axis, keepdims=True) + epsilon)


@standardize.decompose
def _(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, *, axis: tuple[int, ...], epsilon: float, center: bool
) -> Tensor:
    centered, inverse = _centered(x, axis, epsilon, center)
    y = centered * inverse
    y = y if gamma is None else y * gamma
    return y if beta is None else y + beta


@standardize.vjp
def _(
    g: Tensor, x: Tensor, gamma: Tensor | None, beta_spec: Spec | None, axis: tuple[int, ...], epsilon: float,
    center: bool, needs: tuple[bool, bool, bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    if gamma is None:
        return standardize_grad(g, x, axis=axis, epsilon=epsilon, center=center) if needs[0] else None, None, g
    for_x, for_gamma, for_beta = standardize_affine_grad(g, x, gamma, axis=axis, epsilon=epsilon, center=center)
    return for_x, for_gamma, for_beta if beta_spec is not None and beta_spec.shape == gamma.shape else g


@op(infer=lambda call, g, x: _standardize(call, x), dtypes=FLOATING, namespace="_")
def standardize_grad(g: TensorLike, x: TensorLike, /, *, axis: tuple[int, ...], epsilon: float, center: bool) -> Tensor:
    """The gradient of ``standardize`` without gamma by ``x``."""


@standardize_grad.decompose
def _(g: Tensor, x: Tensor, *, axis: tuple[int, ...], epsilon: float, center: bool) -> Tensor:
    centered, inverse = _centered(x, axis, epsilon, center)
    return _for_x(g, centered * inverse, inverse, axis, center)


def _for_x(g: Tensor, normal: Tensor, inverse: Tensor, axis: tuple[int, ...], center: bool) -> Tensor:
    """``g`` without its parts along the constant and along ``normal``, which normalising takes out."""
    rest = g - normal * mean_over(g * normal, axis=axis, keepdims=True)
    return (rest - mean_over(g, axis=axis, keepdims=True) if center else rest) * inverse


def _affine_grad(call: Call, g: Spec, x: Spec, gamma: Spec) -> tuple[Spec, Spec, Spec]:
    return _standardize(call, x, gamma), gamma.at(None), gamma.at(None)


@op(infer=_affine_grad, dtypes=FLOATING, results=("x", "gamma", "beta"), namespace="_")
def standardize_affine_grad(
    g: TensorLike, x: TensorLike, gamma: TensorLike, /, *, axis: tuple[int, ...], epsilon: float, center: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of ``standardize`` by ``x``, ``gamma``, and a ``beta`` of the shape of ``gamma``."""


@standardize_affine_grad.decompose
def _(
    g: Tensor, x: Tensor, gamma: Tensor, *, axis: tuple[int, ...], epsilon: float, center: bool
) -> tuple[Tensor, Tensor, Tensor]:
    centered, inverse = _centered(x, axis, epsilon, center)
    normal = centered * inverse
    return _for_x(g * gamma, normal, inverse, axis, center), _summed_like(g * normal, gamma), _summed_like(g, gamma)


def _summed_like(x: Tensor, like: Tensor) -> Tensor:
    """``x`` summed to the shape of ``like``, which broadcasts to it."""
    lead = x.ndim - like.ndim
    axes = tuple(a for a, n in enumerate(x.shape) if a < lead or (like.shape[a - lead] == 1 and n != 1))
    return _fitted(sum_over(x, axis=axes), like.shape) if axes else x


def standardized(x: Array, axis: Any, epsilon: float, center: bool) -> Array:
    """The reference: ``x`` over the root of its mean square along ``axis``; ``center``: of ``x`` less its mean."""
    x = x - x.mean(axis, keepdims=True) if center else x
    return x / np.sqrt((x * x).mean(axis, keepdims=True) + epsilon)  # type: ignore[no-any-return]


@standardize.reference
def _(x: Array, gamma: Any = None, beta: Any = None, *, axis: Any, epsilon: float, center: bool) -> Array:
    y = standardized(x, axis, epsilon, center)
    return y * (1.0 if gamma is None else gamma) + (0.0 if beta is None else beta)


def _stretch(g: Array, x: Array, axis: Any, epsilon: float, center: bool) -> Array:
    """The gradient by the chain rule through mean and variance, one after the other."""
    size = math.prod(x.shape[a] for a in axis)
    d = x - x.mean(axis, keepdims=True) if center else x
    spread = (d * d).mean(axis, keepdims=True) + epsilon
    for_spread = (g * d).sum(axis, keepdims=True) * -0.5 * spread**-1.5
    for_d = g / np.sqrt(spread) + for_spread * 2 * d / size
    return for_d - for_d.mean(axis, keepdims=True) if center else for_d  # type: ignore[no-any-return]


standardize_grad.reference(lambda g, x, *, axis, epsilon, center: _stretch(g, x, axis, epsilon, center))


@standardize_affine_grad.reference
def _(g: Array, x: Array, gamma: Array, *, axis: Any, epsilon: float, center: bool) -> tuple[Array, Array, Array]:
    full = np.broadcast_to(gamma, x.shape)
    axes = tuple(range(x.ndim - gamma.ndim))
    kept = tuple(a for a in range(x.ndim) if a >= len(axes) and full.shape[a] != gamma.shape[a - len(axes)])
    by_gamma, by_beta = (t.sum(kept, keepdims=True).sum(axes) for t in (g * standardized(x, axis, epsilon, center), g))
    return _stretch(g * gamma, x, axis, epsilon, center), by_gamma, by_beta


_rows: dict[str, Any] = {"axis": (1,), "epsilon": 0.1, "center": True}
_mixed: dict[str, Any] = {"axis": (0, 2), "epsilon": 0.1, "center": True}
standardize.samples(
    sample(real(), **_rows), sample(real(), real(shape=(4,)), real(shape=(4,)), **_rows),
    sample(real(shape=(2, 3, 4)), real(shape=(3, 1)), real(shape=(3, 1)), **_mixed),
    sample(real(shape=(2, 3, 4)), real(shape=(3, 4)), None, axis=(1, 2), epsilon=0.1, center=False),
    sample(real(shape=(2, 3, 2, 2)), real(shape=(2, 2)), real(shape=(2, 2)), axis=(1, 3), epsilon=0.1),
    sample(real(shape=(2, 3, 2)), real(shape=(2,)), None, axis=(1,), epsilon=0.1, center=False),
    sample(real(), None, real(shape=(4,)), **_rows), sample(real(), real(shape=(4,)), real(shape=(1,)), **_rows),
    sample(real(shape=(0, 4)), real(shape=(4,)), real(shape=(4,)), **_rows),
)  # fmt: skip
standardize.error_samples(error(ShapeError, "must broadcast", real(shape=(3, 4)), real(shape=(2, 3, 4)), **_rows))
standardize_grad.samples(
    sample(real(), real(), **_rows), sample(real(shape=(2, 3, 4)), real(shape=(2, 3, 4)), **_mixed)
)
standardize_affine_grad.samples(
    sample(real(), real(), real(shape=(4,)), **_rows),
    sample(real(shape=(2, 3, 4)), real(shape=(2, 3, 4)), real(shape=(3, 1)), **_mixed),
    sample(real(shape=(2, 3, 4)), real(shape=(2, 3, 4)), real(shape=(3, 4)), axis=(1, 2), epsilon=0.1, center=False),
    sample(
        real(shape=(2, 3, 2, 2)), real(shape=(2, 3, 2, 2)), real(shape=(2, 2)), axis=(1, 3), epsilon=0.1, center=True
    ),
    sample(real(shape=(2, 3, 2)), real(shape=(2, 3, 2)), real(shape=(2,)), axis=(1,), epsilon=0.1, center=False),
    sample(real(shape=(0, 4)), real(shape=(0, 4)), real(shape=(4,)), **_rows),
)
for _op in (standardize, standardize_grad, standardize_affine_grad):
    _op.terms(lambda *specs, **attrs: max(s.size for s in specs if s is not None))

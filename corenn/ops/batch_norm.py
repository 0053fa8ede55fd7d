"""Batch normalisation and local response normalisation: channels over the batch, and channels among channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn.dtypes import FLOATING
from corenn.errors import AttributeValueError, ShapeError, UsageError
from corenn.ops._standardize import check_scale, element_count, moments, standardized
from corenn.ops.arranging import pad
from corenn.ops.elementwise import add, multiply, power, square, subtract
from corenn.ops.families import normal_axis
from corenn.ops.reduction import require_elements
from corenn.ops.reduction import sum as sum_over
from corenn.ops.sampling import error, real, sample
from corenn.ops.shaping import along, reshape
from corenn.ops.slicing import basic_index
from corenn.ops.table import Call, TensorLike, op
from corenn.ops.transcendental import rsqrt, sqrt
from corenn.spec import Spec
from corenn.tensor import Tensor

__all__ = ["batch_norm_inference", "batch_norm_training", "local_response_norm"]

Array = np.ndarray[Any, Any]

# ---------------------------------------------------------------- each channel over the batch


def _per_channel(x: Spec, axis: int) -> tuple[int, ...]:
    """A shape in which a vector over the channels broadcasts to ``x``."""
    return tuple(-1 if a == axis else 1 for a in range(x.ndim))


def _batch_channels(call: Call, x: Spec, named: dict[str, Spec | None]) -> tuple[Spec, Spec]:
    """The spec of the result and of a vector over the channels, which those of ``named`` that are there must have."""
    if x.ndim < 2:
        raise call.shape_error("takes a batch axis and a channel axis", x=f"has {x.ndim} axes")
    axis = call.attrs["axis"] = normal_axis(call, call.attrs["axis"], x.ndim)
    vector = Spec((x.shape[axis],), x.dtype)
    check_scale(call, vector.shape, tuple(named), tuple(named.values()))
    return x.at(None), vector


def _training(call: Call, x: Spec, gamma: Spec | None, beta: Spec | None) -> tuple[Spec, Spec, Spec]:
    result, vector = _batch_channels(call, x, {"gamma": gamma, "beta": beta})
    require_elements(call, x, tuple(a for a in range(x.ndim) if a != call.attrs["axis"]))
    return result, vector, vector


@op(infer=_training, dtypes=FLOATING, promote=True, results=("y", "mean", "variance"), namespace="nn")
def batch_norm_training(
    x: TensorLike, gamma: TensorLike | None = None, beta: TensorLike | None = None, /, *,
    axis: int = -1, epsilon: float = 1e-3,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Each channel to mean 0 and variance 1 over the batch and all positions (Ioffe & Szegedy 2015, algorithm 1).

    ``y = (x - mean) / sqrt(variance + epsilon) * gamma + beta``, of the shape of ``x``, channels on ``axis``; also
    returns the mean and the biased variance of the batch [channels], for moving averages.  All three have gradients.
    ``gamma`` and ``beta``: [channels].  ShapeError when they do not fit, or there is nothing to average over.
    """


@batch_norm_training.decompose
def _(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, *, axis: int, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    mean, variance = moments(x, axis=tuple(a for a in range(x.ndim) if a != axis))
    return batch_norm_inference(x, gamma, beta, mean, variance, axis=axis, epsilon=epsilon), mean, variance


@batch_norm_training.vjp
def _(
    g: tuple[Tensor, Tensor, Tensor], x: Tensor, gamma: Tensor | None, out: tuple[Tensor, Tensor, Tensor], axis: int,
    epsilon: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    return batch_norm_grad(*g, x, out[1], out[2], gamma, axis=axis, epsilon=epsilon)


def _batch_norm_grad(call: Call, g: Spec, g_mean: Spec, g_variance: Spec, x: Spec, *rest: Spec | None) -> Any:
    result, vector = _batch_channels(call, x, {"gamma": rest[2]})
    return result, vector, vector


@op(infer=_batch_norm_grad, dtypes=FLOATING, results=("x", "gamma", "beta"), namespace="_")
def batch_norm_grad(
    g: TensorLike, g_mean: TensorLike, g_variance: TensorLike, x: TensorLike, mean: TensorLike, variance: TensorLike,
    gamma: TensorLike | None = None, /, *, axis: int, epsilon: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The gradients of ``batch_norm_training`` by ``x``, ``gamma`` and ``beta``, ``mean`` and ``variance`` being its
    results for ``x``, and ``g``, ``g_mean`` and ``g_variance`` the gradients by its three results."""


@batch_norm_grad.decompose
def _(
    g: Tensor, g_mean: Tensor, g_variance: Tensor, x: Tensor, mean: Tensor, variance: Tensor, gamma: Tensor | None, *,
    axis: int, epsilon: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    axes = tuple(a for a in range(x.ndim) if a != axis)
    shape, count = _per_channel(x.spec, axis), float(element_count(x, axes))
    centered = x - reshape(mean, shape=shape)
    inverse = rsqrt(variance + epsilon)
    by_beta = sum_over(g, axis=axes)
    by_gamma = sum_over(g * centered, axis=axes) * inverse
    scale = inverse if gamma is None else inverse * gamma
    # All three ways in which x acts (by itself, through the mean, through the variance) are affine in g and x - mean.
    slope = (g_variance * 2 - scale * inverse * by_gamma) / count
    offset = (g_mean - scale * by_beta) / count
    scale, slope, offset = (reshape(v, shape=shape) for v in (scale, slope, offset))
    return g * scale + centered * slope + offset, by_gamma, by_beta


batch_norm_training.samples(
    sample(real(), real(shape=(4,)), real(shape=(4,)), epsilon=0.1), sample(real(), epsilon=0.1),
    sample(real(shape=(2, 3, 2)), real(shape=(3,)), real(shape=(3,)), axis=1, epsilon=0.1),
    sample(real(shape=(3, 2, 2)), None, real(shape=(2,)), epsilon=0.1),
    sample(real(2.0, 3.0, shape=(300, 3)), real(shape=(3,)), real(shape=(3,)), grad=False),
)  # fmt: skip
batch_norm_training.error_samples(
    error(ShapeError, "no elements", real(shape=(0, 3))),
    error(ShapeError, "gamma does not fit", real(), real(shape=(3,))),
    error(ShapeError, "beta does not fit", real(), None, real(shape=(1,))),
    error(ShapeError, "takes a batch axis", real(shape=(3,))),
    error(ShapeError, "axis 2 is out of range", real(), axis=2),
)


@batch_norm_training.reference
def _(x: Array, gamma: Any = None, beta: Any = None, *, axis: int, epsilon: float) -> tuple[Array, Array, Array]:
    last = np.moveaxis(x, axis, -1)
    flat = last.reshape(-1, last.shape[-1])
    y = standardized(flat, 0, epsilon, True) * (1.0 if gamma is None else gamma) + (0.0 if beta is None else beta)
    return np.moveaxis(y.reshape(last.shape), -1, axis), flat.mean(0), flat.var(0)


_vectors = [real(shape=(4,)), real(shape=(4,)), real()]
batch_norm_grad.samples(
    sample(real(), *_vectors, real(shape=(4,)), real(0.5, 2, shape=(4,)), real(shape=(4,)), axis=-1, epsilon=0.1),
    sample(
        real(shape=(2, 3, 2)), real(shape=(3,)), real(shape=(3,)), real(shape=(2, 3, 2)), real(shape=(3,)),
        real(0.5, 2, shape=(3,)), axis=1, epsilon=0.1,
    ),
)  # fmt: skip
for _op in (batch_norm_training, batch_norm_grad):
    _op.terms(lambda *specs, **attrs: max(s.size for s in specs if s is not None))


@batch_norm_grad.reference
def _(g: Array, g_mean: Array, g_variance: Array, x: Array, mean: Array, variance: Array, gamma: Any = None, *,
      axis: int, epsilon: float) -> tuple[Array, Array, Array]:  # fmt: skip
    g, x = np.moveaxis(g, axis, -1), np.moveaxis(x, axis, -1)
    axes, count = tuple(range(x.ndim - 1)), x.size / x.shape[-1]
    deviation, centered = np.sqrt(variance + epsilon), x - mean
    for_normal = g if gamma is None else g * gamma
    for_variance = g_variance - (for_normal * centered).sum(axes) / (2 * deviation**3)
    for_mean = g_mean - (for_normal / deviation).sum(axes)
    for_x = for_normal / deviation + for_mean / count + for_variance * 2 * centered / count
    return np.moveaxis(for_x, -1, axis), (g * centered / deviation).sum(axes), g.sum(axes)


def _inference(
    call: Call, x: Spec, gamma: Spec | None, beta: Spec | None, mean: Spec | None, variance: Spec | None
) -> Spec:
    if mean is None or variance is None:
        hint = "batch_norm_training finds them in the batch"
        raise UsageError("batch_norm_inference", "needs the mean and the variance", call.operands(), hint=hint)
    return _batch_channels(call, x, {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance})[0]


@op(infer=_inference, dtypes=FLOATING, promote=True, namespace="nn")
def batch_norm_inference(
    x: TensorLike, gamma: TensorLike | None = None, beta: TensorLike | None = None, mean: TensorLike | None = None,
    variance: TensorLike | None = None, /, *, axis: int = -1, epsilon: float = 1e-3,
) -> Tensor:  # fmt: skip
    """``(x - mean) / sqrt(variance + epsilon) * gamma + beta`` with given statistics [channels], such as moving ones.

    ``gamma`` and ``beta`` may be ``None``; ``mean`` and ``variance`` may not (UsageError).  Shapes and errors as for
    ``batch_norm_training``.  All operands have gradients.
    """


@batch_norm_inference.decompose
def _(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, mean: Tensor, variance: Tensor, *, axis: int, epsilon: float
) -> Tensor:
    shape = _per_channel(x.spec, axis)
    scale = rsqrt(variance + epsilon)
    scale = scale if gamma is None else scale * gamma
    # Not x * scale + (beta - mean * scale): where the mean is large against the deviation, that loses the difference.
    y = multiply(subtract(x, reshape(mean, shape=shape)), reshape(scale, shape=shape))
    return y if beta is None else add(y, reshape(beta, shape=shape))


@batch_norm_inference.vjp
def _(
    g: Tensor, x: Tensor, gamma: Tensor | None, mean: Tensor, variance: Tensor, axis: int, epsilon: float,
    needs: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:  # fmt: skip
    axes = tuple(a for a in range(x.ndim) if a != axis)
    shape = _per_channel(x.spec, axis)
    inverse = rsqrt(variance + epsilon)
    scale = inverse if gamma is None else inverse * gamma
    by_beta = sum_over(g, axis=axes) if needs[2] or needs[3] else None
    by_normal = None
    if needs[1] or needs[4]:
        by_normal = sum_over(g * (x - reshape(mean, shape=shape)), axis=axes) * inverse
    return (
        g * reshape(scale, shape=shape) if needs[0] else None,
        by_normal,
        by_beta,
        None if by_beta is None else -(by_beta * scale),
        None if by_normal is None else by_normal * scale * inverse * -0.5,
    )


_statistics = (real(shape=(4,)), real(0.5, 2, shape=(4,)))
batch_norm_inference.samples(
    sample(real(), real(shape=(4,)), real(shape=(4,)), *_statistics, epsilon=0.1),
    sample(real(), None, None, *_statistics, epsilon=0.1),
    sample(real(shape=(2, 4, 3)), real(shape=(4,)), None, *_statistics, axis=1, epsilon=0.1),
    sample(real(shape=(0, 4)), None, real(shape=(4,)), *_statistics),
)
batch_norm_inference.error_samples(
    error(UsageError, "needs the mean", real(), real(shape=(4,)), real(shape=(4,))),
    error(ShapeError, "variance does not fit", real(), None, None, real(shape=(4,)), real(shape=(3,))),
)


@batch_norm_inference.reference
def _(x: Array, gamma: Any, beta: Any, mean: Array, variance: Array, *, axis: int, epsilon: float) -> Array:
    y = (np.moveaxis(x, axis, -1) - mean) / np.sqrt(variance + epsilon)
    return np.moveaxis(y * (1.0 if gamma is None else gamma) + (0.0 if beta is None else beta), -1, axis)


# ---------------------------------------------------------------- each value by its neighbours in other channels


def _local_response(call: Call, x: Spec) -> Spec:
    call.attrs["axis"] = normal_axis(call, call.attrs["axis"], x.ndim)
    radius = call.attrs["depth_radius"]
    if not isinstance(radius, int) or radius < 0:
        raise call.attribute_error("depth_radius must be a non-negative int", depth_radius="")
    return x.at(None)


@op(infer=_local_response, dtypes=FLOATING, namespace="nn")
def local_response_norm(
    x: TensorLike, /, *, depth_radius: int = 5, bias: float = 1.0, alpha: float = 1.0, beta: float = 0.5, axis: int = -1
) -> Tensor:
    """``x / (bias + alpha * s) ** beta``, ``s`` the sum of squares over channels up to ``depth_radius`` away.

    Channels are on ``axis``.  As Krizhevsky, Sutskever & Hinton (2012, section 3.3) and TensorFlow's ``lrn`` have it:
    ``alpha`` is not divided by the number of channels added.
    """


def _neighbours(x: Tensor, radius: int, axis: int) -> Tensor:
    """Sums along ``axis`` over positions up to ``radius`` away."""
    extent = x.shape[axis]
    radius = min(radius, max(extent - 1, 0))
    if not radius:
        return x
    wide = pad(x, widths=tuple((radius, radius) if a == axis else (0, 0) for a in range(x.ndim)))
    total = None
    for start in range(2 * radius + 1):
        part = basic_index(wide, pattern=along(axis, ("slice", start, start + extent, 1)))
        total = part if total is None else total + part
    return total  # type: ignore[return-value]  # there is at least one part


def _inverse_power(x: Tensor, exponent: float) -> Tensor:
    if exponent == 0.5:
        return rsqrt(x)
    if exponent == 0.75:
        root = rsqrt(x)
        return root * sqrt(root)
    return power(x, -exponent)


@local_response_norm.decompose
def _(x: Tensor, *, depth_radius: int, bias: float, alpha: float, beta: float, axis: int) -> Tensor:
    return x * _inverse_power(_neighbours(square(x), depth_radius, axis) * alpha + bias, beta)


@local_response_norm.vjp
def _(g: Tensor, x: Tensor, depth_radius: int, bias: float, alpha: float, beta: float, axis: int) -> Tensor:
    total = _neighbours(square(x), depth_radius, axis) * alpha + bias
    scale = _inverse_power(total, beta)
    return g * scale - x * _neighbours(g * x * scale / total, depth_radius, axis) * (2 * alpha * beta)


local_response_norm.samples(
    sample(real(shape=(2, 5)), depth_radius=1),
    sample(real(shape=(2, 3, 2)), depth_radius=2, axis=1, beta=0.75, alpha=0.1),
    sample(real(shape=(3,)), bias=2.0, alpha=0.5, beta=0.3), sample(real(shape=(2, 0))), sample(real(), depth_radius=0),
)  # fmt: skip
local_response_norm.error_samples(
    error(AttributeValueError, "non-negative int", real(), depth_radius=-1),
    error(ShapeError, "axis 2 is out of range", real(), axis=2),
)


@local_response_norm.reference
def _(x: Array, *, depth_radius: int, bias: float, alpha: float, beta: float, axis: int) -> Array:
    last = np.moveaxis(x, axis, -1)
    near = [last[..., max(0, c - depth_radius) : c + depth_radius + 1] for c in range(last.shape[-1])]
    total = np.stack([np.sum(n * n, axis=-1) for n in near], axis=-1) if near else last
    return np.moveaxis(last / (bias + alpha * total) ** beta, -1, axis)

"""Moments and normalisation: ``moments``, ``batch_normalization``, ``fused_batch_norm``, ``lrn``, ``l2_normalize``."""

from __future__ import annotations

import math
from typing import Any

from corenn.dtypes import float32
from corenn.ops.batch_norm import batch_norm_inference, batch_norm_training, local_response_norm
from corenn.ops.elementwise import (
    add,
    cast,
    divide,
    maximum,
    multiply,
    reciprocal,
    square,
    squared_difference,
    stop_gradient,
    subtract,
)  # fmt: skip
from corenn.ops.reduction import mean, prod
from corenn.ops.reduction import sum as sum_over
from corenn.ops.shaping import broadcast_to, squeeze
from corenn.ops.transcendental import rsqrt
from corenn.tensor import Tensor
from corenn_tensorflow.mode import by_generation, one, scope
from corenn_tensorflow.operands import axes_of, dynamic_shape, extents, like, shape_of, tensor


def _kept(keepdims: Any, keep_dims: Any = None) -> bool:
    return bool(keepdims if keepdims is not None else keep_dims)


def moments_of(x: Any, axes: Any, keepdims: bool, name: str | None, default: str = "moments") -> tuple[Tensor, Tensor]:
    """Mean and biased variance over ``axes``; half precision is computed in float32."""
    with scope(name, default, x):
        given = tensor(x)
        wide = cast(given, dtype=float32) if given.dtype.itemsize < 4 else given
        places = axes_of(axes)
        average = one("Mean", "mean", mean, wide, axis=places, keepdims=True)
        apart = squared_difference(wide, stop_gradient(average))
        spread = one("Mean", "variance", mean, apart, axis=places, keepdims=keepdims)
        average = average if keepdims else squeeze(average, axis=places)
        return (
            (average, spread) if wide is given else (cast(average, dtype=given.dtype), cast(spread, dtype=given.dtype))
        )


def _moments_v1(
    x: Any, axes: Any, shift: Any = None, name: str | None = None, keep_dims: Any = None, keepdims: Any = None
) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of ``x`` over ``axes``."""
    return moments_of(x, axes, _kept(keepdims, keep_dims), name)


def _moments_v2(
    x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of ``x`` over ``axes``."""
    return moments_of(x, axes, bool(keepdims), name)


moments = by_generation(_moments_v1, _moments_v2)


def _weighted(x: Any, axes: Any, weights: Any, keepdims: bool, name: str | None) -> tuple[Tensor, Tensor]:
    with scope(name, "weighted_moments", x, weights):
        given = tensor(x, None, weights)
        places = axes_of(axes)
        heavy = like(weights, given)
        heavy = broadcast_to(heavy, shape=dynamic_shape(given))
        total = sum_over(heavy, axis=places, keepdims=True)
        average = divide(sum_over(multiply(heavy, given), axis=places, keepdims=True), total)
        apart = multiply(heavy, squared_difference(given, average))
        spread = divide(sum_over(apart, axis=places, keepdims=True), total)
        return (average, spread) if keepdims else (squeeze(average, axis=places), squeeze(spread, axis=places))


def _weighted_v1(
    x: Any, axes: Any, frequency_weights: Any, name: str | None = None, keep_dims: Any = None, keepdims: Any = None
) -> tuple[Tensor, Tensor]:
    """Mean and variance of ``x`` over ``axes``, each element counted ``frequency_weights`` times."""
    return _weighted(x, axes, frequency_weights, _kept(keepdims, keep_dims), name)


def _weighted_v2(
    x: Any, axes: Any, frequency_weights: Any, keepdims: bool = False, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """Mean and variance of ``x`` over ``axes``, each element counted ``frequency_weights`` times."""
    return _weighted(x, axes, frequency_weights, bool(keepdims), name)


weighted_moments = by_generation(_weighted_v1, _weighted_v2)


def _statistics(
    x: Any, axes: Any, shift: Any, keepdims: bool, name: str | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    with scope(name, "sufficient_statistics", x, shift):
        given = tensor(x, None, shift)
        places = axes_of(axes)
        places = (places,) if isinstance(places, int) else places
        known, count = extents(given), None
        if known is not None and all(known[a] is not None for a in places):
            count = like(float(math.prod(known[a] or 0 for a in places)), given)
        else:
            actual = shape_of(given)
            count = cast(prod(tensor([actual[a] for a in places], None, given)), dtype=given.dtype)
        moved = given if shift is None else subtract(given, like(shift, given))
        return (
            count, sum_over(moved, axis=places, keepdims=keepdims),
            sum_over(square(moved), axis=places, keepdims=keepdims), None if shift is None else like(shift, given),
        )  # fmt: skip


def _statistics_v1(
    x: Any, axes: Any, shift: Any = None, keep_dims: Any = None, name: str | None = None, keepdims: Any = None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """How many elements, their sum, the sum of their squares (both of ``x - shift``), and ``shift``."""
    return _statistics(x, axes, shift, _kept(keepdims, keep_dims), name)


def _statistics_v2(
    x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: str | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """How many elements, their sum, the sum of their squares (both of ``x - shift``), and ``shift``."""
    return _statistics(x, axes, shift, bool(keepdims), name)


sufficient_statistics = by_generation(_statistics_v1, _statistics_v2)


def normalize_moments(
    counts: Any, mean_ss: Any, variance_ss: Any, shift: Any, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """Mean and variance of what ``sufficient_statistics`` gives."""
    with scope(name, "normalize", counts, mean_ss, variance_ss, shift):
        sums = tensor(mean_ss, None, counts)
        divisor = reciprocal(like(counts, sums))
        moved = multiply(sums, divisor)
        average = moved if shift is None else add(moved, like(shift, sums))
        return average, subtract(multiply(like(variance_ss, sums), divisor), square(moved))


def batch_normalization(
    x: Any, mean: Any, variance: Any, offset: Any, scale: Any, variance_epsilon: Any, name: str | None = None
) -> Tensor:
    """``(x - mean) / sqrt(variance + variance_epsilon) * scale + offset``; ``offset``, ``scale`` may be ``None``."""
    with scope(name, "batchnorm", x, mean, variance, offset, scale):
        given = tensor(x, None, mean, variance, offset, scale)
        inverse = rsqrt(add(like(variance, given), like(variance_epsilon, given)))
        if scale is not None:
            inverse = multiply(inverse, like(scale, given))
        lift = multiply(like(mean, given), inverse)
        lift = subtract(like(offset, given) if offset is not None else 0.0, lift)
        return add(multiply(given, inverse), lift)


def _global_v1(
    t: Any = None, m: Any = None, v: Any = None, beta: Any = None, gamma: Any = None, variance_epsilon: Any = None,
    scale_after_normalization: Any = None, name: str | None = None, input: Any = None, mean: Any = None,
    variance: Any = None,
) -> Tensor:  # fmt: skip
    """``batch_normalization`` as it was called at first."""
    x, average, spread = (a if a is not None else b for a, b in ((t, input), (m, mean), (v, variance)))
    return batch_normalization(
        x, average, spread, beta, gamma if scale_after_normalization else None, variance_epsilon, name
    )


def _global_v2(
    input: Any, mean: Any, variance: Any, beta: Any, gamma: Any, variance_epsilon: Any, scale_after_normalization: Any,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """``batch_normalization`` as it was called at first."""
    return batch_normalization(
        input, mean, variance, beta, gamma if scale_after_normalization else None, variance_epsilon, name
    )


batch_norm_with_global_normalization = by_generation(_global_v1, _global_v2)


def bessel(variance: Tensor, x: Tensor, axis: int) -> Tensor:
    """The unbiased variance, of the biased one over all axes of ``x`` but ``axis``."""
    known = extents(x)
    others = [i for i in range(len(known or ())) if i != axis % len(known or ())]
    if known is not None and all(known[i] is not None for i in others):
        count = math.prod(known[i] or 0 for i in others)
        return multiply(variance, count / max(count - 1, 1))
    actual = dynamic_shape(x)
    total = cast(prod(tensor([actual[i] for i in others], None, x)), dtype=variance.dtype)
    return multiply(variance, divide(total, maximum(subtract(total, 1.0), 1.0)))


def fused_batch_norm(
    x: Any, scale: Any, offset: Any, mean: Any = None, variance: Any = None, epsilon: float = 0.001,
    data_format: str = "NHWC", is_training: bool = True, name: str | None = None, exponential_avg_factor: float = 1.0,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The normalised batch, and the mean and unbiased variance to keep (in training: of the batch, or mixed into
    ``mean`` and ``variance`` with weight ``exponential_avg_factor``)."""
    axis = 1 if data_format.upper().startswith("NC") else -1
    epsilon = max(float(epsilon), 1.001e-5)
    with scope(name, "FusedBatchNorm", x, scale, offset, mean, variance):
        given = tensor(x, None, scale, offset)
        gamma, beta = like(scale, given), like(offset, given)
        if not is_training:
            average, spread = like(mean, given), like(variance, given)
            return (
                batch_norm_inference(given, gamma, beta, average, spread, axis=axis, epsilon=epsilon),
                average,
                spread,
            )
        y, average, spread = batch_norm_training(given, gamma, beta, axis=axis, epsilon=epsilon)
        average, spread = stop_gradient(average), stop_gradient(spread)  # as its kernels have it
        spread = bessel(spread, given, axis)
        if exponential_avg_factor != 1.0:
            weight = float(exponential_avg_factor)
            average = add(multiply(like(mean, given), 1 - weight), multiply(average, weight))
            spread = add(multiply(like(variance, given), 1 - weight), multiply(spread, weight))
        return y, average, spread


def lrn(
    input: Any, depth_radius: int = 5, bias: float = 1.0, alpha: float = 1.0, beta: float = 0.5, name: str | None = None
) -> Tensor:
    """``input / (bias + alpha * s) ** beta``, ``s`` the sum of squares over channels up to ``depth_radius`` away."""
    return one(
        "LRN", name, local_response_norm, input, depth_radius=int(depth_radius), bias=float(bias), alpha=float(alpha),
        beta=float(beta),
    )  # fmt: skip


local_response_normalization = lrn


def l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12, name: str | None = None, dim: Any = None) -> Tensor:
    """``x / sqrt(max(sum(x ** 2), epsilon))``, the sum over ``axis`` (default: all)."""
    with scope(name, "l2_normalize", x):
        given = tensor(x)
        total = sum_over(square(given), axis=axes_of(axis if axis is not None else dim), keepdims=True)
        return multiply(given, rsqrt(maximum(total, epsilon)))


def l2_loss(t: Any, name: str | None = None) -> Tensor:
    """``sum(t ** 2) / 2``."""
    with scope(name, "L2Loss", t):
        return multiply(sum_over(square(tensor(t))), 0.5)


__all__ = [
    "batch_norm_with_global_normalization", "batch_normalization", "fused_batch_norm", "l2_loss", "l2_normalize",
    "local_response_normalization", "lrn", "moments", "normalize_moments", "sufficient_statistics", "weighted_moments",
]  # fmt: skip

"""Ops in terms of what loops hold, where the op table has a kernel instead, or a form that loops do not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.ops.creation import asarray
from corenn.ops.elementwise import cast, clip, square, subtract, where
from corenn.ops.logic import equal, greater_equal, less, logical_and
from corenn.ops.reduction import max as max_over
from corenn.ops.reduction import mean as mean_over
from corenn.ops.reduction import sum as sum_over
from corenn.ops.shaping import expand_dims, reshape
from corenn.ops.transcendental import exp, log, sqrt
from corenn.tensor import Tensor

Axes = tuple[int, ...]


def _fitted(x: Tensor, shape: Axes) -> Tensor:
    return x if x.shape == shape else reshape(x, shape=shape)


def _shape(x: Tensor, axis: Axes, keepdims: bool) -> Axes:
    if keepdims:
        return tuple(1 if a in axis else n for a, n in enumerate(x.shape))
    return tuple(n for a, n in enumerate(x.shape) if a not in axis)


def logsumexp(x: Tensor, *, axis: Axes, keepdims: bool) -> Tensor:
    """The largest element is taken off first, unless it is infinite."""
    limit = float(np.finfo(x.dtype.numpy).max)
    largest = clip(max_over(x, axis=axis, keepdims=True), min=-limit, max=limit)
    found = log(sum_over(exp(x - largest), axis=axis, keepdims=True)) + largest
    return _fitted(found, _shape(x, axis, keepdims))


def log_softmax(x: Tensor, *, axis: int) -> Tensor:
    """As in the table, without looking for the largest difference, which is 0."""
    shifted = x - max_over(x, axis=axis, keepdims=True)
    return shifted - log(sum_over(exp(shifted), axis=axis, keepdims=True))


def variance(x: Tensor, *, axis: Axes, correction: float, keepdims: bool) -> Tensor:
    """In two passes."""
    total = sum_over(square(subtract(x, mean_over(x, axis=axis, keepdims=True))), axis=axis, keepdims=keepdims)
    return total / (math.prod(x.shape[a] for a in axis) - float(correction))


def std(x: Tensor, *, axis: Axes, correction: float, keepdims: bool) -> Tensor:
    """The root of the variance."""
    return sqrt(variance(x, axis=axis, correction=correction, keepdims=keepdims))


def _hits(labels: Tensor, count: int, axis: int, ndim: int) -> tuple[Tensor, Tensor]:
    """Where each class is the label's, and whether the label is one."""
    wide = labels if labels.dtype is dtypes.int64 else cast(labels, dtype=dtypes.int64)
    line = np.arange(count).reshape([-1 if a == axis else 1 for a in range(ndim)])
    classes = asarray(line, device=labels.spec.device)
    return equal(expand_dims(wide, axis=axis), classes), logical_and(greater_equal(wide, 0), less(wide, count))


def sparse_softmax_cross_entropy(labels: Tensor, logits: Tensor, *, axis: int) -> Tensor:
    """The own logit is found by comparing class numbers, not by taking it."""
    hits, valid = _hits(labels, logits.shape[axis], axis, logits.ndim)
    shifted = logits - max_over(logits, axis=axis, keepdims=True)
    own = sum_over(where(hits, shifted, 0.0), axis=axis)
    return where(valid, log(sum_over(exp(shifted), axis=axis)) - own, math.nan)


def sparse_softmax_cross_entropy_grad(g: Tensor, labels: Tensor, logits: Tensor, *, axis: int) -> Tensor:
    """The softmax in the same steps as the loss, so that both are computed once."""
    hits, valid = _hits(labels, logits.shape[axis], axis, logits.ndim)
    powers = exp(logits - max_over(logits, axis=axis, keepdims=True))
    chances = powers / sum_over(powers, axis=axis, keepdims=True)
    return (chances - cast(hits, dtype=logits.dtype)) * expand_dims(where(valid, g, math.nan), axis=axis)


#: Op name to decomposition: what ``corenn.compiler.passes.decompose`` takes as ``instead``.
DECOMPOSITIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        log_softmax, logsumexp, sparse_softmax_cross_entropy, sparse_softmax_cross_entropy_grad, std, variance,
    )
}  # fmt: skip

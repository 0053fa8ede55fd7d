"""Ops in terms of what loops hold, where the op table has a kernel instead, or a form that loops do not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.compiler.program import Call
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


def is_thin(call: Call) -> bool:
    """Whether a call is a product of matrices with an extent of 1 somewhere: a product of a matrix and a vector, or an
    outer one.  Nothing is used twice in them, so that loops, which do what comes before and after as well, are as fast.
    """
    if call.plan.op.name != "matmul":
        return False
    a, b = (i.spec for i in call.inputs if i is not None)
    attrs = call.plan.attrs
    if call.outputs[0].spec.dtype not in (dtypes.float32, dtypes.float64):
        return False  # sums of halves would be rounded at every step
    return a.ndim == b.ndim == 2 and 1 in (*call.outputs[0].spec.shape, a.shape[0 if attrs["transpose_a"] else 1])


def matmul(a: Tensor, b: Tensor, *, transpose_a: bool, transpose_b: bool) -> Tensor:
    """A thin product (see ``is_thin``) as a sum of elementwise products."""
    rows, inner = a.shape[::-1] if transpose_a else a.shape
    columns = b.shape[0 if transpose_b else 1]
    if inner == 1:
        return reshape(a, shape=(rows, 1)) * reshape(b, shape=(1, columns))
    if columns == 1:
        if transpose_a:
            return reshape(sum_over(a * reshape(b, shape=(inner, 1)), axis=(0,)), shape=(rows, 1))
        return sum_over(a * reshape(b, shape=(1, inner)), axis=(1,), keepdims=True)
    if transpose_b:
        return reshape(sum_over(b * reshape(a, shape=(1, inner)), axis=(1,)), shape=(1, columns))
    return sum_over(b * reshape(a, shape=(inner, 1)), axis=(0,), keepdims=True)


#: Op name to decomposition: what ``corenn.compiler.passes.decompose`` takes as ``instead``.
DECOMPOSITIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        log_softmax, logsumexp, matmul, sparse_softmax_cross_entropy, sparse_softmax_cross_entropy_grad, std, variance,
    )
}  # fmt: skip

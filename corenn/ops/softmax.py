"""Softmax and the cross-entropies, in forms that neither overflow nor lose small probabilities.

The gradients of the cross-entropies recompute the softmax from the logits: the forward pass keeps only its operands.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn import dtypes
from corenn.dtypes import FLOATING, INTEGER
from corenn.errors import DTypeError, ShapeError
from corenn.ops.creation import arange
from corenn.ops.elementwise import abs, cast, clip, maximum, multiply, negative, where
from corenn.ops.families import broadcast_shapes, normal_axis
from corenn.ops.logic import equal, greater_equal, less, logical_and
from corenn.ops.reduction import logsumexp
from corenn.ops.reduction import max as max_over
from corenn.ops.reduction import sum as sum_over
from corenn.ops.sampling import error, integer, literal, real, sample
from corenn.ops.shaping import expand_dims, reshape, squeeze
from corenn.ops.table import Call, TensorLike, op
from corenn.ops.transcendental import exp, log1p
from corenn.spec import Shape, Spec
from corenn.tensor import Tensor

__all__ = ["log_softmax", "sigmoid_cross_entropy", "softmax", "softmax_cross_entropy", "sparse_softmax_cross_entropy"]

Array = np.ndarray[Any, Any]
_no_axis = error(ShapeError, "axis 2 is out of range", real(), axis=2)
_integers = error(DTypeError, "takes floating", integer())


def _axis(call: Call, x: Spec) -> int:
    axis = call.attrs["axis"] = normal_axis(call, call.attrs["axis"], x.ndim)
    return axis


def _along(call: Call, x: Spec) -> Spec:
    _axis(call, x)
    return x.at(None)


# ---------------------------------------------------------------- softmax


@op(infer=_along, dtypes=FLOATING, namespace="nn")
def softmax(x: TensorLike, /, *, axis: int = -1) -> Tensor:
    """``exp(x) / sum(exp(x))`` along ``axis``: positive, adding up to 1; of the shape of ``x``.

    A line that is -inf throughout, or holds inf, gives NaN.
    """


@softmax.decompose
def _(x: Tensor, *, axis: int) -> Tensor:
    if not x.shape[axis]:
        return x
    powers = exp(x - max_over(x, axis=axis, keepdims=True))
    return powers / sum_over(powers, axis=axis, keepdims=True)


@softmax.vjp
def _(g: Tensor, out: Tensor, axis: int) -> Tensor:
    return softmax_grad(g, out, axis=axis)


softmax.samples(
    sample(real(-4, 4)), sample(real(-4, 4, shape=(2, 3, 2)), axis=1), sample(real(shape=(3,)), axis=0),
    sample(real(shape=(2, 0))), sample(real(shape=(0, 2))),
    sample(literal([[1000.0, 0.0, -1000.0], [-1000.0, -1000.0, -1001.0]]), kinds="f", name="large"),
)  # fmt: skip
softmax.error_samples(_no_axis, _integers, error(ShapeError, "out of range", real(shape=())))


@softmax.reference
def _(x: Array, *, axis: int) -> Array:
    if not x.shape[axis]:
        return x
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)  # type: ignore[no-any-return]


@op(infer=lambda call, g, y: _along(call, y), dtypes=FLOATING, namespace="_")
def softmax_grad(g: TensorLike, y: TensorLike, /, *, axis: int) -> Tensor:
    """The gradient of ``y = softmax(x)`` by ``x``, where ``g`` is that of the result by ``y``."""


@softmax_grad.decompose
def _(g: Tensor, y: Tensor, *, axis: int) -> Tensor:
    weighted = g * y
    return weighted - y * sum_over(weighted, axis=axis, keepdims=True)


softmax_grad.samples(
    sample(real(), real(0, 1), axis=-1), sample(real(shape=(2, 3, 2)), real(0, 1, shape=(2, 3, 2)), axis=1)
)
softmax_grad.reference(lambda g, y, *, axis: y * (g - (g * y).sum(axis, keepdims=True)))


@op(infer=_along, dtypes=FLOATING, namespace="nn")
def log_softmax(x: TensorLike, /, *, axis: int = -1) -> Tensor:
    """``x - log(sum(exp(x)))`` along ``axis``: the logarithm of ``softmax``, exact also where that is nearly 0."""


@log_softmax.decompose
def _(x: Tensor, *, axis: int) -> Tensor:
    # With the maximum taken off first, the differences keep their digits even where x itself is large.
    if not x.shape[axis]:
        return x
    shifted = x - max_over(x, axis=axis, keepdims=True)
    return shifted - logsumexp(shifted, axis=axis, keepdims=True)


log_softmax.vjp(lambda g, out, axis: g - exp(out) * sum_over(g, axis=axis, keepdims=True))
log_softmax.samples(
    sample(real(-4, 4)), sample(real(-4, 4, shape=(2, 3, 2)), axis=1), sample(real(shape=(2, 0))),
    sample(literal([[1000.0, 0.0, -1000.0], [-1000.0, -1000.0, -1001.0]]), kinds="f", name="large"),
)  # fmt: skip
log_softmax.error_samples(_no_axis, _integers)


@log_softmax.reference
def _(x: Array, *, axis: int) -> Array:
    if not x.shape[axis]:
        return x
    shifted = x - x.max(axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))  # type: ignore[no-any-return]


# ---------------------------------------------------------------- labels as distributions


def _without(shape: Shape, axis: int) -> Shape:
    return shape[:axis] + shape[axis + 1 :]


def _one_shape(call: Call, labels: Spec, logits: Spec) -> None:
    if labels.shape != logits.shape:
        hint = None
        if labels.ndim == logits.ndim - 1:
            hint = "labels that are class numbers are for sparse_softmax_cross_entropy"
        raise call.shape_error("labels and logits must have one shape", hint, labels="", logits="")


def _softmax_cross_entropy(call: Call, labels: Spec, logits: Spec) -> Spec:
    _one_shape(call, labels, logits)
    axis = _axis(call, logits)
    if logits.shape[axis] == 0:
        raise call.shape_error("there are no classes", logits=f"axis {axis} has extent 0")
    return Spec(_without(logits.shape, axis), logits.dtype)


@op(infer=_softmax_cross_entropy, promote=True, dtypes=FLOATING, namespace="nn")
def softmax_cross_entropy(labels: TensorLike, logits: TensorLike, /, *, axis: int = -1) -> Tensor:
    """``-sum(labels * log_softmax(logits))`` along ``axis``: one loss for each example, in nats.

    ``labels``: distributions over the classes (one-hot or soft), of the shape of ``logits``.  The result lacks
    ``axis``.  Both have gradients.  Raises ShapeError when the shapes differ; DTypeError for integer labels
    (class numbers are for ``sparse_softmax_cross_entropy``; cast one-hot ones).
    """


@softmax_cross_entropy.decompose
def _(labels: Tensor, logits: Tensor, *, axis: int) -> Tensor:
    return negative(sum_over(labels * log_softmax(logits, axis=axis), axis=axis))


@softmax_cross_entropy.vjp
def _(
    g: Tensor, labels: Tensor, logits: Tensor, axis: int, needs: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    for_labels = for_logits = None
    if needs[0]:
        for_labels = log_softmax(logits, axis=axis) * expand_dims(negative(g), axis=axis)
    if needs[1]:
        for_logits = softmax_cross_entropy_grad(g, labels, logits, axis=axis)
    return for_labels, for_logits


_one_hot = literal([[0.0, 1.0, 0.0, 0.0], [0.3, 0.2, 0.0, 0.5], [0.0, 0.0, 0.0, 0.0]])
softmax_cross_entropy.samples(
    sample(_one_hot, real(-4, 4)), sample(real(0, 1, shape=(2, 3, 2)), real(shape=(2, 3, 2)), axis=1),
    sample(real(0, 1, shape=(3,)), real(shape=(3,))), sample(real(shape=(0, 3)), real(shape=(0, 3))),
    sample(literal([[1.0, 0.0]]), literal([[-2000.0, 2000.0]]), kinds="f", name="large"),
)  # fmt: skip
softmax_cross_entropy.error_samples(
    error(ShapeError, "sparse_softmax_cross_entropy", real(shape=(3,)), real()),
    error(ShapeError, "must have one shape", real(shape=(3, 5)), real()),
    error(ShapeError, "no classes", real(shape=(3, 0)), real(shape=(3, 0))),
    error(DTypeError, "do not promote", integer(), real()),
    error(ShapeError, "axis 2 is out of range", real(), real(), axis=2),
)
softmax_cross_entropy.terms(lambda labels, logits, *, axis: logits.static[axis])


def _log_softmax(x: Array, axis: int) -> Array:
    shifted = x - x.max(axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))  # type: ignore[no-any-return]


softmax_cross_entropy.reference(lambda labels, logits, *, axis: -(labels * _log_softmax(logits, axis)).sum(axis))


@op(infer=lambda call, g, labels, logits: _along(call, logits), dtypes=FLOATING, namespace="_")
def softmax_cross_entropy_grad(g: TensorLike, labels: TensorLike, logits: TensorLike, /, *, axis: int) -> Tensor:
    """The gradient of ``softmax_cross_entropy`` by the logits: ``g * (softmax(logits) * sum(labels) - labels)``."""


@softmax_cross_entropy_grad.decompose
def _(g: Tensor, labels: Tensor, logits: Tensor, *, axis: int) -> Tensor:
    mass = sum_over(labels, axis=axis, keepdims=True)
    return (softmax(logits, axis=axis) * mass - labels) * expand_dims(g, axis=axis)


softmax_cross_entropy_grad.samples(
    sample(real(shape=(3,)), _one_hot, real(), axis=-1),
    sample(real(shape=(2, 2)), real(0, 1, shape=(2, 3, 2)), real(shape=(2, 3, 2)), axis=1),
)
softmax_cross_entropy_grad.reference(
    lambda g, labels, logits, *, axis: (
        (np.exp(_log_softmax(logits, axis)) * labels.sum(axis, keepdims=True) - labels) * np.expand_dims(g, axis)
    )
)


# ---------------------------------------------------------------- labels as class numbers


def _sparse(call: Call, labels: Spec, logits: Spec) -> Spec:
    axis = _axis(call, logits)
    shape = _without(logits.shape, axis)
    if labels.shape != shape:
        hint = None
        if labels.shape == logits.shape:
            hint = "one-hot labels are for softmax_cross_entropy; or corenn.argmax(labels, axis=-1)"
        elif labels.shape == (*shape, 1):
            hint = "corenn.squeeze(labels, axis=-1)"
        expected = f"should be [{', '.join(map(str, shape))}], one class number for each line of the logits"
        raise call.shape_error("labels and logits do not fit", hint, labels=expected, logits="")
    if logits.shape[axis] == 0:
        raise call.shape_error("there are no classes", logits=f"axis {axis} has extent 0")
    return Spec(shape, logits.dtype)


_SPARSE = {"labels": INTEGER, "logits": FLOATING, "g": FLOATING}


@op(infer=_sparse, dtypes=_SPARSE, namespace="nn")
def sparse_softmax_cross_entropy(labels: TensorLike, logits: TensorLike, /, *, axis: int = -1) -> Tensor:
    """``-log_softmax(logits)`` along ``axis`` at the class number of each example: its loss, in nats.

    ``labels``: integers, of the shape of ``logits`` without ``axis``, which is also the shape of the result.  The
    gradient is with respect to ``logits``.  A label below 0 or not below the number of classes is a ShapeError where
    the backend can tell without waiting for its device (NumPy can), and gives NaN, also in the gradient, elsewhere.
    """


def _classes(labels: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Labels as int64 that are safe to take, and whether each was."""
    wide = cast(labels, dtype=dtypes.int64)
    return clip(wide, min=0, max=count - 1), logical_and(greater_equal(wide, 0), less(wide, count))


@sparse_softmax_cross_entropy.decompose
def _(labels: Tensor, logits: Tensor, *, axis: int) -> Tensor:
    from corenn.ops.gathering import take_along_axis

    safe, valid = _classes(labels, logits.shape[axis])
    own = take_along_axis(log_softmax(logits, axis=axis), expand_dims(safe, axis=axis), axis=axis)
    return where(valid, negative(squeeze(own, axis=axis)), float("nan"))


@sparse_softmax_cross_entropy.vjp
def _(g: Tensor, labels: Tensor, logits: Tensor, axis: int) -> tuple[Tensor | None, Tensor | None]:
    return None, sparse_softmax_cross_entropy_grad(g, labels, logits, axis=axis)


sparse_softmax_cross_entropy.samples(
    sample(integer(0, 4, shape=(3,)), real(-4, 4)),
    sample(integer(0, 3, shape=(2, 2), dtype="int64"), real(shape=(2, 3, 2)), axis=1),
    sample(literal(2, "uint8"), real(shape=(3,))), sample(integer(0, 3, shape=(0,)), real(shape=(0, 3))),
    sample(literal([0], "int32"), literal([[-2000.0, 2000.0]]), kinds="f", name="large"),
)  # fmt: skip
sparse_softmax_cross_entropy.error_samples(
    error(ShapeError, "squeeze(labels", integer(0, 3, shape=(3, 1)), real()),
    error(ShapeError, "one-hot labels are for", integer(0, 2), real()),
    error(ShapeError, "no classes", integer(0, 3, shape=(3,)), real(shape=(3, 0))),
    error(DTypeError, "takes integer", real(shape=(3,)), real()),
    error(ShapeError, "axis 2 is out of range", integer(0, 3, shape=(3,)), real(), axis=2),
)
sparse_softmax_cross_entropy.terms(lambda labels, logits, *, axis: logits.static[axis])


def _hits(labels: Array, logits: Array, axis: int) -> Array:
    line = np.arange(logits.shape[axis]).reshape([-1 if i == axis else 1 for i in range(logits.ndim)])
    hits: Array = np.expand_dims(labels, axis) == line
    return hits


@sparse_softmax_cross_entropy.reference
def _(labels: Array, logits: Array, *, axis: int) -> Array:
    axis %= logits.ndim
    return -np.where(_hits(labels, logits, axis), _log_softmax(logits, axis), 0).sum(axis)  # type: ignore[no-any-return]


@op(infer=lambda call, g, labels, logits: _along(call, logits), dtypes=_SPARSE, namespace="_")
def sparse_softmax_cross_entropy_grad(g: TensorLike, labels: TensorLike, logits: TensorLike, /, *, axis: int) -> Tensor:
    """The gradient of ``sparse_softmax_cross_entropy`` by the logits: ``g * (softmax(logits) - one_hot(labels))``."""


@sparse_softmax_cross_entropy_grad.decompose
def _(g: Tensor, labels: Tensor, logits: Tensor, *, axis: int) -> Tensor:
    count = logits.shape[axis]
    line = reshape(
        arange(count, dtype=dtypes.int64, device=logits.spec.device),
        shape=tuple(-1 if i == axis else 1 for i in range(logits.ndim)),
    )
    safe, valid = _classes(labels, count)
    own = cast(equal(expand_dims(safe, axis=axis), line), dtype=logits.dtype)
    return (softmax(logits, axis=axis) - own) * expand_dims(where(valid, g, float("nan")), axis=axis)


sparse_softmax_cross_entropy_grad.samples(
    sample(real(shape=(3,)), integer(0, 4, shape=(3,)), real(), axis=-1),
    sample(real(shape=(2, 2)), integer(0, 3, shape=(2, 2)), real(shape=(2, 3, 2)), axis=1),
)
sparse_softmax_cross_entropy_grad.reference(
    lambda g, labels, logits, *, axis: (
        (np.exp(_log_softmax(logits, axis)) - _hits(labels, logits, axis % logits.ndim)) * np.expand_dims(g, axis)
    )
)


# ---------------------------------------------------------------- independent labels


def _sigmoid_cross_entropy(call: Call, labels: Spec, logits: Spec, positive_weight: Spec | None) -> Spec:
    if labels.shape != logits.shape:
        hint = "a weight for each class is positive_weight, which broadcasts" if positive_weight is None else None
        raise call.shape_error("labels and logits must have one shape", hint, labels="", logits="")
    if positive_weight is not None and broadcast_shapes(call, (positive_weight.shape, logits.shape)) != logits.shape:
        raise call.shape_error("positive_weight must broadcast to the logits", positive_weight="", logits="")
    return Spec(logits.shape, logits.dtype)


@op(infer=_sigmoid_cross_entropy, promote=True, dtypes=FLOATING, namespace="nn")
def sigmoid_cross_entropy(
    labels: TensorLike, logits: TensorLike, positive_weight: TensorLike | None = None, /
) -> Tensor:
    """``-z log(sigmoid(x)) - (1 - z) log(1 - sigmoid(x))`` of labels ``z`` and logits ``x``, elementwise, in nats.

    For classes that do not exclude one another, or just two.  ``labels``: 0, 1 or probabilities, of the shape of
    ``logits``.  ``positive_weight`` (broadcast to it): multiplies the first term, to trade recall for precision.  All
    three have gradients.  Computed as ``max(x, 0) - x z + log1p(exp(-|x|))``, which does not overflow.
    """


def _softplus_of_negative(x: Tensor) -> Tensor:
    """``log(1 + exp(-x))``."""
    return log1p(exp(negative(abs(x)))) + maximum(negative(x), 0)


@sigmoid_cross_entropy.decompose
def _(labels: Tensor, logits: Tensor, positive_weight: Tensor | None) -> Tensor:
    if positive_weight is None:
        return maximum(logits, 0) - logits * labels + log1p(exp(negative(abs(logits))))
    return (1 - labels) * logits + (1 + (positive_weight - 1) * labels) * _softplus_of_negative(logits)


@sigmoid_cross_entropy.vjp
def _(
    g: Tensor, labels: Tensor, logits: Tensor, positive_weight: Tensor | None, needs: tuple[bool, bool, bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    from corenn.ops.activations import sigmoid

    for_labels = for_logits = for_weight = None
    if needs[1]:
        if positive_weight is None:
            for_logits = multiply(g, sigmoid(logits) - labels)
        else:
            weight = 1 + (positive_weight - 1) * labels
            for_logits = multiply(g, 1 - labels - weight * sigmoid(negative(logits)))
    if needs[0]:
        for_labels = multiply(g, negative(logits))
        if positive_weight is not None:
            for_labels = for_labels + g * (positive_weight - 1) * _softplus_of_negative(logits)
    if needs[2]:
        for_weight = g * labels * _softplus_of_negative(logits)
    return for_labels, for_logits, for_weight


sigmoid_cross_entropy.samples(
    sample(real(0, 1), real(-4, 4, away=(0.0,))),
    sample(real(0, 1), real(-4, 4, away=(0.0,)), real(0.5, 3, shape=(4,))),
    sample(real(0, 1, shape=(0,)), real(shape=(0,))),
    sample(literal([0.0, 1.0, 1.0, 0.0]), literal([-1e3, -1e3, 1e3, 1e3]), kinds="f", grad=False, name="large"),
)
sigmoid_cross_entropy.error_samples(
    error(ShapeError, "must have one shape", real(shape=(3, 1)), real()),
    error(ShapeError, "must broadcast to the logits", real(), real(), real(shape=(2, 1, 4))),
    error(DTypeError, "do not promote", integer(0, 2), real()),
)


@sigmoid_cross_entropy.reference
def _(z: Array, x: Array, weight: Array | None = None) -> Array:
    q = 1.0 if weight is None else weight
    return q * z * np.logaddexp(0, -x) + (1 - z) * np.logaddexp(0, x)  # type: ignore[no-any-return]

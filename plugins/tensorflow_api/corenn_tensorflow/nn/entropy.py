"""Cross entropies, with the order of positional arguments of every era.

TensorFlow 0.x took ``(logits, labels)``; 1.x refused positional arguments, so a program of generation 1 that gives two
means the order of 0.x; 2.x takes ``(labels, logits)``.
"""

from __future__ import annotations

import math
from typing import Any

from corenn.errors import UsageError
from corenn.ops.elementwise import add, cast, multiply, stop_gradient, subtract, where
from corenn.ops.logic import greater_equal, less_equal, logical_and
from corenn.ops.softmax import sigmoid_cross_entropy, softmax_cross_entropy, sparse_softmax_cross_entropy
from corenn.ops.transcendental import exp, log
from corenn.tensor import Tensor
from corenn_tensorflow.mode import by_generation, one, scope
from corenn_tensorflow.operands import extents, known, like, tensor


def _pair(where: str, first: Any, second: Any, labels: Any, logits: Any) -> tuple[Any, Any]:
    """Labels and logits of a call of generation 1: ``(logits, labels)`` where they are positional."""
    if first is not None:
        if logits is None and labels is not None and second is None:
            logits = first
        elif labels is None and logits is not None and second is None:
            labels = first
        elif labels is None and logits is None and second is not None:
            logits, labels = first, second
        else:
            raise UsageError(where, f"Only call `{where}` with named arguments (labels=..., logits=..., ...)")
    if labels is None or logits is None:
        raise UsageError(where, "Both labels and logits must be provided.", hint=f"{where}(labels=..., logits=...)")
    return labels, logits


def softmax_entropy(labels: Any, logits: Any, axis: Any, name: str | None, through_labels: bool) -> Tensor:
    """One loss for each example."""
    scores = tensor(logits, None, labels)
    if not scores.dtype.is_floating:
        scores = cast(scores, dtype="float32")
    given = like(labels, scores)
    if not through_labels:
        given = stop_gradient(given)
    place = -1 if axis is None else int(known(axis))
    return one("SoftmaxCrossEntropyWithLogits", name, softmax_cross_entropy, given, scores, axis=place)


def _softmax_v1(
    _first: Any = None, _second: Any = None, dim: int = -1, name: str | None = None, axis: int | None = None, *,
    labels: Any = None, logits: Any = None,
) -> Tensor:  # fmt: skip
    """``-sum(labels * log(softmax(logits)))`` for each example; gradients do not reach the labels."""
    labels, logits = _pair("softmax_cross_entropy_with_logits", _first, _second, labels, logits)
    dim, name = (-1, dim) if isinstance(dim, str) else (dim, name)
    return softmax_entropy(labels, logits, axis if axis is not None else dim, name, False)


def _softmax_v2(labels: Any, logits: Any, axis: int = -1, name: str | None = None) -> Tensor:
    """``-sum(labels * log(softmax(logits)))`` for each example; gradients reach the labels, too."""
    return softmax_entropy(labels, logits, axis, name, True)


softmax_cross_entropy_with_logits = by_generation(_softmax_v1, _softmax_v2)


def softmax_cross_entropy_with_logits_v2(
    labels: Any = None, logits: Any = None, axis: int | None = None, name: str | None = None, dim: int | None = None,
    _sentinel: Any = None,
) -> Tensor:  # fmt: skip
    """``-sum(labels * log(softmax(logits)))`` for each example; gradients reach the labels, too."""
    return softmax_entropy(labels, logits, axis if axis is not None else dim, name, True)


def sparse_entropy(labels: Any, logits: Any, name: str | None) -> Tensor:
    """One loss for each class number of ``labels``."""
    scores = tensor(logits, None, labels)
    classes = tensor(labels, None, scores)
    if classes.dtype.is_floating:
        classes = cast(classes, dtype="int64")
    a, b = extents(classes), extents(scores)
    if a is not None and b is not None and len(a) != len(b) - 1:
        raise UsageError(
            "sparse_softmax_cross_entropy_with_logits",
            f"Rank mismatch: Rank of labels (received {len(a)}) should equal rank of logits minus 1 (received "
            f"{len(b)}).",
            {"labels": a, "logits": b},
        )  # fmt: skip
    return one("SparseSoftmaxCrossEntropyWithLogits", name, sparse_softmax_cross_entropy, classes, scores)


def _sparse_v1(
    _first: Any = None, _second: Any = None, name: str | None = None, *, labels: Any = None, logits: Any = None
) -> Tensor:
    """``-log(softmax(logits)[label])`` for each example; ``labels`` are class numbers."""
    labels, logits = _pair("sparse_softmax_cross_entropy_with_logits", _first, _second, labels, logits)
    return sparse_entropy(labels, logits, name)


def _sparse_v2(labels: Any, logits: Any, name: str | None = None) -> Tensor:
    """``-log(softmax(logits)[label])`` for each example; ``labels`` are class numbers."""
    return sparse_entropy(labels, logits, name)


sparse_softmax_cross_entropy_with_logits = by_generation(_sparse_v1, _sparse_v2)


def sigmoid_entropy(labels: Any, logits: Any, name: str | None) -> Tensor:
    """One loss for each element."""
    scores = tensor(logits, None, labels)
    given = like(labels, scores)
    a, b = extents(given), extents(scores)
    if a is not None and b is not None and len(a) != len(b):
        raise UsageError(
            "sigmoid_cross_entropy_with_logits", "`logits` and `labels` must have the same shape, received "
            f"({b} vs {a}).",
            {"labels": a, "logits": b},
        )  # fmt: skip
    return one("SigmoidCrossEntropyWithLogits", name or "logistic_loss", sigmoid_cross_entropy, given, scores)


def _sigmoid_v1(
    _first: Any = None, _second: Any = None, name: str | None = None, *, labels: Any = None, logits: Any = None,
    targets: Any = None,
) -> Tensor:  # fmt: skip
    """The logistic loss of each element: ``max(x, 0) - x z + log(1 + exp(-|x|))`` of logits x and labels z."""
    labels = labels if labels is not None else targets
    labels, logits = _pair("sigmoid_cross_entropy_with_logits", _first, _second, labels, logits)
    return sigmoid_entropy(labels, logits, name)


def _sigmoid_v2(labels: Any = None, logits: Any = None, name: str | None = None) -> Tensor:
    """The logistic loss of each element: ``max(x, 0) - x z + log(1 + exp(-|x|))`` of logits x and labels z."""
    return sigmoid_entropy(labels, logits, name)


sigmoid_cross_entropy_with_logits = by_generation(_sigmoid_v1, _sigmoid_v2)


def _weighted_entropy(labels: Any, logits: Any, pos_weight: Any, name: str | None) -> Tensor:
    scores = tensor(logits, None, labels, pos_weight)
    return one(
        "WeightedCrossEntropyWithLogits", name or "logistic_loss", sigmoid_cross_entropy, like(labels, scores), scores,
        like(pos_weight, scores),
    )  # fmt: skip


def _weighted_v1(
    labels: Any = None, logits: Any = None, pos_weight: Any = None, name: str | None = None, targets: Any = None
) -> Tensor:
    """``sigmoid_cross_entropy_with_logits`` with the term of the positive labels multiplied by ``pos_weight``."""
    return _weighted_entropy(labels if labels is not None else targets, logits, pos_weight, name)


def _weighted_v2(labels: Any, logits: Any, pos_weight: Any, name: str | None = None) -> Tensor:
    """``sigmoid_cross_entropy_with_logits`` with the term of the positive labels multiplied by ``pos_weight``."""
    return _weighted_entropy(labels, logits, pos_weight, name)


weighted_cross_entropy_with_logits = by_generation(_weighted_v1, _weighted_v2)


def log_poisson_loss(targets: Any, log_input: Any, compute_full_loss: bool = False, name: str | None = None) -> Tensor:
    """``exp(log_input) - log_input * targets``, and Stirling's approximation of ``log(targets!)`` if asked for."""
    with scope(name, "log_poisson_loss", targets, log_input):
        rate = tensor(log_input, None, targets)
        count = like(targets, rate)
        loss = subtract(exp(rate), multiply(rate, count))
        if not compute_full_loss:
            return loss
        small = logical_and(greater_equal(count, 0.0), less_equal(count, 1.0))
        safe = where(small, 1.0, count)
        stirling = add(subtract(multiply(safe, log(safe)), safe), multiply(log(multiply(safe, 2 * math.pi)), 0.5))
        return add(loss, where(small, 0.0, stirling))


__all__ = [
    "log_poisson_loss", "sigmoid_cross_entropy_with_logits", "softmax_cross_entropy_with_logits",
    "softmax_cross_entropy_with_logits_v2", "sparse_softmax_cross_entropy_with_logits",
    "weighted_cross_entropy_with_logits",
]  # fmt: skip

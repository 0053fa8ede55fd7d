"""``tf.losses``: weighted losses that are kept in a collection, and their total."""

from __future__ import annotations

import math
from typing import Any

from corenn.dtypes import float32
from corenn.errors import AttributeValueError, UsageError
from corenn.ops.elementwise import abs as absolute
from corenn.ops.elementwise import (
    add,
    cast,
    divide,
    maximum,
    minimum,
    multiply,
    negative,
    square,
    squared_difference,
    stop_gradient,
    subtract,
    where,
)  # fmt: skip
from corenn.ops.logic import equal, not_equal
from corenn.ops.reduction import mean, prod
from corenn.ops.reduction import sum as sum_over
from corenn.ops.shaping import broadcast_to, reshape, squeeze
from corenn.ops.softmax import sigmoid_cross_entropy as sigmoid_op
from corenn.ops.transcendental import log
from corenn.tensor import Tensor
from corenn_tensorflow import missing
from corenn_tensorflow.framework import GraphKeys
from corenn_tensorflow.mode import by_generation, default_graph, executing_eagerly, generation, graph_for, one, scope
from corenn_tensorflow.nn.entropy import softmax_entropy, sparse_entropy
from corenn_tensorflow.operands import dynamic_shape, extents, known, like, shape_of, tensor


class Reduction:
    """How the losses of the elements become one."""

    NONE = "none"
    SUM = "weighted_sum"
    SUM_OVER_BATCH_SIZE = "weighted_sum_over_batch_size"
    MEAN = "weighted_mean"
    SUM_BY_NONZERO_WEIGHTS = "weighted_sum_by_nonzero_weights"
    SUM_OVER_NONZERO_WEIGHTS = SUM_BY_NONZERO_WEIGHTS

    @classmethod
    def all(cls) -> tuple[str, ...]:
        """All of them."""
        return (cls.NONE, cls.SUM, cls.MEAN, cls.SUM_OVER_BATCH_SIZE, cls.SUM_BY_NONZERO_WEIGHTS)

    @classmethod
    def validate(cls, key: str) -> None:
        """ValueError for what is none of them."""
        if key not in cls.all():
            raise AttributeValueError("reduction", f"Invalid Reduction Key {key}.", {"known": ", ".join(cls.all())})


_DEFAULT = Reduction.SUM_BY_NONZERO_WEIGHTS


def _collected(loss: Tensor, collection: str | None) -> Tensor:
    if collection is not None:
        add_loss(loss, collection)
    return loss


def _count(x: Tensor) -> Any:
    """The number of elements: a number, or a tensor."""
    shape = extents(x)
    if shape is not None and None not in shape:
        return float(math.prod(n or 0 for n in shape))
    return cast(prod(shape_of(x)), dtype=float32)


def _quotient(total: Tensor, count: Any) -> Tensor:
    """``total / count``, 0 where the count is 0."""
    divisor = like(count, total)
    nothing = equal(divisor, 0.0)
    return where(nothing, 0.0, divide(total, where(nothing, 1.0, divisor)))


def _fitting(weights: Tensor, losses: Tensor) -> Tensor:
    """The weights with as many axes as the losses, or none; UsageError where they do not broadcast."""
    a, b = extents(weights), extents(losses)
    if a is None or b is None or not a:
        return weights
    if len(a) == len(b) + 1 and a[-1] == 1:
        return squeeze(weights, axis=-1)
    if len(a) == len(b) - 1:
        shape = tuple(n if n is not None else -1 for n in a)
        return reshape(weights, shape=(*shape, 1)) if shape.count(-1) < 2 else weights[..., None]
    if len(a) != len(b) or any(m not in (None, 1) and n is not None and m != n for m, n in zip(a, b, strict=True)):
        raise UsageError(
            "compute_weighted_loss", "weights can not be broadcast to values.", {"weights": a, "values": b},
            hint="weights: a number, or the shape of the losses with 1 for extents that share one",
        )  # fmt: skip
    return weights


def compute_weighted_loss(
    losses: Any, weights: Any = 1.0, scope: str | None = None, loss_collection: str | None = GraphKeys.LOSSES,
    reduction: str = _DEFAULT,
) -> Tensor:  # fmt: skip
    """``losses`` times ``weights``, reduced to one number (by default: over the elements whose weight is not 0)."""
    Reduction.validate(reduction)
    with _named(scope, "weighted_loss", losses, weights):
        values = tensor(losses, None, weights)
        kind = values.dtype
        values = values if kind.is_floating else cast(values, dtype=float32)
        heavy = _fitting(like(weights, values), values)
        weighted = multiply(values, heavy)
        if reduction == Reduction.NONE:
            return _collected(weighted, loss_collection)
        total = one("Sum", None, sum_over, weighted)
        if reduction == Reduction.MEAN:
            total = _quotient(total, sum_over(_spread(heavy, values)))
        elif reduction == Reduction.SUM_OVER_BATCH_SIZE:
            total = _quotient(total, _count(values))
        elif reduction == Reduction.SUM_BY_NONZERO_WEIGHTS:
            number = known(weights)
            if isinstance(number, (int, float)) and number != 0:
                total = _quotient(total, _count(values))
            else:
                present = cast(not_equal(_spread(heavy, values), 0.0), dtype=values.dtype)
                total = _quotient(total, sum_over(present))
        return _collected(total, loss_collection)


def _spread(weights: Tensor, values: Tensor) -> Tensor:
    return broadcast_to(weights, shape=dynamic_shape(values))


_named = scope


def _pair(where_: str, labels: Any, predictions: Any) -> tuple[Tensor, Tensor]:
    """Labels and predictions as floats of one shape."""
    if labels is None or predictions is None:
        raise UsageError(where_, "labels and predictions must not be None.")
    found = tensor(predictions, None, labels)
    found = found if found.dtype.is_floating else cast(found, dtype=float32)
    given = like(labels, found)
    a, b = extents(given), extents(found)
    if a is not None and b is not None and (
        len(a) != len(b) or any(m is not None and n is not None and m != n for m, n in zip(a, b, strict=True))
    ):  # fmt: skip
        raise UsageError(where_, f"Shapes {_text(b)} and {_text(a)} are incompatible",
                         {"labels": a, "predictions": b}, hint="reshape one of them")  # fmt: skip
    return given, found


def _text(shape: Any) -> str:
    return f"({', '.join('?' if n is None else str(n) for n in shape)}{',' if len(shape) == 1 else ''})"


def absolute_difference(
    labels: Any, predictions: Any, weights: Any = 1.0, scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES, reduction: str = _DEFAULT,
) -> Tensor:  # fmt: skip
    """``|predictions - labels|``."""
    with _named(scope, "absolute_difference", predictions, labels, weights):
        y, p = _pair("absolute_difference", labels, predictions)
        return compute_weighted_loss(absolute(subtract(p, y)), weights, None, loss_collection, reduction)


def _squared_v1(
    labels: Any, predictions: Any, weights: Any = 1.0, scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES, reduction: str = _DEFAULT,
) -> Tensor:  # fmt: skip
    """``(predictions - labels) ** 2``."""
    with _named(scope, "mean_squared_error", predictions, labels, weights):
        y, p = _pair("mean_squared_error", labels, predictions)
        return compute_weighted_loss(squared_difference(p, y), weights, None, loss_collection, reduction)


def _squared_v2(y_true: Any, y_pred: Any) -> Any:
    """The mean of ``(y_pred - y_true) ** 2`` over the last axis."""
    from corenn_tensorflow.keras import losses

    return losses.mean_squared_error(y_true, y_pred)


mean_squared_error = by_generation(_squared_v1, _squared_v2)


def cosine_distance(
    labels: Any, predictions: Any, axis: int | None = None, weights: Any = 1.0, scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES, reduction: str = _DEFAULT, dim: int | None = None,
) -> Tensor:  # fmt: skip
    """``1 - sum(labels * predictions)`` along ``axis``, of vectors that have length 1 already."""
    place = axis if axis is not None else dim
    if place is None:
        raise UsageError("cosine_distance", "You must specify 'axis'.")
    with _named(scope, "cosine_distance_loss", predictions, labels, weights):
        y, p = _pair("cosine_distance", labels, predictions)
        losses = subtract(1.0, sum_over(multiply(p, y), axis=place, keepdims=True))
        return compute_weighted_loss(losses, weights, None, loss_collection, reduction)


def hinge_loss(
    labels: Any, logits: Any, weights: Any = 1.0, scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES, reduction: str = _DEFAULT,
) -> Tensor:  # fmt: skip
    """``max(0, 1 - (2 labels - 1) logits)`` of labels 0 and 1."""
    with _named(scope, "hinge_loss", logits, labels, weights):
        y, x = _pair("hinge_loss", labels, logits)
        signs = subtract(multiply(y, 2.0), 1.0)
        return compute_weighted_loss(
            maximum(subtract(1.0, multiply(signs, x)), 0.0), weights, None, loss_collection, reduction
        )


def huber_loss(
    labels: Any, predictions: Any, weights: Any = 1.0, delta: float = 1.0, scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES, reduction: str = _DEFAULT,
) -> Tensor:  # fmt: skip
    """``e ** 2 / 2`` of errors e up to ``delta``, ``delta |e| - delta ** 2 / 2`` beyond."""
    with _named(scope, "huber_loss", predictions, labels, weights):
        y, p = _pair("huber_loss", labels, predictions)
        size = absolute(subtract(p, y))
        near = minimum(size, float(delta))
        losses = add(multiply(square(near), 0.5), multiply(subtract(size, near), float(delta)))
        return compute_weighted_loss(losses, weights, None, loss_collection, reduction)


def log_loss(
    labels: Any, predictions: Any, weights: Any = 1.0, epsilon: float = 1e-7, scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES, reduction: str = _DEFAULT,
) -> Tensor:  # fmt: skip
    """``-labels log(predictions + epsilon) - (1 - labels) log(1 - predictions + epsilon)``."""
    with _named(scope, "log_loss", predictions, labels, weights):
        y, p = _pair("log_loss", labels, predictions)
        losses = subtract(
            negative(multiply(y, log(add(p, epsilon)))),
            multiply(subtract(1.0, y), log(add(subtract(1.0, p), epsilon))),
        )
        return compute_weighted_loss(losses, weights, None, loss_collection, reduction)


def mean_pairwise_squared_error(
    labels: Any, predictions: Any, weights: Any = 1.0, scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES,
) -> Tensor:  # fmt: skip
    """For each example the mean over pairs of elements of the squared difference of their errors; summed, weighted."""
    with _named(scope, "mean_pairwise_squared_error", predictions, labels, weights):
        y, p = _pair("mean_pairwise_squared_error", labels, predictions)
        errors = subtract(p, y)
        shape = extents(errors)
        axes = tuple(range(1, len(shape or (0,))))
        heavy = _fitting(like(weights, errors), errors)
        present = cast(not_equal(_spread(heavy, errors), 0.0), dtype=errors.dtype)
        count = sum_over(present, axis=axes, keepdims=True)
        squares = multiply(
            _quotient(sum_over(square(errors), axis=axes, keepdims=True), maximum(count - 1.0, 0.0)), 2.0
        )
        total = sum_over(errors, axis=axes, keepdims=True)
        crossed = multiply(_quotient(square(total), multiply(count, maximum(count - 1.0, 0.0))), 2.0)
        number = known(weights)
        per = _per_example(heavy, errors) if not isinstance(number, (int, float)) else heavy
        weighted = multiply(subtract(squares, crossed), per)
        found = where(equal(sum_over(present), 0.0), 0.0, sum_over(weighted))
        return _collected(found, loss_collection)


def _per_example(weights: Tensor, values: Tensor) -> Tensor:
    """One weight for each example, of weights that do not vary within an example."""
    shape = extents(weights) or ()
    return weights if not shape else mean(weights, axis=tuple(range(1, len(shape))), keepdims=True)


def sigmoid_cross_entropy(
    multi_class_labels: Any, logits: Any, weights: Any = 1.0, label_smoothing: float = 0, scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES, reduction: str = _DEFAULT,
) -> Tensor:  # fmt: skip
    """The logistic loss of each element, with labels moved towards 1/2 by ``label_smoothing``."""
    with _named(scope, "sigmoid_cross_entropy_loss", logits, multi_class_labels, weights):
        y, x = _pair("sigmoid_cross_entropy", multi_class_labels, logits)
        if label_smoothing > 0:
            y = add(multiply(y, 1 - label_smoothing), 0.5 * label_smoothing)
        return compute_weighted_loss(
            one("logistic_loss", "xentropy", sigmoid_op, y, x), weights, None, loss_collection, reduction
        )


def softmax_cross_entropy(
    onehot_labels: Any, logits: Any, weights: Any = 1.0, label_smoothing: float = 0, scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES, reduction: str = _DEFAULT,
) -> Tensor:  # fmt: skip
    """The cross entropy of each example, with labels moved towards the uniform distribution by ``label_smoothing``."""
    with _named(scope, "softmax_cross_entropy_loss", logits, onehot_labels, weights):
        y, x = _pair("softmax_cross_entropy", onehot_labels, logits)
        if label_smoothing > 0:
            classes = (extents(y) or (None,))[-1]
            share = label_smoothing / classes if classes else divide(like(label_smoothing, y), like(shape_of(y)[-1], y))
            y = add(multiply(y, 1 - label_smoothing), share)
        losses = softmax_entropy(stop_gradient(y), x, -1, "xentropy", False)
        return compute_weighted_loss(losses, weights, None, loss_collection, reduction)


def sparse_softmax_cross_entropy(
    labels: Any, logits: Any, weights: Any = 1.0, scope: str | None = None,
    loss_collection: str | None = GraphKeys.LOSSES, reduction: str = _DEFAULT,
) -> Tensor:  # fmt: skip
    """The cross entropy of each example; ``labels`` are class numbers (an axis of extent 1 at the end is dropped)."""
    with _named(scope, "sparse_softmax_cross_entropy_loss", logits, labels, weights):
        x = tensor(logits, None, labels)
        classes = tensor(labels, None, x)
        a, b = extents(classes), extents(x)
        if a is not None and b is not None and len(a) == len(b) and a[-1] in (1, None):
            classes = squeeze(classes, axis=-1)
        losses = sparse_entropy(classes, x, "xentropy")
        return compute_weighted_loss(losses, weights, None, loss_collection, reduction)


# ---------------------------------------------------------------- collections


def add_loss(loss: Any, loss_collection: str | None = GraphKeys.LOSSES) -> None:
    """Put a loss into a collection; eagerly there are none."""
    graph = graph_for(loss)
    if loss_collection and graph is not None and not executing_eagerly():
        graph.add_to_collection(loss_collection, loss)


def get_losses(scope: str | None = None, loss_collection: str = GraphKeys.LOSSES) -> list[Any]:
    """The losses in the collection."""
    return default_graph().get_collection(loss_collection, scope)


def get_regularization_losses(scope: str | None = None) -> list[Any]:
    """The regularisation losses of the graph."""
    return default_graph().get_collection(GraphKeys.REGULARIZATION_LOSSES, scope)


def _total(parts: list[Any], name: str) -> Tensor:
    found = parts[0]
    for part in parts[1:-1]:
        found = add(found, part)
    return one("AddN", name, add, found, parts[-1]) if len(parts) > 1 else one("AddN", name, multiply, found, 1.0)


def get_regularization_loss(scope: str | None = None, name: str = "total_regularization_loss") -> Tensor:
    """The sum of the regularisation losses; 0 if there are none."""
    losses = get_regularization_losses(scope)
    with default_graph().as_default():
        return _total(losses, name) if losses else tensor(0.0)


def get_total_loss(
    add_regularization_losses: bool = True, name: str = "total_loss", scope: str | None = None
) -> Tensor:
    """The sum of all losses, by default with the regularisation losses."""
    losses = get_losses(scope)
    if add_regularization_losses:
        losses += get_regularization_losses(scope)
    if not losses:
        raise UsageError("get_total_loss", "there are no losses in the graph", hint="tf.losses.add_loss(loss)")
    with default_graph().as_default():
        return _total([tensor(loss) for loss in losses], name)


_guard = missing.guard(__name__)


def __getattr__(name: str) -> Any:
    """Generation 2 has Keras' losses here."""
    if generation() == 2 and not name.startswith("_"):
        from corenn_tensorflow.keras import losses

        if hasattr(losses, name):
            return getattr(losses, name)
    return _guard(name)


__all__ = [
    "Reduction", "absolute_difference", "add_loss", "compute_weighted_loss", "cosine_distance", "get_losses",
    "get_regularization_loss", "get_regularization_losses", "get_total_loss", "hinge_loss", "huber_loss", "log_loss",
    "mean_pairwise_squared_error", "mean_squared_error", "sigmoid_cross_entropy", "softmax_cross_entropy",
    "sparse_softmax_cross_entropy",
]  # fmt: skip

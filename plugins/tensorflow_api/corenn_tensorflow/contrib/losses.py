"""``tf.contrib.losses``: ``tf.losses`` with the predictions first and other names for the weights."""

from __future__ import annotations

from typing import Any

from corenn_tensorflow import losses, missing
from corenn_tensorflow.contrib.framework.arg_scope import add_arg_scope
from corenn_tensorflow.losses import add_loss, get_losses, get_regularization_losses, get_total_loss

compute_weighted_loss = add_arg_scope(losses.compute_weighted_loss)


def _swapped(name: str, doc: str) -> Any:
    def call(predictions: Any, labels: Any = None, weights: Any = 1.0, scope: str | None = None) -> Any:
        return getattr(losses, name)(labels, predictions, weights=weights, scope=scope)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = doc
    return add_arg_scope(call)


absolute_difference = _swapped("absolute_difference", "``|predictions - labels|``.")
mean_squared_error = _swapped("_squared_v1", "``(predictions - labels) ** 2``.")
mean_pairwise_squared_error = _swapped("mean_pairwise_squared_error", "See ``tf.losses``.")


@add_arg_scope
def cosine_distance(
    predictions: Any, labels: Any = None, axis: int | None = None, weights: Any = 1.0, scope: str | None = None,
    dim: int | None = None,
) -> Any:  # fmt: skip
    """``1 - sum(labels * predictions)``."""
    return losses.cosine_distance(labels, predictions, axis, weights, scope, dim=dim)


@add_arg_scope
def log_loss(
    predictions: Any, labels: Any = None, weights: Any = 1.0, epsilon: float = 1e-7, scope: str | None = None
) -> Any:
    """The logistic loss of probabilities."""
    return losses.log_loss(labels, predictions, weights, epsilon, scope)


@add_arg_scope
def hinge_loss(logits: Any, labels: Any = None, scope: str | None = None) -> Any:
    """``max(0, 1 - (2 labels - 1) logits)``, element by element."""
    return losses.hinge_loss(labels, logits, scope=scope, loss_collection=None, reduction=losses.Reduction.NONE)


@add_arg_scope
def sigmoid_cross_entropy(
    logits: Any, multi_class_labels: Any, weights: Any = 1.0, label_smoothing: float = 0, scope: str | None = None
) -> Any:
    """The logistic loss of each element."""
    return losses.sigmoid_cross_entropy(multi_class_labels, logits, weights, label_smoothing, scope)


@add_arg_scope
def softmax_cross_entropy(
    logits: Any, onehot_labels: Any, weights: Any = 1.0, label_smoothing: float = 0, scope: str | None = None
) -> Any:
    """The cross entropy of each example."""
    return losses.softmax_cross_entropy(onehot_labels, logits, weights, label_smoothing, scope)


@add_arg_scope
def sparse_softmax_cross_entropy(logits: Any, labels: Any, weights: Any = 1.0, scope: str | None = None) -> Any:
    """The cross entropy of each example; ``labels`` are class numbers."""
    return losses.sparse_softmax_cross_entropy(labels, logits, weights, scope)


__getattr__ = missing.guard(__name__)

__all__ = [
    "absolute_difference", "add_loss", "compute_weighted_loss", "cosine_distance", "get_losses",
    "get_regularization_losses", "get_total_loss", "hinge_loss", "log_loss", "mean_pairwise_squared_error",
    "mean_squared_error", "sigmoid_cross_entropy", "softmax_cross_entropy", "sparse_softmax_cross_entropy",
]  # fmt: skip
